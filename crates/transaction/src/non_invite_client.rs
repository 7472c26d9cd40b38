//! Non-INVITE client transaction.

use crate::actions::{Actions, Class};
use crate::timers::{Now, T1, T1_64, T2, T4};

/// Non-INVITE client transaction, RFC 3261 §17.1.2 (figure 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonInviteClient {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Timer E (retransmission) and timer F (give up); after a provisional response E runs at T2.
    Waiting {
        proceeding: bool,
        retransmit: Now,
        interval: u64,
        give_up: Now,
    },
    /// Timer K absorbs repeated responses.
    Completed {
        end: Now,
    },
    Terminated,
}

impl NonInviteClient {
    /// The request is being sent now.
    pub fn new(reliable: bool, now: Now) -> Self {
        let retransmit = if reliable { Now::MAX } else { now + T1 };
        let state = State::Waiting { proceeding: false, retransmit, interval: T1, give_up: now + T1_64 };
        NonInviteClient { state, reliable }
    }

    /// A response arrived.
    pub fn on_response(&mut self, class: Class, now: Now) -> Actions {
        match (self.state, class) {
            (State::Waiting { retransmit, give_up, .. }, Class::Provisional) => {
                self.state = State::Waiting { proceeding: true, retransmit, interval: T2, give_up };
                Actions::DELIVER
            }
            (State::Waiting { .. }, Class::Success | Class::Failure) if self.reliable => {
                self.state = State::Terminated;
                Actions::DELIVER | Actions::TERMINATED
            }
            (State::Waiting { .. }, Class::Success | Class::Failure) => {
                self.state = State::Completed { end: now + T4 };
                Actions::DELIVER
            }
            (State::Completed { .. } | State::Terminated, _) => Actions::NONE,
        }
    }

    /// Its deadline has come.
    pub fn on_timer(&mut self, now: Now) -> Actions {
        match self.state {
            State::Waiting { give_up, .. } if now >= give_up => {
                self.state = State::Terminated;
                Actions::TIMEOUT | Actions::TERMINATED
            }
            State::Waiting { proceeding, retransmit, interval, give_up } if now >= retransmit => {
                let interval = if proceeding { T2 } else { (interval * 2).min(T2) };
                self.state = State::Waiting { proceeding, retransmit: now + interval, interval, give_up };
                Actions::RESEND
            }
            State::Completed { end } if now >= end => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            State::Waiting { .. } | State::Completed { .. } | State::Terminated => Actions::NONE,
        }
    }

    /// The transport failed, or the owner gives up.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// When [`NonInviteClient::on_timer`] wants to be called next.
    pub fn deadline(&self) -> Option<Now> {
        match self.state {
            State::Waiting { retransmit, give_up, .. } => Some(retransmit.min(give_up)),
            State::Completed { end } => Some(end),
            State::Terminated => None,
        }
    }

    /// Has nothing been heard yet?
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Waiting { proceeding: false, .. })
    }

    /// Has a provisional response come, and no final one?
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Waiting { proceeding: true, .. })
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
    fn retransmits_up_to_t2_and_gives_up() {
        let mut t = NonInviteClient::new(false, 0);
        let mut sent = Vec::new();
        while let Some(at) = t.deadline() {
            if t.on_timer(at) == Actions::RESEND {
                sent.push(at);
            } else {
                assert_eq!(at, 32_000);
            }
        }
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn a_final_response_is_delivered_once() {
        let mut t = NonInviteClient::new(false, 0);
        assert_eq!(t.on_response(Class::Provisional, 10), Actions::DELIVER);
        assert_eq!(t.on_response(Class::Success, 20), Actions::DELIVER);
        assert_eq!(t.on_response(Class::Success, 30), Actions::NONE);
        assert_eq!(t.on_timer(5_020), Actions::TERMINATED);
        let mut t = NonInviteClient::new(true, 0);
        assert!(t.on_response(Class::Failure, 20).has(Actions::TERMINATED));
    }

    /// Calling, proceeding, terminated.
    fn told(t: &NonInviteClient) -> [bool; 3] {
        [t.is_calling(), t.is_proceeding(), t.is_terminated()]
    }

    #[test]
    fn each_state_says_which_it_is() {
        let mut t = NonInviteClient::new(false, 1_000);
        assert_eq!((told(&t), t.deadline()), ([true, false, false], Some(1_500)));
        assert_eq!(t.on_timer(1_499), Actions::NONE, "not before its time");
        t.on_response(Class::Provisional, 1_100);
        assert_eq!((told(&t), t.deadline()), ([false, true, false], Some(1_500)));
        assert_eq!((t.on_timer(1_500), t.deadline()), (Actions::RESEND, Some(5_500)), "each T2 from now on");
        t.on_response(Class::Failure, 6_000);
        assert_eq!((told(&t), t.deadline()), ([false, false, false], Some(11_000)));
        assert_eq!(t.on_timer(10_999), Actions::NONE, "not before its time");
        assert_eq!((t.on_timer(11_000), told(&t)), (Actions::TERMINATED, [false, false, true]));
        let mut t = NonInviteClient::new(true, 1_000);
        assert_eq!(t.deadline(), Some(33_000), "a stream repeats nothing");
        t.terminate();
        assert_eq!((told(&t), t.on_response(Class::Success, 1_100)), ([false, false, true], Actions::NONE));
    }
}
