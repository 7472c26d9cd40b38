//! Writing the marks of dialogs: the callee's into the request's Record-Route (RFC 3261 §16.6 step 4), the caller's into
//! the response's (§16.7 step 8).

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;
use trunkline_calls::{Answered, DialogId, DialogKey, Moved};
use trunkline_model::{Ref, Tables};
use trunkline_proxy::{Belongs, FlowToken, Holder, Mark, PartyKind, Reference, Secret, Seen, Side, Way};
use trunkline_routing::Target;
use trunkline_sip::{Address, HeaderName, Message, Method, Span, Splices, Uri, canonical_ip, seconds};
use trunkline_transport::Egress;

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::shared::Shared;
use crate::ways::flow_token;

/// A party as the router found it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartyRef {
    pub(crate) kind: PartyKind,
    pub(crate) reference: Option<Ref>,
}

impl PartyRef {
    fn text(&self) -> &[u8] {
        self.reference.as_ref().map_or(b"", |r| r.as_str().as_bytes())
    }
}

/// Methods whose 2xx begins a dialog (RFC 3261 §12, RFC 6665 §4, RFC 3515 §2.4).
pub(crate) fn begins_dialogs(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer)
}

/// The URI of the first Contact.
pub(crate) fn contact_of<'a>(m: &Message<'a>) -> Option<Uri<'a>> {
    let contact = m.list(HeaderName::Contact).next()?.ok()?;
    Address::parse(contact, "Contact").ok()?.parsed_uri().ok()
}

/// The port that a URI leads to without asking DNS.
pub(crate) fn port_of(target: &Uri<'_>) -> u16 {
    target.port.unwrap_or(target.transport().unwrap_or_default().default_port())
}

/// Where a party's packets come from, compared with its remote target.
pub(crate) fn seen(target: &Uri<'_>, source: SocketAddr) -> Seen {
    let ip = canonical_ip(source.ip());
    match target.ip() == Some(ip) && target.param("maddr").is_none() {
        true if port_of(target) == source.port() => Seen::AtTarget,
        true => Seen::AtHost,
        false if ip.is_loopback() => Seen::OnLoopback,
        false => Seen::Elsewhere,
    }
}

impl Shared {
    /// What a caller that the router takes for this trunk's carrier is to the rules of trust. Anybody may call the number of a
    /// trunk that has neither a list nor credentials; only who comes from the trunk's own addresses is its carrier.
    pub(crate) fn is_carrier(&self, tables: &Tables, trunk: &Ref, source: IpAddr) -> bool {
        let Some(trunk) = tables.trunk_by_ref(trunk.as_str()) else { return false };
        let list = trunk.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl.as_str()));
        // A list that only denies says nothing about who the carrier is.
        let listed = list.is_some_and(|list| !list.allow.is_empty() && list.allows(source));
        let party = self.secret.party(trunk.reference.as_str().as_bytes());
        listed
            || trunk.inbound_credentials.is_some()
            || self.guard.is_address_of(PartyKind::Trunk, party, source)
    }

    fn holder(&self, party: &PartyRef, at: &Egress, flow: Option<FlowToken>) -> Holder {
        let mut holder = Holder { kind: party.kind, party: 0, agent: Reference::NONE, source: 0, flow };
        match party.kind {
            PartyKind::Agent => {
                holder.agent = Reference::new(party.text());
                holder.source = self.secret.source(at.transport, at.remote);
            }
            PartyKind::Peer | PartyKind::Trunk => {
                holder.source = self.secret.host(at.remote.ip());
                holder.party = self.secret.party(party.text());
            }
            PartyKind::Stranger => holder.source = self.secret.host(at.remote.ip()),
        }
        holder
    }

    pub(crate) fn party(&self, party: &PartyRef) -> u32 {
        match (&party.reference, party.kind) {
            (None, _) | (_, PartyKind::Stranger) => 0,
            (Some(r), _) => self.secret.party(r.as_str().as_bytes()),
        }
    }

    /// Whom a mark's holder is to the other side.
    fn party_of_holder(&self, holder: &Holder) -> u32 {
        match holder.kind {
            PartyKind::Agent => self.secret.party(holder.agent.as_bytes()),
            PartyKind::Peer | PartyKind::Trunk | PartyKind::Stranger => holder.party,
        }
    }

    /// Where a Contact leads: a remote target with what is known of its party.
    pub(crate) fn moved(
        &self,
        contact: &Uri<'_>,
        source: SocketAddr,
        flow: Option<Option<FlowToken>>,
    ) -> Moved {
        Moved { target: self.secret.target(contact), seen: seen(contact, source), flow }
    }
}

