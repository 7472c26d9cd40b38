//! What is told of a request while it is served: its events (crate `trunkline-events`).

use std::net::{IpAddr, Ipv4Addr};

use memchr::memmem;
use trunkline_events::{Answer, Arrival, Attempt, Event, Failure, Heard};
use trunkline_proxy::transaction;
use trunkline_reasons::Reason;
use trunkline_routing::Decision;
use trunkline_sip::{HeaderName, Message, Method, parse_ip, read_date};

use crate::context::{Context, Hop};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::trust::marks::contact_of;

impl Edge {
    /// The request at hand has arrived, if that was not noted before.
    pub(crate) fn note_arrival(&mut self, io: &Io<'_>, inbound: &Inbound<'_>) {
        if self.events.is_off() || self.events.request() != 0 {
            return;
        }
        self.events.begin();
        let (m, source) = (&inbound.message, inbound.flow.remote);
        let ip = source.ip().to_canonical();
        let header = |name| m.header(name);
        let invite = inbound.method == Method::Invite;
        let has_contact = invite || inbound.method == Method::Register;
        let contact =
            if has_contact { contact_of(m).and_then(|uri| Some((uri.host, uri.ip()?))) } else { None };
        let contact = contact.filter(|(_, at)| *at != ip);
        self.events.note(
            io.unix_ms(),
            Event::Arrived(Arrival {
                method: m.method_name(),
                uri: m.uri_text(),
                from: m.from().map_or(b"", |from| from.uri),
                call_id: m.call_id(),
                agent: match self.own {
                    Some(why) => why.as_bytes(),
                    None => header(HeaderName::UserAgent).unwrap_or_default(),
                },
                contact: contact.map_or(b"", |(host, _)| host),
                transport: inbound.flow.transport,
                source,
                inside: !m.to_tag().is_empty(),
                own: self.own.is_some(),
                credentials: [HeaderName::Authorization, HeaderName::ProxyAuthorization]
                    .into_iter()
                    .any(|name| header(name).is_some()),
                private_media: invite && is_public(ip) && names_private_media(m.body()),
                rewritten: contact.is_some_and(|(_, at)| via_differs(m, at)),
            }),
        );
    }

    /// What the router found out about the request at hand.
    pub(crate) fn note_decision(&mut self, io: &Io<'_>, decision: &Decision) {
        if self.events.request() == 0 {
            return;
        }
        for fact in decision.facts() {
            self.events.note(io.unix_ms(), Event::Fact { words: fact.words(), names: fact.names() });
        }
    }

    /// The request of a branch goes out.
    pub(crate) fn note_sent(&mut self, io: &Io<'_>, branch: u8, hop: &Hop, request: &[u8]) {
        let uri = request.split(|b| *b == b' ').nth(1).unwrap_or_default();
        let trunk = hop.trunk.as_ref().map_or("", |trunk| trunk.as_str());
        let (transport, to) = (hop.egress.transport, hop.egress.remote);
        let unheard = !self.shared.addresses.has(transport);
        self.events.note(io.unix_ms(), Event::Sent(Attempt { branch, uri, trunk, transport, to, unheard }));
    }

    /// A response came to a branch.
    pub(crate) fn note_heard(&mut self, io: &Io<'_>, (branch, from): (u8, IpAddr), m: &Message<'_>) {
        let code = m.status().unwrap_or(0);
        if code <= 100 || m.cseq_method() == Method::Cancel || self.events.request() == 0 {
            return;
        }
        // One that waited for the media relay was noted when it came.
        if self.relay_answers.replaced {
            return;
        }
        let private_media = is_public(from.to_canonical()) && names_private_media(m.body());
        // Most responses are none of failures: what only those say is not looked for.
        let (why, clock) = match code {
            300.. => {
                let why = m.header(HeaderName::Reason).or_else(|| m.other_header("Warning"));
                (why.unwrap_or_default(), clock_of(m, io.unix_ms() / 1000))
            }
            _ => (&b""[..], 0),
        };
        let heard = Heard { branch, code, phrase: phrase(m), why, private_media, clock };
        self.events.note(io.unix_ms(), Event::Heard(heard));
    }

