//! Signalling of the telephone network in bodies: ISUP and QSIG (RFC 3204). A carrier that reads it takes from it who calls whom and
//! who pays, past every rule on numbers, so that it is believed of peers and carriers alone. Of others it goes to no carrier, unless
//! the trunk allows it: of their body the SDP stays.

use std::sync::Arc;

use trunkline_model::Ref;
use trunkline_proxy::PartyKind;
use trunkline_routing::{Decision, RoutedKind};
use trunkline_sip::{HeaderName, Message, Span, Splices};

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::media::{put_length, sdp_of};
use crate::shared::Shared;

/// Among the parameters that a trunk allows, the name that stands for such bodies.
const ALLOWED: &str = "isup";
/// What phones send to carriers, by RFC 3261 and its extensions: media, digits, texts, states, where an emergency caller is
/// (RFC 6442). Whatever else there is may speak of numbers and charges as exchanges do among themselves (ISUP, QSIG, Q.931, GTD,
/// tunnelled SIP), and nobody can list it all.
const BY_PHONES: [&[u8]; 20] = [
    b"application/sdp",
    b"application/conference-info+xml",
    b"application/dialog-info+xml",
    b"application/dtmf",
    b"application/dtmf-relay",
    b"application/hook-flash",
    b"application/im-iscomposing+xml",
    b"application/kpml-request+xml",
    b"application/kpml-response+xml",
    b"application/media_control+xml",
    b"application/pidf+xml",
    b"application/pidf-diff+xml",
    b"application/reginfo+xml",
    b"application/resource-lists+xml",
    b"application/simple-message-summary",
    b"application/vq-rtcpxr",
    b"application/watcherinfo+xml",
    b"message/cpim",
    b"message/imdn+xml",
    b"message/sipfrag",
];
/// The same of all types of these sorts.
const SORTS: [&[u8]; 4] = [b"text/", b"image/", b"audio/", b"video/"];

/// Is the sender one whose signalling is not believed?
pub(crate) fn is_outside(kind: PartyKind) -> bool {
    matches!(kind, PartyKind::Agent | PartyKind::Stranger)
}

/// Does a body hold signalling, or may it: in one of its parts, whatever that is in, or where it is encoded? Rather one too many:
/// phones have no use for it.
pub(crate) fn carries_signalling(m: &Message<'_>) -> bool {
    let body = m.body();
    if body.is_empty() {
        return false;
    }
    let mut types = m.header_lines(HeaderName::ContentType).map(|line| line.value.of(m.bytes)).peekable();
    if types.peek().is_none() {
        // Who guesses what it is reads what it says.
        return has_other_parts(body) || [&b"isup"[..], b"qsig"].iter().any(|name| says(body, name));
    }
    let encoded = || ["Content-Encoding", "e"].iter().any(|name| m.other_header(name).is_some());
    types.any(|value| match () {
        () if begins(value, b"multipart/") => has_other_parts(body) || encoded(),
        () => !is_by_phones(value),
    })
}