/// What the marks of one first request have in common.
pub(crate) struct Beginning {
    caller: Holder,
    way: Way,
    born: u64,
    subscription: bool,
}

impl Edge {
    /// The caller's part in the marks of a request that begins a dialog.
    pub(crate) fn beginning(&self, inbound: &Inbound<'_>, now: u64) -> Beginning {
        let shared = &self.shared;
        let party = &self.scratch.parties.caller;
        let m = &inbound.message;
        // Without a Contact the other side has nothing but From to send requests to (RFC 2543).
        let contact = contact_of(m);
        let target = contact.or_else(|| m.from().and_then(|from| from.parsed_uri()).ok());
        let source = inbound.flow.remote;
        Beginning {
            caller: shared.holder(party, &Egress::back(inbound.flow), None),
            way: Way {
                kind: party.kind,
                party: shared.party(party),
                seen: target.as_ref().map_or(Seen::Elsewhere, |uri| seen(uri, source)),
                target: target.as_ref().map_or(0, |uri| shared.secret.target(uri)),
                flow: self.caller_flow(inbound, contact.as_ref()),
            },
            born: now,
            subscription: inbound.method != Method::Invite,
        }
    }

    /// The mark of the callee behind one target.
    pub(crate) fn callee_mark(
        &self,
        beginning: &Beginning,
        callee: &PartyRef,
        target: &Target,
        egress: &Egress,
    ) -> Mark {
        let flow = target.flow.as_ref().map(|flow| flow_token(flow, !target.flow_only));
        let trunk = target.trunk.clone().map(|r| PartyRef { kind: PartyKind::Trunk, reference: Some(r) });
        let party = trunk.as_ref().unwrap_or(callee);
        Mark {
            side: Side::Callee,
            born: beginning.born,
            subscription: beginning.subscription,
            cseq_added: 0,
            holder: self.shared.holder(party, egress, flow),
            way: beginning.way,
        }
    }

    /// A request that begins a dialog is about to go out. `None`: there are too many dialogs.
    pub(crate) fn begin_dialog(&self, inbound: &Inbound<'_>, beginning: &Beginning) -> Option<DialogKey> {
        let m = &inbound.message;
        let caller = beginning.caller;
        self.shared.dialogs.begin(m.call_id(), m.from_tag(), caller, inbound.method, beginning.born)
    }
}

/// A Record-Route value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRoute<'a> {
    /// As it stands between its brackets.
    pub(crate) uri: &'a [u8],
    /// The value of the mark in it.
    pub(crate) mark: Option<&'a [u8]>,
}

/// The Record-Route values of a message, in order.
pub(crate) type RecordRoutes<'a> = SmallVec<[RecordRoute<'a>; 8]>;

/// Reads the Record-Route values of a message, each of them once.
pub(crate) fn record_routes<'a>(m: &Message<'a>) -> RecordRoutes<'a> {
    let read = |element| {
        let uri = Address::parse(element, "Record-Route").map_or(element, |address| address.uri);
        RecordRoute { uri, mark: Uri::parse(uri).ok().and_then(|uri| uri.param(Mark::PARAM).flatten()) }
    };
    m.list(HeaderName::RecordRoute).flatten().map(read).collect()
}

/// The callee's mark in Record-Route values.
pub(crate) struct Found<'s, 'a> {
    pub(crate) mark: Mark,
    /// The values before ours.
    pub(crate) before: &'s [RecordRoute<'a>],
    /// Ours: two where the sides differ in transport or address.
    ours: &'s [RecordRoute<'a>],
    /// The values after ours.
    pub(crate) after: &'s [RecordRoute<'a>],
}

/// The URIs of Record-Route values, as a mark binds them.
pub(crate) fn uris<'a>(values: &[RecordRoute<'a>]) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
    values.iter().map(|value| value.uri)
}

