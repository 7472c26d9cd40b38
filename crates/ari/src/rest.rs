//! Calls of Asterisk's REST interface, without network.

use std::fmt;

/// HTTP methods that the REST interface uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// One call: what to send to Asterisk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestCall {
    /// The HTTP method.
    pub method: Method,
    /// The path after `/ari` with its query, percent-encoded.
    pub path: String,
    /// The JSON body, when there is one.
    pub body: Option<Vec<u8>>,
    /// Whether the answer is a file, which may be longer than any other answer.
    pub file: bool,
}

/// Asterisk's response.
#[derive(Clone, Copy, Debug)]
pub struct RestReply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The words after the status, such as `Not Found`.
    pub reason: &'a str,
    /// The `Content-Type`; empty when absent.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl RestReply<'_> {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl fmt::Display for RestReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Non-2XX response: {} {}", self.status, self.reason)
    }
}

/// Text that has no place in the path of a call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// Asterisk stops reading a path at an empty segment, so the call would be one on the collection.
    #[error("an empty id cannot be part of a path")]
    Empty,
    /// A proxy between us and Asterisk may resolve these, even when they are encoded.
    #[error("`{0}` cannot be part of a path: it would change the path")]
    Dots(String),
    /// Asterisk reads a path as C text, which ends at a NUL; the others end a line.
    #[error("`{0}` cannot be part of a path: it contains control characters")]
    Control(String),
}

/// As much of `text` as an error needs, with its control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Checks what shall be one segment of a path. Ids may contain slashes, which are encoded: a part
/// between two of them must not be `.` or `..` either.
fn check(segment: &str) -> Result<(), BadPath> {
    if segment.is_empty() {
        return Err(BadPath::Empty);
    }
    if segment.chars().any(char::is_control) {
        return Err(BadPath::Control(shown(segment)));
    }
    if segment.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(BadPath::Dots(shown(segment)));
    }
    Ok(())
}

impl RestCall {
    /// A call on the path of `segments`, each checked and encoded.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Result<Self, BadPath> {
        let mut path = String::with_capacity(48);
        for segment in segments {
            check(segment)?;
            path.push('/');
            escape(&mut path, segment);
        }
        Ok(RestCall { method, path, body: None, file: false })
    }

    pub(crate) fn body(mut self, body: crate::json::JsonWriter) -> Self {
        self.body = Some(body.finish());
        self
    }

    /// Adds a query parameter. Asterisk reads its value as C text, so a NUL would cut it.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Result<Self, BadPath> {
        if value.contains('\0') {
            return Err(BadPath::Control(shown(value)));
        }
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        escape(&mut self.path, value);
        Ok(self)
    }
}

/// Percent-encodes what would end a path segment or a query value. Asterisk decodes each segment
/// after it has split the path, and reads `+` as a space.
fn escape(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b',' | b';')
        {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(HEX.get(usize::from(digit)).copied().unwrap_or(b'0')));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_segment() {
        let call = RestCall::new(Method::Get, &["deviceStates", "PJSIP/1001?x&y=é"]).unwrap();
        assert_eq!(call.path, "/deviceStates/PJSIP%2F1001%3Fx%26y%3D%C3%A9");
        let call = RestCall::new(Method::Get, &["asterisk", "variable"]).unwrap();
        let call = call.query("variable", "A+&x").unwrap().query("b", "1").unwrap();
        assert_eq!(call.path, "/asterisk/variable?variable=A%2B%26x&b=1");
    }

    #[test]
    fn what_leads_elsewhere_is_no_segment() {
        let path = |id: &str| RestCall::new(Method::Delete, &["channels", id]).map(|call| call.path);
        for dots in [".", "..", "a/..", "../a", "a/./b", "/..", "../"] {
            assert_eq!(path(dots), Err(BadPath::Dots(dots.to_owned())), "{dots}");
        }
        for control in ["a\0b", "\r\nX: y", "a\u{7f}", "a\u{85}"] {
            assert!(matches!(path(control), Err(BadPath::Control(_))), "{control:?}");
        }
        assert_eq!(path(""), Err(BadPath::Empty));
        for (good, encoded) in [
            ("...", "..."),
            ("..a", "..a"),
            ("a..b/c.d", "a..b%2Fc.d"),
            ("%2e%2e", "%252e%252e"),
            ("1.2", "1.2"),
        ] {
            assert_eq!(path(good), Ok(format!("/channels/{encoded}")));
        }
        let call = RestCall::new(Method::Get, &["asterisk", "variable"]).unwrap();
        assert!(call.query("variable", "A\0B").is_err());
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_long_id() {
        let long = format!("{}\n", "x".repeat(1 << 20));
        let error = RestCall::new(Method::Get, &["channels", &long]).unwrap_err().to_string();
        assert!(
            error.len() < 200
                && error.ends_with("…` cannot be part of a path: it contains control characters")
        );
    }
}
