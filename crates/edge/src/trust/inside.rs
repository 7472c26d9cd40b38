//! Requests inside dialogs: who may send what, and where it may go. A mark leads to the remote target of its dialog and
//! nowhere else, while the dialog lives, and from an agent that is where it is known to be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use trunkline_calls::{Answered, Ended, Ends, Moved, Refresh, Standing};
use trunkline_model::{Agent, Authenticate, Domain, Tables};
use trunkline_proxy::{Holder, PartyKind, Seen, Side, Way};
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Verdict};
use trunkline_sip::{Flow, Message, Method, Uri, canonical_ip};
use trunkline_transport::Egress;

use super::Word;
use super::events::{event_of, expires};
use super::identity::Demand;
use super::marks::{contact_of, port_of};
use crate::calls;
use crate::edge::Edge;
use crate::hang_up::contact;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::party::PartyRef;
use crate::routes::Dialog;

/// Why a request inside a dialog goes no further.
enum Refused {
    /// It is no request of the dialog: the dialog has ended, or this is not its remote target.
    NoDialog(Reason),
    /// Its sender may not send it.
    Forbidden(Reason),
    /// It was answered.
    Answered,
}

/// Who sent a request inside a dialog, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Anybody who has seen the mark.
    Unknown,
    /// The mark's holder, or somebody who forges its address: nothing shows that the packet comes from there.
    Claimed,
    /// The mark's holder, and its packets come from there.
    Shown,
    /// The same, by a digest: it is known to be there from now on.
    Proven,
}

impl Edge {
    /// Judges a request inside a dialog. The way to the other side, and who sent it; `None` when the request was answered. The
    /// dialog does not change yet.
    pub(crate) fn judge_inside(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        target: &Uri<'_>,
        dialogs: (&Dialog, &[Dialog]),
    ) -> Option<(Way, Sender)> {
        match self.examine(io, inbound, target, dialogs) {
            Ok(judged) => return Some(judged),
            Err(Refused::NoDialog(reason)) => {
                self.counters.outside_dialogs.add();
                self.refuse(io, inbound, reason);
            }
            Err(Refused::Forbidden(reason)) => self.refuse(io, inbound, reason),
            Err(Refused::Answered) => {}
        }
        None
    }

    fn examine(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        target: &Uri<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
    ) -> Result<(Way, Sender), Refused> {
        let now = io.unix_ms();
        let judge = |dialog: &Dialog| {
            let standing = self.shared.dialogs.look(dialog.place, &dialog.mark, inbound.method, now);
            let standing = standing.map_err(|Ended| Refused::NoDialog(Reason::DialogEnded))?;
            let way = self.way_in(target, dialog, &standing);
            Ok((way.ok_or(Refused::NoDialog(Reason::DialogOtherTarget))?, standing))
        };
        let (mut way, standing) = judge(dialog)?;
        let mut before = dialog;
        for lap in inner {
            // A call that comes back is that of who made it, or of whom it went to. Any other mark is another dialog's, which
            // somebody has seen and put there.
            let holder = named(lap.mark.holder.kind, lap.mark.holder.party);
            let first = named(dialog.mark.holder.kind, dialog.mark.holder.party);
            let sent_on_by = named(before.mark.way.kind, before.mark.way.party);
            if holder.is_none() || holder != first && holder != sent_on_by {
                return Err(Refused::NoDialog(Reason::DialogForeignMark));
            }
            // Of the further laps of a spiral the last one knows the way.
            (way, _) = judge(lap)?;
            before = lap;
        }
        let sender = self.identify_sender(io, inbound, dialog, &standing)?;
        Ok((way, sender))
    }

