//! Cutting a byte stream into messages, RFC 3261 §18.3, with the keep-alives of RFC 5626 §4.4.1.

use memchr::memchr;

use crate::class::{TOKEN, leading};
use crate::error::ParseError;
use crate::lex::{number, trim};
use crate::name::HeaderName;
use crate::scan::{LineEnds, find};

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
    /// What begins here cannot become a SIP message, however it goes on.
    Junk,
    /// More bytes are needed.
    Incomplete,
    /// Where the next message begins cannot be known: answer what can be answered, then close. The bytes up
    /// to here hold the headers.
    Broken(ParseError, usize),
}

impl Frame {
    /// Looks at the unread bytes; `limit` bounds a message.
    ///
    /// A stream message must have exactly one readable Content-Length (RFC 3261 §18.3). Without one the body
    /// counts as empty, as clients leave it out of requests without a body; but where a Content-Type tells of a body
    /// (§7.4.1), nobody knows where that ends.
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
        if bytes.first() == Some(&b'\n') {
            return Frame::Skip(1);
        }
        if bytes == b"\r" {
            return Frame::Incomplete;
        }
        if let Some(strange) = strange_start(bytes) {
            return strange;
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

/// The longest method of a request: who sends more without a blank begins no request line.
const LONGEST_METHOD: usize = 64;

/// What begins here, where it is no start line of SIP; one that is malformed, but meant as one, is answered later.
fn strange_start(bytes: &[u8]) -> Option<Frame> {
    let line = memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    if line.is_some_and(is_http) {
        return Some(Frame::Http);
    }
    let (word, rest) = bytes.split_at_checked(leading(bytes, TOKEN))?;
    let names_sip = |text: &[u8]| text.windows(4).any(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let begins = match rest.first() {
        // What a beginning cannot become, no whole line is: it does not matter in which pieces it comes.
        _ if word.len() > LONGEST_METHOD => false,
        None => true,
        // A blank too many is malformed (RFC 4475 §3.1.2.9), and whoever means SIP names it in its first line.
        Some(b' ' | b'\t') => line.is_none_or(names_sip),
        Some(b'/') => word.eq_ignore_ascii_case(b"SIP"),
        Some(_) => false,
    };
    (!begins).then_some(Frame::Junk)
}

/// Is this the first line of an HTTP request or response?
fn is_http(line: &[u8]) -> bool {
    let names = |word: Option<&[u8]>| {
        word.and_then(|word| word.get(..5)).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
    };
    let line = line.trim_ascii();
    names(line.rsplit(|b| *b == b' ').next()) || names(Some(line))
}

/// Where the headers end, after CRLF CRLF, and what they say of the body's length; `None` before that end has come.
fn headers(bytes: &[u8]) -> Option<(usize, Result<usize, ParseError>)> {
    let mut length = Ok(None);
    let mut has_type = false;
    let mut ends = LineEnds::new(bytes);
    let (mut start, mut after_crlf) = (0, false);
    loop {
        let end = ends.next()?.end;
        let (line, next) = (bytes.get(start..end)?, bytes.get(end..)?);
        if after_crlf && line == b"\r\n" {
            let length = match length {
                Ok(None) if has_type => Err(ParseError::Cardinality("Content-Length")),
                known => known.map(Option::unwrap_or_default),
            };
            return Some((end, length));
        }
        if let (Some(b'l' | b'L' | b'c' | b'C'), Ok(known)) = (line.first(), length) {
            match name_of(line) {
                HeaderName::ContentLength => length = content_length(line, next, known),
                HeaderName::ContentType => has_type = true,
                _ => {}
            }
        }
        (start, after_crlf) = (end, line.ends_with(b"\r\n"));
    }
}

fn name_of(line: &[u8]) -> HeaderName {
    let name = find(b':', line).and_then(|colon| line.get(..colon)).unwrap_or_default();
    HeaderName::from_bytes(trim(name))
}

/// The length in this line of Content-Length, of which there may be one.
fn content_length(line: &[u8], next: &[u8], known: Option<usize>) -> Result<Option<usize>, ParseError> {
    let colon = find(b':', line).unwrap_or_default();
    let mut value = trim(line.get(colon + 1..).unwrap_or_default());
    // A folded value goes on in the next lines. Where it is more than one number, readers differ in where the body ends.
    let mut rest = next;
    while matches!(rest.first(), Some(b' ' | b'\t')) {
        let (folded, behind) = rest.split_at(memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
        let folded = trim(folded);
        if !folded.is_empty() && !value.is_empty() {
            return Err(ParseError::Header("Content-Length"));
        }
        value = if value.is_empty() { folded } else { value };
        rest = behind;
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
        let folded = |value: &str| format!("OPTIONS sip:a SIP/2.0\r\nl:{value}\r\n\r\nabc");
        for one in ["\r\n 3", " 3\r\n ", "\r\n\t\r\n 3"] {
            let text = folded(one);
            assert_eq!(Frame::next(text.as_bytes(), 1000), Frame::Message(text.len()), "{one:?}");
        }
        for more in [" 0\r\n\t3", "\r\n 0\r\n 3", " 0\r\n \r\n 3", " 3\r\n x"] {
            let text = folded(more);
            assert!(matches!(Frame::next(text.as_bytes(), 1000), Frame::Broken(..)), "{more:?}");
        }
        // Only CRLF CRLF ends the headers, wherever the lines before end otherwise.
        let bare = b"OPTIONS sip:a SIP/2.0\nl: 0\n\r\n";
        assert_eq!(Frame::next(bare, 1000), Frame::Incomplete);
        let message = |lines: &str| format!("OPTIONS sip:a SIP/2.0\r\n{lines}Via: x\r\n\r\nv=0\r\n");
        for untold in ["Content-Type: application/sdp\r\n", "c: text/plain\r\n", "CONTENT-TYPE :\r\n x/y\r\n"]
        {
            let text = message(untold);
            let broken = Frame::Broken(ParseError::Cardinality("Content-Length"), text.len() - 5);
            assert_eq!(Frame::next(text.as_bytes(), 1000), broken, "{untold}");
            let told = message(&format!("{untold}l: 0\r\n"));
            assert_eq!(Frame::next(told.as_bytes(), 1000), Frame::Message(told.len() - 5), "{untold}");
        }
        let neither = message("Call-Info: <http://h/>\r\n");
        assert_eq!(Frame::next(neither.as_bytes(), 1000), Frame::Message(neither.len() - 5));
        let large = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1000\r\n\r\n";
        assert_eq!(Frame::next(large, 1000), Frame::Broken(ParseError::TooLarge, large.len()));
    }

    #[test]
    fn what_begins_as_no_message_ends_it_at_once() {
        for junk in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"\0\0\0\0",
            b"\x80",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"hello\r\n",
            b"hello world\r\n",
            b"{\"jsonrpc\"",
            b"<stream",
            b"RTSP/1.0 200 OK",
            b": v\r\n",
            &[b'A'; 65],
        ] {
            assert_eq!(Frame::next(junk, 1000), Frame::Junk, "{junk:?}");
        }
        for begun in [
            "I",
            "INVITE",
            "INVITE sip:a",
            "SIP",
            "SIP/",
            "SIP/2.0",
            "FOO-BAR.1 x",
            " INVITE sip:a SIP/2.0\r\n",
        ] {
            assert_eq!(Frame::next(begun.as_bytes(), 1000), Frame::Incomplete, "{begun}");
        }
        // They are malformed, and get their answer once their headers are there.
        for start in
            ["INVITE  sip:a  SIP/2.0", "OPTIONS sip:a SIP/7.0", "OPTIONS sip:a sip/2.0 x", "SIP/2.0 20 x"]
        {
            let text = format!("{start}\r\nl: 0\r\n\r\n");
            assert_eq!(Frame::next(text.as_bytes(), 1000), Frame::Message(text.len()), "{start}");
        }
    }
}