impl<'s, 'a> Found<'s, 'a> {
    /// Finds it in the values of a request that went out, or of a response to it, and verifies it.
    pub(crate) fn find(
        values: &'s [RecordRoute<'a>],
        secret: &Secret,
        (call_id, caller_tag): (&'a [u8], &'a [u8]),
    ) -> Option<Found<'s, 'a>> {
        let mut at = 0;
        while let Some((before, rest)) = values.split_at_checked(at) {
            let Some(text) = rest.first()?.mark else {
                at += 1;
                continue;
            };
            let ours = rest.iter().take_while(|value| value.mark == Some(text)).count();
            let (ours, after) = rest.split_at(ours);
            if let Some(mark) = Mark::read_back(text, secret, call_id, caller_tag, uris(after)) {
                return Some(Found { mark, before, ours, after });
            }
            at += ours.len();
        }
        None
    }

    /// Puts another mark in its place.
    pub(crate) fn replace(
        &self,
        m: &Message<'a>,
        splices: &mut Splices,
        mut write: impl FnMut(&mut Vec<u8>),
    ) {
        for place in self.ours.iter().filter_map(|value| value.mark) {
            splices.replace_with(Span::locate(place, m.bytes), &mut write);
        }
    }
}

impl Shared {
    /// A response to a request that begins a dialog is about to go back: the caller's mark takes the place of the callee's.
    /// `from` is the address it came from.
    pub(crate) fn mark_response(
        &self,
        m: &Message<'_>,
        from: Option<SocketAddr>,
        now: u64,
        splices: &mut Splices,
    ) {
        if m.to_tag().is_empty() || !begins_dialogs(m.cseq_method()) {
            return;
        }
        let id = DialogId { call_id: m.call_id(), caller_tag: m.from_tag(), callee_tag: m.to_tag() };
        let Some(caller) = self.dialogs.responded(id, &answered(m, None), now) else { return };
        if m.header_line(HeaderName::RecordRoute).is_none() {
            return;
        }
        let values = record_routes(m);
        let Some(found) = Found::find(&values, &self.secret, (id.call_id, id.caller_tag)) else { return };
        let contact = contact_of(m);
        let callee = &found.mark.holder;
        let mark = Mark {
            side: Side::Caller,
            way: Way {
                kind: callee.kind,
                party: self.party_of_holder(callee),
                seen: contact.as_ref().zip(from).map_or(Seen::Elsewhere, |(uri, at)| seen(uri, at)),
                target: contact.as_ref().map_or(0, |uri| self.secret.target(uri)),
                flow: callee.flow,
            },
            holder: caller,
            ..found.mark
        };
        found.replace(m, splices, |out| {
            let belongs = Belongs {
                call_id: id.call_id,
                caller_tag: id.caller_tag,
                callee_tag: id.callee_tag,
                routes: uris(found.before).rev(),
            };
            mark.put_value(&self.secret, belongs, out);
        });
    }

    /// The same where no transaction says what the response is to: a Record-Route of ours stands in those to requests that
    /// begin a dialog alone.
    pub(crate) fn mark_stateless(
        &self,
        m: &Message<'_>,
        from: Option<SocketAddr>,
        now: u64,
        splices: &mut Splices,
    ) {
        if m.status().is_some_and(|status| (101..300).contains(&status)) {
            self.mark_response(m, from, now, splices);
        }
        self.note_answer(m, from, now);
    }

    /// A response to a request inside a dialog is about to go back.
    pub(crate) fn note_answer(&self, m: &Message<'_>, from: Option<SocketAddr>, now: u64) {
        let concerns = matches!(
            m.cseq_method(),
            Method::Invite
                | Method::Update
                | Method::Bye
                | Method::Subscribe
                | Method::Refer
                | Method::Notify
        );
        if !concerns || m.status().is_none_or(|status| status < 200) {
            return;
        }
        let contact = contact_of(m).zip(from).map(|(uri, at)| self.moved(&uri, at, None));
        self.dialogs.answered(m.call_id(), (m.from_tag(), m.to_tag()), &answered(m, contact), now);
    }
}

fn answered(m: &Message<'_>, contact: Option<Moved>) -> Answered {
    Answered {
        method: m.cseq_method(),
        status: m.status().unwrap_or(0),
        contact,
        expires: m.header(HeaderName::Expires).and_then(seconds),
    }
}
