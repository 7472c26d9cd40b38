//! The two sides of an answered call, as it takes to hang up for both of them: each gets a BYE as the other one would send it.

use trunkline_sip::Flow;

/// One side, as the other one hears it. Its memory is used again for the next call.
#[derive(Clone, Debug, Default)]
pub struct Talker {
    /// How it is reached; `None` before the answer.
    pub flow: Option<Flow>,
    /// Header lines of its requests: Route, From, To, Call-ID.
    pub head: Vec<u8>,
    /// The remote target of its requests.
    pub target: Vec<u8>,
}

impl Talker {
    /// Forgets a call.
    pub(crate) fn clear(&mut self) {
        self.flow = None;
        self.head.clear();
        self.target.clear();
    }

    /// Appends a header line.
    pub fn put(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b": ", value, b"\r\n"] {
            self.head.extend_from_slice(part);
        }
    }
}
