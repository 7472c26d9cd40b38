//! What time does, and the end of a connection.

use trunkline_sip::{Method, Transport};
use trunkline_transaction::timers::{Now, T1_64, T2};
use trunkline_transaction::{Actions, Class};

use super::branch::{Cancel, Limit, Target, Why};
use super::ends::Client;
use super::{Output, ProxyTransaction, Trying, Work};

/// A large request that went over TCP goes over UDP after so many milliseconds without a word.
const GROWN_MS: u32 = 2_000;
/// A branch that nobody takes has so many milliseconds to end after its CANCEL.
const END_MS: u64 = T2;

impl<H> ProxyTransaction<H> {
    /// When it wants [`super::Input::Timer`] next.
    pub fn deadline(&self) -> Option<Now> {
        let branches = self.branches.iter().filter_map(|branch| branch.deadline()).min();
        let trying = match self.trying {
            Trying::At(at) if self.server.is_proceeding() => Some(at),
            Trying::Unset | Trying::At(_) | Trying::Sent => None,
        };
        [self.server.deadline(), branches, trying].into_iter().flatten().min()
    }

    /// There is nothing more to wait for.
    pub fn is_over(&self) -> bool {
        self.server.is_terminated() && self.branches.iter().all(|branch| branch.is_over())
    }

    /// What limits the wait for a target that the request is sent to now.
    pub(super) fn first_limit(&self, target: &Target<H>, now: Now) -> Limit {
        let further_flow = || self.aside.flows().iter().any(|flow| flow.target.phone == target.phone);
        let elsewhere = target.has_addresses || further_flow();
        let silence = target.silence.or(elsewhere.then_some(target.patience));
        // A firewall that swallows what opens a connection must not cost the call.
        let silence = if target.grown { Some(silence.unwrap_or(GROWN_MS).min(GROWN_MS)) } else { silence };
        self.limit(silence, target.carrier, now)
    }

    fn limit(&self, silence: Option<u32>, carrier: bool, now: Now) -> Limit {
        match (silence, self.method) {
            (Some(ms), _) => Limit::Silence(now + u64::from(ms)),
            (None, Method::Invite) => Limit::Answer(now + self.ringing.of(carrier)),
            (None, _) => Limit::None,
        }
    }

    pub(super) fn on_timer(&mut self, now: Now, work: &mut Work) {
        if self.server.on_timer(now).has(Actions::RESEND) {
            work.put(Output::Reply);
        }
        if let Trying::At(at) = self.trying
            && now >= at
        {
            self.trying = Trying::Sent;
            if self.server.is_proceeding() {
                self.server.on_respond(Class::Provisional, now);
                work.put(Output::Reply);
            }
        }
        // Those that begin now have just been sent.
        for branch in self.numbers() {
            self.on_branch_timer(branch, now, work);
        }
    }

    fn on_branch_timer(&mut self, branch: u8, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        let actions = b.client.on_timer(now);
        let again = match &mut b.cancel {
            Cancel::Sent(cancel, _) => cancel.on_timer(now).has(Actions::RESEND),
            Cancel::No | Cancel::Wanted(_) => false,
        };
        let (limit, grown) = (b.limit(), b.target.grown);
        if actions.has(Actions::RESEND) {
            work.put(Output::Repeat(branch));
        }
        if again {
            self.put_cancel(branch, work);
        }
        if actions.has(Actions::TIMEOUT) {
            work.put(Output::TimedOut);
            return self.fail(branch, 408, now, work);
        }
        match limit {
            Limit::Silence(at) if now >= at && grown => self.fall_back(branch, now, work),
            Limit::Silence(at) if now >= at => {
                // The next way is tried; should this one wake up after all, it is cancelled.
                if let Some(b) = self.branches.get_mut(usize::from(branch)) {
                    b.cancel = Cancel::Wanted(Why::Unanswered);
                }
                self.fail(branch, 408, now, work);
            }
            Limit::Answer(at) if now >= at => self.on_no_answer(branch, now, work),
            Limit::Silence(_) | Limit::Answer(_) | Limit::None => {}
        }
    }

    /// Timer C, or the callee's own time: cancel, and if that was done already, give up (RFC 3261 §16.8). Somebody may take the
    /// call at the last moment, so that the caller's answer waits for the branch's own end, but no longer than [`END_MS`].
    fn on_no_answer(&mut self, branch: u8, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        match b.cancel {
            Cancel::Sent(..) if b.code != 0 => b.client.terminate(),
            Cancel::Sent(..) => b.limit = Limit::Answer(now + T1_64),
            Cancel::No | Cancel::Wanted(_) => {
                b.limit = Limit::None;
                self.cancel_branch(branch, Why::Unanswered, now, work);
                if let Some(b) = self.branches.get_mut(usize::from(branch))
                    && let Cancel::Sent(..) = b.cancel
                {
                    b.limit = Limit::Answer(now + END_MS);
                    return;
                }
            }
        }
        self.count_unanswered(branch, now, work);
    }

    pub(super) fn on_lost(&mut self, branch: u8, refused: bool, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|b| b.code == 0) else { return };
        // Of whom something was heard, that one listens: it is no firewall.
        if b.target.grown && refused && b.client.is_calling() {
            return self.fall_back(branch, now, work);
        }
        b.client.terminate();
        self.fail(branch, 503, now, work);
    }

    /// Nobody takes a large request over TCP there: as the RFC says, UDP then (§18.1.1). Our Via is the first. It stays one
    /// transaction: should it have arrived after all, this is a repetition.
    fn fall_back(&mut self, branch: u8, now: Now, work: &mut Work) {
        let method = self.method;
        let Some(target) = self.branches.get(usize::from(branch)).map(|b| &b.target) else { return };
        let limit = self.limit(target.silence, target.carrier, now);
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        (b.target.grown, b.target.reliable) = (false, false);
        b.client = Client::new(method, false, now);
        b.limit = limit;
        if let Some(at) = memchr::memmem::find(&b.sent, b"Via: SIP/2.0/TCP ")
            && let Some(name) = b.sent.get_mut(at + 13..at + 16)
        {
            name.copy_from_slice(Transport::Udp.via_name().as_bytes());
        }
        work.put(Output::FallBack(branch));
    }
}