    /// Who sent a request with this mark.
    fn identify_sender(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        dialog: &Dialog,
        standing: &Standing,
    ) -> Result<Sender, Refused> {
        let (holder, now) = (&dialog.mark.holder, io.unix_ms());
        if self.own {
            return Ok(Sender::Shown);
        }
        let sender = match (holder.kind, inbound.method) {
            // Neither is ever challenged (RFC 3261 §22.1).
            (PartyKind::Agent, Method::Ack | Method::Cancel) => {
                self.may_be_unasked(inbound, dialog, standing, now).then_some(Sender::Unknown)
            }
            (PartyKind::Agent, _) => Some(self.identify_agent(io, inbound, dialog, standing)?),
            (PartyKind::Peer | PartyKind::Trunk | PartyKind::Stranger, method) => {
                let from = inbound.flow.remote.ip();
                // A subscriber's mark goes to its Contact too.
                let received = dialog.from == Side::Callee || !dialog.mark.subscription;
                if received
                    && !inbound.flow.transport.is_reliable()
                    && self.shared.is_from(holder, inbound.flow)
                {
                    // Whoever has the mark has received a message of ours there.
                    self.proven.prove(from, now);
                }
                // Who has hung up has hung up: a call that nobody can end costs more than one that somebody else has ended.
                let from_anywhere = method == Method::Bye
                    || says_nothing(inbound)
                    || self.shared.config.dialogs_from_anywhere;
                match self.comes_from_holder(inbound.flow, holder) {
                    true if inbound.flow.transport.is_reliable() => Some(Sender::Shown),
                    true => Some(Sender::Claimed),
                    false => from_anywhere.then_some(Sender::Unknown),
                }
            }
        };
        sender.ok_or(Refused::Forbidden(Reason::DialogElsewhere))
    }

    /// The request goes on: its dialogs count it. False: they have no room for it, or have just ended.
    pub(crate) fn enter_dialogs(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
        sender: Sender,
    ) -> bool {
        let (dialogs, now) = (&self.shared.dialogs, io.unix_ms());
        let what = (inbound.method, sender != Sender::Unknown);
        let mut all = std::iter::once(dialog).chain(inner);
        if all.any(|d| dialogs.enter(d.place, &d.mark, what, now).is_err()) {
            return false;
        }
        if sender == Sender::Proven {
            let here = self.shared.secret.source(inbound.flow.transport, inbound.flow.remote);
            dialogs.proven(dialog.place, dialog.from, here);
        }
        true
    }

    /// The way to the remote target that was recorded last, if the Request-URI names it (RFC 3261 §19.1.4).
    fn way_in(&self, target: &Uri<'_>, dialog: &Dialog, standing: &Standing) -> Option<Way> {
        let named = self.shared.secret.target(target);
        let way = dialog.mark.way;
        let at = match standing.moved {
            Some(moved) => {
                Way { seen: moved.seen, target: moved.target, flow: moved.flow.unwrap_or(way.flow), ..way }
            }
            None => way,
        };
        if named == at.target {
            // What is accepted goes before what is under way, which may be refused.
            return Some(at);
        }
        if named == way.target && way.flow.is_some() && at.flow == way.flow {
            // The first one, of clients that do not read the Contact of a 2xx to their re-INVITE, as JsSIP: the party is at the end
            // of the same flow still, and a 481 would end the call.
            return Some(way);
        }
        let moving = standing.moving.filter(|m| m.target == named)?;
        Some(Way { seen: moving.seen, target: moving.target, flow: moving.flow.unwrap_or(at.flow), ..at })
    }

    /// May an ACK or CANCEL of an agent's side go on, although nobody can be asked who sent it? From where the agent is, or from its
    /// host, if the other side is not there, too: a NAT gives it another port, and a large ACK comes over TCP (RFC 3261 §18.1.1).
    /// From elsewhere an ACK that says nothing. One with a body would answer an offer in the agent's place, and a CANCEL is its
    /// INVITE's sender's.
    fn may_be_unasked(&self, inbound: &Inbound<'_>, dialog: &Dialog, standing: &Standing, now: u64) -> bool {
        let (holder, shared) = (&dialog.mark.holder, &self.shared);
        let here = shared.secret.source(inbound.flow.transport, inbound.flow.remote);
        if says_nothing(inbound)
            || is_on(holder, inbound.flow)
            || here == holder.source
            || here == standing.source
        {
            return true;
        }
        let tables = shared.tables.load();
        let Some((agent, domain)) = shared.account(&tables, holder.party) else { return false };
        self.registered_at((agent, holder.party), domain, inbound.flow, now).is_some()
            || self.is_on_host((agent, domain), holder, inbound.flow, now)
                && !self.leads_to_host(&dialog.mark.way, &tables, inbound.flow.remote.ip(), now)
    }

    /// Does an agent's request come from the host that the agent is on, or has a registration from?
    fn is_on_host(&self, account: (&Agent, &Domain), holder: &Holder, flow: &Flow, now: u64) -> bool {
        let ip = canonical_ip(flow.remote.ip());
        holder.flow.is_some_and(|f| canonical_ip(f.remote.ip()) == ip)
            || self.has_registered_from((account, holder.party), ip, now)
    }

