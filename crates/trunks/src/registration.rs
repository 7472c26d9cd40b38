//! One registration of ours at a carrier, RFC 3261 §10.2: when to ask, and what an answer means. Time comes in.

use trunkline_transaction::timers::Now;
use trunkline_transaction::{Actions, Class, NonInviteClient};

/// Asked for at first, in seconds.
pub const EXPIRES: u32 = 600;
/// After a failure it is tried again so much later, and twice that after the next.
const FIRST_PAUSE: Now = 15_000;
const LONGEST_PAUSE: Now = 600_000;
/// A registration whose connection has ended is made again after this.
const SHORT_PAUSE: Now = 500;
/// A REGISTER sent again with credentials, at most: once for a nonce, once for a fresher one.
const MOST_CHALLENGES: u8 = 2;
/// Requests that follow each other at once (423, 420), at most, before it counts as a failure.
const MOST_REPAIRS: u8 = 4;

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing yet.
    Wait,
    /// A final answer was taken, nothing follows before the next time it is due.
    Rest,
    /// Send a REGISTER.
    Ask,
    /// Send the REGISTER again, with an answer to the challenge.
    Answer,
    /// Send the last one once more, byte by byte.
    Repeat,
    /// The address does not answer.
    Silent,
    /// The carrier has forgotten us, or never will: drop it.
    Over,
}

/// A final or provisional answer, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Seconds granted, from our Contact or the Expires header.
    pub granted: Option<u32>,
    /// Min-Expires of a 423.
    pub at_least: Option<u32>,
    /// Retry-After.
    pub retry_after: Option<u32>,
    /// Does the challenge say that only the nonce was old?
    pub stale: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is under way until then.
    Pause(Now),
    /// A REGISTER waits for its answer.
    Asking(NonInviteClient),
    /// It is over.
    Over,
}

/// A registration.
#[derive(Clone, Debug)]
pub struct Registration {
    phase: Phase,
    /// Seconds to ask for.
    pub expires: u32,
    /// Ask for all numbers at once (RFC 6140)?
    pub bulk: bool,
    /// The registration is being ended.
    leaving: bool,
    until: Option<Now>,
    /// When it was last granted.
    since: Now,
    /// Its last connection did not last.
    short_lived: bool,
    failures: u32,
    challenges: u8,
    repairs: u8,
}

impl Registration {
    /// To be asked for at once.
    pub fn new(bulk: bool, now: Now) -> Registration {
        Registration {
            phase: Phase::Pause(now),
            expires: EXPIRES,
            bulk,
            leaving: false,
            until: None,
            since: 0,
            short_lived: false,
            failures: 0,
            challenges: 0,
            repairs: 0,
        }
    }

    /// Are we registered?
    pub fn is_registered(&self, now: Now) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Until when, if we are.
    pub fn until(&self) -> Option<Now> {
        self.until
    }

    /// Is it being ended, with a REGISTER still on its way?
    pub fn is_leaving(&self) -> bool {
        self.leaving && !matches!(self.phase, Phase::Over)
    }

    /// When [`Registration::on_time`] wants to be called.
    pub fn due(&self) -> Option<Now> {
        match self.phase {
            Phase::Pause(at) => Some(at),
            Phase::Asking(client) => client.deadline(),
            Phase::Over => None,
        }
    }

    /// Ask anew: what is registered has changed.
    pub fn refresh(&mut self, now: Now) {
        self.failures = 0;
        self.phase = Phase::Pause(now);
    }

    /// Ask the carrier to forget us; what was never registered is just dropped.
    pub fn leave(&mut self, now: Now) {
        if self.leaving {
            return;
        }
        self.leaving = true;
        self.expires = 0;
        self.phase = if self.is_registered(now) { Phase::Pause(now) } else { Phase::Over };
    }

    /// The connection it went over has ended: calls that come by it want a new one. Carriers that close it after every
    /// answer are not asked all the time.
    pub fn flow_ended(&mut self, now: Now) {
        match self.phase {
            Phase::Asking(_) => self.fail(now, None),
            Phase::Pause(due) if self.is_registered(now) && !self.leaving => {
                if now.saturating_sub(self.since) >= FIRST_PAUSE {
                    self.short_lived = false;
                }
                let pause = if self.short_lived { FIRST_PAUSE } else { SHORT_PAUSE };
                self.short_lived = true;
                self.phase = Phase::Pause(due.min(now + pause));
            }
            Phase::Pause(_) | Phase::Over => {}
        }
    }

