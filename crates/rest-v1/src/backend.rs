//! The interface to the process.

use std::sync::Arc;

use serde_json::Value;
use trunkline_model::dialect::v1::{Documents, Edition};
use trunkline_store::{Write, WriteError};

/// The rest of the process, as the API sees it. Asked on the listener's thread: answers come from memory.
pub trait RestBackend: Send + Sync + 'static {
    /// In whose manner it answers.
    fn edition(&self) -> Edition;

    /// The documents in force.
    fn documents(&self) -> Arc<Documents>;

    /// Does the data provider take changes? Files are changed with an editor.
    fn is_writable(&self) -> bool;

    /// Makes a change at the data provider, in force when this returns; gives the ref of the document. Waits for a
    /// network: it is called on a thread that may.
    fn write(&self, write: Write) -> Result<String, WriteError>;

    /// Is there such a user, and may it log in? A token is good only so long.
    fn knows_user(&self, username: &str) -> bool;

    /// Everything that is registered, in any order.
    fn bindings(&self) -> Vec<RegisteredContact>;

    /// Where we are registered ourselves, in any order.
    fn gateways(&self) -> Vec<GatewayRegistration>;

    /// Removes the bindings of an AOR, or all; how many there were.
    fn evict(&self, aor: Option<&str>) -> usize;

    /// Puts a binding in by hand; why it cannot be.
    fn add(&self, aor: &str, entry: &ManualEntry) -> Result<(), String>;

    /// The configuration as the operator wrote it, variables included. Secrets are taken out here.
    fn configuration(&self) -> Value;

    /// The variables that say something to Routr v1, and their values; secrets masked.
    fn environment(&self) -> Vec<(String, Option<String>)>;

    /// When the process started, in seconds of Unix time.
    fn started(&self) -> i64;

    /// The last of the log.
    fn log(&self) -> String;

    /// Ends the process, or has it started again.
    fn stop(&self, stop: Stop);
}

/// One registered contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Its AOR.
    pub aor: String,
    /// The contact's URI.
    pub contact: String,
    /// Is it behind a NAT?
    pub nat: bool,
    /// Seconds left.
    pub expires: u32,
}

/// A registration of ours at a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRegistration {
    /// The gateway's ref.
    pub gateway: String,
    /// As whom.
    pub username: String,
    /// Where, as the gateway names it.
    pub host: String,
    /// The address behind it.
    pub ip: Option<std::net::IpAddr>,
    /// Seconds left.
    pub expires: u64,
    /// Since when, in seconds of Unix time.
    pub since: i64,
}

/// A contact put in by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualEntry {
    /// The user part of its URI.
    pub user: String,
    /// Where it is.
    pub address: std::net::IpAddr,
    /// And on which port.
    pub port: u16,
    /// For so many seconds.
    pub expires: u32,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// It is to be started again.
    pub restart: bool,
    /// Without waiting for calls on their way to an answer.
    pub now: bool,
}
