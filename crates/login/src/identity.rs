//! The user that logged in.

use trunkline_model::{Ref, Role, User};

/// A user whose password or token was right, as the resources had it at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ref of the user.
    pub reference: Ref,
    /// The login name.
    pub username: String,
    /// The role of the user.
    pub role: Role,
    /// The means of the login.
    pub means: Means,
}

/// The means of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The password.
    Password,
    /// The token of that name.
    Token(String),
}

impl Identity {
    pub(crate) fn new(user: &User, means: Means) -> Identity {
        Identity {
            reference: user.reference.clone(),
            username: user.username.clone(),
            role: user.role,
            means,
        }
    }

    /// May resources be changed?
    pub fn may_write(&self) -> bool {
        self.role >= Role::Operator
    }
}
