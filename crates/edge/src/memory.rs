//! Memory that is used again, so that messages cost no allocation. It is an argument: whoever works on a message is given it.

use trunkline_registrar::Memory;
use trunkline_routing::Decision;
use trunkline_sip::{Index, Splices};

/// For as long as a message is worked on.
#[derive(Default)]
pub(crate) struct MessageMemory {
    /// What it consists of.
    pub(crate) index: Index,
    /// The text that its topmost Via gets.
    pub(crate) via: Vec<u8>,
    pub(crate) decided: DecisionMemory,
}

/// What is decided of a request.
#[derive(Default)]
pub(crate) struct DecisionMemory {
    pub(crate) decision: Decision,
    pub(crate) registrar: Memory,
    /// What it takes to say where a request inside a dialog goes, or why a CANCEL came.
    pub(crate) text: Vec<u8>,
}

/// For one step: what is read again, written and sent.
#[derive(Default)]
pub(crate) struct StepMemory {
    pub(crate) index: Index,
    pub(crate) splices: Splices,
    pub(crate) out: Vec<u8>,
    pub(crate) text: Vec<u8>,
}
