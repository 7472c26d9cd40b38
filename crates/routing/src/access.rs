//! May they: lists of addresses, then a digest.

use trunkline_model::{AccessControlList, Credentials, Domain};
use trunkline_sip::Method;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step, Verdict};
use crate::party::Party;
use crate::plan::Outcome;
use crate::route::State;
use crate::turn::Turn;

/// The phrase of the 403 to a digest that was made for another Request-URI.
pub const OTHER_TARGET: &str = "Digest URI Differs From Request-URI";

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// Asks for the next thing the caller has to pass.
    pub(crate) fn ask_access(&mut self) -> Step<'x> {
        if let Some(proven) = self.admitted_before() {
            self.note(Fact::AdmittedBefore);
            self.access.proven = proven;
            return self.admitted();
        }
        if let Some(&acl) = self.access.acls.get(self.access.passed) {
            return self.need(State::Acl, Lookup::Acl(acl));
        }
        if !self.access.digest || self.follows() {
            self.note(Fact::NotChallenged);
            return self.admitted();
        }
        self.ask_digest()
    }

    /// Was the caller admitted when the request was routed first? With it: had it shown who it is?
    fn admitted_before(&self) -> Option<bool> {
        let reference = self.caller.reference();
        let diverted =
            self.request.diversion.filter(|_| !matches!(self.caller, Party::Unknown)).map(|d| d.proven);
        let inside =
            self.request.inside.filter(|i| i.caller.is_some() && i.caller == reference).map(|i| i.proven);
        diverted.or(inside)
    }

    /// Is it a request that cannot be challenged (RFC 3261 §22.1), since it is about an INVITE that was?
    pub(crate) fn follows(&self) -> bool {
        matches!(self.request.message.method(), Some(Method::Ack | Method::Cancel))
    }

    /// Asks for a digest. Somebody without credentials is asked like anybody else, and never right.
    pub(crate) fn ask_digest(&mut self) -> Step<'x> {
        match (self.access.credentials, self.caller) {
            (Some(credentials), _) => self.need(State::Credentials, Lookup::Credentials(credentials)),
            (None, Party::Unknown) => self.ask_verdict(),
            (None, Party::Agent(..) | Party::Peer(_) | Party::Pstn(..) | Party::Sibling) => {
                self.note(Fact::NoCredentials);
                self.ask_verdict()
            }
        }
    }

    /// A list that is referred to but does not exist lets nobody pass.
    pub(crate) fn acl(&mut self, acl: Option<&'s AccessControlList>) -> Step<'x> {
        match acl {
            Some(acl) if acl.allows(self.request.flow.remote.ip()) => {
                self.note(Fact::AclAllows(acl));
                self.access.proven |= self.access.own_list && self.access.passed == 0;
                self.access.passed += 1;
                return self.ask_access();
            }
            Some(acl) => self.note(Fact::AclDenies(acl)),
            None => self.note(Fact::AclMissing),
        }
        // From elsewhere nobody learns that there is such a peer.
        if self.access.own_list { self.treat_as_stranger() } else { self.reply(403) }
    }

    pub(crate) fn credentials(&mut self, credentials: Option<&'s Credentials>) -> Step<'x> {
        if credentials.is_none() {
            self.note(Fact::NoCredentials);
        }
        self.access.secret = credentials;
        self.ask_verdict()
    }

    fn ask_verdict(&mut self) -> Step<'x> {
        // Those of the domain that is the realm, whoever calls: other ones would tell who exists.
        let domain = self.caller_domain.or(self.target_domain);
        let default = &Domain::DEFAULT_ALGORITHMS[..];
        self.plan.offer(domain.map_or(default, |d| &d.algorithms));
        let credentials = self.access.secret;
        self.need(State::Verdict, Lookup::Authenticate { credentials })
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict) -> Step<'x> {
        let known = self.access.secret.is_some();
        let stale = match verdict {
            Verdict::Accepted if known => {
                self.note(Fact::Authenticated);
                self.access.proven = true;
                return self.admitted();
            }
            Verdict::Missing => {
                self.note(Fact::ChallengeDue);
                false
            }
            Verdict::Stale => {
                self.note(Fact::StaleNonce);
                true
            }
            Verdict::Accepted | Verdict::Wrong | Verdict::Banned => {
                self.note(if verdict == Verdict::Banned { Fact::Banned } else { Fact::WrongDigest });
                if !known && self.request.options.reveal_unknown_users {
                    return self.reply(403);
                }
                false
            }
            Verdict::OtherTarget => {
                self.note(Fact::OtherTarget);
                let reason = Some(OTHER_TARGET);
                return self.end(Outcome::Reply { code: 403, reason, retry_after: None });
            }
        };
        let proxy = !self.request.registers() && self.request.options.proxy_challenge;
        self.end(Outcome::Challenge { proxy, stale })
    }
}
