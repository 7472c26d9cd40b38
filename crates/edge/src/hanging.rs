//! Calls that an operator is ending: which of their sides could not be told. Who asked waits for that.

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

/// The calls that somebody asked to end, as long as it waits.
#[derive(Debug, Default)]
pub(crate) struct Hanging(Mutex<HashMap<u64, State>>);

impl Hanging {
    pub(crate) fn ask(&self, number: u64) {
        self.0.lock().insert(number, State::Asked);
    }

    pub(crate) fn begin(&self, number: u64) {
        self.set(number, State::Begun);
    }

    pub(crate) fn finish(&self, number: u64, untold: [bool; 2]) {
        self.set(number, State::Done { untold });
    }

    fn set(&self, number: u64, state: State) {
        if let Some(known) = self.0.lock().get_mut(&number) {
            *known = state;
        }
    }

    /// Are the BYEs to the sides of this call being sent?
    pub(crate) fn is_begun(&self, number: u64) -> bool {
        self.0.lock().get(&number) == Some(&State::Begun)
    }

    /// Which sides of a call got no BYE. It is asked once.
    pub(crate) fn untold(&self, number: u64) -> Vec<&'static str> {
        match self.0.lock().remove(&number) {
            Some(State::Done { untold: [caller, callee] }) => {
                let sides = [(caller, "caller"), (callee, "callee")];
                sides.into_iter().filter(|(untold, _)| *untold).map(|(_, side)| side).collect()
            }
            Some(State::Asked | State::Begun) | None => Vec::new(),
        }
    }
}
