//! Calls of Asterisk's REST interface, without the wire.

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
}

/// What Asterisk answered.
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

impl RestCall {
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::with_capacity(48);
        for segment in segments {
            path.push('/');
            escape(&mut path, segment);
        }
        RestCall { method, path, body: None }
    }

    pub(crate) fn body(mut self, body: crate::json::Writer) -> Self {
        self.body = Some(body.finish());
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        escape(&mut self.path, value);
        self
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
        let call = RestCall::new(Method::Get, &["deviceStates", "PJSIP/1001?x&y=é"]);
        assert_eq!(call.path, "/deviceStates/PJSIP%2F1001%3Fx%26y%3D%C3%A9");
        let call =
            RestCall::new(Method::Get, &["asterisk", "variable"]).query("variable", "A+&x").query("b", "1");
        assert_eq!(call.path, "/asterisk/variable?variable=A%2B%26x&b=1");
    }
}