    fn has_registered_from(
        &self,
        ((agent, domain), party): ((&Agent, &Domain), u32),
        ip: IpAddr,
        now: u64,
    ) -> bool {
        let aor = [b"sip:", agent.username.as_bytes(), b"@", domain.domain_uri.as_bytes()].concat();
        let registrant = self.shared.secret.registrant(PartyKind::Agent, party);
        let mut found = false;
        self.shared.location.visit(&aor, now, |b| {
            found |= b.registrant == registrant && canonical_ip(b.flow.remote.ip()) == ip;
        });
        found
    }

    /// Is the other side on this host?
    fn leads_to_host(&self, way: &Way, tables: &Tables, ip: IpAddr, now: u64) -> bool {
        match way.kind {
            PartyKind::Agent => {
                let account = self.shared.account(tables, way.party);
                account.is_some_and(|account| self.has_registered_from((account, way.party), ip, now))
            }
            PartyKind::Peer | PartyKind::Trunk | PartyKind::Stranger => {
                way.source == self.shared.secret.host(ip)
            }
        }
    }

    /// An agent is asked who it is when its request comes neither by its flow nor by one of its registrations. Where no caller
    /// is asked, none of its requests from its host are challenged either; what comes from elsewhere may be anybody's who has seen
    /// the mark.
    fn identify_agent(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        dialog: &Dialog,
        standing: &Standing,
    ) -> Result<Sender, Refused> {
        let (holder, config) = (&dialog.mark.holder, &self.shared.config);
        let here = self.shared.secret.source(inbound.flow.transport, inbound.flow.remote);
        let is_here = is_on(holder, inbound.flow) || here == holder.source;
        let refers = inbound.transfers() && !config.strangers_may_refer;
        if here == standing.source || is_here && !refers {
            // A mark has no source that nothing shows.
            return Ok(Sender::Shown);
        }
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let Some((agent, domain)) = shared.account(&tables, holder.party) else {
            return Err(Refused::Forbidden(Reason::DialogAccountUnknown));
        };
        // A phone that follows a REFER calls with its own account. Where not every caller is asked, nothing shows who is here.
        let refers = refers && !shared.config.routing.asks_every_caller(domain);
        if is_here && !refers {
            return Ok(Sender::Shown);
        }
        let to_carrier = dialog.mark.way.kind == PartyKind::Trunk;
        let asks = refers || shared.config.routing.asks_in_dialog(domain, to_carrier);
        // Everybody behind a proxy comes from there, and a registration that nobody had to prove shows nothing.
        let relayed = inbound.is_relayed();
        let proven =
            inbound.flow.transport.is_reliable() && domain.authenticate != Authenticate::Never && !relayed;
        match self.registered_at((agent, holder.party), domain, inbound.flow, io.unix_ms()) {
            Some(_) if asks && relayed || refers && !proven => {}
            Some(true) => return Ok(Sender::Shown),
            Some(false) => return Ok(Sender::Claimed),
            None => {}
        }
        if !asks && !inbound.flow.connection.is_foreign_page() {
            // Who needs no digest to call needs none here. Where it called from a trunk's address, nothing shows where it is.
            if holder.source == 0 || self.is_on_host((agent, domain), holder, inbound.flow, io.unix_ms()) {
                return Ok(Sender::Claimed);
            }
            // As of everybody who is never asked.
            if inbound.method == Method::Bye {
                return Ok(Sender::Unknown);
            }
        }
        let credentials = agent.credentials.as_ref().and_then(|c| tables.credentials_by_ref(c.as_str()));
        let credentials = credentials.ok_or(Refused::Forbidden(Reason::DialogAccountWithoutCredentials))?;
        let mut decision = Decision::default();
        decision.realm.extend_from_slice(domain.domain_uri.as_bytes());
        decision.offer(&domain.algorithms);
        let demand =
            Demand { realm: &decision.realm, algorithms: &decision.algorithms, aor: b"", begins: false };
        let stale = match self.judge(io, inbound, Some(&**credentials), &demand) {
            Verdict::Accepted => {
                // When the request comes again, having waited for something, it is a repetition.
                shared.dialogs.proven(dialog.place, dialog.from, here);
                return Ok(Sender::Proven);
            }
            Verdict::Stale => true,
            Verdict::Missing | Verdict::Wrong | Verdict::Banned => false,
            Verdict::OtherTarget => return Err(Refused::Forbidden(Reason::DialogDigestUri)),
        };
        let proxy = shared.config.routing.proxy_challenge;
        self.challenge(io, inbound, &decision, (proxy, stale), Reason::DialogAuth);
        Err(Refused::Answered)
    }

