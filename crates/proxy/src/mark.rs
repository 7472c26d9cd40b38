//! The mark in our Record-Route: by it we know a dialog again, after a restart too, and what may be sent in it.

use trunkline_sip::Uri;

use crate::base64url;
use crate::flow_token::FlowToken;
use crate::party::PartyKind;
use crate::secret::Secret;

/// A side of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that began it.
    Caller,
    /// The other.
    Callee,
}

/// The side that sends requests with a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What it is.
    pub kind: PartyKind,
    /// Which agent, peer or trunk it is, [`Secret::party`]; 0 for a stranger.
    pub party: u32,
    /// Where its packets come from: of an agent [`Secret::source`], of others [`Secret::host`].
    pub source: u32,
    /// How it is reached itself, for the mark of the other side.
    pub flow: Option<FlowToken>,
}

/// Where a party's packets come from, compared with the address in its Contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Seen {
    /// From elsewhere, or the Contact names a host.
    #[default]
    Elsewhere = 0,
    /// From the very address and port.
    AtTarget = 1,
    /// From a loopback address, and not the one in the Contact.
    OnLoopback = 2,
    /// From that host, but from another port.
    AtHost = 3,
    /// As [`Seen::Elsewhere`], from a private network.
    Inside = 4,
}

impl Seen {
    /// From elsewhere, wherever that is?
    pub fn is_elsewhere(self) -> bool {
        matches!(self, Seen::Elsewhere | Seen::Inside)
    }
}

/// The way to the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What the other side is.
    pub kind: PartyKind,
    /// Which agent, peer or trunk it is, [`Secret::party`]; 0 for a stranger.
    pub party: u32,
    /// Where its packets come from, as a [`Holder`] has it; 0 where that is not known, or nothing shows it.
    pub source: u32,
    /// The same, compared with its remote target.
    pub seen: Seen,
    /// Its remote target, [`Secret::target`].
    pub target: u64,
    /// How it is reached, where its remote target does not say.
    pub flow: Option<FlowToken>,
}

/// The value of our Record-Route's `dlg` parameter. The caller finds its mark in the response's Record-Route, the callee
/// in the request's (RFC 3261 §16.6 step 4, §16.7 step 8): each binds what its holder may send in the dialog. That is the
/// Request-URI (the other side's Contact) and the Route values after ours, which are under the MAC. A user agent may write
/// a Route value otherwise than it read it, so what decides where it leads is compared (RFC 3261 §19.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which side may use it.
    pub side: Side,
    /// Which dialogs it belongs to: a number that no other request that began any has.
    pub dialog: u64,
    /// When they began, in milliseconds since 1970.
    pub born: u64,
    /// Was the dialog begun by SUBSCRIBE or REFER, not by INVITE?
    pub subscription: bool,
    /// Does a side know others in From and To than the other side ([`crate::Names`])? Then their names stand beside the mark.
    pub renamed: bool,
    /// How much higher the callee counts what the caller sends: a challenge was answered for it.
    pub cseq_added: u8,
    /// Who uses it.
    pub holder: Holder,
    /// Whom it leads to.
    pub way: Way,
}

/// What a mark belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Belongs<'a, R> {
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The tag of the side that began the dialog.
    pub caller_tag: &'a [u8],
    /// The other tag; it counts in the caller's mark only, since the callee's is written before there is one.
    pub callee_tag: &'a [u8],
    /// The Route values after ours, in order, each as it stands between its brackets.
    pub routes: R,
}

/// Milliseconds of 2025-01-01T00:00:00Z since 1970, from which the time in a mark counts; 40 bits reach to 2059.
const EPOCH: u64 = 1_735_689_600_000;
/// The shortest binary form of a callee's mark without its MAC.
const SHORTEST_CALLEES: usize = 38;
/// The longest binary form without its MAC.
const LONGEST: usize = 42 + 2 * FlowToken::LONGEST;
const MAC: usize = 8;

