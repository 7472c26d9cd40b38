//! Users: the people who operate the exchange.

use std::fmt;

use crate::reference::Ref;

/// The role of a user; each role includes the rights of the previous ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    /// Look, but not at secrets.
    #[default]
    Viewer,
    /// Change resources, kick registrations.
    Operator,
    /// Everything, users included.
    Admin,
}

/// A token for programs, instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Its purpose.
    pub name: String,
    /// SHA-256 over the token, in lower-case hexadecimal.
    pub hash: String,
    /// When it ends, in seconds of Unix time; `None` never.
    pub expires: Option<i64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

super::resource! {
    /// A person or a program that logs in: console, API.
    #[derive(Clone, PartialEq)]
    User {
        /// The login name.
        username: String,
        /// Argon2id in the PHC string format; `None` allows tokens alone.
        password_hash: Option<String>,
        /// What it may do.
        role: Role,
        /// Its tokens.
        tokens: Vec<Token>,
        /// A disabled user cannot log in.
        enabled: bool,
    }
}

impl User {
    /// An enabled user without a password.
    pub fn new(reference: impl Into<Ref>, username: impl Into<String>, role: Role) -> User {
        let username = username.into();
        User {
            reference: reference.into(),
            name: username.clone(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            username,
            password_hash: None,
            role,
            tokens: Vec::new(),
            enabled: true,
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("reference", &self.reference)
            .field("username", &self.username)
            .field("role", &self.role)
            .field("tokens", &self.tokens)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}
