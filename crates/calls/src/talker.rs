//! The two sides of an answered call, as it takes to hang up for both of them: each gets a BYE as the other one would send it.
//! What is kept of a message is short ([`MOST_KEPT`]), so that a call costs no more than its row.

use trunkline_proxy::Side;
use trunkline_sip::Flow;

/// Bytes of a message, a tag or a target that are kept, at most: a call with longer ones is ended at once.
pub const MOST_KEPT: usize = 4096;
/// Memory above this much is given back with the call: that of its message, and of each shorter text.
pub(crate) const ROOM: usize = 2048;
pub(crate) const SHORT_ROOM: usize = 256;

/// One side, as the other one hears it. It is read when somebody hangs up, which is seldom. Its memory is used again for the next
/// call.
#[derive(Clone, Debug, Default)]
pub struct Talker {
    /// How it is reached; `None` before the answer.
    pub flow: Option<Flow>,
    /// The head of what began its dialog: of the INVITE as the callee got it, of the 2xx as the caller did.
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
        self.message.shrink_to(ROOM);
        for text in [&mut self.tag, &mut self.target, &mut self.asked.1] {
            text.clear();
            text.shrink_to(SHORT_ROOM);
        }
    }

    /// The bytes that are kept.
    pub(crate) fn len(&self) -> usize {
        self.message.len() + self.tag.len() + self.target.len() + self.asked.1.len()
    }

    /// It is reached by this flow, and a message began its dialog of which this is written. False when that is too long to be kept:
    /// the call is to end then.
    #[must_use]
    pub fn begin(&mut self, flow: Flow, write: impl FnOnce(&mut Vec<u8>), tag: &[u8]) -> bool {
        self.flow = Some(flow);
        write(&mut self.message);
        self.tag.extend_from_slice(tag);
        self.message.len().max(tag.len()) <= MOST_KEPT
    }

    /// The other side asks to be reached at another target. A request with one that is too long to be kept is refused before.
    pub(crate) fn ask(&mut self, cseq: u32, target: &[u8]) {
        self.asked.0 = cseq;
        self.asked.1.clear();
        if target.len() <= MOST_KEPT {
            self.asked.1.extend_from_slice(target);
        }
    }

    /// The request of this CSeq that asked for it is accepted.
    pub(crate) fn grant(&mut self, cseq: u32) {
        if self.asked.0 == cseq && !self.asked.1.is_empty() {
            std::mem::swap(&mut self.target, &mut self.asked.1);
            self.asked.1.clear();
        }
    }

    /// The other side, which was asked, is reached at this target from now on. False when it is too long to be kept: the call is to
    /// end then.
    pub(crate) fn move_to(&mut self, target: &[u8]) -> bool {
        self.target.clear();
        self.target.extend_from_slice(target);
        target.len() <= MOST_KEPT
    }
}
