//! The body of a message: is it SDP, and the message with another one in its place.

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Message, Splices};

/// The body if it is an SDP (`application/sdp`, RFC 8866 §8.1).
pub(crate) fn sdp_of<'a>(m: &Message<'a>) -> Option<&'a [u8]> {
    let kind = m.header(HeaderName::ContentType)?;
    let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    (kind.eq_ignore_ascii_case(b"application/sdp") && !m.body().is_empty()).then(|| m.body())
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

/// The message with this body; without any, its type goes too.
pub(crate) fn with_body(m: &Message<'_>, body: &[u8], splices: &mut Splices) -> Vec<u8> {
    splices.clear();
    put_length(m, body.len(), splices);
    if body.is_empty()
        && let Some(line) = m.header_line(HeaderName::ContentType)
    {
        splices.delete(line.line);
    }
    let mut out = Vec::with_capacity(m.bytes.len() + body.len());
    splices.apply(m.bytes, m.body_span().start, &mut out);
    out.extend_from_slice(body);
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
        assert!(!is("\r\nv=0\r\n"));
    }
}
