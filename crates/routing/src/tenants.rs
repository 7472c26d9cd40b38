//! Whose a party is, and what it must show to reach what is another's.
//!
//! A party's home is the domain whose rules hold for it and by whose policies it leaves: an agent's domain, that of a
//! peer's AOR. The hosts in From and Request-URI are the caller's own words and decide neither. A peer without a home
//! (no AOR, a `backend:` one, one at a host that is no domain) serves all domains.

use trunkline_model::{Domain, InterDomain, Peer};
use trunkline_reasons::Reason;
use trunkline_sip::{Method, Uri};

use crate::ask::Ask;
use crate::call::{Call, Callee};
use crate::explain::Fact;
use crate::party::Party;
use crate::request::Options;
use crate::rules::{Rules, Stop};

/// The host a peer has its AOR at.
pub fn home_of(peer: &Peer) -> Option<&[u8]> {
    let host = Uri::parse(peer.aor.as_deref()?.as_bytes()).ok()?.host;
    Some(host).filter(|host| !host.is_empty())
}

/// Are these two domains that keep apart?
pub(crate) fn are_isolated(one: &Domain, other: &Domain) -> bool {
    let isolated = |d: &Domain| d.inter_domain == InterDomain::Isolated;
    one.reference != other.reference && (isolated(one) || isolated(other))
}

impl<'s> Call<'s, '_> {
    /// Does the called domain want callers of others to show who they are? Asked before the callee is looked for, so
    /// that nobody learns who is there.
    pub(crate) fn must_show(&self) -> bool {
        let other =
            self.target_domain.filter(|d| self.home.is_some_and(|home| home.reference != d.reference));
        other.is_some_and(|d| d.inter_domain == InterDomain::Authenticated)
    }

    /// The domains whose isolation counts: the caller's, and that of whom the call went past last.
    fn sides(&self) -> impl Iterator<Item = &'s Domain> {
        let diverter = self.diverted.last().map(|(_, domain)| *domain).or(self.sent_on_by);
        [self.home, diverter].into_iter().flatten()
    }

    /// Is what has its AOR at this host another's?
    pub(crate) fn may_cross(&self, host: &[u8]) -> bool {
        self.sides().any(|d| !host.eq_ignore_ascii_case(d.domain_uri.as_bytes()))
    }

    /// The domain by whose policies a peer leaves that names no number, as in Routr v1: its own. A home that has none, as
    /// a server's host in Routr v1, takes those of a called domain that is open to others.
    pub(crate) fn policies_for_peers(&self, options: &Options) -> Option<&'s Domain> {
        if !options.peers_use_policies {
            return None;
        }
        let (Some(home), Some(target)) = (self.home, self.target_domain) else {
            return self.home.or(self.target_domain);
        };
        let lends = target.inter_domain == InterDomain::Open && !are_isolated(home, target);
        Some(if home.egress_policies.is_empty() && lends { target } else { home })
    }
}

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// May the caller reach what lies in this domain? It shows who it is first, where the domain wants that. False: there
    /// is nothing for it to reach.
    pub(crate) fn may_reach(&mut self, to: &'s Domain, call: &mut Call<'s, 'x>) -> Result<bool, Stop> {
        if call.sides().any(|side| are_isolated(side, to)) {
            self.note(Fact::Isolated(to));
            return Ok(false);
        }
        // Where a phone sends on who has no home, that reaches no more than the phone's own domain does.
        let by_phone = self.request.goes_on_by_phone() && call.diverted.is_empty();
        let home = call.home.or(call.sent_on_by.filter(|_| by_phone));
        if home.is_none_or(|home| home.reference == to.reference) {
            return Ok(true);
        }
        if to.inter_domain == InterDomain::Open {
            return Ok(true);
        }
        call.crosses = true;
        // What follows an INVITE carries no digest: whose INVITE was let through has shown what was asked for.
        if call.access.proven || self.follows() {
            return self.refuse_beyond_calls();
        }
        self.note(Fact::CallsAnotherDomain(to));
        // A call on its way to somebody else cannot be challenged.
        if self.request.goes_on() {
            call.callee = Party::Unknown;
            return Err(self.reply(Reason::AuthCrossDomain));
        }
        self.require_digest(call)?;
        self.refuse_even_if_proven(call)?;
        self.refuse_beyond_calls()
    }

    /// Phones do as other requests say: call on their own account, restart, tell who talks to whom.
    fn refuse_beyond_calls(&mut self) -> Result<bool, Stop> {
        let asks_for_little = matches!(
            self.request.message.method(),
            Some(Method::Invite | Method::Ack | Method::Cancel | Method::Message | Method::Options)
        );
        if asks_for_little { Ok(true) } else { Err(self.reply(Reason::DomainCallsOnly)) }
    }

    /// What lies in an isolated domain does not exist for the caller, but what it called may outside: a number is called
    /// as anybody would call it. Whom others divert their calls to is just not there.
    pub(crate) fn go_round(&mut self, call: &mut Call<'s, 'x>) -> Result<Callee<'s, 'x>, Stop> {
        call.callee = Party::Unknown;
        if self.request.goes_on() || !call.diverted.is_empty() {
            return Err(self.reply(Reason::DomainIsolatedDiversion));
        }
        call.number = None;
        call.link = None;
        self.decision.aor.clear();
        Ok(Callee::Outside)
    }
}