    /// Its time has come.
    pub fn on_time(&mut self, now: Now) -> Next {
        match &mut self.phase {
            Phase::Pause(at) if now >= *at => {
                (self.challenges, self.repairs) = (0, 0);
                Next::Ask
            }
            Phase::Pause(_) => Next::Wait,
            Phase::Asking(client) => {
                let actions = client.on_timer(now);
                if actions.has(Actions::TIMEOUT) {
                    self.fail(now, None);
                    return Next::Silent;
                }
                if actions.has(Actions::RESEND) { Next::Repeat } else { Next::Wait }
            }
            Phase::Over => Next::Over,
        }
    }

    /// A REGISTER went out.
    pub fn sent(&mut self, reliable: bool, now: Now) {
        self.phase = Phase::Asking(NonInviteClient::new(reliable, now));
    }

    /// It could not be sent: there is no way there, or not yet.
    pub fn not_sent(&mut self, again_in: Option<Now>, now: Now) {
        match again_in {
            Some(pause) => self.phase = Phase::Pause(now + pause),
            None => self.fail(now, None),
        }
    }

    /// An answer came.
    pub fn on_response(&mut self, response: &Response, now: Now) -> Next {
        let Phase::Asking(client) = &mut self.phase else { return Next::Wait };
        let class = match response.status {
            ..200 => Class::Provisional,
            200..300 => Class::Success,
            _ => Class::Failure,
        };
        if !client.on_response(class, now).has(Actions::DELIVER) || class == Class::Provisional {
            return Next::Wait;
        }
        match response.status {
            200..300 if self.leaving => self.over(),
            200..300 => {
                let granted = response.granted.unwrap_or(self.expires);
                if granted == 0 {
                    return self.refused(response, now);
                }
                let granted = Now::from(granted) * 1000;
                self.until = Some(now + granted);
                self.since = now;
                self.failures = 0;
                // Time for an answer that takes its 32 seconds, where there is that much.
                let margin = (granted / 4).clamp(granted.min(10_000) / 2, 60_000);
                self.phase = Phase::Pause(now + granted - margin);
                Next::Rest
            }
            401 | 407 if self.challenges == 0 || response.stale && self.challenges < MOST_CHALLENGES => {
                self.challenges += 1;
                Next::Answer
            }
            420 if self.bulk && self.repairs < MOST_REPAIRS => {
                self.repairs += 1;
                self.bulk = false;
                Next::Ask
            }
            423 if self.repairs < MOST_REPAIRS
                && response.at_least.is_some_and(|least| least > self.expires) =>
            {
                self.repairs += 1;
                self.expires = response.at_least.unwrap_or(self.expires);
                Next::Ask
            }
            _ => self.refused(response, now),
        }
    }

    fn refused(&mut self, response: &Response, now: Now) -> Next {
        if self.leaving {
            return self.over();
        }
        self.fail(now, response.retry_after);
        Next::Rest
    }

    fn over(&mut self) -> Next {
        (self.phase, self.until) = (Phase::Over, None);
        Next::Over
    }

