//! The client protocol of NATS: what a server sends, read in place, and what a client writes. Sans-IO.

use std::io::Write as _;
use std::ops::Range;

/// The longest line of a server; its INFO names all servers of a cluster.
const MAX_LINE: usize = 64 << 10;

/// The longest message that is read. Servers allow 64 MiB at most.
const MAX_MESSAGE: usize = 64 << 20;

/// A server that does not speak NATS.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a line of the server is longer than {MAX_LINE} bytes")]
    LongLine,
    #[error("the server does not speak NATS: `{0}`")]
    Syntax(String),
}

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerOp<'a> {
    Info(&'a [u8]),
    Message(Delivery<'a>),
    Ping,
    Pong,
    Ok,
    /// The server's words, such as `Permissions Violation for Subscription to "x"`.
    Error(&'a str),
}

/// A message for one of our subscriptions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery<'a> {
    pub sid: u64,
    pub subject: &'a str,
    /// Empty when nobody waits for an answer.
    pub reply: &'a str,
    /// `NATS/1.0` and lines of names and values; empty without headers.
    pub headers: &'a [u8],
    pub payload: &'a [u8],
}

/// How much of the bytes to come is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// One operation, and its length.
    Whole(usize, ServerOp<'a>),
    /// At least so many bytes are needed.
    Needs(usize),
}

/// Reads the first operation in `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed<'_>, WireError> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() > MAX_LINE {
            Err(WireError::LongLine)
        } else {
            Ok(Parsed::Needs(bytes.len() + 1))
        };
    };
    let line = bytes.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let wrong = || WireError::Syntax(String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned());
    let text = std::str::from_utf8(line).map_err(|_| wrong())?;
    let (name, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let is = |op: &str| name.eq_ignore_ascii_case(op);
    let op = if is("MSG") || is("HMSG") {
        let arguments = Arguments::read(rest, is("HMSG")).ok_or_else(wrong)?;
        return message(bytes, end + 1, arguments, wrong);
    } else if is("PING") {
        ServerOp::Ping
    } else if is("PONG") {
        ServerOp::Pong
    } else if is("INFO") {
        ServerOp::Info(rest.trim().as_bytes())
    } else if is("+OK") {
        ServerOp::Ok
    } else if is("-ERR") {
        ServerOp::Error(rest.trim().trim_matches('\''))
    } else {
        return Err(wrong());
    };
    Ok(Parsed::Whole(end + 1, op))
}

/// `SUBJECT SID [REPLY] [HEADERS] TOTAL`, the line of a message.
struct Arguments<'a> {
    subject: &'a str,
    sid: u64,
    reply: &'a str,
    headers: usize,
    total: usize,
}

impl<'a> Arguments<'a> {
    fn read(line: &'a str, headers: bool) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (subject, sid) = (words.next()?, words.next()?.parse().ok()?);
        let mut lengths = words.next_back()?;
        let total = lengths.parse().ok()?;
        let headers = if headers {
            lengths = words.next_back()?;
            lengths.parse().ok()?
        } else {
            0
        };
        let reply = words.next().unwrap_or_default();
        let fits = headers <= total && total <= MAX_MESSAGE && words.next().is_none();
        fits.then_some(Arguments { subject, sid, reply, headers, total })
    }
}

fn message<'a>(
    bytes: &'a [u8],
    start: usize,
    Arguments { subject, sid, reply, headers, total }: Arguments<'a>,
    wrong: impl Fn() -> WireError,
) -> Result<Parsed<'a>, WireError> {
    let whole = start + total + 2;
    let Some(body) = bytes.get(start..whole) else { return Ok(Parsed::Needs(whole)) };
    let Some(body) = body.strip_suffix(b"\r\n") else { return Err(wrong()) };
    let (headers, payload) = body.split_at_checked(headers).unwrap_or((&[], body));
    Ok(Parsed::Whole(whole, ServerOp::Message(Delivery { sid, subject, reply, headers, payload })))
}

