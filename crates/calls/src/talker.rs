//! The two sides of an answered call, as it takes to hang up for both of them: each gets a BYE as the other one would send it.

use trunkline_sip::Flow;

/// One side, as the other one hears it. It is read when somebody hangs up, which is seldom. Its memory is used again for the next
/// call.
#[derive(Clone, Debug, Default)]
pub struct Talker {
    /// How it is reached; `None` before the answer.
    pub flow: Option<Flow>,
    /// What began its dialog: the INVITE as the callee got it, the 2xx as the caller did.
    pub message: Vec<u8>,
    /// The callee's tag, which the INVITE has not.
    pub tag: Vec<u8>,
    /// The remote target of its requests since the other side has moved; else that of the message.
    pub target: Vec<u8>,
}

impl Talker {
    /// Forgets a call.
    pub(crate) fn clear(&mut self) {
        self.flow = None;
        self.message.clear();
        self.tag.clear();
        self.target.clear();
    }

    /// It is reached by this flow, and this message began its dialog.
    pub fn begin(&mut self, flow: Flow, message: &[u8], tag: &[u8]) {
        self.flow = Some(flow);
        self.message.extend_from_slice(message);
        self.tag.extend_from_slice(tag);
    }
}
