//! Reason codes: why the exchange answered a request itself, what that means for an operator and what to do.
//!
//! Each place in the code that makes an answer names its own [`Reason`], which a test in `xtask` checks. The code of a reason
//! is stable: it is in call records, the log, events, metrics, and where it reveals nothing in the answer itself.
//!
//! ```
//! use trunkline_reasons::Reason;
//!
//! let reason = Reason::from_code("callee.not-registered").unwrap();
//! assert_eq!(reason, Reason::CalleeNotRegistered);
//! assert_eq!(reason.status(), 480);
//! assert!(!reason.is_public());
//! ```

#![forbid(unsafe_code)]

mod list;
mod page;

pub use list::Reason;
pub use page::page;

impl Reason {
    /// Whether it is a challenge that the client has not answered yet, which is no failure.
    pub fn is_challenge(self) -> bool {
        matches!(self, Reason::AuthRequired | Reason::AuthStale | Reason::DialogAuth)
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// What it is about: the first word of its code.
    pub fn subject(self) -> &'static str {
        self.code().split_once('.').map_or(self.code(), |(subject, _)| subject)
    }

    /// Its place in [`Reason::ALL`].
    pub fn number(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_stable_words_and_differ() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "{code} stands twice");
            let word = |part: &str| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(code.split('.').count() == 2 && code.split('.').all(word), "{code}");
            assert!((300..700).contains(&reason.status()), "{code}");
            assert!(reason.meaning().ends_with('.') && reason.remedy().ends_with('.'), "{code}");
            assert_eq!(Reason::from_code(code), Some(*reason));
            assert_eq!(Reason::ALL.get(reason.number()), Some(reason));
        }
    }
}
