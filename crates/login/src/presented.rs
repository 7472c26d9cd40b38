//! The credentials in a request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::login::Refused;

/// A longer text is no user name and must not be hashed.
const MOST_USERNAME: usize = 255;
/// A longer text is no password or token.
const MOST_SECRET: usize = 1024;

/// A user name with its password, or a token. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// A user name and a password.
    Password {
        /// The login name.
        username: String,
        /// The password, in clear.
        password: String,
    },
    /// A token, in clear.
    Token(String),
}

impl Presented {
    /// A name and password from a form.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Presented {
        Presented::Password { username: username.into(), password: password.into() }
    }

    /// The value of an `Authorization` header: `Basic` (RFC 7617) or `Bearer` (RFC 6750 §2.1). An empty value is
    /// [`Refused::Absent`], any other form [`Refused::Malformed`].
    pub fn from_header(value: &str) -> Result<Presented, Refused> {
        let value = value.trim();
        if value.is_empty() {
            return Err(Refused::Absent);
        }
        let (scheme, rest) = value.split_once(' ').ok_or(Refused::Malformed)?;
        let rest = rest.trim();
        // Schemes ignore case, RFC 9110 §11.1.
        let presented = if scheme.eq_ignore_ascii_case("basic") {
            let text = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or(Refused::Malformed)?;
            // A user name holds no colon, a password may: RFC 7617 §2.
            let (username, password) = text.split_once(':').ok_or(Refused::Malformed)?;
            Presented::password(username, password)
        } else if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            Presented::Token(rest.to_owned())
        } else {
            return Err(Refused::Malformed);
        };
        Ok(presented)
    }

    /// Can this be anybody's at all?
    pub(crate) fn fits(&self) -> bool {
        match self {
            Presented::Password { username, password } => {
                username.len() <= MOST_USERNAME && password.len() <= MOST_SECRET
            }
            Presented::Token(token) => token.len() <= MOST_SECRET,
        }
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Presented::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Presented::Token(_) => f.write_str("Token(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let ann = Presented::password("ann", "a:b");
        assert_eq!(Presented::from_header("Basic YW5uOmE6Yg=="), Ok(ann.clone()));
        assert_eq!(Presented::from_header(" basic  YW5uOmE6Yg== "), Ok(ann.clone()));
        assert_eq!(Presented::from_header("bearer tl_x"), Ok(Presented::Token("tl_x".into())));
        assert_eq!(Presented::from_header("  "), Err(Refused::Absent));
        for wrong in ["Basic", "Basic ", "Basic !", "Basic YW5u", "Basic /w==", "Bearer ", "Digest x", "tl_x"]
        {
            assert_eq!(Presented::from_header(wrong), Err(Refused::Malformed), "{wrong}");
        }
        let shown = format!("{ann:?}{:?}", Presented::Token("hush".into()));
        assert!(!shown.contains("a:b") && !shown.contains("hush") && shown.contains("ann"), "{shown}");
    }
}