    /// Has this agent registered by this flow, and is it shown that it did?
    pub(super) fn registered_at(
        &self,
        (agent, party): (&Agent, u32),
        domain: &Domain,
        flow: &Flow,
        now: u64,
    ) -> Option<bool> {
        let aor = [b"sip:", agent.username.as_bytes(), b"@", domain.domain_uri.as_bytes()].concat();
        // A peer may have a binding under the same address.
        let registrant = self.shared.secret.registrant(PartyKind::Agent, party);
        let mut found = None;
        self.shared.location.visit(&aor, now, |b| {
            let here = b.registrant == registrant
                && b.flow.transport == flow.transport
                && b.flow.remote == flow.remote
                && b.flow.connection == flow.connection;
            if here {
                found = Some(found == Some(true) || b.shown);
            }
        });
        found
    }

    /// May who calls say that its packets come from there? It may have registered there.
    pub(crate) fn is_caller_shown(
        &self,
        flow: &Flow,
        (caller, proven): (&PartyRef<'_>, bool),
        now: u64,
    ) -> bool {
        let party = self.shared.party(caller);
        let shown = self.shared.is_shown(&Egress::back(flow), (caller.kind, party), proven);
        if shown && !self.is_in_anothers_place(flow, (caller.kind, party), proven) {
            return true;
        }
        let tables = self.shared.tables.load();
        let reference = caller.reference.filter(|_| caller.kind == PartyKind::Agent);
        let agent = reference.and_then(|reference| tables.agent_by_ref(reference.as_str()));
        let domain = agent.and_then(|a| tables.domain_by_ref(a.domain.as_ref()?.as_str()));
        let both = agent.zip(domain);
        // Who has to prove no registration is registered nowhere: with two accounts a phone calls by either.
        both.is_some_and(|(agent, domain)| {
            shown && domain.authenticate == Authenticate::Never
                || self.registered_at((agent, party), domain, flow, now) == Some(true)
        })
    }

    /// Does an agent that has not shown who it is call by UDP from where another's phone is registered? Somebody may forge that.
    fn is_in_anothers_place(&self, flow: &Flow, (kind, party): (PartyKind, u32), proven: bool) -> bool {
        let registrant = || self.shared.secret.registrant(kind, party);
        kind == PartyKind::Agent
            && !proven
            && !flow.transport.is_reliable()
            && self.shared.location.is_anothers_flow(flow.remote, registrant())
    }

    /// Does a request by this flow come from where the mark's holder is? A peer, trunk or stranger is never asked who it is, so
    /// that whoever has seen its mark could have what is sent to it sent elsewhere.
    fn comes_from_holder(&self, flow: &Flow, holder: &Holder) -> bool {
        let ip = flow.remote.ip();
        self.shared.is_from(holder, flow)
            || holder.flow.is_some_and(|f| f.remote.ip() == ip)
            || self.shared.guard.is_address_of(holder.kind, holder.party, ip)
    }

    /// A BYE has no way to the other side, and nobody answers it: who hangs up has hung up, whether that side hears of it or
    /// not.
    pub(crate) fn note_unheard(&self, m: &Message<'_>, (dialog, inner): (&Dialog, &[Dialog]), now: u64) {
        let answered =
            Answered { method: Method::Bye, status: 408, cseq: m.cseq(), contact: None, expires: None };
        for dialog in std::iter::once(dialog).chain(inner) {
            let Dialog { place, from: side, .. } = *dialog;
            let ends = self.shared.dialogs.answered(place, side, &answered, now);
            self.shared.hung_up(m, (place.number, side), ends, now);
        }
    }

    /// What the request does to its dialog once it goes on.
    pub(crate) fn note_request(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
        sender: Sender,
    ) {
        let m = &inbound.message;
        let (shared, now) = (&self.shared, io.unix_ms());
        let all = || std::iter::once(dialog).chain(inner);
        let listens = shared.config.media_timeout_seconds > 0 && sender != Sender::Unknown;
        if let Some(relayed) = shared.media.as_ref().filter(|_| listens) {
            relayed.silence.heard(dialog.place.number, m, now);
        }
        if matches!(inbound.method, Method::Invite | Method::Update)
            && sender != Sender::Unknown
            && let Some(contact) = contact(m)
        {
            shared.calls.asks_to_move(dialog.place.number, dialog.from, (m.cseq(), contact));
        }
        if inbound.method == Method::Bye {
            for dialog in all() {
                let Dialog { place, from: side, .. } = *dialog;
                let ends = shared.dialogs.leaving(place, side, now);
                if ends == Ends::Nothing {
                    shared.calls.leaving(place.number, side, &calls::reason_lines(m));
                }
                shared.hung_up(m, (place.number, side), ends, now);
            }
        }
        // Target refresh requests, RFC 3261 §12.2, RFC 3311 §5.1, RFC 6665 §4.1.2.
        let refreshes = matches!(
            inbound.method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        let known = refreshes && sender != Sender::Unknown;
        let contact = if known { contact_of(m) } else { None };
        let moved = contact.map(|contact| {
            let Holder { kind, party, .. } = dialog.mark.holder;
            let proven = matches!(sender, Sender::Shown | Sender::Proven);
            let shown = shared.is_shown(&Egress::back(inbound.flow), (kind, party), proven);
            let flow = self.caller_flow(inbound, Some(&contact)).filter(|_| shown);
            shared.moved(&contact, inbound.flow.remote, (Some(flow), shown))
        });
        if moved.is_none() && !matches!(inbound.method, Method::Subscribe | Method::Notify) {
            return;
        }
        let expires = if inbound.method == Method::Notify { notified_for(m) } else { expires(m) };
        let (method, cseq, event) = (inbound.method, m.cseq(), event_of(m, inbound.method));
        let refresh = Refresh { method, cseq, event, expires, moved };
        shared.dialogs.refreshing(dialog.place, dialog.from, refresh, now);
        for dialog in inner {
            // There the side is reached as it was.
            let moved = moved.map(|moved| Moved { flow: None, ..moved });
            shared.dialogs.refreshing(dialog.place, dialog.from, Refresh { moved, ..refresh }, now);
        }
    }
}

/// An agent, peer or trunk; nobody knows one stranger from another.
fn named(kind: PartyKind, party: u32) -> Option<(PartyKind, u32)> {
    (kind != PartyKind::Stranger && party != 0).then_some((kind, party))
}

/// Is it an ACK that answers no offer?
fn says_nothing(inbound: &Inbound<'_>) -> bool {
    inbound.method == Method::Ack && inbound.message.body().is_empty()
}

/// Does the flow of the mark's holder lead there?
fn is_on(holder: &Holder, flow: &Flow) -> bool {
    holder.flow.is_some_and(|f| f.transport == flow.transport && f.remote == flow.remote)
}

/// How long a NOTIFY says that its subscription lives, in seconds, 0 for one that ends (RFC 6665 §4.1.3).
fn notified_for(m: &Message<'_>) -> Option<u32> {
    let value = m.other_header("Subscription-State")?;
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let (state, params) = value.split_at(end);
    if state.trim_ascii().eq_ignore_ascii_case(b"terminated") {
        return Some(0);
    }
    let expires = trunkline_sip::Params::new(params).get("expires").flatten()?;
    trunkline_sip::seconds(expires).filter(|seconds| *seconds > 0)
}

impl Edge {
    /// By whose word a request inside the dialog goes to its remote target.
    pub(crate) fn word_of(&self, way: &Way, target: &Uri<'_>) -> Word {
        let at = |port: u16| target.ip().map(|ip| SocketAddr::new(ip, port));
        let seen_at = match (&way.flow, way.seen) {
            (Some(flow), _) => Some(flow.remote),
            (None, Seen::AtTarget) => at(port_of(target)),
            (None, Seen::AtHost) => at(0),
            (None, Seen::OnLoopback) => Some((Ipv4Addr::LOCALHOST, 0).into()),
            (None, Seen::Elsewhere) => None,
        };
        Word { kind: way.kind, party: way.party, seen_at, source: way.source }
    }
}
