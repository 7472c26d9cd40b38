//! One function per parser: it reads the bytes every way there is and checks what must hold afterwards.

use trunkline_digest::{Credentials, parse_challenges, realm_of};
use trunkline_sip::{
    Address, Frame, HeaderName, Index, Limits, List, Message, Params, Span, Splices, Uri, Via, response,
    uris_equal,
};

/// A whole message: every accessor; the same result with a used index; a response that parses; a splice that does.
pub fn message(bytes: &[u8]) {
    let limits = Limits::default();
    let mut index = Index::default();
    let result = index.parse(bytes, &limits);
    let mut used = Index::default();
    let _ = used.parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=b\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\nx", &limits);
    let again = used.parse(bytes, &limits);
    assert_eq!(result, again, "a used index gives another result");
    let message = Message::new(bytes, &index);
    // Also after an error: what was read may be used to answer.
    let answerable = response::can_answer(&message).is_ok();
    read(&message);
    if result.is_err() {
        return;
    }
    assert_eq!(format!("{index:?}"), format!("{used:?}"), "a used index differs");
    for header in index.headers() {
        assert!(usize::from(header.line.end) <= bytes.len() && header.value.end <= header.line.end);
    }
    if message.method().is_some() && answerable {
        let mut out = Vec::new();
        response::begin(&message, 486, None, b"tag1", None, &mut out);
        response::finish(&mut out);
        reparse(&out, "a response to a good request");
    }
    forward(&message);
}

fn read(message: &Message<'_>) {
    let _ = (
        message.method(),
        message.method_name(),
        message.status(),
        message.uri_text(),
        message.cseq_method(),
    );
    let _ = (message.from_tag(), message.to_tag(), message.call_id(), message.cseq(), message.max_forwards());
    if let Ok(uri) = message.uri() {
        uri_parts(&uri);
    }
    let _ = message.top_via().map(|via| (via.has_cookie(), via.known_transport(), via.response_address()));
    let _ = (message.from(), message.to(), message.body(), message.seconds(HeaderName::Expires));
    let _ = (message.other_header("Subject"), message.has_option(HeaderName::Require, "100rel"));
    for name in [HeaderName::Contact, HeaderName::Route, HeaderName::RecordRoute, HeaderName::Via] {
        for element in message.list(name).flatten() {
            let _ = Address::parse(element, "Contact").map(|address| address.parsed_uri().is_ok());
        }
    }
}

/// What a proxy does: a Via in front of the first one.
fn forward(message: &Message<'_>) {
    let Some(via) = message.header_line(HeaderName::Via) else { return };
    let mut splices = Splices::default();
    splices.insert(via.line.start, b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKfuzz\r\n");
    let mut out = Vec::new();
    splices.apply(message.bytes, message.bytes.len() as u16, &mut out);
    if out.len() <= Limits::default().message_size
        && message.index.headers().len() < Limits::default().headers
    {
        let mut index = Index::default();
        assert_eq!(
            index.parse(&out, &Limits::default()),
            Ok(()),
            "with a Via in front: {}",
            out.escape_ascii()
        );
        let forwarded = Message::new(&out, &index);
        assert!(forwarded.top_via().is_ok_and(|via| via.branch == b"z9hG4bKfuzz"));
        assert_eq!(forwarded.call_id(), message.call_id());
        assert_eq!(forwarded.body(), message.body());
    }
}

fn reparse(bytes: &[u8], what: &str) {
    if bytes.len() > Limits::default().message_size {
        return;
    }
    let result = Index::default().parse(bytes, &Limits::default());
    assert_eq!(result, Ok(()), "{what}: {}", bytes.escape_ascii());
}

/// A URI: equal to itself; its parts stand within it.
pub fn uri(bytes: &[u8]) {
    if let Ok(uri) = Uri::parse(bytes) {
        uri_parts(&uri);
        let located = Span::locate(uri.host, bytes);
        if bytes.len() < 65_536 {
            assert_eq!(located.of(bytes), uri.host);
        }
        assert!(uris_equal(bytes, bytes), "a URI differs from itself: {}", bytes.escape_ascii());
    }
    let half = bytes.len() / 2;
    let (a, b) = bytes.split_at(half);
    assert_eq!(uris_equal(a, b), uris_equal(b, a), "equality must be symmetric");
}

fn uri_parts(uri: &Uri<'_>) {
    let _ = (uri.user_decoded(), uri.ip(), uri.transport(), uri.is_loose(), uri.param("maddr"));
}

/// A Via list.
pub fn via(bytes: &[u8]) {
    for element in List::new(bytes).flatten() {
        if let Ok(via) = Via::parse(element) {
            let _ = (via.has_cookie(), via.known_transport(), via.response_address());
        }
    }
}

/// A Contact list: every element, its URI and its parameters.
pub fn contact(bytes: &[u8]) {
    for element in List::new(bytes).flatten() {
        if let Ok(address) = Address::parse(element, "Contact") {
            let _ = (address.tag(), address.param("expires"), address.parsed_uri());
            let params: usize = Params::new(address.params).count();
            assert!(params <= bytes.len());
        }
    }
}

/// Digest credentials and challenges.
pub fn digest(bytes: &[u8]) {
    let realm = realm_of(bytes);
    if let Ok(Some(credentials)) = Credentials::parse(bytes) {
        assert_eq!(realm.as_deref(), Some(&*credentials.realm), "one reader of realms");
    }
    let mut count = 0_usize;
    let _ = parse_challenges(bytes, |_| count += 1);
    assert!(count <= bytes.len());
}

/// A stream: the messages cut out of it are the same however it arrives.
pub fn framing(bytes: &[u8]) {
    const LIMIT: usize = 65_535;
    let whole = frames(&[bytes], LIMIT);
    let at =
        bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte)) % (bytes.len() + 1);
    let (a, b) = bytes.split_at(at);
    assert_eq!(frames(&[a, b], LIMIT), whole, "cut at {at}");
    if bytes.len() < 1500 {
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&each, LIMIT), whole, "byte by byte");
    }
}

/// The messages in a stream that arrives in these pieces, up to where its framing breaks.
pub fn frames(pieces: &[&[u8]], limit: usize) -> Vec<Vec<u8>> {
    let (mut have, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        have.extend_from_slice(piece);
        loop {
            match Frame::next(&have, limit) {
                Frame::Message(n) => out.push(have.drain(..n).collect()),
                Frame::Ping => drop(have.drain(..4)),
                Frame::Skip(n) => {
                    assert!(n > 0, "nothing skipped");
                    have.drain(..n);
                }
                Frame::Incomplete => break,
                Frame::Http | Frame::Junk | Frame::Broken(..) => return out,
            }
            if have.is_empty() {
                break;
            }
        }
    }
    out
}