// Bits of the first byte.
const CALLEE: u8 = 1;
const SUBSCRIPTION: u8 = 1 << 1;
const HOLDER_KIND: u8 = 2;
const WAY_KIND: u8 = 4;
const SEEN: u8 = 6;
// Bits of the second byte.
const HOLDER_FLOW: u8 = 1;
const WAY_FLOW: u8 = 1 << 1;
/// Set in the caller's mark where it has the source of the way, as those of earlier versions had not.
const WAY_SOURCE: u8 = 1 << 2;
const RENAMED: u8 = 1 << 3;
/// That the way is seen elsewhere means that it is seen in a private network.
const INSIDE: u8 = 1 << 4;

/// Writes fields one after the other.
struct Writer {
    bytes: [u8; MAC + LONGEST],
    length: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + field.len()) {
            place.copy_from_slice(field);
            self.length += field.len();
        }
    }

    fn flow(&mut self, flow: &FlowToken) {
        self.length += flow.put(self.bytes.get_mut(self.length..).unwrap_or_default());
    }
}

impl Mark {
    /// The parameter's name.
    pub const PARAM: &'static str = "dlg";

    /// Appends the parameter's value and gives its MAC.
    pub fn put<'a>(
        &self,
        secret: &Secret,
        of: Belongs<'a, impl Iterator<Item = &'a [u8]>>,
        out: &mut Vec<u8>,
    ) -> u64 {
        let mut writer = Writer { bytes: [0; MAC + LONGEST], length: MAC };
        self.write(&mut writer);
        let Writer { mut bytes, length } = writer;
        let mac = secret.mark_mac(self.side, bytes.get(MAC..length).unwrap_or_default(), of);
        bytes.iter_mut().zip(mac.to_be_bytes()).for_each(|(to, from)| *to = from);
        base64url::encode(bytes.get(..length).unwrap_or_default(), out);
        mac
    }

    fn write(&self, to: &mut Writer) {
        let Mark { holder, way, .. } = self;
        let first = if self.side == Side::Callee { CALLEE } else { 0 }
            | if self.subscription { SUBSCRIPTION } else { 0 }
            | (holder.kind as u8) << HOLDER_KIND
            | (way.kind as u8) << WAY_KIND
            | (way.seen as u8 & 3) << SEEN;
        let second = if holder.flow.is_some() { HOLDER_FLOW } else { 0 }
            | if way.flow.is_some() { WAY_FLOW } else { 0 }
            | if self.side == Side::Caller && way.source != 0 { WAY_SOURCE } else { 0 }
            | if self.renamed { RENAMED } else { 0 }
            | if way.seen == Seen::Inside { INSIDE } else { 0 };
        to.put(&[first, second, self.cseq_added]);
        to.put(self.born.saturating_sub(EPOCH).to_be_bytes().get(3..).unwrap_or_default());
        to.put(&self.dialog.to_be_bytes());
        to.put(&way.party.to_be_bytes());
        to.put(way.target.to_be_bytes().get(2..).unwrap_or_default());
        to.put(&holder.source.to_be_bytes());
        to.put(&holder.party.to_be_bytes());
        if self.side == Side::Callee || way.source != 0 {
            to.put(&way.source.to_be_bytes());
        }
        holder.flow.iter().chain(&way.flow).for_each(|flow| to.flow(flow));
    }

    /// Reads and verifies the value that stands in a Route of a request with these tags. `None`: no mark of ours, or not
    /// for this side of this dialog, or other Route values follow. A request without To tag is in no dialog (RFC 3261
    /// §12.2.2), whatever it has learnt of an earlier one.
    pub fn verify<'a>(
        value: &[u8],
        secret: &Secret,
        call_id: &'a [u8],
        (from_tag, to_tag): (&'a [u8], &'a [u8]),
        routes: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Mark> {
        if to_tag.is_empty() || from_tag.is_empty() {
            return None;
        }
        Mark::open(value, secret, |side| {
            let (caller_tag, callee_tag) = match side {
                Side::Caller => (from_tag, to_tag),
                Side::Callee => (to_tag, from_tag),
            };
            Belongs { call_id, caller_tag, callee_tag, routes }
        })
        .map(|(mark, _)| mark)
    }

    /// Reads the callee's mark back from the Record-Route of a request that went out, or of a response to it, with its MAC.
    /// `routes` are the values after ours.
    pub fn read_back<'a>(
        value: &[u8],
        secret: &Secret,
        call_id: &'a [u8],
        caller_tag: &'a [u8],
        routes: impl Iterator<Item = &'a [u8]>,
    ) -> Option<(Mark, u64)> {
        let belongs = |_| Belongs { call_id, caller_tag, callee_tag: b"", routes };
        Mark::open(value, secret, belongs).filter(|(mark, _)| mark.side == Side::Callee)
    }

    /// Reads the callee's mark from a text that is known to be part of a request of ours as it went out, with this MAC.
    pub fn of_sent(value: &[u8], mac: u64) -> Option<Mark> {
        let mut bytes = [0u8; MAC + LONGEST];
        let length = base64url::decode(value, &mut bytes)?;
        let (own, body) = bytes.get(..length)?.split_first_chunk::<MAC>()?;
        let is_callees = body.first()? & CALLEE != 0;
        if is_callees && u64::from_be_bytes(*own) == mac { Mark::parse(Side::Callee, body) } else { None }
    }

    /// Has this value the form of a callee's mark? That costs less than to verify it.
    pub fn may_be_callees(value: &[u8]) -> bool {
        // The first byte behind the MAC is the last of these twelve letters.
        let mut bytes = [0u8; MAC + 1];
        let read = value.get(..12).and_then(|start| base64url::decode(start, &mut bytes)).is_some();
        read && bytes[MAC] & CALLEE != 0 && value.len() * 3 / 4 >= MAC + SHORTEST_CALLEES
    }

    fn open<'a, R: Iterator<Item = &'a [u8]>>(
        value: &[u8],
        secret: &Secret,
        belongs: impl FnOnce(Side) -> Belongs<'a, R>,
    ) -> Option<(Mark, u64)> {
        let mut bytes = [0u8; MAC + LONGEST];
        let length = base64url::decode(value, &mut bytes)?;
        let (mac, body) = bytes.get(..length)?.split_first_chunk::<MAC>()?;
        let side = if body.first()? & CALLEE == 0 { Side::Caller } else { Side::Callee };
        let mac = u64::from_be_bytes(*mac);
        if std::hint::black_box(mac ^ secret.mark_mac(side, body, belongs(side))) != 0 {
            return None;
        }
        Some((Mark::parse(side, body)?, mac))
    }

    fn parse(side: Side, body: &[u8]) -> Option<Mark> {
        let (&[first, second, cseq_added], rest) = body.split_first_chunk::<3>()?;
        let (&[b4, b3, b2, b1, b0], rest) = rest.split_first_chunk::<5>()?;
        let (dialog, rest) = rest.split_first_chunk::<8>()?;
        let (party, rest) = rest.split_first_chunk::<4>()?;
        let (&[t5, t4, t3, t2, t1, t0], mut rest) = rest.split_first_chunk::<6>()?;
        let kind = |shift: u8| PartyKind::ALL.get(usize::from(first >> shift & 3)).copied();
        let seen = match first >> SEEN & 3 {
            0 if second & INSIDE != 0 => Seen::Inside,
            1 => Seen::AtTarget,
            2 => Seen::OnLoopback,
            3 => Seen::AtHost,
            _ => Seen::Elsewhere,
        };
        let mut number = || -> Option<u32> {
            let (number, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            Some(u32::from_be_bytes(*number))
        };
        let (holder_source, holder_party) = (number()?, number()?);
        let has_source = side == Side::Callee || second & WAY_SOURCE != 0;
        let way_source = if has_source { number()? } else { 0 };
        let mut flow = |there: bool| -> Option<Option<FlowToken>> {
            if !there {
                return Some(None);
            }
            let (flow, after) = FlowToken::take(rest)?;
            rest = after;
            Some(Some(flow))
        };
        let (holder_flow, way_flow) = (flow(second & HOLDER_FLOW != 0)?, flow(second & WAY_FLOW != 0)?);
        Some(Mark {
            side,
            dialog: u64::from_be_bytes(*dialog),
            born: EPOCH + u64::from_be_bytes([0, 0, 0, b4, b3, b2, b1, b0]),
            subscription: first & SUBSCRIPTION != 0,
            renamed: second & RENAMED != 0,
            cseq_added,
            holder: Holder {
                kind: kind(HOLDER_KIND)?,
                party: holder_party,
                source: holder_source,
                flow: holder_flow,
            },
            way: Way {
                kind: kind(WAY_KIND)?,
                party: u32::from_be_bytes(*party),
                source: way_source,
                seen,
                target: u64::from_be_bytes([0, 0, t5, t4, t3, t2, t1, t0]),
                flow: way_flow,
            },
        })
    }
}

