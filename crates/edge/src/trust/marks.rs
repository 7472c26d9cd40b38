//! Writing the marks of dialogs: the callee's into the request's Record-Route (RFC 3261 §16.6 step 4), the caller's into
//! the response's (§16.7 step 8).

use std::net::SocketAddr;

use trunkline_calls::{Answered, Moved, Origin};
use trunkline_proxy::{Belongs, FlowToken, Holder, Mark, PartyKind, Seen, Side, StatelessUse, Way};
use trunkline_routing::{Decision, Target};
use trunkline_sip::{
    Address, Flow, HeaderName, Index, Limits, Message, Method, Span, Splices, Uri, canonical_ip,
};
use trunkline_transport::Egress;

use super::Word;
use super::events::expires;
use super::record_routes::{Found, RecordRoute, record_routes, uris};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::party::PartyRef;
use crate::routes::Dialog;
use crate::shared::Shared;
use crate::ways::flow_token;

/// The URI of the first Contact.
pub(crate) fn contact_of<'a>(m: &Message<'a>) -> Option<Uri<'a>> {
    Address::parse(m.first_value(HeaderName::Contact)?, "Contact").ok()?.parsed_uri().ok()
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
    /// The same where it is shown that its packets come from there: what is not gives a party nothing.
    fn seen_if(&self, shown: bool, target: Option<&Uri<'_>>, source: SocketAddr) -> Seen {
        match target.filter(|_| shown).map(|target| seen(target, source)) {
            Some(Seen::Elsewhere) if self.addresses.is_inside(source.ip()) => Seen::Inside,
            seen => seen.unwrap_or_default(),
        }
    }

    /// Where a Contact leads: a remote target with what is known of its party. `shown`: that its packets come from `source`.
    pub(crate) fn moved(
        &self,
        contact: &Uri<'_>,
        source: SocketAddr,
        (flow, shown): (Option<Option<FlowToken>>, bool),
    ) -> Moved {
        Moved { target: self.secret.target(contact), seen: self.seen_if(shown, Some(contact), source), flow }
    }
}

/// What the marks of one first request have in common.
pub(crate) struct Beginning {
    /// The number of its dialogs.
    pub(crate) number: u64,
    way: Way,
    born: u64,
    subscription: bool,
}

impl Edge {
    /// The caller's part in the marks of a request that begins dialogs of this number. `id`: the caller's short name.
    pub(crate) fn beginning(
        &self,
        inbound: &Inbound<'_>,
        (decision, id): (&Decision, u32),
        number: u64,
        now: u64,
    ) -> Beginning {
        let (shared, party) = (&self.shared, &PartyRef::caller(&decision.parties));
        let m = &inbound.message;
        // Without a Contact the other side has nothing but From to send requests to (RFC 2543).
        let contact = contact_of(m);
        let target = contact.or_else(|| m.from().and_then(|from| from.parsed_uri()).ok());
        let (source, shown) =
            (inbound.flow.remote, self.is_caller_shown(inbound.flow, (party, id, decision.proven), now));
        let place = shared.source((party.kind, id), &Egress::back(inbound.flow));
        Beginning {
            number,
            way: Way {
                kind: party.kind,
                party: id,
                source: if shown { place } else { 0 },
                seen: shared.seen_if(shown, target.as_ref(), source),
                target: target.as_ref().map_or(0, |uri| shared.secret.target(uri)),
                flow: self.caller_flow(inbound, contact.as_ref()).filter(|_| shown),
            },
            born: now,
            subscription: inbound.method != Method::Invite,
        }
    }

