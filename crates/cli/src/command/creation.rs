//! The arguments of `create`, for each kind.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Fields to set.
#[derive(Args, Clone, Debug, Default)]
pub struct Edits {
    /// Set a field, e.g. maxContacts=2 (a field of `spec`) or metadata.name='Ann Lee'
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// The source of a password. It is never the command line, which other users of the machine can read.
#[derive(Args, Clone, Debug, Default)]
pub struct NewPassword {
    /// Read the password from standard input
    #[arg(long, group = "secret")]
    pub password_stdin: bool,
    /// Prompt for the password
    #[arg(long, group = "secret")]
    pub prompt_password: bool,
    /// Generate a password and print it once
    #[arg(long, group = "secret")]
    pub generate_password: bool,
}

/// The arguments of every `create`.
#[derive(Args, Clone, Debug, Default)]
pub struct New {
    /// Read the new resources from a YAML or JSON file; - is standard input
    #[arg(long, short = 'F', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Display name
    #[arg(long)]
    pub name: Option<String>,
    /// Unique name by which other resources refer to it [default: made from kind and name]
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub edits: Edits,
}

/// `create`: the arguments of one kind, and those of all kinds.
#[derive(Args, Debug)]
pub struct Creation<C: Args> {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub own: C,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub new: New,
}

/// `agents create`
#[derive(Args, Debug)]
pub struct CreateAgent {
    /// User name, e.g. 1003
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// Ref or host of the domain [default: the domain in the configuration]
    #[arg(long)]
    pub domain: Option<String>,
    /// Use existing credentials, by ref or name [default: create new ones]
    #[arg(long, conflicts_with = "secret")]
    pub credentials: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `domains create`
#[derive(Args, Debug)]
pub struct CreateDomain {
    /// Host name, e.g. branch.example
    #[arg(required_unless_present = "file")]
    pub host: Option<String>,
    /// Access for callers of other domains [default: authenticated]
    #[arg(long, value_parser = ["authenticated", "isolated", "open"])]
    pub inter_domain: Option<String>,
}

/// `peers create`
#[derive(Args, Debug)]
pub struct CreatePeer {
    /// User name of the peer, for registration and digest
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// Address of record by which the peer is called, e.g. sip:conference@sip.local
    #[arg(long)]
    pub aor: Option<String>,
    /// Network address of a peer that does not register, e.g. 127.0.0.1:5070
    #[arg(long)]
    pub contact: Option<String>,
    /// Ref or name of its access control list
    #[arg(long)]
    pub acl: Option<String>,
    /// Use existing credentials, by ref or name [default: create new ones]
    #[arg(long, conflicts_with = "secret")]
    pub credentials: Option<String>,
    /// Make no credentials: an address on the list of --acl is the proof
    #[arg(long, requires = "acl", conflicts_with_all = ["secret", "credentials"])]
    pub no_credentials: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `trunks create`
#[derive(Args, Debug)]
pub struct CreateTrunk {
    /// Display name; the ref is made from it
    #[arg(required_unless_present = "file")]
    pub title: Option<String>,
    /// Host of the carrier
    #[arg(long)]
    pub host: Option<String>,
    /// Port [default: from DNS, otherwise that of the transport]
    #[arg(long)]
    pub port: Option<u16>,
    /// Transport: udp, tcp or tls [default: from DNS, otherwise udp]
    #[arg(long)]
    pub transport: Option<String>,
    /// Host in the Request-URI of the carrier's calls; without --acl anyone may call it
    #[arg(long)]
    pub inbound: Option<String>,
    /// Ref or name of the access control list with the carrier's addresses
    #[arg(long)]
    pub acl: Option<String>,
    /// Register at the carrier
    #[arg(long)]
    pub register: bool,
    /// User name of the account at the carrier; prompts for the password unless another option gives it
    #[arg(long)]
    pub user: Option<String>,
    /// Use existing credentials, by ref or name
    #[arg(long, conflicts_with_all = ["user", "secret"])]
    pub credentials: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `numbers create`
#[derive(Args, Debug)]
pub struct CreateNumber {
    /// Telephone number, e.g. +17066041487
    #[arg(required_unless_present = "file")]
    pub number: Option<String>,
    /// Ref or name of its trunk
    #[arg(long)]
    pub trunk: Option<String>,
    /// Address of record that gets its calls, e.g. sip:1001@sip.local
    #[arg(long)]
    pub to: Option<String>,
}

/// `credentials create`
#[derive(Args, Debug)]
pub struct CreateCredentials {
    /// User name
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `acl create`
#[derive(Args, Debug)]
pub struct CreateAcl {
    /// Display name; the ref is made from it
    #[arg(required_unless_present = "file")]
    pub title: Option<String>,
    /// Allow this network; all networks that are not allowed are refused then
    #[arg(long)]
    pub allow: Vec<String>,
    /// Deny this network
    #[arg(long)]
    pub deny: Vec<String>,
}

/// `users create`
#[derive(Args, Debug)]
pub struct CreateUser {
    /// Login name
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// Role: what the user may do
    #[arg(long, value_enum, default_value_t = UserRole::Viewer)]
    pub role: UserRole,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// The role of a user.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// View resources
    Viewer,
    /// Change resources
    Operator,
    /// Everything
    Admin,
}