impl Secret {
    /// The MAC of a mark: what it says and what it belongs to.
    fn mark_mac<'a>(&self, side: Side, body: &[u8], of: Belongs<'a, impl Iterator<Item = &'a [u8]>>) -> u64 {
        let mut signing = self.signing(3);
        let mut put = |part: &[u8]| {
            signing.put(&(part.len() as u32).to_be_bytes());
            signing.put(part);
        };
        put(body);
        put(of.call_id);
        put(of.caller_tag);
        put(match side {
            Side::Caller => of.callee_tag,
            Side::Callee => b"",
        });
        for route in of.routes {
            match Uri::parse(route) {
                Ok(uri) => {
                    let target = self.target(&uri) << 1 | u64::from(uri.is_loose());
                    signing.put_u8(1);
                    signing.put(&target.to_be_bytes());
                }
                Err(_) => {
                    signing.put_u8(0);
                    signing.put(&(route.len() as u32).to_be_bytes());
                    signing.put(route);
                }
            }
        }
        signing.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{ConnectionId, Transport};

    fn flow(transport: Transport, remote: &str) -> FlowToken {
        FlowToken {
            transport,
            local_port: 5063,
            remote: remote.parse().expect("an address"),
            connection: ConnectionId(42),
            listens: transport == Transport::Tcp,
        }
    }

