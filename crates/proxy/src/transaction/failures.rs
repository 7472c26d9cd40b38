//! Where a request goes when a way has failed, and what the caller is told in the end.

use trunkline_sip::Method;
use trunkline_transaction::timers::Now;

use super::branch::{Branch, Cancel, Waiting, Why};
use super::{Answer, Asked, Failure, Heard, Output, ProxyTransaction, Question, Work};
use crate::response_context::After;

impl<H> ProxyTransaction<H> {
    /// May a branch that has failed be replaced by another way to the same target?
    pub fn may_go_elsewhere(&self, branch: u8) -> bool {
        let undecided = self.branches.get(usize::from(branch)).is_some_and(|b| b.code == 0);
        undecided && !self.cancelled && self.responses.is_open() && self.server.is_proceeding()
    }

    /// A branch ended without a response: 408 for silence, 503 for a transport failure (RFC 3261 §16.9).
    pub(super) fn fail(&mut self, branch: u8, code: u16, now: Now, work: &mut Work) {
        match self.may_go_elsewhere(branch) {
            true => work.put(Output::Ask(Asked { branch, code, what: Question::Address(Failure::Silent) })),
            false => self.count_silence(branch, code, now, work),
        }
    }

    pub(super) fn on_answer(
        &mut self,
        asked: Asked,
        answer: Answer<H>,
        heard: Option<Heard<'_>>,
        now: Now,
        work: &mut Work,
    ) {
        let Asked { branch, code, what } = asked;
        match (what, answer) {
            (Question::Redirection, Answer::Started) => {
                self.keep_ack(branch, work);
                self.responses.replaced();
                if let Some(b) = self.branches.get_mut(usize::from(branch)) {
                    b.code = code;
                }
            }
            (_, Answer::Started) => {}
            (Question::Credentials, Answer::Instead(request, target)) => {
                self.keep_ack(branch, work);
                self.responses.replaced();
                if let Some(b) = self.branches.get_mut(usize::from(branch)) {
                    // It has had its answer.
                    (b.code, b.target.has_credentials) = (code, false);
                }
                self.start(request, target, now, work);
            }
            (_, Answer::Instead(request, target)) => {
                self.keep_ack(branch, work);
                self.give_up(branch, code);
                self.start(request, target, now, work);
            }
            (Question::Diversion, Answer::Nothing) => self.answer_undiverted(now, work),
            (Question::Credentials | Question::Redirection, Answer::Nothing) => {
                if let Some(heard) = heard {
                    self.count_final(heard, code, now, work);
                }
            }
            (Question::Address(Failure::Answered(_)), Answer::Nothing) => {
                if let Some(heard) = heard {
                    self.count_final(heard, code, now, work);
                }
            }
            // Nothing shows that it failed.
            (Question::Address(Failure::Doubtful), Answer::Nothing) => {
                self.try_flow(branch, code, now, work);
            }
            (Question::Address(Failure::Unreachable), Answer::Nothing) => {
                if !self.try_flow(branch, code, now, work) {
                    self.count_failure(branch, code, now, work);
                }
            }
            (Question::Address(Failure::Silent), Answer::Nothing) => {
                if !self.try_flow(branch, code, now, work) {
                    self.count_silence(branch, code, now, work);
                }
            }
        }
    }

    /// The request goes down the next flow of the phone (RFC 5626 §5.3), if there is one.
    pub(super) fn try_flow(&mut self, branch: u8, code: u16, now: Now, work: &mut Work) -> bool {
        let phone = self.branches.get(usize::from(branch)).map_or(0, |b| b.target.phone);
        if phone == 0 || !self.may_go_elsewhere(branch) || !self.has_room(1) {
            return false;
        }
        let Some(place) = self.aside.flows().iter().rposition(|f| f.target.phone == phone) else {
            return false;
        };
        let next = self.aside.lists().flows.remove(place);
        self.keep_ack(branch, work);
        self.give_up(branch, code);
        self.start_waiting(next, now, work);
        true
    }

    /// Another branch takes this one's place. Should it wake up after all, it is cancelled.
    fn give_up(&mut self, branch: u8, code: u16) {
        self.responses.replaced();
        let invite = self.method == Method::Invite;
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        b.code = code;
        if invite {
            b.cancel = Cancel::Wanted(Why::Unanswered);
        } else {
            // Its repetitions would only have it done twice.
            b.client.terminate();
        }
    }

