//! Calls that operators are ending: which of their sides could not be told. Who asked waits for that, and of several each learns it.

use hashbrown::HashMap;
use parking_lot::Mutex;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked,
    Begun,
    /// Both sides have their BYE, but for these: the caller, the callee.
    Done {
        untold: [bool; 2],
    },
}

#[derive(Debug)]
struct Asked {
    state: State,
    /// So many wait for it.
    waiting: usize,
}

/// The calls that somebody asked to end, as long as it waits.
#[derive(Debug, Default)]
pub(crate) struct Hanging(Mutex<HashMap<u64, Asked>>);

impl Hanging {
    /// Each of those who ask this asks [`Hanging::untold`] in the end.
    pub(crate) fn ask(&self, number: u64) {
        let mut all = self.0.lock();
        all.entry(number).or_insert(Asked { state: State::Asked, waiting: 0 }).waiting += 1;
    }

    pub(crate) fn begin(&self, number: u64) {
        self.set(number, State::Begun);
    }

    pub(crate) fn finish(&self, number: u64, untold: [bool; 2]) {
        self.set(number, State::Done { untold });
    }

    fn set(&self, number: u64, state: State) {
        if let Some(asked) = self.0.lock().get_mut(&number) {
            asked.state = state;
        }
    }

    /// Are the BYEs to the sides of this call being sent?
    pub(crate) fn is_begun(&self, number: u64) -> bool {
        self.0.lock().get(&number).is_some_and(|asked| asked.state == State::Begun)
    }

    /// Which sides of a call got no BYE. `None`: it has not been ended since this one asked for it, so that nothing is known of them.
    pub(crate) fn untold(&self, number: u64) -> Option<Vec<&'static str>> {
        let mut all = self.0.lock();
        let asked = all.get_mut(&number)?;
        asked.waiting = asked.waiting.saturating_sub(1);
        let (state, over) = (asked.state, asked.waiting == 0);
        if over {
            all.remove(&number);
        }
        let State::Done { untold: [caller, callee] } = state else { return None };
        let sides = [(caller, "caller"), (callee, "callee")];
        Some(sides.into_iter().filter(|(untold, _)| *untold).map(|(_, side)| side).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_those_who_asked_learns_how_it_went() {
        let hanging = Hanging::default();
        hanging.ask(1);
        hanging.begin(1);
        hanging.ask(1);
        assert!(hanging.is_begun(1), "it goes on");
        hanging.finish(1, [false, true]);
        hanging.ask(1);
        for _ in 0..3 {
            assert_eq!(hanging.untold(1), Some(vec!["callee"]));
        }
        assert!(hanging.0.lock().is_empty());
        // Who comes later has not ended it.
        hanging.ask(1);
        assert_eq!(hanging.untold(1), None);
        assert!(hanging.0.lock().is_empty());
    }
}
