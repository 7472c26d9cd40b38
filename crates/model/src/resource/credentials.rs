//! Digest credentials.

use std::fmt;

use crate::reference::Ref;

super::resource! {
    /// A user name and a secret for digest authentication (RFC 7616), in either direction.
    #[derive(Clone, PartialEq)]
    Credentials {
        /// The user name.
        username: String,
        /// The secret, in clear: digest needs it. `Debug` never shows it.
        password: String,
    }
}

impl Credentials {
    /// Credentials named after their user.
    pub fn new(
        reference: impl Into<Ref>,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Credentials {
        let username = username.into();
        Credentials {
            reference: reference.into(),
            name: username.clone(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            username,
            password: password.into(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("reference", &self.reference)
            .field("name", &self.name)
            .field("username", &self.username)
            .field("password", &"…")
            .finish_non_exhaustive()
    }
}
