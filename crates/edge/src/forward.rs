//! The text of a forwarded request, RFC 3261 §16.6: the received bytes with splices.

use trunkline_proxy::{Belongs, Mark, Secret, Side};
use trunkline_routing::Decision;
use trunkline_sip::response::put_number;
use trunkline_sip::{Header, HeaderName, Message, Span, Splices, Transport};
use trunkline_transport::Egress;

use crate::address::{Addresses, Us};
use crate::cseq::{self, Raise};
use crate::inbound::Inbound;
use crate::media::{around_sdp, put_length};
use crate::names::{self, Changed, Shown};
use crate::trust::record_routes::{record_routes, uris};
use crate::trust::signalling::{cut_body, put_type};
use trunkline_sip::put_transport;

/// Route values that are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DroppedRoutes {
    /// How many at the top are ours and go; `u16::MAX`: all.
    pub(crate) first: u16,
    /// The last one goes too.
    pub(crate) last: bool,
}

impl DroppedRoutes {
    /// All of them.
    pub(crate) const ALL: DroppedRoutes = DroppedRoutes { first: u16::MAX, last: false };
}

/// What a forwarded request gets.
pub(crate) struct Edits<'a> {
    /// The new Request-URI; empty leaves it.
    pub(crate) uri: &'a [u8],
    /// Route values to put on top; may be empty.
    pub(crate) path: &'a [u8],
    /// Header lines for this target; may be empty.
    pub(crate) headers: &'a [u8],
    /// What the router wants changed.
    pub(crate) decision: Option<&'a Decision>,
    pub(crate) drop_routes: DroppedRoutes,
    /// Put ourselves into the dialog's way.
    pub(crate) record_route: Option<&'a Mark>,
    /// Where it goes, as Record-Route shall say.
    pub(crate) egress: &'a Egress,
    /// The transport our Via names; other than the egress's when a large request went to TCP.
    pub(crate) via_transport: Transport,
    /// The branch of our Via.
    pub(crate) branch: &'a [u8],
    /// An SDP in the place of its own.
    pub(crate) body: Option<&'a [u8]>,
    /// Nothing but the SDP of the body goes on.
    pub(crate) cut: bool,
    /// Breadth for this branch (RFC 5393 §5), where it is to be said.
    pub(crate) max_breadth: Option<u32>,
    /// By how much its numbers are raised.
    pub(crate) raise: Raise,
    /// Lines that are left out.
    pub(crate) spent: &'a [Span],
    /// What From and To say.
    pub(crate) shown: &'a Shown<'a>,
    /// Its responses find no transaction, but this MAC in our branch.
    pub(crate) stateless: Option<u64>,
}

/// Writes the request for one target into `out`, and gives the MAC of the mark in it, 0 for none, and whether From or To go on
/// otherwise than they came.
pub(crate) fn build(
    inbound: &Inbound<'_>,
    edits: &Edits<'_>,
    addresses: &Addresses,
    secret: &Secret,
    splices: &mut Splices,
    out: &mut Vec<u8>,
) -> (u64, bool) {
    let m = &inbound.message;
    splices.clear();
    if !edits.uri.is_empty() && edits.uri != m.uri_text() {
        splices.replace(m.uri_span(), edits.uri);
    }
    if let Some(fill) = &inbound.fill {
        splices.replace(fill.replace, fill.text);
    }
    if let (Some(hops), Some(line)) = (m.max_forwards(), m.header_line(HeaderName::MaxForwards)) {
        splices.replace_with(line.value, |text| put_number(u64::from(hops.saturating_sub(1)), text));
    }
    if let (Some(breadth), Some(line)) = (edits.max_breadth, m.header_line(HeaderName::MaxBreadth)) {
        splices.replace_with(line.value, |text| put_number(u64::from(breadth), text));
    }
    drop_routes(m, edits.drop_routes, splices);
    edits.spent.iter().for_each(|line| splices.delete(*line));
    cseq::raise(m, edits.raise, splices);
    let end_of_headers = end_of_headers(m);
    if let Some(decision) = edits.decision {
        decision.apply(splices, end_of_headers);
    }
    if !edits.headers.is_empty() {
        splices.insert(end_of_headers, edits.headers);
    }
    edits.shown.put(m, splices);
    let changed = Changed::by(splices, m);
    let mark_mac = put_top((inbound, changed), edits, addresses, secret, splices);
    out.clear();
    if edits.body.is_none() && edits.via_transport.is_reliable() {
        put_frame(m, splices);
    }
    match edits.body {
        None => {
            if edits.cut {
                cut_body(m, splices);
            }
            splices.apply(m.bytes, m.body_span().end, out);
        }
        Some(body) => {
            let (before, after) = if edits.cut { (&b""[..], &b""[..]) } else { around_sdp(m) };
            if edits.cut {
                put_type(m, true, splices);
            }
            put_length(m, before.len() + body.len() + after.len(), splices);
            splices.apply(m.bytes, m.body_span().start, out);
            [before, body, after].iter().for_each(|piece| out.extend_from_slice(piece));
        }
    }
    (mark_mac, changed.any())
}

