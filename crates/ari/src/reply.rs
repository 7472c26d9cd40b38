//! The end of an exchange: what goes back, in one message or several.

use std::borrow::Cow;

use crate::json::Writer;
use crate::object::Object;
use crate::rest::RestReply;

/// Bytes of a file in one message at most, before base64.
const FILE_CHUNK: usize = 256 * 1024;

/// What a message of a file has besides its part, the name and the type.
const FILE_HEAD: usize = 256;

/// The end of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request succeeded.
    pub ok: bool,
    /// What goes back.
    pub reply: Reply,
    /// What Asterisk said when it refused. The reply has no room for it: partners know its text.
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

/// A reply before it is cut into messages.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// A message.
    Message(Vec<u8>),
    /// The file of a stored recording.
    File {
        /// The recording.
        name: String,
        /// The type of the file.
        content_type: String,
        /// Its bytes.
        body: Vec<u8>,
    },
}

impl Outcome {
    /// A reply that says what went wrong.
    #[must_use]
    pub fn error(text: &str) -> Self {
        let mut w = Writer::new();
        w.text("error", text);
        Outcome { ok: false, reply: Reply::Message(w.finish()), refusal: None }
    }

    /// A reply that another proxy gave.
    #[must_use]
    pub fn of(message: Vec<u8>) -> Self {
        let ok = message.starts_with(br#"{"error":"""#);
        Outcome { ok, reply: Reply::Message(message), refusal: None }
    }

    pub(crate) fn success(message: Vec<u8>) -> Self {
        Outcome { ok: true, reply: Reply::Message(message), refusal: None }
    }

    pub(crate) fn refused(text: &str, reply: &RestReply<'_>) -> Self {
        Outcome { refusal: Some(Refused::read(reply)), ..Outcome::error(text) }
    }

    /// The messages, none of a file longer than `limit`. A message that is no file is not cut.
    pub fn messages(self, limit: usize) -> impl Iterator<Item = Vec<u8>> + Send {
        let (one, file) = match self.reply {
            Reply::Message(message) => (Some(message), None),
            Reply::File { name, content_type, body } => {
                (None, Some(File { limit, next: 0, name, content_type, body }))
            }
        };
        one.into_iter().chain(file.into_iter().flatten())
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

/// A file on its way: each message tells its offset and the whole size, so that a client sees when
/// something is missing and when it has everything.
struct File {
    limit: usize,
    next: usize,
    name: String,
    content_type: String,
    body: Vec<u8>,
}

impl Iterator for File {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let total = self.body.len();
        // An empty file is one message too.
        if self.next >= total && self.next > 0 || self.next == usize::MAX {
            return None;
        }
        let room = self.limit.saturating_sub(FILE_HEAD + self.name.len() + self.content_type.len());
        let size = (room / 4 * 3).clamp(3, FILE_CHUNK);
        let end = self.next.saturating_add(size).min(total);
        let content = self.body.get(self.next..end).unwrap_or_default();
        let mut part = Writer::with_capacity(content.len() * 4 / 3 + FILE_HEAD);
        part.text("name", &self.name)
            .text("content_type", &self.content_type)
            .integer("offset", self.next as i64)
            .integer("total", total as i64)
            .text("content", &crate::base64::encode(content));
        self.next = if end == 0 { usize::MAX } else { end };
        Some(crate::exchange::wrap("file", &part.finish()))
    }
}

/// The file of a stored recording.
pub(crate) fn file(name: Cow<'_, str>, reply: &RestReply<'_>) -> Outcome {
    let (name, content_type) = (name.into_owned(), reply.content_type.to_owned());
    let reply = Reply::File { name, content_type, body: reply.body.to_vec() };
    Outcome { ok: true, reply, refusal: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &[u8]) -> RestReply<'_> {
        RestReply { status, reason: "", content_type: "audio/x-wav", body }
    }

    #[test]
    fn a_file_is_cut_to_the_limit_and_told_whole() {
        for (size, limit) in [(0, 4096), (1, 4096), (10_000, 1024), (1_000_000, 1 << 20), (900, 0)] {
            let body = vec![7; size];
            let mut next = 0;
            for message in file("r".into(), &reply(200, &body)).messages(limit) {
                assert!(message.len() <= limit.max(FILE_HEAD), "{} of {limit}", message.len());
                let value: serde_json::Value = serde_json::from_slice(&message).unwrap();
                let part = &value["data"]["file"];
                assert_eq!(
                    (part["offset"].as_u64(), part["total"].as_u64()),
                    (Some(next), Some(size as u64))
                );
                next += crate::base64::decode(part["content"].as_str().unwrap()).unwrap().len() as u64;
            }
            assert_eq!(next, size as u64);
        }
    }

    #[test]
    fn asterisks_own_words_are_kept() {
        let read = |body: &str| Refused::read(&reply(409, body.as_bytes())).message;
        assert_eq!(read(r#"{"message":"Channel not in\r\nStasis"}"#), "Channel not in  Stasis");
        assert_eq!(read(r#"{"error":"Authentication required"}"#), "Authentication required");
        assert_eq!(read("<html>"), "");
    }
}
