//! May they: lists of addresses, then a digest.

use trunkline_model::{Credentials, Domain};
use trunkline_reasons::Reason;

use crate::ask::{Ask, Verdict};
use crate::call::Call;
use crate::decision::Outcome;
use crate::explain::Fact;
use crate::party::Party;
use crate::rules::{Rules, Stop};
use crate::tenants::are_isolated;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Lists, digest, the caller's own rights, in this order.
    pub(crate) fn admit(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        if call.comes_back {
            self.note(Fact::AdmittedBefore);
            return Ok(());
        }
        if self.request.diversion.is_some_and(|d| !call.caller.is(d.caller)) {
            // What goes on is the call of who made it.
            self.note(Fact::CallerUnknown);
            return Err(self.reply(Reason::AuthOtherCaller));
        }
        if let Some(proven) = self.admitted_before(call) {
            self.note(Fact::AdmittedBefore);
            call.access.proven = proven;
            return self.refuse_even_if_proven(call);
        }
        if !self.pass_lists(call)? {
            // From elsewhere nobody learns that there is such a peer, but who knows its secret.
            let peer = call.access.credentials.map(|credentials| (credentials, call.caller));
            let other_name = call.access.other_name;
            call.treat_as_stranger();
            (call.access.off_list, call.access.other_name) = (peer, other_name);
            self.pass_lists(call)?;
        }
        if call.access.digest && !self.follows() {
            self.require_digest(call)?;
        } else {
            self.note(Fact::NotChallenged);
        }
        self.refuse_even_if_proven(call)
    }

    /// Was the caller admitted when the request was routed first? With it: had it shown who it is?
    fn admitted_before(&self, call: &Call<'s, 'x>) -> Option<bool> {
        let reference = call.caller.reference();
        let diverted = self.request.diversion.filter(|_| reference.is_some());
        let inside = self.request.inside.filter(|i| i.caller.is_some() && i.caller == reference);
        diverted.map(|d| d.proven).or(inside.map(|i| i.proven))
    }

    /// A list that is referred to but does not exist lets nobody pass. False: a list refuses the caller that holds for it alone,
    /// and not for everybody who writes the same host into From.
    fn pass_lists(&mut self, call: &mut Call<'s, 'x>) -> Result<bool, Stop> {
        for reference in call.access.acls.clone() {
            let reason = match self.acl(reference)? {
                Some(acl) if acl.allows(self.request.flow.remote.ip()) => {
                    self.note(Fact::AclAllows(acl));
                    call.access.proven |= call.access.by_list;
                    call.access.listed |= acl.names(self.request.flow.remote.ip());
                    continue;
                }
                Some(acl) => {
                    self.note(Fact::AclDenies(acl));
                    Reason::AclDenied
                }
                None => {
                    self.note(Fact::AclMissing);
                    Reason::AclMissing
                }
            };
            let of_from = || call.from_domain.and_then(|domain| domain.acl.as_ref()) == Some(reference);
            if call.access.own_list || matches!(call.caller, Party::Peer(_)) && !of_from() {
                return Ok(false);
            }
            return Err(self.refuse_source(reason));
        }
        Ok(true)
    }

    /// Challenges the caller unless its digest is right. Somebody without credentials is asked like anybody else, and is
    /// never right.
    pub(crate) fn require_digest(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        // Those of the domain that is the realm, whoever calls: other ones would tell who exists.
        let domain = call.from_domain.or(call.target_domain);
        self.decision.offer(domain.map_or(&Domain::DEFAULT_ALGORITHMS, |d| &d.algorithms));
        let (secret, owner) = match call.access.off_list {
            _ if call.access.third_party => (None, None),
            Some((reference, peer)) => (self.credentials(reference)?, peer.registrant()),
            None => (self.find_credentials(call)?, call.caller.registrant()),
        };
        let verdict = self.authenticate(secret, owner)?;
        let (stale, reason) = match verdict {
            Verdict::Accepted if secret.is_some() && call.access.off_list.is_some() => {
                self.note(Fact::OffList);
                return Err(self.reply(Reason::AclPeer));
            }
            Verdict::Accepted if secret.is_some() => {
                self.note(Fact::Authenticated);
                call.access.proven = true;
                return Ok(());
            }
            Verdict::Missing => {
                self.note(Fact::ChallengeDue);
                (false, Reason::AuthRequired)
            }
            Verdict::Stale => {
                self.note(Fact::StaleNonce);
                (true, Reason::AuthStale)
            }
            Verdict::Accepted | Verdict::Wrong | Verdict::Banned => {
                if call.access.third_party {
                    self.note(Fact::ThirdParty);
                    return Err(self.reply(Reason::RegisterThirdParty));
                }
                self.note(if verdict == Verdict::Banned { Fact::Banned } else { Fact::WrongDigest });
                if call.access.other_name {
                    return Err(self.reply(Reason::AuthOtherName));
                }
                if secret.is_none() && self.request.options.reveal_unknown_users {
                    return Err(self.reply(Reason::AuthUnknownUserRevealed));
                }
                let reason = match (verdict, secret) {
                    (Verdict::Banned, _) => Reason::AuthBanned,
                    (_, None) => Reason::AuthUnknownUser,
                    (_, Some(_)) => Reason::AuthWrongPassword,
                };
                (false, reason)
            }
            Verdict::OtherTarget => {
                self.note(Fact::OtherTarget);
                return Err(self.reply(Reason::AuthDigestUri));
            }
        };
        let proxy = !self.request.registers() && self.request.options.proxy_challenge;
        Err(self.end(Outcome::Challenge { proxy, stale, reason }))
    }

    fn find_credentials(&mut self, call: &Call<'s, 'x>) -> Result<Option<&'s Credentials>, Stop> {
        let found = match (call.access.credentials, call.caller) {
            (Some(reference), _) => self.credentials(reference)?,
            (None, Party::Unknown) => return Ok(None),
            (None, Party::Agent(..) | Party::Peer(_) | Party::Pstn(..)) => None,
        };
        if found.is_none() {
            self.note(Fact::NoCredentials);
        }
        Ok(found)
    }

    /// Refuses somebody who has passed everything and still may not. A stranger is not to learn any of these.
    pub(crate) fn refuse_even_if_proven(&mut self, call: &Call<'s, 'x>) -> Result<(), Stop> {
        let (fact, reason) = match (call.caller, call.home, call.target_domain) {
            _ if call.access.disabled => (Fact::CallerDisabled, Reason::CallerDisabled),
            _ if call.access.third_party => (Fact::ThirdParty, Reason::RegisterThirdPartyProven),
            (Party::Pstn(trunk, Some(number)), _, _) if number.trunk.as_ref() != Some(&trunk.reference) => {
                (Fact::NumberOfOtherTrunk(number), Reason::NumberOtherTrunk)
            }
            // A call that goes on asks again for whom it goes on to.
            (_, Some(home), Some(target)) if !self.request.goes_on() && are_isolated(home, target) => {
                (Fact::Isolated(target), Reason::DomainIsolated)
            }
            (_, _, _) => return Ok(()),
        };
        self.note(fact);
        Err(self.reply(reason))
    }
}
