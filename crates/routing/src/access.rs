//! May they: lists of addresses, then a digest.

use trunkline_model::{AccessControlList, Credentials, Domain};
use trunkline_sip::Method;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step, Verdict};
use crate::party::Party;
use crate::plan::{Outcome, Plan};
use crate::request::Request;
use crate::route::{Route, State};

impl<'s> Route<'s> {
    /// Asks for the next thing the caller has to pass.
    pub(crate) fn ask_access<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        if request.diversion.is_some() && !matches!(self.caller, Party::Unknown) {
            self.note(Fact::AdmittedBefore);
            return self.admitted(request, plan);
        }
        if let Some(&acl) = self.access.acls.get(self.access.passed) {
            return self.need(State::Acl, Lookup::Acl(acl));
        }
        if !self.access.digest {
            self.note(Fact::NotChallenged);
            return self.admitted(request, plan);
        }
        match (self.access.credentials, self.caller) {
            (Some(credentials), _) => self.need(State::Credentials, Lookup::Credentials(credentials)),
            (None, Party::Unknown) => self.ask_verdict(),
            (None, _) => {
                self.note(Fact::NoCredentials);
                self.reply(plan, 403)
            }
        }
    }

    /// A list that is referred to but does not exist lets nobody pass.
    pub(crate) fn acl<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        acl: Option<&'s AccessControlList>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        match acl {
            Some(acl) if acl.allows(request.flow.remote.ip()) => {
                self.note(Fact::AclAllows(acl));
                self.access.passed += 1;
                self.ask_access(request, plan)
            }
            Some(acl) => {
                self.note(Fact::AclDenies(acl));
                self.reply(plan, 403)
            }
            None => {
                self.note(Fact::AclMissing);
                self.reply(plan, 403)
            }
        }
    }

    pub(crate) fn credentials<'x>(
        &mut self,
        plan: &mut Plan,
        credentials: Option<&'s Credentials>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        if credentials.is_none() {
            self.note(Fact::NoCredentials);
            return self.reply(plan, 403);
        }
        self.access.secret = credentials;
        self.ask_verdict()
    }

    fn ask_verdict<'x>(&mut self) -> Step<'x>
    where
        's: 'x,
    {
        let credentials = self.access.secret;
        self.need(State::Verdict, Lookup::Authenticate { credentials })
    }

    pub(crate) fn verdict<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        verdict: Verdict,
    ) -> Step<'x>
    where
        's: 'x,
    {
        let known = self.access.secret.is_some();
        let stale = match verdict {
            Verdict::Accepted if known => {
                self.note(Fact::Authenticated);
                return self.admitted(request, plan);
            }
            Verdict::Missing => {
                self.note(Fact::ChallengeDue);
                false
            }
            Verdict::Stale => {
                self.note(Fact::StaleNonce);
                true
            }
            Verdict::Accepted | Verdict::Wrong => {
                self.note(Fact::WrongDigest);
                if !known && request.options.reveal_unknown_users {
                    return self.reply(plan, 403);
                }
                false
            }
            Verdict::Throttled(seconds) => {
                self.note(Fact::Throttled);
                let outcome = Outcome::Reply { code: 503, reason: None, retry_after: Some(seconds) };
                return self.end(plan, outcome);
            }
        };
        let domain = self.caller_domain.or(self.target_domain);
        let default = &Domain::DEFAULT_ALGORITHMS[..];
        for &algorithm in domain.map_or(default, |d| &d.algorithms) {
            if !plan.algorithms.contains(&algorithm) {
                let _ = plan.algorithms.try_push(algorithm);
            }
        }
        let registers = request.message.method() == Some(Method::Register);
        let proxy = !registers && request.options.proxy_challenge;
        self.end(plan, Outcome::Challenge { proxy, stale })
    }
}
