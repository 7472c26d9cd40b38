//! What a shard knows of messages that wait for the relay, or have waited.

use hashbrown::HashMap;
use trunkline_media::Side;
use trunkline_transaction::TransactionKey;
use trunkline_transaction::timers::Now;

use super::call::Turned;

/// What a transaction's responses mean to the relay.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    /// The number of the call.
    pub(crate) number: u64,
    /// Who answers this request.
    pub(crate) responder: Side,
    /// The callee in whose dialog it is; none for the INVITE that begins the call.
    pub(crate) callee_tag: Option<Box<[u8]>>,
}

impl Leg {
    /// Is it of the INVITE that begins the call?
    pub(super) fn is_first(&self) -> bool {
        self.callee_tag.is_none()
    }
}

/// What becomes of rtpengine's answer.
#[derive(Clone, Debug)]
pub(crate) enum Awaited {
    Offer(u64),
    Turned(u64, Turned),
    Response,
}

/// The number of an INVITE between the relay's answer and its transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) until: Now,
}

/// What a shard knows of messages between the relay's answer and their transaction.
#[derive(Default)]
pub(crate) struct Answers {
    /// By the transaction to be, and the very message: another one under the same key is another call.
    pub(super) numbers: HashMap<(TransactionKey, u64), Numbered>,
    /// The response at hand has its SDP replaced already.
    pub(crate) replaced: bool,
}