/// The value of the first header of this name.
pub(super) fn header<'a>(headers: &'a [u8], name: &str) -> Option<&'a [u8]> {
    headers.split(|b| *b == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(line.iter().position(|b| *b == b':')?)?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// Whether the headers of a message have one of this name.
pub(super) fn has_header(headers: &[u8], name: &str) -> bool {
    header(headers, name).is_some()
}

/// The header `traceparent` (W3C Trace Context §3.2): two digits, the trace, the span, flags.
fn trace_parent(headers: &[u8]) -> Option<Box<str>> {
    const LENGTH: usize = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".len();
    let value = header(headers, "traceparent").filter(|value| value.len() == LENGTH)?;
    std::str::from_utf8(value).ok().map(Box::from)
}

/// A message of ours held in one piece: its subject, the subject for an answer, its payload.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Box<[u8]>,
    subject: usize,
    reply: Range<usize>,
    /// Whether the client takes an answer in parts.
    pub takes_parts: bool,
    /// The span of the client that the request is part of.
    pub trace_parent: Option<Box<str>>,
}

impl Message {
    pub(super) fn of(delivery: &Delivery<'_>) -> Self {
        let Delivery { subject, reply, payload, .. } = *delivery;
        let parts = [subject.as_bytes(), reply.as_bytes(), payload];
        Message {
            bytes: parts.concat().into_boxed_slice(),
            subject: subject.len(),
            reply: subject.len()..subject.len() + reply.len(),
            takes_parts: !delivery.headers.is_empty()
                && has_header(delivery.headers, trunkline_ari::header::PARTS),
            trace_parent: trace_parent(delivery.headers),
        }
    }

    fn text(&self, range: Range<usize>) -> &str {
        // It was text before it was copied.
        self.bytes.get(range).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    pub(crate) fn subject(&self) -> &str {
        self.text(0..self.subject)
    }

    /// Where the answer goes, if anybody waits for one.
    pub(crate) fn reply(&self) -> Option<&str> {
        Some(self.text(self.reply.clone())).filter(|r| !r.is_empty())
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(self.reply.end..).unwrap_or_default()
    }
}

/// The headers of a message of ours.
#[derive(Clone, Debug)]
pub(crate) struct Headers(Vec<u8>);

impl Headers {
    pub(crate) fn new() -> Self {
        Headers(b"NATS/1.0\r\n".to_vec())
    }