    fn marks() -> Vec<Mark> {
        let agent = Holder { kind: PartyKind::Agent, party: 5, source: 77, flow: None };
        let trunk = Holder {
            kind: PartyKind::Trunk,
            party: 9,
            source: 7,
            flow: Some(flow(Transport::Tcp, "192.0.2.1:5")),
        };
        let stranger = Holder { kind: PartyKind::Stranger, party: 0, source: 8, flow: None };
        let way = Way {
            kind: PartyKind::Agent,
            party: u32::MAX,
            source: 0,
            seen: Seen::AtTarget,
            target: (1 << 48) - 2,
            flow: Some(flow(Transport::Wss, "[2001:db8::7]:4711")),
        };
        let mark = |side, holder, way| Mark {
            side,
            dialog: u64::MAX - 7,
            born: EPOCH + 123_456_789_012,
            subscription: false,
            renamed: false,
            cseq_added: 0,
            holder,
            way,
        };
        vec![
            mark(Side::Caller, agent, way),
            mark(Side::Callee, agent, Way { flow: None, source: u32::MAX, ..way }),
            mark(Side::Callee, trunk, way),
            mark(Side::Caller, stranger, Way::default()),
            mark(Side::Caller, agent, Way { source: 99, ..way }),
            Mark {
                cseq_added: 12,
                subscription: true,
                renamed: true,
                ..mark(Side::Caller, agent, Way { seen: Seen::OnLoopback, kind: PartyKind::Trunk, ..way })
            },
            mark(Side::Callee, Holder { flow: way.flow, ..agent }, way),
            mark(Side::Callee, agent, Way { seen: Seen::AtHost, kind: PartyKind::Peer, ..way }),
            mark(Side::Callee, agent, Way { seen: Seen::Inside, flow: None, ..way }),
        ]
    }

