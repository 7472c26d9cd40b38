//! The reply to a request.

use crate::json::JsonWriter;
use crate::object::Object;
use crate::rest::RestReply;

/// The end of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request succeeded.
    pub ok: bool,
    /// The reply.
    pub message: Vec<u8>,
    /// Asterisk's message when it refused. It is separate, because clients depend on the text of the error.
    pub refusal: Option<Refused>,
}

/// Asterisk's own words for a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The message in the answer; empty when there is none.
    pub message: String,
}

impl Outcome {
    /// A reply that says what went wrong.
    #[must_use]
    pub fn error(text: &str) -> Self {
        let mut w = JsonWriter::new();
        w.text("error", text);
        Outcome { ok: false, message: w.finish(), refusal: None }
    }

    /// A reply that another proxy gave.
    #[must_use]
    pub fn of(message: Vec<u8>) -> Self {
        let ok = message.starts_with(br#"{"error":"""#);
        Outcome { ok, message, refusal: None }
    }

    pub(crate) fn success(message: Vec<u8>) -> Self {
        Outcome { ok: true, message, refusal: None }
    }

    pub(crate) fn refused(text: &str, reply: &RestReply<'_>) -> Self {
        Outcome { refusal: Some(Refused::read(reply)), ..Outcome::error(text) }
    }
}

impl Refused {
    /// Asterisk writes `{"message": "…"}`, and `{"error": "…"}` where the HTTP server itself refuses.
    fn read(reply: &RestReply<'_>) -> Self {
        let said = Object::parse(reply.body).unwrap_or_default();
        let text = |name| said.text(name).unwrap_or_default();
        let message = Some(text("message")).filter(|m| !m.is_empty()).unwrap_or_else(|| text("error"));
        // It becomes part of a line.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        Refused { status: reply.status, message: message.chars().map(plain).take(512).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &[u8]) -> RestReply<'_> {
        RestReply { status, reason: "", content_type: "audio/x-wav", body }
    }

    #[test]
    fn asterisks_own_words_are_kept() {
        let read = |body: &str| Refused::read(&reply(409, body.as_bytes())).message;
        assert_eq!(read(r#"{"message":"Channel not in\r\nStasis"}"#), "Channel not in  Stasis");
        assert_eq!(read(r#"{"error":"Authentication required"}"#), "Authentication required");
        assert_eq!(read("<html>"), "");
    }
}