    /// A branch is given up, and the next way is looked for. `sent`: something was sent to its target.
    pub(crate) fn note_ended(&mut self, io: &Io<'_>, (branch, sent): (u8, bool), how: transaction::Failure) {
        match how {
            transaction::Failure::Silent if !sent => self.note_failed(io, branch, Failure::NoWay),
            transaction::Failure::Silent => self.note_failed(io, branch, Failure::Silent),
            // They were noted as they came.
            transaction::Failure::Unreachable
            | transaction::Failure::Doubtful
            | transaction::Failure::Answered(_) => {}
        }
    }

    /// A branch failed without a final response.
    pub(crate) fn note_failed(&mut self, io: &Io<'_>, branch: u8, how: Failure) {
        self.events.note(io.unix_ms(), Event::Failed { branch, how });
    }

    /// The message at hand waits for the media relay.
    pub(crate) fn note_relay(&mut self, io: &Io<'_>) {
        self.events.note(io.unix_ms(), Event::Waits(b""));
    }

    /// The call is to go on to another callee.
    pub(crate) fn note_diverted(&mut self, io: &Io<'_>, to: &str) {
        self.events.note(io.unix_ms(), Event::Diverted(to.as_bytes()));
    }

    /// The caller gets this response.
    pub(crate) fn note_told(&mut self, io: &Io<'_>, code: u16, reason: Option<Reason>, ours: bool) {
        self.counters.count_code(code);
        self.events.note(io.unix_ms(), Event::Answered(Answer { code, reason, ours }));
    }

    /// What happens from now on happens to this transaction's request.
    pub(crate) fn turn_to(&mut self, context: &Context) {
        self.events.resume(context.request);
    }
}

/// Does the one Via contain another address than this? The Via of a proxy says nothing of the client.
fn via_differs(m: &Message<'_>, contact: IpAddr) -> bool {
    let mut all = m.list(HeaderName::Via);
    let alone = all.next().is_some() && all.next().is_none();
    let host = m.top_via().ok().filter(|_| alone).and_then(|via| parse_ip(via.host));
    host.is_some_and(|host| host != contact)
}

/// How many seconds the sender's clock is ahead of ours, by Date (RFC 3261 §20.17); 0 if that is unknown or too little to matter:
/// RFC 8224 §6.2.3 lets 60 seconds pass.
fn clock_of(m: &Message<'_>, now: u64) -> i32 {
    let date = m.other_header("Date").and_then(read_date);
    let ahead = date.map_or(0, |date| date as i64 - now as i64);
    if ahead.abs() < 60 {
        0
    } else {
        i32::try_from(ahead).unwrap_or(if ahead > 0 { i32::MAX } else { i32::MIN })
    }
}

/// The reason phrase of a response.
fn phrase<'a>(m: &Message<'a>) -> &'a [u8] {
    let line = m.bytes.get(..memchr::memchr(b'\r', m.bytes).unwrap_or(0)).unwrap_or_default();
    // SIP/2.0 200 OK
    line.get("SIP/2.0 200 ".len()..).unwrap_or_default()
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared(v4)),
        IpAddr::V6(_) => false,
    }
}

/// RFC 6598 §7.
fn is_shared(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    a == 100 && (64..128).contains(&b)
}

/// Does an SDP say that media is to be sent to a private address?
fn names_private_media(sdp: &[u8]) -> bool {
    const LINE: &[u8] = b"c=IN IP4 ";
    let Some(at) = memmem::find(sdp, LINE) else { return false };
    let rest = sdp.get(at + LINE.len()..).unwrap_or_default();
    let end = rest.iter().position(|b| !matches!(b, b'0'..=b'9' | b'.')).unwrap_or(rest.len());
    let address = rest.get(..end).and_then(|text| std::str::from_utf8(text).ok());
    address.and_then(|text| text.parse::<Ipv4Addr>().ok()).is_some_and(|v4| v4.is_private() || is_shared(v4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_sdp_are_seen() {
        for (sdp, want) in [
            (&b"v=0\r\nc=IN IP4 10.1.2.3\r\n"[..], true),
            (b"c=IN IP4 192.168.0.1/127\r\n", true),
            (b"c=IN IP4 100.64.1.1", true),
            (b"c=IN IP4 198.51.100.1\r\n", false),
            (b"c=IN IP4 ", false),
            (b"c=IN IP6 fd00::1\r\n", false),
            (b"", false),
        ] {
            assert_eq!(names_private_media(sdp), want, "{}", String::from_utf8_lossy(sdp));
        }
        assert!(is_public("198.51.100.1".parse().unwrap()) && !is_public("10.0.0.1".parse().unwrap()));
    }
}
