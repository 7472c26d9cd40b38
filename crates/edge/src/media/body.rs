//! The SDP in the body of a message, and the message with another one in its place.

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Message, Span, Splices};

use super::multipart::sdp_in;

/// The SDP (`application/sdp`, RFC 8866 §8.1) that is the body, or a part of it.
pub(crate) fn sdp_of<'a>(m: &Message<'a>) -> Option<&'a [u8]> {
    sdp_in(m.header(HeaderName::ContentType)?, m.body())
}

/// What of the body stays before and after an SDP that takes the place of its own: nothing, unless that is one of its parts.
pub(crate) fn around_sdp<'a>(m: &Message<'a>) -> (&'a [u8], &'a [u8]) {
    let Some(sdp) = sdp_of(m) else { return (b"", b"") };
    let (place, body) = (Span::locate(sdp, m.bytes), m.body_span());
    (
        Span { start: body.start, end: place.start }.of(m.bytes),
        Span { start: place.end, end: body.end }.of(m.bytes),
    )
}

/// Adds the edit that makes Content-Length fit a body of this many bytes.
pub(crate) fn put_length(m: &Message<'_>, length: usize, splices: &mut Splices) {
    match m.header_line(HeaderName::ContentLength) {
        Some(line) => splices.replace_with(line.value, |text| put_number(length as u64, text)),
        None => splices.insert_with(m.index.headers().last().map_or(0, |h| h.line.end), |text| {
            text.extend_from_slice(b"Content-Length: ");
            put_number(length as u64, text);
            text.extend_from_slice(b"\r\n");
        }),
    }
}

/// The message with this SDP in the place of its own; without any, all of the body goes, and its type too.
pub(crate) fn with_body(m: &Message<'_>, body: &[u8], splices: &mut Splices) -> Vec<u8> {
    splices.clear();
    let (before, after) = if body.is_empty() { (&b""[..], &b""[..]) } else { around_sdp(m) };
    put_length(m, before.len() + body.len() + after.len(), splices);
    if body.is_empty()
        && let Some(line) = m.header_line(HeaderName::ContentType)
    {
        splices.delete(line.line);
    }
    let mut out = Vec::with_capacity(m.bytes.len() + body.len());
    splices.apply(m.bytes, m.body_span().start, &mut out);
    [before, body, after].iter().for_each(|piece| out.extend_from_slice(piece));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    const HEAD: &str = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n";

    fn changed(rest: &str, body: &str) -> String {
        let bytes = format!("{HEAD}{rest}");
        let mut index = Index::default();
        index.parse(bytes.as_bytes(), &Limits::default()).unwrap();
        let m = Message::new(bytes.as_bytes(), &index);
        let text = String::from_utf8(with_body(&m, body.as_bytes(), &mut Splices::default())).unwrap();
        text.strip_prefix(HEAD).unwrap().to_owned()
    }

    #[test]
    fn the_length_follows_the_body() {
        let sdp = "Content-Type: application/sdp\r\n";
        assert_eq!(
            changed(&format!("{sdp}Content-Length: 5\r\n\r\nv=0\r\n"), "v=0\r\na=b\r\n"),
            format!("{sdp}Content-Length: 10\r\n\r\nv=0\r\na=b\r\n")
        );
        assert_eq!(changed(&format!("l: 5\r\n{sdp}\r\nv=0\r\n"), ""), "l: 0\r\n\r\n");
        assert_eq!(
            changed(&format!("{sdp}\r\nv=0\r\n"), "v=1\r\n"),
            format!("{sdp}Content-Length: 5\r\n\r\nv=1\r\n")
        );
    }

    #[test]
    fn other_parts_stay() {
        let parts =
            |sdp: &str| format!("--x\r\n\r\nISUP\r\n--x\r\nc: application/sdp\r\n\r\n{sdp}\r\n--x--\r\n");
        let kind = "c: multipart/mixed;boundary=x\r\n";
        let after = parts("v=1\r\na=b");
        assert_eq!(
            changed(&format!("{kind}\r\n{}", parts("v=0")), "v=1\r\na=b"),
            format!("{kind}Content-Length: {}\r\n\r\n{after}", after.len())
        );
        assert_eq!(changed(&format!("{kind}\r\n{}", parts("v=0")), ""), "Content-Length: 0\r\n\r\n");
    }

    #[test]
    fn only_sdp_is_sdp() {
        let is = |rest: &str| {
            let bytes = format!("{HEAD}{rest}");
            let mut index = Index::default();
            index.parse(bytes.as_bytes(), &Limits::default()).unwrap();
            sdp_of(&Message::new(bytes.as_bytes(), &index)).is_some()
        };
        assert!(is("c: Application/SDP ;charset=utf-8\r\n\r\nv=0\r\n"));
        assert!(!is("Content-Type: application/sdp\r\n\r\n"));
        assert!(!is("Content-Type: multipart/mixed;boundary=x\r\n\r\nv=0\r\n"));
        assert!(is("c: multipart/mixed;boundary=x\r\n\r\n--x\r\nc: application/sdp\r\n\r\nv=0\r\n--x--\r\n"));
        assert!(!is("\r\nv=0\r\n"));
    }
}
