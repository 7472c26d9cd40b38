//! INVITE server transaction.

use crate::actions::{Actions, Class};
use crate::timers::{Now, T1, T1_64, T2, T4};

/// INVITE server transaction, RFC 3261 §17.2.1 (figure 7), with the Accepted state of RFC 6026 §8.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteServer {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    /// A 2xx went out; repetitions of the INVITE are absorbed until timer L ends.
    Accepted {
        end: Now,
    },
    /// A failure went out; timer G repeats it, timer H gives up waiting for the ACK.
    Completed {
        retransmit: Now,
        interval: u64,
        give_up: Now,
    },
    /// The ACK came; timer I absorbs more of them.
    Confirmed {
        end: Now,
    },
    Terminated,
}

impl InviteServer {
    /// An INVITE arrived. The owner sends 100 itself.
    pub fn new(reliable: bool) -> Self {
        InviteServer { state: State::Proceeding, reliable }
    }

    /// The INVITE arrived again.
    pub fn on_request(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed { .. } => Actions::RESEND,
            State::Accepted { .. } | State::Confirmed { .. } | State::Terminated => Actions::NONE,
        }
    }

    /// The owner sends a response.
    pub fn on_respond(&mut self, class: Class, now: Now) {
        if self.state != State::Proceeding {
            return;
        }
        self.state = match class {
            Class::Provisional => State::Proceeding,
            Class::Success => State::Accepted { end: now + T1_64 },
            Class::Failure => {
                let retransmit = if self.reliable { Now::MAX } else { now + T1 };
                State::Completed { retransmit, interval: T1, give_up: now + T1_64 }
            }
        };
    }

    /// No timer G: the failure goes out once, and again only when the INVITE does. For callers that may be forged.
    pub fn repeat_no_more(&mut self) {
        if let State::Completed { retransmit, .. } = &mut self.state {
            *retransmit = Now::MAX;
        }
    }

    /// The ACK to a failure arrived.
    pub fn on_ack(&mut self, now: Now) -> Actions {
        match self.state {
            State::Completed { .. } if self.reliable => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            State::Completed { .. } => {
                self.state = State::Confirmed { end: now + T4 };
                Actions::NONE
            }
            State::Proceeding | State::Accepted { .. } | State::Confirmed { .. } | State::Terminated => {
                Actions::NONE
            }
        }
    }

    /// Its deadline has come.
    pub fn on_timer(&mut self, now: Now) -> Actions {
        match self.state {
            State::Completed { give_up, .. } if now >= give_up => {
                self.state = State::Terminated;
                Actions::TIMEOUT | Actions::TERMINATED
            }
            State::Completed { retransmit, interval, give_up } if now >= retransmit => {
                let interval = (interval * 2).min(T2);
                self.state = State::Completed { retransmit: now + interval, interval, give_up };
                Actions::RESEND
            }
            State::Accepted { end } | State::Confirmed { end } if now >= end => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            State::Proceeding
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Terminated => Actions::NONE,
        }
    }

    /// When [`InviteServer::on_timer`] wants to be called next.
    pub fn deadline(&self) -> Option<Now> {
        match self.state {
            State::Completed { retransmit, give_up, .. } => Some(retransmit.min(give_up)),
            State::Accepted { end } | State::Confirmed { end } => Some(end),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// Is the final response still to come?
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Did a 2xx go out? More of them may follow (RFC 6026 §8.7).
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// Does it still need its response, to repeat it?
    pub fn keeps_response(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed { .. })
    }

    /// Has it ended?
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_repeated_until_its_ack() {
        let mut t = InviteServer::new(false);
        assert_eq!(t.on_request(), Actions::RESEND);
        t.on_respond(Class::Failure, 0);
        let mut at = Vec::new();
        for _ in 0..5 {
            let now = t.deadline().unwrap();
            assert_eq!(t.on_timer(now), Actions::RESEND);
            at.push(now);
        }
        assert_eq!(at, [500, 1_500, 3_500, 7_500, 11_500]);
        assert_eq!(t.on_ack(12_000), Actions::NONE);
        assert_eq!(t.on_request(), Actions::NONE);
        assert_eq!(t.on_timer(17_000), Actions::TERMINATED);
    }

    #[test]
    fn no_ack_is_a_timeout() {
        let mut t = InviteServer::new(true);
        t.on_respond(Class::Failure, 0);
        assert_eq!(t.deadline(), Some(32_000));
        assert_eq!(t.on_timer(32_000), Actions::TIMEOUT | Actions::TERMINATED);
    }

    #[test]
    fn after_a_2xx_repetitions_are_absorbed() {
        let mut t = InviteServer::new(false);
        t.on_respond(Class::Provisional, 0);
        t.on_respond(Class::Success, 100);
        assert_eq!(t.on_request(), Actions::NONE);
        assert!(t.is_accepted());
        assert_eq!(t.on_timer(32_100), Actions::TERMINATED);
    }

    /// Proceeding, accepted, needs its response, terminated.
    fn told(t: &InviteServer) -> [bool; 4] {
        [t.is_proceeding(), t.is_accepted(), t.keeps_response(), t.is_terminated()]
    }

    #[test]
    fn each_state_says_which_it_is() {
        let mut t = InviteServer::new(false);
        assert_eq!((told(&t), t.deadline()), ([true, false, true, false], None));
        t.on_respond(Class::Success, 100);
        assert_eq!((told(&t), t.deadline()), ([false, true, false, false], Some(32_100)));
        assert_eq!(t.on_timer(32_099), Actions::NONE, "not before its time");
        assert_eq!(t.on_ack(200), Actions::NONE, "the ACK to a 2xx is none of its own");
        t.on_timer(32_100);
        assert_eq!((told(&t), t.deadline()), ([false, false, false, true], None));
        assert_eq!(t.on_timer(99_000), Actions::NONE);
        let mut t = InviteServer::new(false);
        t.on_respond(Class::Failure, 100);
        assert_eq!((told(&t), t.deadline()), ([false, false, true, false], Some(600)));
        t.on_respond(Class::Success, 150);
        assert_eq!(told(&t), [false, false, true, false], "one final response");
        assert_eq!(t.on_timer(599), Actions::NONE, "not before its time");
        t.on_ack(300);
        assert_eq!((told(&t), t.deadline()), ([false, false, false, false], Some(5_300)));
        assert_eq!(t.on_timer(5_299), Actions::NONE, "not before its time");
    }

    #[test]
    fn what_is_not_to_be_repeated_waits_for_its_ack() {
        let mut t = InviteServer::new(false);
        t.on_respond(Class::Failure, 0);
        t.repeat_no_more();
        assert_eq!((t.deadline(), t.on_timer(31_999)), (Some(32_000), Actions::NONE));
        assert_eq!(t.on_request(), Actions::RESEND, "whoever asks again gets it again");
        let mut stream = InviteServer::new(true);
        stream.on_respond(Class::Failure, 0);
        assert_eq!((stream.on_ack(10), stream.is_terminated()), (Actions::TERMINATED, true));
    }
}
