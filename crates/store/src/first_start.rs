//! The resources of the first start, with which two phones can call each other.

use trunkline_model::{Agent, Change, Credentials, Domain, Ref, Role, User};

use crate::error::StoreError;
use crate::secret::{generate_secret, hash_password};
use crate::store::Store;

/// A user name and its secret, in clear, to be shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The secret.
    pub secret: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The resources of the first start.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// The host of the domain.
    pub domain: String,
    /// The phones.
    pub agents: Vec<Login>,
    /// The one who may do everything.
    pub admin: Login,
}

const SECRET_LENGTH: usize = 16;

impl Store {
    /// Fills a store in which nothing has ever been: a domain, the agents 1001 and 1002, the user admin. `None`
    /// if something has.
    pub fn bootstrap(&self, domain: &str) -> Result<Option<FirstStart>, StoreError> {
        if !self.is_new() {
            return Ok(None);
        }
        let domain = Domain::new("domain-01", domain);
        let made = FirstStart {
            domain: domain.domain_uri.clone(),
            agents: vec![login("1001")?, login("1002")?],
            admin: login("admin")?,
        };
        let mut admin = User::new("user-admin", "admin", Role::Admin);
        admin.password_hash = Some(hash_password(&made.admin.secret)?);
        let mut changes = vec![Change::Create(domain.into()), Change::Create(admin.into())];
        for Login { username, secret } in &made.agents {
            let credentials = Credentials::new(format!("credentials-{username}"), username, secret);
            let domain = Some(Ref::new("domain-01"));
            let mut agent = Agent::new(format!("agent-{username}"), username, domain);
            agent.credentials = Some(credentials.reference.clone());
            changes.extend([Change::Create(credentials.into()), Change::Create(agent.into())]);
        }
        match self.apply(changes) {
            Ok(()) => Ok(Some(made)),
            // Another process that shares the database was first.
            Err(StoreError::Refused(_)) if self.poll()? && !self.is_new() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn login(username: &str) -> Result<Login, StoreError> {
    Ok(Login { username: username.to_owned(), secret: generate_secret(SECRET_LENGTH)? })
}
