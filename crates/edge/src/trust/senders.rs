//! Who sent a request with the mark of a dialog. An agent is asked where it comes from elsewhere than before; nobody else can be.

use std::net::IpAddr;

use trunkline_calls::Standing;
use trunkline_model::{Agent, Authenticate, Domain, Tables};
use trunkline_proxy::{Holder, PartyKind, Side, Way};
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Verdict};
use trunkline_sip::{Flow, Method, canonical_ip};
use trunkline_transport::Egress;

use super::identity::Demand;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::party::PartyRef;
use crate::routes::Dialog;

/// Why a request inside a dialog goes no further.
pub(super) enum Refused {
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
    /// Who sent a request with this mark.
    pub(super) fn identify_sender(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        dialog: &Dialog,
        standing: &Standing,
    ) -> Result<Sender, Refused> {
        let (holder, now) = (&dialog.mark.holder, io.unix_ms());
        if self.own.is_some() {
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

    /// May an ACK or CANCEL of an agent's side go on, although nobody can be asked who sent it? From where the agent is, or from its
    /// host, if the other side is not there, too: a NAT gives it another port, and a large ACK comes over TCP (RFC 3261 §18.1.1).
    /// From elsewhere an ACK that says nothing. One with a body would answer an offer in the agent's place, and a CANCEL is its
    /// INVITE's sender's.
    fn may_be_unasked(&self, inbound: &Inbound<'_>, dialog: &Dialog, standing: &Standing, now: u64) -> bool {
        let (holder, shared) = (&dialog.mark.holder, &self.shared);
        if says_nothing(inbound) || is_on(holder, inbound.flow) {
            return true;
        }
        let here = shared.secret.source(inbound.flow.transport, inbound.flow.remote);
        if here == holder.source || here == standing.source {
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
            || self.has_registered_from((account, holder.party), (ip, Some(holder.source)), now)
    }

    /// Does a registration of this agent come from there? With a source, one that anybody could make counts only if that is its.
    pub(super) fn has_registered_from(
        &self,
        ((agent, domain), party): ((&Agent, &Domain), u32),
        (ip, source): (IpAddr, Option<u32>),
        now: u64,
    ) -> bool {
        let aor = [b"sip:", agent.username.as_bytes(), b"@", domain.domain_uri.as_bytes()].concat();
        let registrant = self.shared.secret.registrant(PartyKind::Agent, party);
        let mut found = false;
        self.shared.location.visit(&aor, now, |b| {
            let is_its = |source| self.shared.secret.source(b.flow.transport, b.flow.remote) == source;
            let counts = b.proven || source.is_none_or(is_its);
            found |= counts && b.registrant == registrant && canonical_ip(b.flow.remote.ip()) == ip;
        });
        found
    }

    /// Is the other side on this host?
    fn leads_to_host(&self, way: &Way, tables: &Tables, ip: IpAddr, now: u64) -> bool {
        match way.kind {
            PartyKind::Agent => {
                let account = self.shared.account(tables, way.party);
                account.is_some_and(|account| self.has_registered_from((account, way.party), (ip, None), now))
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

    /// Has this agent registered by this flow, with a digest, and is it shown that it did? What nobody had to prove anybody can do.
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
            let here = b.proven
                && b.registrant == registrant
                && b.flow.transport == flow.transport
                && b.flow.remote == flow.remote
                && b.flow.connection == flow.connection;
            if here {
                found = Some(found == Some(true) || b.shown);
            }
        });
        found
    }

    /// May who calls, under this short name, say that its packets come from there? It may have registered there.
    pub(crate) fn is_caller_shown(
        &self,
        flow: &Flow,
        (caller, party, proven): (&PartyRef<'_>, u32, bool),
        now: u64,
    ) -> bool {
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
}

/// Is it an ACK that answers no offer?
fn says_nothing(inbound: &Inbound<'_>) -> bool {
    inbound.method == Method::Ack && inbound.message.body().is_empty()
}

/// Does the flow of the mark's holder lead there?
fn is_on(holder: &Holder, flow: &Flow) -> bool {
    holder.flow.is_some_and(|f| f.transport == flow.transport && f.remote == flow.remote)
}