/// What stands above all that came: our Via and what goes with it. Gives the MAC of the mark.
fn put_top(
    (inbound, changed): (&Inbound<'_>, Changed),
    edits: &Edits<'_>,
    addresses: &Addresses,
    secret: &Secret,
    splices: &mut Splices,
) -> u64 {
    let m = &inbound.message;
    let mut mark_mac = 0;
    let top = m.header_line(HeaderName::Via).map_or(0, |h| h.line.start);
    let shown = addresses.shown(edits.egress);
    splices.insert_with(top, |text| {
        text.extend_from_slice(b"Via: SIP/2.0/");
        text.extend_from_slice(edits.via_transport.via_name().as_bytes());
        text.push(b' ');
        shown.put(text);
        text.extend_from_slice(b";branch=");
        text.extend_from_slice(edits.branch);
        if let Some(mac) = edits.stateless.filter(|_| changed.any()) {
            names::put_in_via((m, changed), mac, secret, text);
        }
        text.extend_from_slice(b"\r\n");
        if let Some(mark) = edits.record_route {
            let side = (edits.egress.transport, shown);
            mark_mac = put_record_route((inbound, changed), (side, mark), addresses, secret, text);
        }
        if !edits.path.is_empty() {
            text.extend_from_slice(b"Route: ");
            text.extend_from_slice(edits.path);
            text.extend_from_slice(b"\r\n");
        }
        if m.max_forwards().is_none() {
            text.extend_from_slice(b"Max-Forwards: 70\r\n");
        }
        if let Some(breadth) = edits.max_breadth.filter(|_| m.header_line(HeaderName::MaxBreadth).is_none()) {
            text.extend_from_slice(b"Max-Breadth: ");
            put_number(u64::from(breadth), text);
            text.extend_from_slice(b"\r\n");
        }
    });
    mark_mac
}

/// Where new header lines go: before the empty line.
fn end_of_headers(m: &Message<'_>) -> u16 {
    m.index.headers().last().map_or(0, |h| h.line.end)
}

/// Record-Route, RFC 3261 §16.6 step 4; two where the sides differ in transport or address, the side it goes
/// to first (RFC 5658 §5). Gives the MAC of the mark.
fn put_record_route(
    (inbound, changed): (&Inbound<'_>, Changed),
    (outer, mark): ((Transport, Us<'_>), &Mark),
    addresses: &Addresses,
    secret: &Secret,
    text: &mut Vec<u8>,
) -> u64 {
    let m = &inbound.message;
    let came_by = Egress::back(inbound.flow);
    let inner = (came_by.transport, addresses.shown(&came_by));
    let begin = |(transport, us): (Transport, Us<'_>), text: &mut Vec<u8>| {
        text.extend_from_slice(b"Record-Route: <sip:");
        us.put(text);
        put_transport(transport, text);
        text.extend_from_slice(b";lr");
    };
    let mark = &Mark { renamed: changed.any(), ..*mark };
    begin(outer, text);
    let value = text.len();
    if mark.renamed {
        names::put_beside_mark((m, changed), (mark.dialog, mark.side), secret, text);
    }
    text.extend_from_slice(b";dlg=");
    let values = record_routes(m);
    let (caller_tag, callee_tag) = match mark.side {
        Side::Callee => (m.from_tag(), b"" as &[u8]),
        // A NOTIFY to who subscribed.
        Side::Caller => (m.to_tag(), m.from_tag()),
    };
    let belongs = Belongs { call_id: m.call_id(), caller_tag, callee_tag, routes: uris(&values) };
    let mac = mark.put(secret, belongs, text);
    let value = value..text.len();
    text.extend_from_slice(b">\r\n");
    if inner != outer {
        begin(inner, text);
        text.extend_from_within(value);
        text.extend_from_slice(b">\r\n");
    }
    mac
}

/// Makes of a message something a stream can be cut into again (RFC 3261 §18.3): a datagram may come without
/// Content-Length, and from some with lines that end in LF alone, after which nobody would find its end.
fn put_frame(m: &Message<'_>, splices: &mut Splices) {
    if m.header_line(HeaderName::ContentLength).is_none() {
        put_length(m, usize::from(m.body_span().end - m.body_span().start), splices);
    }
    let mut put_line_end = |end: u16| {
        let last = Span { start: end.saturating_sub(2), end };
        if last.of(m.bytes) != b"\r\n" {
            splices.replace(Span { start: end.saturating_sub(1), end }, b"\r\n");
        }
    };
    put_line_end(m.index.start_line_end());
    m.index.headers().iter().for_each(|h| put_line_end(h.line.end));
    put_line_end(m.body_span().start);
}

/// Leaves out values of Route.
fn drop_routes(m: &Message<'_>, dropped: DroppedRoutes, splices: &mut Splices) {
    let lines = m.header_lines(HeaderName::Route);
    let elements = |line: &Header| m.values(line).flatten();
    let all = || lines.clone().map(|line| elements(line).count()).sum::<usize>();
    let end = if dropped.last { all().saturating_sub(1) } else { usize::MAX };
    let mut before = 0;
    for line in lines.clone() {
        let count = elements(line).count();
        let kept = usize::from(dropped.first).max(before)..end.min(before + count);
        if kept.is_empty() {
            splices.delete(line.line);
        } else if kept.len() < count {
            let mut kept = elements(line).skip(kept.start - before).take(kept.len());
            let (from, to) = (kept.next(), kept.last());
            let from = from.map_or(line.value, |element| Span::locate(element, m.bytes));
            let to = to.map_or(from, |element| Span::locate(element, m.bytes));
            splices.delete(Span { start: line.value.start, end: from.start });
            splices.delete(Span { start: to.end, end: line.value.end });
        }
        before += count;
    }
}

/// Writes a response without its topmost Via into `out`, as it goes over this transport; `edit` changes more of it.
pub(crate) fn strip_via(
    response: &Message<'_>,
    transport: Transport,
    splices: &mut Splices,
    out: &mut Vec<u8>,
    edit: impl FnOnce(&mut Splices),
) {
    let Some(line) = response.header_line(HeaderName::Via) else { return };
    let cut = match response.values(&line).flatten().nth(1) {
        Some(next) => Span { start: line.value.start, end: Span::locate(next, response.bytes).start },
        None => line.line,
    };
    splices.clear();
    splices.delete(cut);
    edit(splices);
    if transport.is_reliable() {
        put_frame(response, splices);
    }
    out.clear();
    splices.apply(response.bytes, response.body_span().end, out);
}

/// Makes 403 of a challenge.
pub(crate) fn refuse_challenge(response: &Message<'_>, splices: &mut Splices) {
    let end = response.index.start_line_end();
    splices.replace(Span { start: 0, end }, b"SIP/2.0 403 Callee Asks for Credentials\r\n");
    for header in response.index.headers() {
        if matches!(header.name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate) {
            splices.delete(header.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    #[test]
    fn what_goes_over_a_stream_has_an_end() {
        let stripped = |text: &str, transport| {
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).unwrap();
            let mut out = Vec::new();
            let m = Message::new(text.as_bytes(), &index);
            strip_via(&m, transport, &mut Splices::default(), &mut out, |_| {});
            String::from_utf8(out).unwrap()
        };
        let head = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKa\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@h>;tag=1\r\n\
                    To: <sip:b@h>;tag=2\r\nCall-ID: i\r\nCSeq: 1 MESSAGE\r\n";
        let rest = head.replacen("Via: SIP/2.0/UDP us;branch=z9hG4bKa\r\n", "", 1);
        let bare = format!("{head}\r\nbody");
        assert_eq!(stripped(&bare, Transport::Tcp), format!("{rest}Content-Length: 4\r\n\r\nbody"));
        assert_eq!(stripped(&bare, Transport::Udp), format!("{rest}\r\nbody"));
        let lf = format!("{head}l: 4\r\n\r\n").replace("\r\n", "\n") + "body";
        assert_eq!(stripped(&lf, Transport::Tls), format!("{rest}l: 4\r\n\r\nbody"));
        let two = bare.replacen("\r\nVia: SIP/2.0/TCP h", ", SIP/2.0/TCP h", 1);
        assert_eq!(stripped(&two, Transport::Udp), format!("{rest}\r\nbody"));
    }
}
