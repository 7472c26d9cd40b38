//! Are the trunks and peers there? OPTIONS to every destination, a round at a time (RFC 3261 §11).

use hashbrown::HashMap;
use trunkline_model::Ref;
use trunkline_transaction::timers::Now;

/// Unanswered questions in a row that make a destination count as down.
const PATIENCE: u8 = 2;

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A destination of a trunk, by its place in `uris`.
    Trunk(Ref, u8),
    /// A peer, or an instance of one.
    Peer(Ref, Place),
}

/// What of a peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Its `contactAddr`.
    Address,
    /// The instance with this binding.
    Instance(u64),
}

/// What happened. `W` is a way to a destination, which means nothing here.
#[derive(Clone, Debug)]
pub enum Input<W> {
    /// A round begins: those that are not named in it are forgotten.
    Round,
    /// This destination is to be asked in this round.
    Destination(Subject),
    /// The question that [`Output::Ask`] was about went out by this way.
    Sent(W),
    /// There is no way there; this one could not be gone.
    NoWay(Option<W>),
    /// Its name is being looked up: the next round sends.
    Later,
    /// An answer came to the question of this number.
    Response {
        /// The question.
        serial: u64,
        /// The status of the answer.
        status: u16,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<W> {
    /// The address of this way left the last question unanswered: where its name has others, they come first now.
    PassOver(W),
    /// The destination is down, or is up.
    Set(Subject, bool),
    /// Ask the destination that was named last, with this number, and tell what came of it: [`Input::Sent`],
    /// [`Input::NoWay`] or [`Input::Later`].
    Ask(u64),
}

#[derive(Clone, Debug)]
struct Asked<W> {
    serial: u64,
    unanswered: u8,
    /// The way that was asked.
    at: Option<W>,
}

/// The questions under way.
#[derive(Debug)]
pub struct Qualifier<W> {
    next: Now,
    serial: u64,
    /// Those of the last round.
    before: HashMap<Subject, Asked<W>>,
    asked: HashMap<Subject, Asked<W>>,
    /// Who is being asked, and how often it has not answered.
    current: Option<(Subject, u8)>,
}

impl<W> Default for Qualifier<W> {
    fn default() -> Self {
        Qualifier { next: 0, serial: 0, before: HashMap::new(), asked: HashMap::new(), current: None }
    }
}

impl<W> Qualifier<W> {
    /// Is it time for a round, of which there is one in so many milliseconds (0: none)? The next one is due that much later.
    pub fn is_due(&mut self, every: Now, now: Now) -> bool {
        let due = every > 0 && now >= self.next;
        if due {
            self.next = now + every;
        }
        due
    }

    /// Is this one asked?
    pub fn asks(&self, subject: &Subject) -> bool {
        self.asked.contains_key(subject)
    }

    /// Takes what happened, and appends what is to be done, in order.
    pub fn handle(&mut self, input: Input<W>, out: &mut Vec<Output<W>>) {
        match input {
            Input::Round => {
                self.before = std::mem::take(&mut self.asked);
                self.current = None;
            }
            Input::Destination(subject) => self.ask(subject, out),
            Input::Sent(way) => self.went(Some(way), |unanswered| unanswered.saturating_add(1)),
            Input::NoWay(way) => self.went(way, |_| PATIENCE),
            Input::Later => self.went(None, |unanswered| unanswered),
            Input::Response { serial, status } => {
                // Any answer shows that somebody is there (a 503 says that it wants no calls).
                if let Some((subject, asked)) = self.asked.iter_mut().find(|(_, a)| a.serial == serial) {
                    asked.unanswered = 0;
                    out.push(Output::Set(subject.clone(), status == 503));
                }
            }
        }
    }

    /// Looks at what became of the last question to this one, and asks the next.
    fn ask(&mut self, subject: Subject, out: &mut Vec<Output<W>>) {
        let last = self.before.remove(&subject);
        let unanswered = last.as_ref().map_or(0, |asked| asked.unanswered);
        if let Some(way) = last.and_then(|asked| asked.at).filter(|_| unanswered > 0) {
            out.push(Output::PassOver(way));
        }
        if unanswered >= PATIENCE {
            out.push(Output::Set(subject.clone(), true));
        }
        self.serial += 1;
        self.current = Some((subject, unanswered));
        out.push(Output::Ask(self.serial));
    }

    fn went(&mut self, at: Option<W>, count: impl FnOnce(u8) -> u8) {
        if let Some((subject, unanswered)) = self.current.take() {
            let asked = Asked { serial: self.serial, unanswered: count(unanswered), at };
            self.asked.insert(subject, asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Done = Vec<Output<&'static str>>;

    fn handle(q: &mut Qualifier<&'static str>, input: Input<&'static str>) -> Done {
        let mut out = Vec::new();
        q.handle(input, &mut out);
        out
    }

    fn carrier() -> Subject {
        Subject::Trunk("carrier".into(), 0)
    }

    /// One round with one destination.
    fn round(q: &mut Qualifier<&'static str>, went: Input<&'static str>) -> Done {
        handle(q, Input::Round);
        let out = handle(q, Input::Destination(carrier()));
        handle(q, went);
        out
    }

    #[test]
    fn two_questions_without_an_answer_are_one_that_is_down() {
        let mut q = Qualifier::default();
        assert_eq!(round(&mut q, Input::Sent("a")), [Output::Ask(1)]);
        assert_eq!(round(&mut q, Input::Sent("b")), [Output::PassOver("a"), Output::Ask(2)]);
        let down = [Output::PassOver("b"), Output::Set(carrier(), true), Output::Ask(3)];
        assert_eq!(round(&mut q, Input::Sent("a")), down);
        assert_eq!(handle(&mut q, Input::Response { serial: 2, status: 200 }), [], "that was the one before");
        let up = [Output::Set(carrier(), false)];
        assert_eq!(handle(&mut q, Input::Response { serial: 3, status: 404 }), up, "any answer shows it");
        assert_eq!(round(&mut q, Input::Sent("a")), [Output::Ask(4)]);
        let busy = [Output::Set(carrier(), true)];
        assert_eq!(handle(&mut q, Input::Response { serial: 4, status: 503 }), busy);
    }

    #[test]
    fn no_way_is_down_at_once_and_a_name_that_is_looked_up_says_nothing() {
        let mut q = Qualifier::default();
        round(&mut q, Input::Later);
        assert_eq!(round(&mut q, Input::NoWay(None)), [Output::Ask(2)]);
        assert_eq!(round(&mut q, Input::Later), [Output::Set(carrier(), true), Output::Ask(3)]);
        assert_eq!(round(&mut q, Input::Sent("a")), [Output::Set(carrier(), true), Output::Ask(4)]);
    }

    #[test]
    fn who_is_not_named_is_forgotten() {
        let mut q = Qualifier::default();
        round(&mut q, Input::Sent("a"));
        assert!(q.asks(&carrier()));
        handle(&mut q, Input::Round);
        assert!(!q.asks(&carrier()));
        assert_eq!(handle(&mut q, Input::Response { serial: 1, status: 200 }), []);
        assert_eq!(round(&mut q, Input::Sent("a")), [Output::Ask(2)], "it begins anew");
    }

    #[test]
    fn rounds_have_their_time() {
        let mut q: Qualifier<()> = Qualifier::default();
        assert!(!q.is_due(0, 5));
        assert!(q.is_due(100, 5) && !q.is_due(100, 104) && q.is_due(100, 105));
    }
}
