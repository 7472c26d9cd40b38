//! Do trunks and peers answer? OPTIONS to every destination (RFC 3261 §11), at once when it is new or has changed, then again
//! and again.

use std::collections::BTreeMap;

use trunkline_model::Ref;
use trunkline_transaction::timers::Now;

/// Unanswered questions in a row that make a destination count as down.
const PATIENCE: u8 = 2;
/// A question is unanswered after this long.
const ANSWER: Now = 4_000;
/// One that is down is asked this often at least: calls pass it over meanwhile.
const DOWN: Now = 10_000;
/// A name is being looked up: the question is sent after this long.
const LOOK_UP: Now = 1_000;

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A destination of a trunk, by its place in `uris`.
    Trunk(Ref, u8),
    /// A peer, or an instance of one.
    Peer(Ref, Place),
}

/// What of a peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Its `contactAddr`.
    Address,
    /// The instance with this binding.
    Instance(u64),
}

/// What is known of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has not answered, and has not failed to answer either.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not answer, or says that it wants no calls.
    Down,
}

impl State {
    /// The state as one word.
    pub fn word(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Outcome<W> {
    /// It went out by this way.
    Sent(W),
    /// There is no way there; this one could not be gone.
    NoWay(Option<W>),
    /// Its name is being looked up.
    Later,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<W> {
    /// The address of this way left the last question unanswered: where its name has others, they come first now.
    PassOver(W),
    /// The last question to this one was not answered in time.
    Silent(Subject),
    /// The destination is in this state now.
    Set(Subject, State),
    /// Ask this destination, with this number, and report the result to [`Qualifier::asked`].
    Ask(Subject, u64),
}

#[derive(Clone, Debug)]
struct Asked<W> {
    /// Where it is, as a number that changes with it.
    fingerprint: u64,
    /// The list that named it last.
    list: u64,
    state: State,
    serial: u64,
    unanswered: u8,
    /// The way that was asked.
    at: Option<W>,
    asked_at: Now,
    /// When its state last changed.
    since: Now,
    next: Now,
    /// An answer is awaited until `next`.
    waits: bool,
    /// It answers calls, and need not answer OPTIONS.
    answers_calls: bool,
}

/// The questions under way.
#[derive(Debug)]
pub struct Qualifier<W> {
    serial: u64,
    list: u64,
    /// In order, so that a simulation asks in the same order each time.
    asked: BTreeMap<Subject, Asked<W>>,
}

impl<W> Default for Qualifier<W> {
    fn default() -> Self {
        Qualifier { serial: 0, list: 0, asked: BTreeMap::new() }
    }
}

impl<W> Qualifier<W> {
    /// A new list of destinations begins.
    pub fn begin_list(&mut self) {
        self.list += 1;
    }

    /// The list names this one, which is where this number says. True: it is new or elsewhere than before, so that nothing is
    /// known of it, and it is to be asked at once.
    pub fn list(&mut self, subject: Subject, fingerprint: u64, now: Now) -> bool {
        let list = self.list;
        if let Some(asked) = self.asked.get_mut(&subject)
            && asked.fingerprint == fingerprint
        {
            asked.list = list;
            return false;
        }
        let (state, at) = (State::Unknown, None);
        let asked = Asked {
            fingerprint,
            list,
            state,
            serial: 0,
            unanswered: 0,
            at,
            asked_at: now,
            since: now,
            next: now,
            waits: false,
            answers_calls: false,
        };
        self.asked.insert(subject, asked);
        true
    }

    /// The list is complete: those that it does not name are forgotten.
    pub fn end_list(&mut self) {
        let list = self.list;
        self.asked.retain(|_, asked| asked.list == list);
    }

    /// Is this one asked?
    pub fn asks(&self, subject: &Subject) -> bool {
        self.asked.contains_key(subject)
    }

    /// Is an answer to the question of this number awaited?
    pub fn awaits(&self, serial: u64) -> bool {
        self.asked.values().any(|asked| asked.serial == serial && asked.waits)
    }

    /// In how many milliseconds the next question to this one is due.
    pub fn due_in(&self, subject: &Subject, every: Now, now: Now) -> Option<Now> {
        let asked = self.asked.get(subject)?;
        let next = if asked.waits { asked.asked_at + asked.every(every) } else { asked.next };
        Some(next.saturating_sub(now))
    }

    /// Time has passed: appends the questions that are due, of which there is one in `every` milliseconds.
    pub fn on_time(&mut self, every: Now, now: Now, out: &mut Vec<Output<W>>) {
        for (subject, asked) in self.asked.iter_mut().filter(|(_, asked)| asked.next <= now) {
            if std::mem::take(&mut asked.waits) {
                asked.unanswered = asked.unanswered.saturating_add(1);
                out.extend(asked.at.take().map(Output::PassOver));
                out.push(Output::Silent(subject.clone()));
                if asked.unanswered >= PATIENCE {
                    if !asked.answers_calls {
                        asked.set(subject, State::Down, now, out);
                    }
                    asked.next = asked.asked_at + asked.every(every);
                }
            }
            if asked.next <= now {
                self.serial += 1;
                (asked.serial, asked.asked_at) = (self.serial, now);
                out.push(Output::Ask(subject.clone(), self.serial));
            }
        }
    }

    /// What came of the last question to this one.
    pub fn asked(
        &mut self,
        subject: &Subject,
        outcome: Outcome<W>,
        (every, now): (Now, Now),
        out: &mut Vec<Output<W>>,
    ) {
        let Some(asked) = self.asked.get_mut(subject) else { return };
        match outcome {
            Outcome::Sent(way) => {
                (asked.at, asked.waits) = (Some(way), true);
                asked.next = now + ANSWER.min(every);
            }
            Outcome::Later => asked.next = now + LOOK_UP,
            Outcome::NoWay(way) => {
                out.extend(way.map(Output::PassOver));
                asked.fail(subject, (PATIENCE, every), now, out);
            }
        }
    }

    /// An answer came to the question of this number. Gives who was asked. Any answer shows that somebody is there (a 503 says
    /// that it wants no calls).
    pub fn answered(
        &mut self,
        (serial, status): (u64, u16),
        (every, now): (Now, Now),
        out: &mut Vec<Output<W>>,
    ) -> Option<Subject> {
        let (subject, asked) = self.asked.iter_mut().find(|(_, a)| a.serial == serial)?;
        (asked.unanswered, asked.waits) = (0, false);
        let state = if status == 503 { State::Down } else { State::Up };
        asked.set(subject, state, now, out);
        asked.next = asked.asked_at + asked.every(every);
        Some(subject.clone())
    }

    /// The question of this number was lost with its connection. Gives who was asked.
    pub fn lost(
        &mut self,
        serial: u64,
        (every, now): (Now, Now),
        out: &mut Vec<Output<W>>,
    ) -> Option<Subject> {
        let (subject, asked) = self.asked.iter_mut().find(|(_, a)| a.serial == serial && a.waits)?;
        out.extend(asked.at.take().map(Output::PassOver));
        asked.fail(subject, (1, every), now, out);
        Some(subject.clone())
    }

    /// A call found this one silent: it is down until it answers, and asked at once.
    pub fn failed_a_call(&mut self, subject: &Subject, now: Now, out: &mut Vec<Output<W>>) {
        let Some(asked) = self.asked.get_mut(subject) else { return };
        asked.answers_calls = false;
        asked.set(subject, State::Down, now, out);
        if !asked.waits {
            asked.next = now;
        }
        asked.unanswered = asked.unanswered.max(PATIENCE - 1);
    }

    /// This one was down, and answered a call: it is up, and questions that it leaves unanswered say nothing until a call finds
    /// it silent.
    pub fn answered_a_call(&mut self, subject: &Subject, now: Now, out: &mut Vec<Output<W>>) {
        let Some(asked) = self.asked.get_mut(subject) else { return };
        asked.answers_calls = true;
        asked.set(subject, State::Up, now, out);
    }

    /// Nobody is asked: those that have been down for so long may be back.
    pub fn pardon(&mut self, after: Now, now: Now, out: &mut Vec<Output<W>>) {
        let down = |asked: &&mut Asked<W>| asked.state == State::Down && now >= asked.since + after;
        for (subject, asked) in &mut self.asked {
            if let Some(asked) = Some(asked).filter(down) {
                asked.set(subject, State::Unknown, now, out);
            }
        }
    }
}

impl<W> Asked<W> {
    /// So many questions more failed.
    fn fail(&mut self, subject: &Subject, (more, every): (u8, Now), now: Now, out: &mut Vec<Output<W>>) {
        self.waits = false;
        self.unanswered = self.unanswered.saturating_add(more);
        let is_down = self.unanswered >= PATIENCE;
        if is_down {
            self.set(subject, State::Down, now, out);
        }
        self.next = if is_down { self.asked_at + self.every(every) } else { now };
    }

    /// Milliseconds between two questions to this one.
    fn every(&self, every: Now) -> Now {
        if self.state == State::Down { every.min(DOWN) } else { every }
    }

    fn set(&mut self, subject: &Subject, state: State, now: Now, out: &mut Vec<Output<W>>) {
        if self.state != state {
            (self.state, self.since) = (state, now);
            out.push(Output::Set(subject.clone(), state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Now = 30_000;

    type Machine = Qualifier<&'static str>;
    type Done = Vec<Output<&'static str>>;

    fn carrier() -> Subject {
        Subject::Trunk("carrier".into(), 0)
    }

    fn listed(q: &mut Machine, fingerprint: u64, now: Now) -> bool {
        q.begin_list();
        let new = q.list(carrier(), fingerprint, now);
        q.end_list();
        new
    }

    fn on_time(q: &mut Machine, now: Now) -> Done {
        let mut out = Vec::new();
        q.on_time(EVERY, now, &mut out);
        out
    }

    fn asked(q: &mut Machine, outcome: Outcome<&'static str>, now: Now) -> Done {
        let mut out = Vec::new();
        q.asked(&carrier(), outcome, (EVERY, now), &mut out);
        out
    }

    fn answered(q: &mut Machine, serial: u64, status: u16) -> Done {
        let mut out = Vec::new();
        q.answered((serial, status), (EVERY, 0), &mut out);
        out
    }

    #[test]
    fn a_new_one_is_asked_at_once_and_is_up_when_it_has_answered() {
        let mut q = Machine::default();
        assert!(listed(&mut q, 1, 100) && !listed(&mut q, 1, 200));
        assert_eq!(on_time(&mut q, 200), [Output::Ask(carrier(), 1)]);
        assert_eq!(asked(&mut q, Outcome::Sent("a"), 200), []);
        assert_eq!(answered(&mut q, 1, 404), [Output::Set(carrier(), State::Up)], "any answer shows it");
        assert_eq!(on_time(&mut q, 200 + EVERY - 1), []);
        assert_eq!(on_time(&mut q, 200 + EVERY), [Output::Ask(carrier(), 2)]);
        asked(&mut q, Outcome::Sent("a"), 200 + EVERY);
        assert_eq!(answered(&mut q, 2, 200), [], "it is so already");
        // Elsewhere it is another one.
        assert!(listed(&mut q, 2, 40_000));
        assert_eq!(on_time(&mut q, 40_000), [Output::Ask(carrier(), 3)]);
    }

    #[test]
    fn two_questions_without_an_answer_make_it_down() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        on_time(&mut q, 0);
        asked(&mut q, Outcome::Sent("a"), 0);
        assert_eq!(on_time(&mut q, ANSWER - 1), []);
        let again = [Output::PassOver("a"), Output::Silent(carrier()), Output::Ask(carrier(), 2)];
        assert_eq!(on_time(&mut q, ANSWER), again);
        asked(&mut q, Outcome::Sent("b"), ANSWER);
        assert_eq!(answered(&mut q, 1, 200), [], "that was the one before");
        let down = [Output::PassOver("b"), Output::Silent(carrier()), Output::Set(carrier(), State::Down)];
        assert_eq!(on_time(&mut q, 2 * ANSWER), down);
        assert_eq!(
            q.due_in(&carrier(), EVERY, 2 * ANSWER),
            Some(DOWN - ANSWER),
            "more often than the others"
        );
        assert_eq!(on_time(&mut q, ANSWER + DOWN - 1), []);
        assert_eq!(on_time(&mut q, ANSWER + DOWN), [Output::Ask(carrier(), 3)]);
        asked(&mut q, Outcome::Sent("a"), ANSWER + DOWN);
        assert_eq!(answered(&mut q, 3, 200), [Output::Set(carrier(), State::Up)]);
        assert_eq!(on_time(&mut q, ANSWER + DOWN + EVERY - 1), []);
        assert_eq!(on_time(&mut q, ANSWER + DOWN + EVERY), [Output::Ask(carrier(), 4)]);
    }

    #[test]
    fn a_carrier_that_answers_calls_need_not_answer_questions() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        let mut now = 0;
        let mut silent = |q: &mut Machine| {
            let mut done = Vec::new();
            for _ in 0..2 {
                done.extend(on_time(q, now));
                asked(q, Outcome::Sent("a"), now);
                now += ANSWER;
            }
            done.extend(on_time(q, now));
            now += EVERY;
            done.into_iter().filter(|o| matches!(o, Output::Set(..))).collect::<Vec<_>>()
        };
        assert_eq!(silent(&mut q), [Output::Set(carrier(), State::Down)]);
        let mut out = Vec::new();
        q.answered_a_call(&carrier(), 0, &mut out);
        assert_eq!(out, [Output::Set(carrier(), State::Up)]);
        assert_eq!(silent(&mut q), []);
        out.clear();
        q.failed_a_call(&carrier(), 0, &mut out);
        assert_eq!(out, [Output::Set(carrier(), State::Down)]);
        out.clear();
        q.answered_a_call(&carrier(), 0, &mut out);
        q.failed_a_call(&carrier(), 0, &mut out);
        assert_eq!(out.last(), Some(&Output::Set(carrier(), State::Down)));
    }

    #[test]
    fn a_503_is_down_and_so_is_what_no_way_leads_to() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        on_time(&mut q, 0);
        asked(&mut q, Outcome::Sent("a"), 0);
        assert_eq!(answered(&mut q, 1, 503), [Output::Set(carrier(), State::Down)]);
        on_time(&mut q, EVERY);
        asked(&mut q, Outcome::Sent("a"), EVERY);
        answered(&mut q, 2, 200);
        on_time(&mut q, 2 * EVERY);
        let down = [Output::PassOver("a"), Output::Set(carrier(), State::Down)];
        assert_eq!(asked(&mut q, Outcome::NoWay(Some("a")), 2 * EVERY), down);
    }

    #[test]
    fn a_name_that_is_looked_up_says_nothing() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        for n in 0..4 {
            assert_eq!(on_time(&mut q, n * LOOK_UP), [Output::Ask(carrier(), n + 1)]);
            assert_eq!(asked(&mut q, Outcome::Later, n * LOOK_UP), []);
        }
    }

    #[test]
    fn a_lost_connection_is_tried_again_once() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        on_time(&mut q, 0);
        asked(&mut q, Outcome::Sent("a"), 0);
        let mut out = Vec::new();
        assert_eq!(q.lost(1, (EVERY, 10), &mut out), Some(carrier()));
        assert_eq!(out, [Output::PassOver("a")]);
        assert_eq!(on_time(&mut q, 10), [Output::Ask(carrier(), 2)]);
        asked(&mut q, Outcome::Sent("b"), 10);
        out.clear();
        q.lost(2, (EVERY, 20), &mut out);
        assert_eq!(out, [Output::PassOver("b"), Output::Set(carrier(), State::Down)]);
        assert_eq!(on_time(&mut q, 20), []);
    }

    #[test]
    fn a_call_without_an_answer_makes_it_down_and_has_it_asked() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        on_time(&mut q, 0);
        asked(&mut q, Outcome::Sent("a"), 0);
        answered(&mut q, 1, 200);
        let mut out = Vec::new();
        q.failed_a_call(&carrier(), 5_000, &mut out);
        assert_eq!(out, [Output::Set(carrier(), State::Down)]);
        assert_eq!(on_time(&mut q, 5_000), [Output::Ask(carrier(), 2)]);
        asked(&mut q, Outcome::Sent("a"), 5_000);
        assert_eq!(answered(&mut q, 2, 200), [Output::Set(carrier(), State::Up)]);
    }

    #[test]
    fn where_nobody_is_asked_a_silent_one_is_down_for_a_while() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        let mut out = Vec::new();
        q.failed_a_call(&carrier(), 100, &mut out);
        q.pardon(1_000, 1_099, &mut out);
        assert_eq!(out, [Output::Set(carrier(), State::Down)]);
        out.clear();
        q.pardon(1_000, 1_100, &mut out);
        assert_eq!(out, [Output::Set(carrier(), State::Unknown)]);
    }

    #[test]
    fn who_is_not_listed_is_forgotten() {
        let mut q = Machine::default();
        listed(&mut q, 1, 0);
        on_time(&mut q, 0);
        asked(&mut q, Outcome::Sent("a"), 0);
        assert!(q.asks(&carrier()));
        q.begin_list();
        q.end_list();
        assert!(!q.asks(&carrier()));
        assert_eq!(answered(&mut q, 1, 200), []);
    }
}
