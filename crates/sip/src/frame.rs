//! Cutting a byte stream into messages, RFC 3261 §18.3, with the keep-alives of RFC 5626 §4.4.1.

use memchr::memchr;

use crate::class::find;
use crate::error::ParseError;
use crate::lex::{number, trim};
use crate::name::HeaderName;

/// What stands at the beginning of a stream's unread bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of this many bytes.
    Message(usize),
    /// A keep-alive of 4 bytes (CRLF CRLF), to be answered with CRLF.
    Ping,
    /// This many bytes that mean nothing: a pong, or empty lines between messages.
    Skip(usize),
    /// Somebody speaks HTTP: what follows is a body that a web page chose, and no message of its sender.
    Http,
    /// More bytes are needed.
    Incomplete,
    /// Where the next message begins cannot be known: answer what can be answered, then close. The bytes up
    /// to here hold the headers.
    Broken(ParseError, usize),
}

impl Frame {
    /// Looks at the unread bytes; `limit` bounds a message.
    ///
    /// A stream message must have exactly one readable Content-Length (RFC 3261 §18.3); without one the body
    /// counts as empty, as clients leave it out of requests without a body.
    pub fn next(bytes: &[u8], limit: usize) -> Frame {
        if bytes.starts_with(b"\r\n\r\n") {
            return Frame::Ping;
        }
        if bytes.starts_with(b"\r\n") {
            // Two more bytes tell a ping from a pong, but a pong alone must not wait for them.
            return match bytes.get(2) {
                None => Frame::Incomplete,
                Some(b'\r') if bytes.len() == 3 => Frame::Incomplete,
                Some(_) => Frame::Skip(2),
            };
        }
        if bytes.first() == Some(&b'\n') || bytes.first() == Some(&0) {
            return Frame::Skip(1);
        }
        if is_http(bytes) {
            return Frame::Http;
        }
        let Some((end, length)) = headers(bytes) else {
            return if bytes.len() >= limit {
                Frame::Broken(ParseError::TooLarge, bytes.len())
            } else {
                Frame::Incomplete
            };
        };
        let length = match length {
            Ok(length) => length,
            Err(e) => return Frame::Broken(e, end),
        };
        match end.checked_add(length) {
            Some(total) if total <= limit => {
                if total <= bytes.len() {
                    Frame::Message(total)
                } else {
                    Frame::Incomplete
                }
            }
            _ => Frame::Broken(ParseError::TooLarge, end),
        }
    }
}

/// Is the first line one of an HTTP request or response?
fn is_http(bytes: &[u8]) -> bool {
    let Some(line) = memchr(b'\n', bytes).and_then(|end| bytes.get(..end)) else { return false };
    let names = |word: Option<&[u8]>| {
        word.and_then(|word| word.get(..5)).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
    };
    let line = line.trim_ascii();
    names(line.rsplit(|b| *b == b' ').next()) || names(Some(line))
}

/// Where the headers end, after CRLF CRLF, and what they say of the body's length; `None` before that end has come.
fn headers(bytes: &[u8]) -> Option<(usize, Result<usize, ParseError>)> {
    let mut length = Ok(None);
    let mut rest = bytes;
    let mut after_crlf = false;
    loop {
        let (line, next) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
        if after_crlf && line == b"\r\n" {
            return Some((bytes.len() - next.len(), length.map(Option::unwrap_or_default)));
        }
        if let (Some(b'l' | b'L' | b'c' | b'C'), Ok(known)) = (line.first(), length) {
            length = content_length(line, next, known);
        }
        (rest, after_crlf) = (next, line.ends_with(b"\r\n"));
    }
}

/// The length in this line, or what is known of it when the line is about something else.
fn content_length(line: &[u8], next: &[u8], known: Option<usize>) -> Result<Option<usize>, ParseError> {
    let Some(colon) = find(b':', line) else { return Ok(known) };
    if HeaderName::from_bytes(trim(line.get(..colon).unwrap_or_default())) != HeaderName::ContentLength {
        return Ok(known);
    }
    // A folded value goes on in the next line.
    let mut value = trim(line.get(colon + 1..).unwrap_or_default());
    if value.is_empty() && matches!(next.first(), Some(b' ' | b'\t')) {
        value = trim(next.get(..memchr(b'\n', next).unwrap_or(next.len())).unwrap_or_default());
    }
    let length = number(value, u64::from(u32::MAX)).ok_or(ParseError::Header("Content-Length"))? as usize;
    if known.is_some_and(|known| known != length) {
        return Err(ParseError::Cardinality("Content-Length"));
    }
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let m = b"OPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabcNEXT";
        assert_eq!(Frame::next(m, 1000), Frame::Message(m.len() - 4));
        for cut in 0..m.len() - 4 {
            assert_eq!(Frame::next(&m[..cut], 1000), Frame::Incomplete, "{cut}");
        }
        assert_eq!(Frame::next(b"\r\n\r\nX", 1000), Frame::Ping);
        for http in
            ["POST / HTTP/1.1\r\n", "GET /?SIP/2.0 http/1.0\n", "PRI * HTTP/2.0\r\n", "HTTP/1.1 200 OK\r\n"]
        {
            assert_eq!(Frame::next(http.as_bytes(), 1000), Frame::Http, "{http}");
        }
        assert_eq!(Frame::next(b"POST / HTTP/1.1", 1000), Frame::Incomplete);
        assert_eq!(Frame::next(b"\r\nX", 1000), Frame::Skip(2));
        assert_eq!(Frame::next(b"\r\n", 1000), Frame::Incomplete);
        let negative = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -9\r\n\r\n";
        assert!(matches!(Frame::next(negative, 1000), Frame::Broken(..)));
        let two = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\nab";
        assert!(matches!(Frame::next(two, 1000), Frame::Broken(ParseError::Cardinality(_), _)));
        // Only CRLF CRLF ends the headers, wherever the lines before end otherwise.
        let bare = b"OPTIONS sip:a SIP/2.0\nl: 0\n\r\n";
        assert_eq!(Frame::next(bare, 1000), Frame::Incomplete);
        let large = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1000\r\n\r\n";
        assert_eq!(Frame::next(large, 1000), Frame::Broken(ParseError::TooLarge, large.len()));
    }
}