    fn fail(&mut self, now: Now, retry_after: Option<u32>) {
        if self.leaving {
            self.over();
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        let asked = Now::from(retry_after.unwrap_or(0)) * 1000;
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pause(now + pause.max(asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Response {
        Response { status, ..Response::default() }
    }

    /// Asks, as the driver does.
    fn ask(r: &mut Registration, now: Now) {
        assert_eq!(r.on_time(now), Next::Ask);
        r.sent(false, now);
    }

    fn granted(r: &mut Registration, seconds: u32, now: Now) -> Now {
        let response = Response { granted: Some(seconds), ..answer(200) };
        assert_eq!(r.on_response(&response, now), Next::Rest);
        assert_eq!(
            r.on_response(&answer(403), now),
            Next::Wait,
            "an answer that comes after the first is none"
        );
        assert!(r.is_registered(now));
        r.due().unwrap() - now
    }

    #[test]
    fn challenged_registered_and_refreshed_in_time() {
        let mut r = Registration::new(true, 0);
        ask(&mut r, 0);
        assert_eq!(r.on_response(&answer(100), 10), Next::Wait);
        assert_eq!(r.on_response(&answer(401), 20), Next::Answer);
        r.sent(false, 20);
        assert_eq!(granted(&mut r, 600, 50), 540_000);
        ask(&mut r, 540_050);
        assert_eq!(granted(&mut r, 30, 540_060), 22_500);
        ask(&mut r, 562_560);
        assert_eq!(granted(&mut r, 1, 562_561), 500);
        assert!(!r.is_registered(563_561), "and it ends");
    }

    #[test]
    fn a_wrong_password_is_not_tried_without_end() {
        let mut r = Registration::new(false, 0);
        ask(&mut r, 0);
        assert_eq!(r.on_response(&answer(401), 1), Next::Answer);
        r.sent(false, 1);
        assert_eq!(r.on_response(&answer(401), 2), Next::Rest);
        assert_eq!(r.due(), Some(15_002));
        ask(&mut r, 15_002);
        assert_eq!(r.on_response(&answer(401), 15_003), Next::Answer, "a new attempt may answer again");
        r.sent(false, 15_003);
        let stale = Response { stale: true, ..answer(401) };
        assert_eq!(r.on_response(&stale, 15_004), Next::Answer);
        r.sent(false, 15_004);
        assert_eq!(r.on_response(&stale, 15_005), Next::Rest);
        assert_eq!(r.due(), Some(45_005), "twice the pause");
    }

    #[test]
    fn what_the_registrar_wants_otherwise_is_asked_otherwise() {
        let mut r = Registration::new(true, 0);
        ask(&mut r, 0);
        assert_eq!(r.on_response(&answer(420), 1), Next::Ask);
        assert!(!r.bulk);
        r.sent(false, 1);
        let brief = Response { at_least: Some(1800), ..answer(423) };
        assert_eq!(r.on_response(&brief, 2), Next::Ask);
        assert_eq!(r.expires, 1800);
        r.sent(false, 2);
        assert_eq!(r.on_response(&brief, 3), Next::Rest, "it was given what it wanted");
    }

    #[test]
    fn silence_and_refusal_are_tried_again_ever_later() {
        let mut r = Registration::new(false, 0);
        ask(&mut r, 0);
        let mut repeats = 0;
        let silent = loop {
            let at = r.due().unwrap();
            match r.on_time(at) {
                Next::Repeat => repeats += 1,
                Next::Silent => break at,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((silent, repeats), (32_000, 10));
        assert_eq!(r.due(), Some(47_000));
        let mut now = 47_000;
        for _ in 0..20 {
            ask(&mut r, now);
            assert_eq!(r.on_response(&answer(403), now), Next::Rest);
            assert!(r.due().unwrap() - now <= LONGEST_PAUSE);
            now = r.due().unwrap();
        }
        ask(&mut r, now);
        let busy = Response { retry_after: Some(3600), ..answer(503) };
        r.on_response(&busy, now);
        assert_eq!(r.due(), Some(now + 3_600_000));
        r.refresh(now);
        assert_eq!(r.due(), Some(now), "an operator's change is tried at once");
    }

    #[test]
    fn a_connection_that_ends_is_made_again_but_not_all_the_time() {
        let mut r = Registration::new(false, 0);
        ask(&mut r, 0);
        granted(&mut r, 600, 1);
        r.flow_ended(60_000);
        assert_eq!(r.due(), Some(60_500));
        ask(&mut r, 60_500);
        granted(&mut r, 600, 60_600);
        r.flow_ended(60_601);
        assert_eq!(r.due(), Some(75_601));
        ask(&mut r, 75_601);
        granted(&mut r, 600, 75_602);
        r.flow_ended(95_602);
        assert_eq!(r.due(), Some(96_102), "that one has lasted");
        ask(&mut r, 96_102);
        r.flow_ended(96_103);
        assert_eq!(r.due(), Some(111_103), "a REGISTER that was under way has failed");
    }

    #[test]
    fn leaving_tells_the_carrier_if_it_knows_us() {
        let mut never = Registration::new(false, 0);
        never.leave(5);
        assert_eq!((never.on_time(5), never.is_leaving()), (Next::Over, false));
        let mut r = Registration::new(false, 0);
        ask(&mut r, 0);
        granted(&mut r, 600, 1);
        r.leave(10);
        assert!(r.is_leaving());
        ask(&mut r, 10);
        assert_eq!(r.expires, 0);
        assert_eq!(r.on_response(&answer(401), 11), Next::Answer);
        r.sent(false, 11);
        assert_eq!(r.on_response(&answer(200), 12), Next::Over);
        assert!(!r.is_leaving() && r.due().is_none());
    }
}