    #[test]
    fn each_side_uses_its_own_mark_in_its_own_dialog_alone() {
        let secret = Secret::new([7; 16]);
        let none = || std::iter::empty::<&[u8]>();
        for mark in marks() {
            let belongs = Belongs { call_id: b"call", caller_tag: b"a", callee_tag: b"b", routes: none() };
            let mut value = Vec::new();
            let mac = mark.put(&secret, belongs, &mut value);
            let verify = |secret: &Secret, call_id: &'static [u8], tags| {
                Mark::verify(&value, secret, call_id, tags, none())
            };
            let own: (&[u8], &[u8]) = match mark.side {
                Side::Caller => (b"a", b"b"),
                Side::Callee => (b"b", b"a"),
            };
            assert_eq!(verify(&secret, b"call", own), Some(mark));
            assert_eq!(verify(&secret, b"call", (own.1, own.0)), None, "the other side's");
            assert_eq!(verify(&secret, b"other", own), None);
            assert_eq!(verify(&secret, b"call", (own.0, b"")), None, "no To tag, no dialog");
            assert_eq!(verify(&Secret::new([8; 16]), b"call", own), None);
            // The callee's is written before it has a tag.
            let other_callee: (&[u8], &[u8]) = match mark.side {
                Side::Caller => (b"a", b"c"),
                Side::Callee => (b"c", b"a"),
            };
            let known = verify(&secret, b"call", other_callee);
            assert_eq!(known.is_some(), mark.side == Side::Callee);
            let after: [&[u8]; 1] = [b"sip:198.51.100.1;lr"];
            assert_eq!(Mark::verify(&value, &secret, b"call", own, after.into_iter()), None, "a Route more");
            assert_eq!(Mark::may_be_callees(&value), mark.side == Side::Callee);
            let back = Mark::read_back(&value, &secret, b"call", b"a", none());
            assert_eq!(back, Some((mark, mac)).filter(|_| mark.side == Side::Callee));
            for at in 0..value.len() {
                let mut forged = value.clone();
                forged[at] = if forged[at] == b'A' { b'Q' } else { b'A' };
                assert_eq!(Mark::verify(&forged, &secret, b"call", own, none()), None, "character {at}");
            }
        }
    }

    #[test]
    fn the_routes_after_ours_are_bound() {
        let secret = Secret::new([7; 16]);
        let mark = marks()[0];
        let routes: [&[u8]; 2] = [b"sip:p1;lr", b"sip:p2;lr"];
        let belongs =
            Belongs { call_id: b"c", caller_tag: b"a", callee_tag: b"b", routes: routes.into_iter() };
        let mut value = Vec::new();
        mark.put(&secret, belongs, &mut value);
        let verify = |routes: &[&'static [u8]]| {
            Mark::verify(&value, &secret, b"c", (b"a", b"b"), routes.iter().copied())
        };
        assert_eq!(verify(&routes), Some(mark));
        let swapped: [&[u8]; 2] = [b"sip:p2;lr", b"sip:p1;lr"];
        let joined: [&[u8]; 1] = [b"sip:p1;lrsip:p2;lr"];
        for other in [&[][..], &routes[..1], &swapped, &joined] {
            assert_eq!(verify(other), None, "{other:?}");
        }
        // A user agent may write them anew: they lead where they led.
        let rewritten: [&[u8]; 2] = [b"sip:P1;transport=UDP;lr=on;ftag=1", b"sip:p2;lr=on"];
        assert_eq!(verify(&rewritten), None, "a transport that was not asked for");
        let rewritten: [&[u8]; 2] = [b"sip:P1;ftag=1;lr=on", b"sip:p2;lr=true"];
        assert_eq!(verify(&rewritten), Some(mark));
        for strict in [[&b"sip:p1"[..], b"sip:p2;lr"], [b"sip:p1;lr", b"sip:p2;maddr=192.0.2.1;lr"]] {
            assert_eq!(verify(&strict), None, "{strict:?}");
        }
    }

    #[test]
    fn texts_that_are_no_marks() {
        let secret = Secret::new([7; 16]);
        for bad in [&b""[..], b"A", b"AAAAAAAAAAA", &[b'A'; 48], &[b'A'; 1000], b"0123456789abcdef.00"] {
            let read = Mark::verify(bad, &secret, b"c", (b"a", b"b"), std::iter::empty::<&[u8]>());
            assert_eq!(read, None);
        }
    }
}
