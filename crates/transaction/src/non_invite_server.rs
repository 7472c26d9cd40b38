//! Non-INVITE server transaction.

use crate::actions::{Actions, Class};
use crate::timers::{Now, T1_64};

/// Non-INVITE server transaction, RFC 3261 §17.2.2 (figure 8), with RFC 4320: provisional responses other
/// than a late 100 are not sent, and a transaction that timed out is never answered with 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonInviteServer {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was sent.
    Trying,
    /// A 100 was sent.
    Proceeding,
    /// The final response is repeated until timer J ends.
    Completed {
        end: Now,
    },
    Terminated,
}

impl NonInviteServer {
    /// A request arrived.
    pub fn new(reliable: bool) -> Self {
        NonInviteServer { state: State::Trying, reliable }
    }

    /// It arrived again.
    pub fn on_request(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed { .. } => Actions::RESEND,
            State::Trying | State::Terminated => Actions::NONE,
        }
    }

    /// The owner sends a response.
    pub fn on_respond(&mut self, class: Class, now: Now) -> Actions {
        match (self.state, class) {
            (State::Trying | State::Proceeding, Class::Provisional) => {
                self.state = State::Proceeding;
                Actions::NONE
            }
            (State::Trying | State::Proceeding, Class::Success | Class::Failure) if self.reliable => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            (State::Trying | State::Proceeding, Class::Success | Class::Failure) => {
                self.state = State::Completed { end: now + T1_64 };
                Actions::NONE
            }
            (State::Completed { .. } | State::Terminated, _) => Actions::NONE,
        }
    }

    /// Its deadline has come.
    pub fn on_timer(&mut self, now: Now) -> Actions {
        match self.state {
            State::Completed { end } if now >= end => {
                self.state = State::Terminated;
                Actions::TERMINATED
            }
            State::Trying | State::Proceeding | State::Completed { .. } | State::Terminated => Actions::NONE,
        }
    }

    /// No answer is to be had: end without one (RFC 4320 §4.1).
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// When [`NonInviteServer::on_timer`] wants to be called next.
    pub fn deadline(&self) -> Option<Now> {
        match self.state {
            State::Completed { end } => Some(end),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }

    /// Is the final response still to come?
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
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
    fn repeats_its_answer_until_timer_j() {
        let mut t = NonInviteServer::new(false);
        assert_eq!(t.on_request(), Actions::NONE);
        t.on_respond(Class::Success, 100);
        assert_eq!(t.on_request(), Actions::RESEND);
        assert_eq!(t.deadline(), Some(32_100));
        assert_eq!(t.on_timer(32_100), Actions::TERMINATED);
        assert!(NonInviteServer::new(true).on_respond(Class::Failure, 0).has(Actions::TERMINATED));
    }

    /// Proceeding, needs its response, terminated.
    fn told(t: &NonInviteServer) -> [bool; 3] {
        [t.is_proceeding(), t.keeps_response(), t.is_terminated()]
    }

    #[test]
    fn each_state_says_which_it_is() {
        let mut t = NonInviteServer::new(false);
        assert_eq!((told(&t), t.deadline()), ([true, false, false], None));
        t.on_respond(Class::Provisional, 100);
        assert_eq!((told(&t), t.on_request()), ([true, true, false], Actions::RESEND));
        t.on_respond(Class::Failure, 200);
        assert_eq!((told(&t), t.deadline()), ([false, true, false], Some(32_200)));
        t.on_respond(Class::Success, 300);
        assert_eq!(t.deadline(), Some(32_200), "one final response");
        assert_eq!(t.on_timer(32_199), Actions::NONE, "not before its time");
        t.on_timer(32_200);
        assert_eq!((told(&t), t.deadline(), t.on_request()), ([false, false, true], None, Actions::NONE));
        let mut t = NonInviteServer::new(false);
        t.terminate();
        assert_eq!(told(&t), [false, false, true]);
        let mut stream = NonInviteServer::new(true);
        assert_eq!(
            (stream.on_respond(Class::Success, 1), told(&stream)),
            (Actions::TERMINATED, [false, false, true])
        );
    }
}
