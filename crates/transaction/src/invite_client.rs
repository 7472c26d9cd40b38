//! INVITE client transaction.

use crate::actions::{Actions, Class};
use crate::timers::{Now, T1, T1_64};

/// INVITE client transaction, RFC 3261 §17.1.1 (figure 5), with the Accepted state of RFC 6026 §8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteClient {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Timer A (retransmission, unreliable transports) and timer B (give up).
    Calling {
        retransmit: Now,
        interval: u64,
        give_up: Now,
    },
    /// A provisional response came; timer C belongs to the proxy.
    Proceeding,
    /// A 2xx came; more of them are delivered until timer M ends.
    Accepted {
        end: Now,
    },
    /// A failure came and was acknowledged; its repetitions are until timer D ends.
    Completed {
        end: Now,
    },
    Terminated,
}

impl InviteClient {
    /// The INVITE is being sent now.
    pub fn new(reliable: bool, now: Now) -> Self {
        let retransmit = if reliable { Now::MAX } else { now + T1 };
        InviteClient { state: State::Calling { retransmit, interval: T1, give_up: now + T1_64 }, reliable }
    }

    /// A response arrived.
    pub fn on_response(&mut self, class: Class, now: Now) -> Actions {
        match (self.state, class) {
            (State::Calling { .. } | State::Proceeding, Class::Provisional) => {
                self.state = State::Proceeding;
                Actions::DELIVER
            }
            (State::Calling { .. } | State::Proceeding, Class::Success) => {
                self.state = State::Accepted { end: now + T1_64 };
                Actions::DELIVER
            }
            (State::Calling { .. } | State::Proceeding, Class::Failure) => {
                // Timer D is at least 32 s on unreliable transports, 0 on reliable ones.
                self.state =
                    if self.reliable { State::Terminated } else { State::Completed { end: now + T1_64 } };
                let ended = if self.reliable { Actions::TERMINATED } else { Actions::NONE };
                Actions::DELIVER | Actions::ACK | ended
            }
            (State::Accepted { .. }, Class::Success) => Actions::DELIVER,
            (State::Completed { .. }, Class::Failure) => Actions::RESEND,
            (State::Accepted { .. }, Class::Provisional | Class::Failure)
            | (State::Completed { .. }, Class::Provisional | Class::Success)
            | (State::Terminated, _) => Actions::NONE,
        }
    }

    /// Its deadline has come.
    pub fn on_timer(&mut self, now: Now) -> Actions {
        match self.state {
            State::Calling { give_up, .. } if now >= give_up => {
                self.state = State::Terminated;
                Actions::TIMEOUT | Actions::TERMINATED
            }
            State::Calling { retransmit, interval, give_up } if now >= retransmit => {
                let interval = interval * 2;
                self.state = State::Calling { retransmit: now + interval, interval, give_up };
                Actions::RESEND
            }
            State::Accepted { end } | State::Completed { end } if now >= end => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => Actions::NONE,
        }
    }

    /// The transport failed (§17.1.4) or the owner gives up: nothing more comes of it.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// When [`InviteClient::on_timer`] wants to be called next.
    pub fn deadline(&self) -> Option<Now> {
        match self.state {
            State::Calling { retransmit, give_up, .. } => Some(retransmit.min(give_up)),
            State::Accepted { end } | State::Completed { end } => Some(end),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// Has nothing been heard yet?
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// Has anything been heard? A CANCEL waits for that (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
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
    fn retransmits_at_doubling_intervals_and_gives_up() {
        let mut t = InviteClient::new(false, 0);
        let mut sent = Vec::new();
        while let Some(at) = t.deadline() {
            let a = t.on_timer(at);
            if a == Actions::RESEND {
                sent.push(at);
            } else {
                assert_eq!((a, at), (Actions::TIMEOUT | Actions::TERMINATED, 32_000));
            }
        }
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    }

    #[test]
    fn a_failure_is_acknowledged_each_time() {
        let mut t = InviteClient::new(false, 0);
        assert_eq!(t.on_response(Class::Failure, 10), Actions::DELIVER | Actions::ACK);
        assert_eq!(t.on_response(Class::Failure, 20), Actions::RESEND);
        assert_eq!(t.on_response(Class::Success, 20), Actions::NONE);
        assert_eq!(t.on_timer(32_010), Actions::TERMINATED);
    }

    #[test]
    fn every_2xx_is_delivered_for_a_while() {
        let mut t = InviteClient::new(false, 0);
        t.on_response(Class::Provisional, 5);
        assert_eq!(t.deadline(), None);
        assert_eq!(t.on_response(Class::Success, 10), Actions::DELIVER);
        assert_eq!(t.on_response(Class::Success, 20), Actions::DELIVER);
        assert_eq!(t.on_timer(32_010), Actions::TERMINATED);
        assert_eq!(t.on_response(Class::Success, 33_000), Actions::NONE);
    }

    #[test]
    fn a_stream_never_retransmits() {
        let mut t = InviteClient::new(true, 0);
        assert_eq!(t.deadline(), Some(32_000));
        assert!(t.on_response(Class::Failure, 10).has(Actions::TERMINATED));
    }

    /// Calling, proceeding, terminated.
    fn told(t: &InviteClient) -> [bool; 3] {
        [t.is_calling(), t.is_proceeding(), t.is_terminated()]
    }

    #[test]
    fn each_state_says_which_it_is() {
        let mut t = InviteClient::new(false, 1_000);
        assert_eq!((told(&t), t.deadline()), ([true, false, false], Some(1_500)));
        assert_eq!(t.on_timer(1_499), Actions::NONE, "not before its time");
        t.on_response(Class::Provisional, 1_100);
        assert_eq!((told(&t), t.deadline()), ([false, true, false], None));
        assert_eq!(t.on_timer(90_000), Actions::NONE, "it rings as long as its owner likes");
        t.on_response(Class::Failure, 2_000);
        assert_eq!((told(&t), t.deadline()), ([false, false, false], Some(34_000)));
        assert_eq!(t.on_response(Class::Provisional, 2_100), Actions::NONE);
        assert_eq!(t.on_timer(33_999), Actions::NONE, "not before its time");
        assert_eq!((t.on_timer(34_000), told(&t)), (Actions::TERMINATED, [false, false, true]));
        let mut t = InviteClient::new(false, 1_000);
        t.terminate();
        assert_eq!((told(&t), t.deadline()), ([false, false, true], None));
        assert_eq!(
            (t.on_response(Class::Success, 1_001), t.on_timer(90_000)),
            (Actions::NONE, Actions::NONE)
        );
    }
}
