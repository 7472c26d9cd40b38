//! The two sides of an answered call, as it takes to hang up for both of them: each gets a BYE as the other one would send it.

use trunkline_proxy::Side;
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
    /// The target that the other side has asked for by a request that has no answer yet, and the CSeq of that.
    pub(crate) asked: (u32, Vec<u8>),
}

/// Who is asked by a request of this side, and who asks.
pub(crate) fn pair([caller, callee]: &mut [Talker; 2], side: Side) -> [&mut Talker; 2] {
    match side {
        Side::Caller => [callee, caller],
        Side::Callee => [caller, callee],
    }
}

impl Talker {
    /// Forgets a call.
    pub(crate) fn clear(&mut self) {
        self.flow = None;
        self.message.clear();
        self.tag.clear();
        self.target.clear();
        self.asked.1.clear();
    }

    /// It is reached by this flow, and this message began its dialog.
    pub fn begin(&mut self, flow: Flow, message: &[u8], tag: &[u8]) {
        self.flow = Some(flow);
        self.message.extend_from_slice(message);
        self.tag.extend_from_slice(tag);
    }

    /// The other side asks to be reached at another target.
    pub(crate) fn ask(&mut self, cseq: u32, target: &[u8]) {
        self.asked.0 = cseq;
        self.asked.1.clear();
        self.asked.1.extend_from_slice(target);
    }

    /// The request of this CSeq that asked for it is accepted.
    pub(crate) fn grant(&mut self, cseq: u32) {
        if self.asked.0 == cseq && !self.asked.1.is_empty() {
            std::mem::swap(&mut self.target, &mut self.asked.1);
            self.asked.1.clear();
        }
    }

    /// The other side, which was asked, is reached at this target from now on.
    pub(crate) fn move_to(&mut self, target: &[u8]) {
        self.target.clear();
        self.target.extend_from_slice(target);
    }
}