    /// The mark of who subscribed, in a NOTIFY that the callee sends it: a subscriber may take its route set from there, as the
    /// NOTIFY may come before the 200 (RFC 6665 §4.3, §4.4.1). A caller that notifies is in a dialog that has its marks, which no
    /// later Record-Route changes.
    pub(crate) fn notifier_mark(
        &self,
        inbound: &Inbound<'_>,
        dialog: &Dialog,
        inner: &[Dialog],
    ) -> Option<Mark> {
        let subscription = inbound.method == Method::Notify && dialog.mark.subscription;
        if !subscription || dialog.from != Side::Callee || !inner.is_empty() {
            return None;
        }
        let contact = contact_of(&inbound.message)?;
        let Holder { kind, party, .. } = dialog.mark.holder;
        let seen = self.shared.seen_if(
            self.shared.is_shown(&Egress::back(inbound.flow), (kind, party), false),
            Some(&contact),
            inbound.flow.remote,
        );
        Some(mark_of_caller(&dialog.mark, self.shared.secret.target(&contact), seen))
    }

    /// The mark of the callee behind one target.
    pub(crate) fn callee_mark(
        &self,
        beginning: &Beginning,
        (callee, word): (PartyRef<'_>, Option<&Word>),
        target: &Target,
        egress: &Egress,
    ) -> Mark {
        let flow = target.flow.as_ref().map(|flow| flow_token(flow, !target.flow_only));
        let party = match &target.trunk {
            Some(trunk) => PartyRef { kind: PartyKind::Trunk, reference: Some(trunk) },
            None => callee,
        };
        // The word by which the target is one has named the callee already.
        let named = word.filter(|word| target.trunk.is_none() && word.kind == party.kind);
        let id = named.map_or_else(|| self.shared.party(&party), |word| word.party);
        Mark {
            side: Side::Callee,
            dialog: beginning.number,
            born: beginning.born,
            subscription: beginning.subscription,
            renamed: false,
            cseq_added: 0,
            holder: Holder {
                kind: party.kind,
                party: id,
                source: self.shared.source((party.kind, id), egress),
                flow,
            },
            way: beginning.way,
        }
    }
}

/// The mark that went out in a branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentMark {
    /// Which of the transaction's branches.
    pub(crate) fork: u8,
    /// The mark's MAC, 0 for none.
    pub(crate) mac: u64,
    /// No values of others stand behind ours in its Record-Route.
    pub(crate) first: bool,
}

/// The request that a response answers, where that begins dialogs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun<'a> {
    /// The number of its dialogs.
    pub(crate) number: u64,
    /// That very branch. `None`: there is no transaction, and one branch alone.
    pub(crate) branch: Option<SentMark>,
    /// The request as it went out.
    pub(crate) sent: &'a [u8],
    /// Where the request went. Without a transaction: where the response says that it comes from.
    pub(crate) from: &'a Egress,
}

impl Begun<'_> {
    fn is_of(&self, found: &Found<'_, '_>) -> bool {
        found.mark.dialog == self.number && self.branch.is_none_or(|sent| sent.mac == found.mac)
    }

    /// Our Record-Route where it is the only value and came back as it went out, as nearly always: then its mark is known to be
    /// ours without its MAC. The response repeats what that is over: Call-ID and tag are the transaction's, and no value
    /// stands behind.
    fn returned<'a>(&self, m: &Message<'a>) -> Option<(RecordRoute<'a>, Mark)> {
        let sent_mark = self.branch.filter(|sent| sent.first)?;
        let line = m.header_line(HeaderName::RecordRoute)?;
        let value = line.value.of(m.bytes);
        let ours = behind_top_via(self.sent)?.strip_prefix(b"Record-Route: ")?;
        if m.is_repeated(HeaderName::RecordRoute) || !ours.strip_prefix(value)?.starts_with(b"\r\n") {
            return None;
        }
        let uri = value.strip_prefix(b"<")?.strip_suffix(b">")?;
        let mark = uri.get(memchr::memrchr(b'=', uri)? + 1..)?;
        Some((RecordRoute { uri, mark: Some(mark) }, Mark::of_sent(mark, sent_mark.mac)?))
    }
}

/// What follows the topmost Via of a request that we wrote, where that is its first header.
fn behind_top_via(request: &[u8]) -> Option<&[u8]> {
    let headers = request.get(memchr::memchr(b'\n', request)? + 1..)?;
    headers.get(memchr::memchr(b'\n', headers)? + 1..)
}

