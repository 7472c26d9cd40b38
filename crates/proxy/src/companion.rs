//! The requests that belong to another one: the ACK to its failure and its CANCEL.

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Message};

/// Appends a companion of a request we sent: the ACK to a failure (RFC 3261 §17.1.1.3) or the CANCEL (§9.1). Both have
/// the request's Request-URI, topmost Via, From, Call-ID, CSeq number, Route; the ACK has the response's To, the CANCEL a
/// Reason, which `lines` hold with their line ends.
pub fn put_companion(sent: &Message<'_>, method: &str, to: Option<&[u8]>, lines: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(sent.uri_text());
    out.extend_from_slice(b" SIP/2.0\r\n");
    if let Ok(via) = sent.top_via_text() {
        put_line(b"Via: ", via, out);
    }
    for h in sent.index.headers() {
        let line = h.line.of(sent.bytes);
        match h.name {
            HeaderName::From | HeaderName::CallId | HeaderName::Route => out.extend_from_slice(line),
            HeaderName::To => match to {
                Some(to) => put_line(b"To: ", to, out),
                None => out.extend_from_slice(line),
            },
            _ => {}
        }
    }
    out.extend_from_slice(b"CSeq: ");
    put_number(u64::from(sent.cseq()), out);
    out.push(b' ');
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\r\nMax-Forwards: 70\r\n");
    out.extend_from_slice(lines);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

fn put_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    const SENT: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\
        Max-Forwards: 69\r\nRoute: <sip:p;lr>\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
        Contact: <sip:a@a>\r\nContent-Length: 2\r\n\r\nhi";

    fn companion(method: &str, to: Option<&[u8]>, lines: &[u8]) -> String {
        let mut index = Index::default();
        index.parse(SENT.as_bytes(), &Limits::default()).expect("a request");
        let mut out = Vec::new();
        put_companion(&Message::new(SENT.as_bytes(), &index), method, to, lines, &mut out);
        String::from_utf8(out).expect("a text")
    }

    #[test]
    fn the_ack_to_a_failure_has_the_to_of_the_response() {
        assert_eq!(
            companion("ACK", Some(b"<sip:b@h>;tag=2"), b""),
            "ACK sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\r\nRoute: <sip:p;lr>\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 7 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_cancel_has_the_to_of_its_request_and_says_why() {
        assert_eq!(
            companion("CANCEL", None, b"Reason: SIP;cause=200\r\n"),
            "CANCEL sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\r\nRoute: <sip:p;lr>\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 CANCEL\r\nMax-Forwards: 70\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
