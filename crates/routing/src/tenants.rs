//! Whose a party is, and what it must show to reach what is another's.
//!
//! A party's home is the domain whose rules hold for it and by whose policies it leaves: an agent's domain, that of a
//! peer's AOR. The hosts in From and Request-URI are the caller's own words and decide neither. A peer without a home
//! (no AOR, a `backend:` one, one at a host that is no domain) serves all domains, and always shows who it is.

use trunkline_model::{Authenticate, Domain, InterDomain, Peer};
use trunkline_sip::Uri;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::route::{Held, State};
use crate::turn::Turn;

/// The host a peer has its AOR at.
pub(crate) fn home_of(peer: &Peer) -> Option<&[u8]> {
    let host = Uri::parse(peer.aor.as_deref()?.as_bytes()).ok()?.host;
    Some(host).filter(|host| !host.is_empty())
}

/// Is this the peer's home?
pub(crate) fn is_at_home(peer: &Peer, domain: &Domain) -> bool {
    home_of(peer).is_some_and(|host| host.eq_ignore_ascii_case(domain.domain_uri.as_bytes()))
}

/// Are these two domains that keep apart?
pub(crate) fn are_isolated(one: &Domain, other: &Domain) -> bool {
    let isolated = |d: &Domain| d.inter_domain == InterDomain::Isolated;
    one.reference != other.reference && (isolated(one) || isolated(other))
}

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// An agent, whose domain is known: the lists, then a digest where one is due.
    pub(crate) fn admit_agent(&mut self, domain: &'s Domain) -> Step<'x> {
        self.access.digest =
            domain.authenticate == Authenticate::All || self.access.disabled || self.must_show();
        self.ask_access()
    }

    /// Does the called domain want callers of others to show who they are? Asked before the callee is looked for, so
    /// that nobody learns who is there.
    fn must_show(&self) -> bool {
        let other =
            self.target_domain.filter(|d| self.home.is_some_and(|home| home.reference != d.reference));
        other.is_some_and(|d| d.inter_domain == InterDomain::Authenticated)
    }

    /// The home of the calling peer.
    pub(crate) fn caller_home(&mut self, home: Option<&'s Domain>) -> Step<'x> {
        let Party::Peer(peer) = self.caller else { return self.reply(500) };
        self.home = home;
        // A peer's own list goes before that of a domain.
        let acl = peer.acl.as_ref().or(home.or(self.caller_domain).and_then(|d| d.acl.as_ref()));
        self.access.own_list = peer.acl.is_some();
        self.access.acls.extend(acl);
        let shown = self.access.own_list;
        let rules = home.or(self.caller_domain).or(self.target_domain);
        let all = rules.is_none_or(|d| d.authenticate == Authenticate::All);
        self.access.digest = all || self.access.disabled || !shown && (home.is_none() || self.must_show());
        let (false, true, None, Some(at)) = (all, self.access.digest, home, rules) else {
            return self.ask_access();
        };
        match &peer.aor {
            Some(aor) => {
                self.plan.aor.clear();
                self.plan.aor.extend_from_slice(aor.as_bytes());
            }
            None => self.plan.set_aor(peer.username.as_bytes(), &at.domain_uri),
        }
        self.need(State::CallerConnection, Lookup::Connection)
    }

    /// A peer without a home that calls over the connection it registered by has shown who it is there.
    pub(crate) fn caller_connection(&mut self, found: bool) -> Step<'x> {
        if found {
            self.note(Fact::KnownConnection);
            self.access.proven = true;
            self.access.digest = self.access.disabled;
        }
        self.ask_access()
    }

    /// May the caller reach what lies in this domain? `None`: yes. Otherwise what happens instead: it shows who it is
    /// first, and `held` waits; or there is nothing for it to reach.
    pub(crate) fn cross(&mut self, to: &'s Domain, held: Held<'s>) -> Option<Step<'x>> {
        let home = self.home.filter(|home| home.reference != to.reference)?;
        if are_isolated(home, to) {
            self.note(Fact::Isolated(to));
            return Some(self.go_round());
        }
        if to.inter_domain == InterDomain::Open || self.access.proven {
            return None;
        }
        self.note(Fact::CallsAnotherDomain(to));
        // None of these can be challenged: a call on its way to somebody else, and what follows an INVITE.
        if self.request.diversion.is_some() || self.request.inside.is_some() || self.follows() {
            self.callee = Party::Unknown;
            return Some(self.reply(if self.follows() { 403 } else { 480 }));
        }
        self.held = Some(held);
        Some(self.ask_digest())
    }

    /// What lies in an isolated domain does not exist for the caller, but what it called may outside: a number is called
    /// as anybody would call it. Whom others divert their calls to is just not there.
    fn go_round(&mut self) -> Step<'x> {
        self.callee = Party::Unknown;
        if self.request.diversion.is_some() || !self.diverted.is_empty() {
            return self.reply(480);
        }
        self.number = Some(None);
        self.link = None;
        self.plan.aor.clear();
        self.ask_egress()
    }

    /// The domain by whose policies a peer leaves that names no number, as in Routr v1: its own. A home that has none, as
    /// a server's host in Routr v1, takes those of a called domain that is open to others.
    pub(crate) fn policies_for_peers(&self) -> Option<&'s Domain> {
        if !self.request.options.peers_use_policies {
            return None;
        }
        let (Some(home), Some(target)) = (self.home, self.target_domain) else {
            return self.home.or(self.target_domain);
        };
        let lends = target.inter_domain == InterDomain::Open && !are_isolated(home, target);
        Some(if home.egress_policies.is_empty() && lends { target } else { home })
    }
}
