//! What is said of dialogs.

use trunkline_sip::Method;

use super::entry::Moved;

/// One dialog: a number and the callee in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// [`Mark::dialog`]
    pub number: u64,
    pub(super) tag: u64,
    pub(super) party: u64,
}

/// Where a response comes from to a request that begins dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A branch of a transaction, which tells its end.
    Branch(u8),
    /// There is no transaction.
    Stateless,
}

/// A response to a request inside a dialog, or to the one that begins it.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method of the request.
    pub method: Method,
    /// The status.
    pub status: u16,
    /// CSeq as the sender of the request counts.
    pub cseq: u32,
    /// What the responder's Contact says, where there is one.
    pub contact: Option<Moved>,
    /// The seconds of Expires.
    pub expires: Option<u32>,
}

/// What a BYE or its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: it was refused, or the dialog was an early one.
    Nothing,
    /// The dialog with this callee; others have taken the call too.
    Dialog,
    /// The call.
    Call,
}

impl Answered {
    /// Does it end a call? A BYE does that is accepted, or whose dialog the other side knows nothing of, or that nobody answers
    /// (RFC 3261 §12.2.1.2, §15.1.1). After any other refusal the other side goes on.
    pub fn hangs_up(&self) -> bool {
        self.method == Method::Bye && matches!(self.status, 200..=299 | 408 | 481)
    }
}

/// Why no further dialogs can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// There are as many as there may be.
    Full,
    /// Who begins them has begun its whole share of them.
    Share,
}