    fn count_silence(&mut self, branch: u8, code: u16, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|b| b.code == 0) else { return };
        b.code = code;
        if b.target.trunk {
            work.put(Output::Silent(branch));
        }
        let after = self.responses.on_final(branch, code);
        self.go_on(after, code, now, work);
    }

    /// The network says that a branch's request did not arrive, while nothing else was heard of it.
    pub(super) fn on_unreachable(&mut self, branch: u8, now: Now, work: &mut Work) {
        let calling = |b: &&mut Branch<H>| b.code == 0 && b.client.is_calling();
        let Some(b) = self.branches.get_mut(usize::from(branch)).filter(calling) else { return };
        b.client.terminate();
        let code = if b.target.carrier { 503 } else { callee_unreachable(false) };
        match self.may_go_elsewhere(branch) {
            true => {
                let what = Question::Address(Failure::Unreachable);
                work.put(Output::Ask(Asked { branch, code, what }));
            }
            false => self.count_failure(branch, code, now, work),
        }
    }

    /// Nothing was heard of a branch, and somebody who cannot know it says that its address is not reached: the next address or flow is
    /// tried now, where there is one.
    pub(super) fn on_doubt(&mut self, branch: u8, work: &mut Work) {
        let calling = |b: &&Branch<H>| b.code == 0 && b.client.is_calling();
        let Some(b) = self.branches.get(usize::from(branch)).filter(calling) else { return };
        let phone = b.target.phone;
        let has_flow = || phone != 0 && self.aside.flows().iter().any(|f| f.target.phone == phone);
        if (b.target.has_addresses || has_flow()) && self.may_go_elsewhere(branch) {
            let what = Question::Address(Failure::Doubtful);
            work.put(Output::Ask(Asked { branch, code: 408, what }));
        }
    }

    fn count_failure(&mut self, branch: u8, code: u16, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|b| b.code == 0) else { return };
        b.code = code;
        let after = self.responses.on_final(branch, code);
        self.go_on(after, code, now, work);
    }

    /// A branch rang, and nobody took the call: 408. Where it rang everything works, so that no other address, flow or
    /// carrier is tried to ring the same callee again, and nothing counts as down.
    pub(super) fn count_unanswered(&mut self, branch: u8, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|b| b.code == 0) else { return };
        b.code = 408;
        let phone = b.target.phone;
        if b.target.trunk {
            self.responses.close();
            self.aside.forget_later();
        }
        self.aside.retain_flows(|f| phone == 0 || f.target.phone != phone);
        let after = self.responses.on_final(branch, 408);
        self.go_on(after, 408, now, work);
    }

    /// After a failure with this status: the next targets, or the best answer there is.
    pub(super) fn go_on(&mut self, after: After, code: u16, now: Now, work: &mut Work) {
        if after.cancel_others {
            self.aside.forget_later();
            self.cancel_branches(None, Why::Decided(code), now, work);
        }
        if !after.exhausted {
            return;
        }
        match self.responses.is_open() && !self.aside.later().is_empty() {
            true => self.next_targets(now, work),
            false => self.answer_with_best(now, work),
        }
    }

    /// Starts the next group of targets.
    fn next_targets(&mut self, now: Now, work: &mut Work) {
        let Some(group) = self.aside.later().last().map(|waiting| waiting.group) else { return };
        if !self.has_room(self.aside.later().iter().filter(|waiting| waiting.group == group).count()) {
            self.aside.forget_later();
            return self.answer_with_best(now, work);
        }
        while let Some(next) = self.aside.lists().later.pop_if(|waiting| waiting.group == group) {
            self.start_waiting(next, now, work);
        }
    }

    fn start_waiting(&mut self, waiting: Waiting<H>, now: Now, work: &mut Work) {
        let Waiting { request, name_at, dead, target, .. } = waiting;
        match dead {
            Some(code) => self.start_dead(code, target, work),
            None => {
                self.start(request, target, now, work);
                if let Some(b) = self.branches.last_mut() {
                    b.name_at = name_at;
                }
            }
        }
    }

    /// No branch runs any more: the caller gets its answer.
    pub(super) fn answer_with_best(&mut self, now: Now, work: &mut Work) {
        if !self.server.is_proceeding() {
            return;
        }
        let (branch, code) = self.responses.best().unwrap_or((0, 480));
        if self.cancelled && code < 600 {
            return self.answer(487, now, work);
        }
        if std::mem::take(&mut self.divertible) && !self.cancelled {
            return work.put(Output::Ask(Asked { branch, code, what: Question::Diversion }));
        }
        self.answer_undiverted(now, work);
    }

    fn answer_undiverted(&mut self, now: Now, work: &mut Work) {
        if !self.server.is_proceeding() {
            return;
        }
        let (branch, code) = self.responses.best().unwrap_or((0, 480));
        let b = self.branches.get(usize::from(branch));
        if b.is_some_and(|b| !b.response.is_empty()) {
            return self.forward_failure(branch, code, true, now, work);
        }
        // That there is no way to this callee says nothing of us: a 503 would keep the caller away for every other call (RFC
        // 3261 §16.7 step 6).
        let code = if code == 503 { callee_unreachable(b.is_some_and(leads_to_carrier)) } else { code };
        self.answer(code, now, work);
    }
}

fn leads_to_carrier<H>(branch: &Branch<H>) -> bool {
    branch.target.carrier
}

/// What the caller is told of a callee that cannot be reached, at a carrier or elsewhere.
pub fn callee_unreachable(carrier: bool) -> u16 {
    if carrier { 500 } else { 480 }
}
