//! Final responses that cannot be read, and still end what they answer.

use trunkline_proxy::Branch as BranchName;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, Index, Limits, Message, Method, StartLine};
use trunkline_transaction::Slot;

use crate::edge::Edge;
use crate::mail::Io;

impl Edge {
    /// A final response that lacks a header or has one that nobody can read. It goes no further; but its branch, whose name
    /// nobody else knows, has its answer, which it would repeat to no end and the caller would wait for. So it counts as a
    /// response with this status in which all that a response repeats of its request (RFC 3261 §8.2.6.2) stands as it was
    /// sent. What it has of that has to agree.
    pub(crate) fn on_garbled_response(&mut self, io: &mut Io<'_>, flow: &Flow, m: &Message<'_>) {
        self.counters.garbage.add();
        let name = m.top_via().ok().and_then(|via| BranchName::decode(via.branch, &self.shared.secret));
        let Some(name) = name else { return };
        if name.shard != self.shard {
            // Its own shard reads it anew.
            let shard = usize::from(name.shard);
            if shard < self.shared.neighbours.len() {
                self.put_response(io, shard, flow, m);
            }
            return;
        }
        let slot = Slot { number: name.slot, generation: name.generation };
        let mut text = Vec::new();
        let mut index = Index::default();
        let answers =
            self.contexts.get(slot).filter(|context| context.loop_mac == name.loop_mac).is_some_and(
                |context| {
                    let sent = context.proxy.branch(name.fork).map_or(&[][..], |branch| branch.sent());
                    index.parse(sent, &Limits::default()).is_ok()
                        && mend(m, &Message::new(sent, &index), context.proxy.method(), &mut text)
                },
            );
        if answers && index.parse(&text, &Limits::default()).is_ok() {
            self.on_response(io, flow, Message::new(&text, &index));
        }
    }
}

/// Writes the response as it could be read, to the request that was sent: a failure, since nothing can be made of a success
/// or a redirection without what it says, nor of a challenge. `false`: it is no response to this request.
fn mend(m: &Message<'_>, sent: &Message<'_>, method: Method, out: &mut Vec<u8>) -> bool {
    let from = |m: &Message<'_>| m.from().ok().map(|from| from.tag().to_vec());
    let agrees = |there: Option<&[u8]>, own: &[u8]| there.is_none_or(|there| there == own);
    let name = if method == Method::Invite { b"INVITE" } else { sent.method_name() };
    // Without a number the CSeq line was not readable.
    let cseq = match m.index.cseq_method(m.bytes) {
        b"" => Some((sent.cseq(), name)),
        method => Some((m.cseq(), method)),
    };
    let same = agrees(m.header(HeaderName::CallId), sent.call_id())
        && from(m).is_none_or(|tag| tag == sent.from_tag())
        && cseq == Some((sent.cseq(), name));
    let Some(code) = m.status().filter(|_| same) else { return false };
    // RFC 3261 §21.5.3.
    let code = if code < 400 || matches!(code, 401 | 407) { 502 } else { code };
    out.extend_from_slice(b"SIP/2.0 ");
    put_number(u64::from(code), out);
    out.push(b' ');
    out.extend_from_slice(trunkline_sip::reason(code).as_bytes());
    out.extend_from_slice(b"\r\n");
    for line in m.header_lines(HeaderName::Via) {
        out.extend_from_slice(line.line.of(m.bytes));
    }
    // The ACK repeats To with the tag of whoever answered (§17.1.1.3).
    let to = m.header(HeaderName::To).filter(|to| Address::parse(to, "To").is_ok());
    let lines = [
        ("From: ", sent.header(HeaderName::From)),
        ("To: ", to.or(sent.header(HeaderName::To))),
        ("Call-ID: ", Some(sent.call_id())),
    ];
    for (name, value) in lines {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"CSeq: ");
    put_number(u64::from(sent.cseq()), out);
    out.push(b' ');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
    matches!(m.index.start_line(), StartLine::Response { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP h\r\n\
                        From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: i\r\nCSeq: 3 INVITE\r\n\r\n";
    const VIAS: &str = "Via: SIP/2.0/UDP us;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP h\r\n";

    fn mended(status: &str, lines: &str) -> Option<String> {
        let (mut sent, mut read) = (Index::default(), Index::default());
        sent.parse(SENT.as_bytes(), &Limits::default()).unwrap();
        let text = format!("SIP/2.0 {status}\r\n{VIAS}{lines}\r\n");
        assert!(read.parse(text.as_bytes(), &Limits::default()).is_err());
        let (m, sent) = (Message::new(text.as_bytes(), &read), Message::new(SENT.as_bytes(), &sent));
        let mut out = Vec::new();
        let answers = mend(&m, &sent, Method::Invite, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(!answers || read.parse(text.as_bytes(), &Limits::default()).is_ok(), "{text}");
        answers.then_some(text)
    }

    #[test]
    fn what_is_missing_is_that_of_the_request() {
        let whole = format!(
            "SIP/2.0 486 Busy Here\r\n{VIAS}From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: i\r\n\
             CSeq: 3 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let to = "To: <sip:b@h>;tag=2\r\n";
        let all = ["From: <sip:a@h>;tag=1\r\n", "Call-ID: i\r\n", "CSeq: 3 INVITE\r\n"];
        for gone in 0..all.len() {
            let rest: String = (0..3).filter(|n| *n != gone).map(|n| all[n]).collect();
            assert_eq!(mended("486 Busy Here", &format!("{rest}{to}")).as_deref(), Some(&*whole), "{gone}");
        }
        let without_to = mended("486 Busy Here", &all.concat()).unwrap();
        assert!(without_to.contains("To: <sip:b@h>\r\n"));
        for status in ["200 OK", "302 Moved Temporarily", "401 Unauthorized"] {
            assert!(mended(status, "").unwrap().starts_with("SIP/2.0 502 Bad Gateway\r\n"), "{status}");
        }
    }

    #[test]
    fn what_is_there_agrees() {
        for other in
            ["Call-ID: j\r\n", "From: <sip:a@h>;tag=2\r\n", "CSeq: 4 INVITE\r\n", "CSeq: 3 CANCEL\r\n"]
        {
            let rest = if other.starts_with("CSeq") { "Call-ID: i\r\n" } else { "CSeq: 3 INVITE\r\n" };
            assert_eq!(mended("486 Busy Here", &format!("{rest}{other}")), None, "{other}");
        }
    }
}
