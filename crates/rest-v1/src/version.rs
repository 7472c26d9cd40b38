//! Versions of documents: of two operators who change one document at the same moment, the later one learns of it
//! (`ETag` and `If-Match`, RFC 9110 §8.8.3 and §13.1.1).

use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::token::TokenKey;

/// What a change requires of the document as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected(Option<String>);

impl Expected {
    /// The condition of a request, if it has one.
    pub fn of(headers: &HeaderMap) -> Expected {
        // Also one that is no text: a condition that cannot be read is one that does not hold.
        let lines = headers.get_all(header::IF_MATCH).iter();
        let all: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        Expected((!all.is_empty()).then(|| all.join(",")))
    }

    /// Does the document, if there is one, fulfil it?
    pub fn admits(&self, key: &TokenKey, document: Option<&Value>) -> bool {
        let Some(wanted) = &self.0 else { return true };
        let Some(document) = document else { return false };
        let tag = tag_of(key, document);
        wanted.split(',').map(str::trim).any(|one| one == "*" || one == tag)
    }
}

/// The version of a document, in quotes: it differs after each change, and says nothing else. It is keyed, as the document may
/// hold a secret that could be guessed otherwise.
pub(crate) fn tag_of(key: &TokenKey, document: &Value) -> String {
    format!("\"{}\"", key.digest(&document.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_names_versions() {
        let key = TokenKey::from_salt("e0893efeb0f348ae").expect("a salt");
        let (one, two) = (json!({"a": 1}), json!({"a": 2}));
        let expected = |text: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().expect("a value"));
            Expected::of(&headers)
        };
        let tag = tag_of(&key, &one);
        assert!(
            expected(tag.clone()).admits(&key, Some(&one)) && !expected(tag.clone()).admits(&key, Some(&two))
        );
        assert!(expected(format!("\"x\", {tag}")).admits(&key, Some(&one)));
        assert!(!expected(format!("W/{tag}")).admits(&key, Some(&one)), "a weak one is no match");
        assert!(expected("*".into()).admits(&key, Some(&one)) && !expected("*".into()).admits(&key, None));
        assert!(Expected::default().admits(&key, None));
    }
}