impl Shared {
    /// A response to a request that begins a dialog is about to go back: the caller's mark takes the place of the callee's.
    /// Where no dialog comes of it the callee's is taken out: the caller is not to have it.
    pub(crate) fn mark_response(&self, m: &Message<'_>, begun: &Begun<'_>, now: u64, splices: &mut Splices) {
        let status = m.status().unwrap_or(0);
        let makes_dialog = (101..300).contains(&status) && !m.to_tag().is_empty();
        let (call_id, caller_tag) = (m.call_id(), m.from_tag());
        let (values, value);
        let found = match begun.returned(m) {
            Some((ours, mark)) => {
                value = [ours];
                let mac = begun.branch.map_or(0, |sent| sent.mac);
                Some(Found { mark, mac, before: &[], ours: &value, after: &[] })
            }
            None => {
                values = record_routes(m);
                Found::find(&values, &self.secret, (call_id, caller_tag))
            }
        };
        let Some(found) = found else {
            if makes_dialog {
                self.note_unmarked(m, begun, now);
            }
            return;
        };
        let mark =
            if makes_dialog && begun.is_of(&found) { self.caller_mark(m, &found, begun, now) } else { None };
        found.replace_names(m, (&self.secret, mark.as_ref()), splices);
        found.replace(m, splices, |out| {
            if let Some(mark) = &mark {
                let callee_tag = m.to_tag();
                let routes = uris(found.before).rev();
                mark.put(&self.secret, Belongs { call_id, caller_tag, callee_tag, routes }, out);
            }
        });
    }

    /// A callee that says nothing of our Record-Route knows it all the same, and has its mark.
    fn note_unmarked(&self, m: &Message<'_>, begun: &Begun<'_>, now: u64) {
        let mut index = Index::default();
        if index.parse(begun.sent, &Limits::default()).is_err() {
            return;
        }
        let sent = Message::new(begun.sent, &index);
        let values = record_routes(&sent);
        if let Some(found) = Found::find(&values, &self.secret, (sent.call_id(), sent.from_tag())) {
            self.caller_mark(m, &found, begun, now);
        }
    }

    /// The caller's mark, made of the callee's and of this response. `None`: there is no such dialog.
    fn caller_mark(
        &self,
        m: &Message<'_>,
        found: &Found<'_, '_>,
        begun: &Begun<'_>,
        now: u64,
    ) -> Option<Mark> {
        let callee = found.mark.holder;
        // Without a Contact the callee is where the request went.
        let contact = contact_of(m);
        let target = contact.or_else(|| request_uri(begun.sent));
        // Who had the request has its branch, and may send a response from wherever it likes: what counts is where it went.
        let shown = begun.branch.is_some()
            || callee.kind == PartyKind::Agent
                && self.secret.source(begun.from.transport, begun.from.remote) == callee.source
            || self.is_shown(begun.from, (callee.kind, callee.party), false);
        let mark = mark_of_caller(
            &found.mark,
            target.as_ref().map_or(0, |uri| self.secret.target(uri)),
            self.seen_if(shown, target.as_ref(), begun.from.remote),
        );
        let by_source = || self.callee_flow(contact.as_ref(), begun.from).filter(|_| shown);
        let flow = mark.way.flow.or_else(by_source);
        let mark = Mark { way: Way { flow, ..mark.way }, ..mark };
        let moved = Moved { target: mark.way.target, seen: mark.way.seen, flow: None };
        let answered = answered(m, m.cseq(), target.is_some().then_some(moved));
        let place = self.dialogs.place(&found.mark, m.to_tag());
        let origin = begun.branch.map_or(Origin::Stateless, |sent| Origin::Branch(sent.fork));
        self.dialogs.responded(place, (&found.mark, origin), mark.way.target, &answered, now).then_some(mark)
    }

