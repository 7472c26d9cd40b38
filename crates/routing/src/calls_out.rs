//! What a caller shows before it calls out at the owner's cost.

use trunkline_model::{Authenticate, Trunk};
use trunkline_reasons::Reason;
use trunkline_sip::{Method, Transport};

use crate::ask::Ask;
use crate::call::Call;
use crate::explain::Fact;
use crate::filter::{has_commands, joins_a_call};
use crate::party::Party;
use crate::request::Challenge;
use crate::rules::{Rules, Stop};

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Lets a caller leave through this trunk that has shown who it is, or need not; others are challenged.
    pub(crate) fn show_before_leaving(
        &mut self,
        trunk: &'s Trunk,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let known = matches!(call.caller, Party::Agent(..) | Party::Peer(_));
        // Which domain a peer's calls are counted to depends on what it names: any of them may ask.
        let mut domains = [call.home, call.from_domain, call.target_domain].into_iter().flatten();
        let options = self.request.options;
        let asked = options.challenge != Challenge::Domain
            || domains.any(|domain| options.asks_who_calls_out(domain));
        // What follows an INVITE carries no digest: whose INVITE was let through has shown what was asked for.
        if !asked || !known || call.access.proven || self.follows() {
            return Ok(());
        }
        // A call on its way to somebody else cannot be challenged.
        if self.request.goes_on() {
            self.note(Fact::CallsOut(trunk));
            return Err(self.reply(Reason::AuthCallsOut));
        }
        // Anybody can write an address into a datagram; a connection is its owner's.
        if self.request.flow.transport != Transport::Udp
            && (call.access.listed || self.calls_by_its_connection(call)?)
        {
            self.note(Fact::KnownConnection);
            call.access.proven = true;
            return Ok(());
        }
        self.note(Fact::CallsOut(trunk));
        self.require_digest(call)?;
        self.refuse_even_if_proven(call)
    }

    /// A phone that follows a REFER calls with its own account, a NOTIFY may have it restart, and an INVITE with Replaces or Join
    /// takes part in its call: an agent that sends one shows who it is, whatever its domain asks of callers.
    pub(crate) fn show_to_command(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        let Some(refers) = self.has_to_show(call) else { return Ok(()) };
        if self.request.goes_on() {
            // What takes part in a call is left out of an INVITE, and this is then a call as any other.
            return if refers { Err(self.reply(Reason::TransferUnproven)) } else { Ok(()) };
        }
        if self.shows_by_connection(call)? {
            self.note(Fact::KnownConnection);
            return Ok(());
        }
        self.require_digest(call)?;
        self.refuse_even_if_proven(call)
    }

    /// Does an agent that has shown nothing send what only shown ones may? Is it a request that is nothing else?
    fn has_to_show(&self, call: &Call<'s, 'x>) -> Option<bool> {
        let Party::Agent(agent, _) = call.caller else { return None };
        if call.access.proven {
            return None;
        }
        let (message, options) = (&self.request.message, self.request.options);
        let is = |method: Method| message.method() == Some(method);
        let sends = is(Method::Refer) && !options.unproven_may_refer
            || is(Method::Notify) && !options.unproven_may_notify;
        // Who has no secret could never show who it is.
        let joins = || is(Method::Invite) && agent.credentials.is_some() && joins_a_call(message);
        (sends || joins()).then_some(sends)
    }

    /// Has the caller shown who it is, so that phones of its own domain may do as its headers say?
    pub(crate) fn may_command(&mut self, call: &Call<'s, 'x>) -> Result<bool, Stop> {
        let shown = match call.caller {
            Party::Agent(..) | Party::Peer(_) if call.crosses => return Ok(false),
            // What follows an INVITE carries no digest, and phones do nothing that it says.
            Party::Agent(..) => call.access.proven || self.follows(),
            Party::Peer(_) | Party::Pstn(..) | Party::Unknown => true,
        };
        Ok(shown || !has_commands(&self.request.message) || self.shows_by_connection(call)?)
    }

    /// Does it call over the connection that it registered by, and is it alone there?
    fn shows_by_connection(&mut self, call: &Call<'s, 'x>) -> Result<bool, Stop> {
        Ok(self.request.flow.transport != Transport::Udp
            && !self.request.is_of_foreign_page()
            && self.calls_by_its_connection(call)?)
    }

    /// Did the caller register over the connection that it calls by?
    fn calls_by_its_connection(&mut self, call: &Call<'s, 'x>) -> Result<bool, Stop> {
        match call.caller {
            // A registration that nobody had to prove shows nothing.
            Party::Agent(_, domain) if domain.authenticate == Authenticate::Never => return Ok(false),
            Party::Agent(agent, domain) => {
                self.decision.set_aor(agent.username.as_bytes(), &domain.domain_uri);
            }
            Party::Peer(peer) => match (&peer.aor, call.home.or(call.from_domain).or(call.target_domain)) {
                (Some(aor), _) => self.decision.take_aor(aor),
                (None, Some(at)) => self.decision.set_aor(peer.username.as_bytes(), &at.domain_uri),
                (None, None) => return Ok(false),
            },
            Party::Pstn(..) | Party::Unknown => return Ok(false),
        }
        let Some(registrant) = call.caller.registrant() else { return Ok(false) };
        let found = self.is_registered_by_connection(&self.decision.aor, registrant)?;
        // The AOR of the decision is the callee's again.
        let name = self.request.callee_name.as_deref().unwrap_or(&self.request.callee);
        match call.target_domain {
            Some(domain) => self.decision.set_aor(name, &domain.domain_uri),
            None => self.decision.aor.clear(),
        }
        Ok(found)
    }
}