fn begins(value: &[u8], with: &[u8]) -> bool {
    value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn says(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// Is this Content-Type one of those that phones send? One value, without anything but parameters after it.
fn is_by_phones(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let end = value.iter().position(|b| matches!(b, b';' | b',' | b' ' | b'\t' | b'\r' | b'\n' | b'('));
    let (kind, rest) = value.split_at(end.unwrap_or(value.len()));
    let alone = rest.trim_ascii_start().first().is_none_or(|next| *next == b';');
    let known = BY_PHONES.iter().any(|known| kind.eq_ignore_ascii_case(known));
    alone && (known || SORTS.iter().any(|sort| begins(kind, sort)))
}

/// Has one of the parts of a body a type that phones do not send? Each line that a part's header may be is looked at, wherever it
/// stands and whatever ends it.
fn has_other_parts(body: &[u8]) -> bool {
    body.split(|b| matches!(b, b'\n' | b'\r')).any(|line| {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return false };
        let (name, value) = line.split_at(colon);
        let begin = name.iter().position(u8::is_ascii_alphanumeric).unwrap_or(name.len());
        let name = name.get(begin..).unwrap_or_default().trim_ascii();
        let is_type = name.eq_ignore_ascii_case(b"Content-Type") || name.eq_ignore_ascii_case(b"c");
        let value = value.get(1..).unwrap_or_default();
        is_type && !is_by_phones(value) && !begins(value.trim_ascii(), b"multipart/")
    })
}

/// Leaves nothing of the body but its SDP.
pub(crate) fn cut_body(m: &Message<'_>, splices: &mut Splices) {
    let (body, sdp) = (m.body_span(), sdp_of(m));
    if m.header_line(HeaderName::ContentLength).is_none() {
        // A datagram's body, of which whoever frames it goes by the length that came.
        put_type(m, false, splices);
        return splices.replace_with(body, |text| text.resize(text.len() + body.of(m.bytes).len(), b' '));
    }
    let kept = sdp.map_or(Span { start: body.end, end: body.end }, |sdp| Span::locate(sdp, m.bytes));
    splices.delete(Span { start: body.start, end: kept.start });
    splices.delete(Span { start: kept.end, end: body.end });
    put_length(m, sdp.map_or(0, <[u8]>::len), splices);
    put_type(m, sdp.is_some(), splices);
}

/// Says that the body is an SDP, or nothing.
pub(crate) fn put_type(m: &Message<'_>, is_sdp: bool, splices: &mut Splices) {
    for (place, line) in m.header_lines(HeaderName::ContentType).enumerate() {
        match is_sdp && place == 0 {
            true => splices.replace(line.value, b"application/sdp"),
            false => splices.delete(line.line),
        }
    }
}

impl Shared {
    /// Does the trunk allow callers to send signalling to it?
    pub(crate) fn takes_signalling(&self, trunk: &Ref) -> bool {
        let tables = self.tables.load();
        let trunk = tables.trunk_by_ref(trunk.as_str());
        trunk.is_some_and(|trunk| trunk.allowed_parameters.iter().any(|name| name == ALLOWED))
    }

    /// Is the body of a message cut on its way from the one to the other, of whom a trunk is this party?
    pub(crate) fn cuts_body(&self, m: &Message<'_>, from: PartyKind, (to, party): (PartyKind, u32)) -> bool {
        is_outside(from)
            && to == PartyKind::Trunk
            && carries_signalling(m)
            && !self.taken_by(party)(ALLOWED.as_bytes())
    }
}

impl Edge {
    /// Who knows which trunks take signalling, where the body of a request holds what others do not.
    pub(crate) fn cuts(&self, inbound: &Inbound<'_>, decision: &Decision) -> Option<Arc<Shared>> {
        let outside = matches!(decision.parties.caller.kind, RoutedKind::Agent | RoutedKind::Unknown);
        (outside && carries_signalling(&inbound.message)).then(|| self.shared.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    /// The message as it goes on, where it is cut.
    fn cut(headers: &str, body: &str) -> Option<String> {
        let text = format!(
            "INFO sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: 1\r\nCSeq: 1 INFO\r\n{headers}\r\n{body}"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let m = Message::new(text.as_bytes(), &index);
        if !carries_signalling(&m) {
            return None;
        }
        let (mut splices, mut out) = (Splices::default(), Vec::new());
        cut_body(&m, &mut splices);
        splices.apply(m.bytes, m.body_span().end, &mut out);
        let out = String::from_utf8(out).unwrap();
        Some(out.split_once("CSeq: 1 INFO\r\n").unwrap().1.to_owned())
    }

    #[test]
    fn what_is_left_of_a_body() {
        let with =
            |kind: &str, body: &str| format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        let mixed = "--b\r\nc: Application/ISUP;base=x\r\n\r\n\u{1}\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n";
        let inner = format!("--o\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n{mixed}\r\n--o--\r\n");
        for (kind, body) in [("multipart/mixed;boundary=b", mixed), ("Multipart/Related;boundary=o", &inner)]
        {
            let want = "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
            assert_eq!(cut(&with(kind, body), body).as_deref(), Some(want), "{kind}");
        }
        for kind in ["application/ISUP;version=itu-t92+", "application/qsig", "APPLICATION/isup"] {
            let want = "Content-Length: 0\r\n\r\n";
            assert_eq!(cut(&with(kind, "x"), "x").as_deref(), Some(want), "{kind}");
            assert_eq!(cut(&format!("c: {kind}\r\n"), "xy").as_deref(), Some("\r\n  "), "a datagram's");
        }
        for kind in [
            "application/gtd",
            "application/x-q931",
            "application/EDSS1",
            "application/vnd.etsi.cug+xml",
            "application/pkcs7-mime",
            "message/sip",
            "application/sdpisup",
            "application/sdp, application/isup",
        ] {
            assert_eq!(cut(&with(kind, "x"), "x").as_deref(), Some("Content-Length: 0\r\n\r\n"), "{kind}");
            let mixed = mixed.replace("Application/ISUP;base=x", kind);
            assert!(cut(&with("multipart/mixed;boundary=b", &mixed), &mixed).is_some(), "{kind}");
        }
        for begin in ["--b\rc: ", "X: y\rc: ", "\u{0}c: "] {
            let bare = mixed.replace("--b\r\nc: ", &format!("--b\r\n{begin}"));
            assert!(cut(&with("multipart/mixed;boundary=b", &bare), &bare).is_some(), "{begin:?}");
        }
        let folded = mixed.replace("c: Application", "c:\r\n Application");
        assert!(cut(&with("multipart/mixed;boundary=b", &folded), &folded).is_some());
        for kind in
            ["application/pidf+xml", "application/dtmf-relay", "Text/plain;charset=utf-8", "message/CPIM"]
        {
            assert_eq!(cut(&with(kind, "x"), "x"), None, "{kind}");
            let mixed = mixed.replace("Application/ISUP;base=x", kind);
            assert_eq!(cut(&with("multipart/mixed;boundary=b", &mixed), &mixed), None, "{kind}");
        }
        let packed = with("multipart/mixed;boundary=b", "z") + "Content-Encoding: gzip\r\n";
        assert!(cut(&packed, "z").is_some());
        for (kind, body) in [("application/sdp", "s=isup"), ("text/plain", "isup")] {
            assert_eq!(cut(&with(kind, body), body), None, "{kind}");
        }
        assert_eq!(cut("Content-Length: 0\r\n", ""), None);
    }
}