    /// Takes our marks out of the Record-Route of a response to NOTIFY: they are the subscriber's, and the notifier is not to
    /// have them.
    fn hide_marks(&self, m: &Message<'_>, splices: &mut Splices) {
        if m.cseq_method() != Method::Notify {
            return;
        }
        for value in record_routes(m) {
            let ours = || Uri::parse(value.uri).is_ok_and(|uri| self.addresses.is_own(&uri));
            for own in value.mark.into_iter().chain(value.names()).filter(|_| ours()) {
                splices.delete(Span::locate(own, m.bytes));
            }
        }
    }

    /// A response to a request inside a dialog is about to go back: what it says of the dialog, where it says something.
    pub(crate) fn take_answer_inside(
        &self,
        m: &Message<'_>,
        cseq: u32,
        from: (SocketAddr, bool),
        splices: &mut Splices,
    ) -> Option<Answered> {
        self.hide_marks(m, splices);
        self.answer_inside(m, cseq, from)
    }

    /// What a response says of a dialog: a final one to a request inside it.
    fn answer_inside(
        &self,
        m: &Message<'_>,
        cseq: u32,
        (from, shown): (SocketAddr, bool),
    ) -> Option<Answered> {
        let method = m.cseq_method();
        let concerns = matches!(
            method,
            Method::Invite
                | Method::Update
                | Method::Bye
                | Method::Subscribe
                | Method::Refer
                | Method::Notify
        );
        if !concerns || m.status().is_none_or(|status| status < 200) {
            return None;
        }
        let contact = match method {
            Method::Invite | Method::Update | Method::Subscribe | Method::Refer => contact_of(m),
            _ => None,
        };
        Some(answered(m, cseq, contact.map(|uri| self.moved(&uri, from, (None, shown)))))
    }

    /// A response to a request without a transaction, whose branch says what it was to dialogs, is about to go back.
    pub(crate) fn mark_stateless(
        &self,
        m: &Message<'_>,
        (dialog, from_kind): (StatelessUse, PartyKind),
        flow: &Flow,
        now: u64,
        splices: &mut Splices,
    ) {
        let from = Egress::back(flow);
        match dialog {
            // The CANCEL of the request has its branch, and is no part of any dialog.
            _ if m.cseq_method() == Method::Cancel => {}
            StatelessUse::None => {}
            StatelessUse::Begins(number) => {
                let begun = Begun { number, branch: None, sent: b"", from: &from };
                self.mark_response(m, &begun, now, splices);
                if m.status().is_some_and(|status| status >= 300) {
                    self.dialogs.failed(number);
                }
            }
            StatelessUse::Inside(number, side) => {
                let callee_tag = if side == Side::Caller { m.to_tag() } else { m.from_tag() };
                let shown = self.is_shown(&from, (from_kind, 0), false);
                if let Some(answered) = self.take_answer_inside(m, m.cseq(), (from.remote, shown), splices) {
                    self.dialogs.answered_by_tag(number, side, callee_tag, &answered, now);
                }
            }
        }
    }
}

/// The caller's mark, made of the callee's: the callee's remote target is this one, and its packets come from there.
fn mark_of_caller(callees: &Mark, target: u64, seen: Seen) -> Mark {
    let (caller, callee) = (&callees.way, &callees.holder);
    Mark {
        side: Side::Caller,
        holder: Holder { kind: caller.kind, party: caller.party, source: caller.source, flow: None },
        way: Way {
            kind: callee.kind,
            party: callee.party,
            source: callee.source,
            seen,
            target,
            flow: callee.flow,
        },
        ..*callees
    }
}

fn request_uri(request: &[u8]) -> Option<Uri<'_>> {
    let line = request.get(..memchr::memchr(b'\r', request)?)?;
    Uri::parse(line.split(|b| *b == b' ').nth(1)?).ok()
}

fn answered(m: &Message<'_>, cseq: u32, contact: Option<Moved>) -> Answered {
    Answered { method: m.cseq_method(), status: m.status().unwrap_or(0), cseq, contact, expires: expires(m) }
}