    pub(crate) fn insert(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        // Nothing in a value may begin another line.
        self.0.extend(value.bytes().map(|b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.0.extend_from_slice(b"\r\n");
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() + 2
    }
}

/// Appends a message.
pub(super) fn write_message(out: &mut Vec<u8>, subject: &str, headers: Option<&Headers>, body: &[u8]) {
    let size = body.len() + headers.map_or(0, Headers::len);
    out.reserve(size + subject.len() + 48);
    out.extend_from_slice(if headers.is_some() { b"HPUB " } else { b"PUB " });
    out.extend_from_slice(subject.as_bytes());
    out.push(b' ');
    if let Some(headers) = headers {
        write_number(out, headers.len());
        out.push(b' ');
        write_number(out, size);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&headers.0);
    } else {
        write_number(out, size);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends a subscription.
pub(super) fn write_subscribe(out: &mut Vec<u8>, subject: &str, queue: Option<&str>, sid: u64) {
    let (queue, space) = queue.map_or(("", ""), |queue| (queue, " "));
    let _ = write!(out, "SUB {subject} {queue}{space}{sid}\r\n");
}

/// Appends the end of a subscription.
pub(super) fn write_unsubscribe(out: &mut Vec<u8>, sid: u64) {
    let _ = write!(out, "UNSUB {sid}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(subject: &'a str, reply: &'a str, headers: &'a [u8], payload: &'a [u8]) -> ServerOp<'a> {
        ServerOp::Message(Delivery { sid: 7, subject, reply, headers, payload })
    }

    #[test]
    fn operations_are_read_whole_or_not_at_all() {
        let headers = b"NATS/1.0\r\ntrunkline-PARTS: 1\r\n\r\n";
        let with_headers = [b"HMSG a.b 7 r 32 34\r\n".as_slice(), headers, b"hi\r\n"].concat();
        for (bytes, want) in [
            (b"INFO {\"a\":1} \r\n".as_slice(), ServerOp::Info(br#"{"a":1}"#)),
            (b"PING\r\n", ServerOp::Ping),
            (b"pong\r\n", ServerOp::Pong),
            (b"+OK\r\n", ServerOp::Ok),
            (b"-ERR 'Stale Connection'\r\n", ServerOp::Error("Stale Connection")),
            (b"MSG a.b 7 2\r\nhi\r\n", message("a.b", "", b"", b"hi")),
            (b"MSG a.b\t7 _INBOX.x 4\r\n\r\n\r\n\r\n", message("a.b", "_INBOX.x", b"", b"\r\n\r\n")),
            (&with_headers, message("a.b", "r", headers, b"hi")),
        ] {
            assert_eq!(parse(bytes).unwrap(), Parsed::Whole(bytes.len(), want), "{}", bytes.escape_ascii());
            for end in 0..bytes.len() {
                let part = parse(&bytes[..end]).unwrap();
                assert!(matches!(part, Parsed::Needs(n) if n > end && n <= bytes.len()), "{part:?}");
            }
        }
    }

    #[test]
    fn what_is_not_nats_is_refused() {
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "MSG a.b 7\r\n",
            "MSG a.b x 2\r\nhi\r\n",
            "MSG a.b 7 r s 2\r\nhi\r\n",
            "MSG a.b 7 -1\r\n",
            "MSG a.b 7 99999999999\r\n",
            "MSG a.b 7 2\r\nhi!!",
            "HMSG a.b 7 5 2\r\nhi\r\n",
            "\r\n",
        ] {
            assert!(matches!(parse(bytes.as_bytes()), Err(WireError::Syntax(_))), "{bytes}");
        }
        assert!(parse(b"MSG \xff 7 2\r\nhi\r\n").is_err());
        assert_eq!(parse(&vec![b'x'; MAX_LINE + 1]), Err(WireError::LongLine));
    }

    #[test]
    fn a_message_keeps_its_parts() {
        let headers = b"NATS/1.0\r\nOther: x\r\ntrunkline-parts: 1\r\n\r\n";
        let mut delivery = Delivery { sid: 1, subject: "a.b", reply: "r", headers, payload: b"{}" };
        let kept = Message::of(&delivery);
        assert_eq!((kept.subject(), kept.reply(), kept.payload()), ("a.b", Some("r"), b"{}".as_slice()));
        assert!(kept.takes_parts && kept.trace_parent.is_none());
        (delivery.reply, delivery.headers) = ("", b"NATS/1.0\r\nX: trunkline-parts\r\n\r\n");
        let kept = Message::of(&delivery);
        assert!(kept.reply().is_none() && !kept.takes_parts);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (value, is_one) in [(parent, true), ("00-4bf9", false), ("", false)] {
            let headers = format!("NATS/1.0\r\nTraceparent: {value}\r\n\r\n");
            let kept = Message::of(&Delivery { headers: headers.as_bytes(), ..delivery });
            assert_eq!(kept.trace_parent.as_deref(), is_one.then_some(parent), "{value}");
        }
    }

    #[test]
    fn what_is_written() {
        let mut out = Vec::new();
        write_message(&mut out, "s", None, b"body");
        assert_eq!(out, b"PUB s 4\r\nbody\r\n");
        out.clear();
        let mut headers = Headers::new();
        headers.insert("A", "b\r\nC: d");
        write_message(&mut out, "s", Some(&headers), b"body");
        assert_eq!(out, b"HPUB s 24 28\r\nNATS/1.0\r\nA: b  C: d\r\n\r\nbody\r\n");
        out.clear();
        write_subscribe(&mut out, "a.>", Some("q"), 3);
        write_subscribe(&mut out, "b", None, 4);
        write_unsubscribe(&mut out, 3);
        assert_eq!(out, b"SUB a.> q 3\r\nSUB b 4\r\nUNSUB 3\r\n");
    }
}
