//! One branch of a request, and targets that wait for their turn.

use trunkline_sip::Method;
use trunkline_transaction::timers::Now;
use trunkline_transaction::{Actions, Class, NonInviteClient};

use super::ends::Client;

/// A place the request goes to, as far as the machine has to know it.
#[derive(Clone, Debug)]
pub struct Target<H> {
    /// The transport delivers by itself.
    pub reliable: bool,
    /// A large request went over TCP; without an answer it goes over UDP (RFC 3261 §18.1.1).
    pub grown: bool,
    /// It is a destination of a trunk: another one is tried when it is silent or has trouble of its own, and no other
    /// when it refuses.
    pub trunk: bool,
    /// It leads to a carrier, by the operator's word or a carrier's own.
    pub carrier: bool,
    /// Its challenge goes on to who sent the request.
    pub passes_challenges: bool,
    /// Its challenge can be answered with credentials of ours, which was not done yet.
    pub has_credentials: bool,
    /// Its host has further addresses.
    pub has_addresses: bool,
    /// Milliseconds of silence after which the next target is tried.
    pub silence: Option<u32>,
    /// Milliseconds of silence after which another address or flow of the same target is tried.
    pub patience: u32,
    /// The phone that has several flows (RFC 5626), 0 for none.
    pub phone: u64,
    /// By how much its CSeq is higher than the caller's.
    pub cseq_added: u32,
    /// Where that is, which only the owner of the machine knows.
    pub hop: H,
}

/// Why a branch is cancelled, which its CANCEL tells in Reason (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The caller cancels: it has the Reason of the caller's own CANCEL, if there is one.
    Caller,
    /// Another branch decided the call with this status: a 2xx or a 6xx.
    Decided(u16),
    /// It is silent, or rings for too long. Nothing is said: a phone then shows a missed call.
    Unanswered,
}

/// Where the cancelling of a branch stands, RFC 3261 §9.1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cancel {
    /// Nobody wants it.
    No,
    /// Wanted; it waits for a provisional response.
    Wanted(Why),
    /// The CANCEL is a transaction of its own, with the branch of the INVITE.
    Sent(NonInviteClient, Why),
}

/// What ends the wait for a branch besides its own timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    None,
    /// It stays silent: another way is tried.
    Silence(Now),
    /// Timer C, or the callee's own time: cancel.
    Answer(Now),
}

/// A request that was sent, and what is known of its fate.
#[derive(Debug)]
pub struct Branch<H> {
    pub(super) client: Client,
    /// The request as it went out; after a failure of an INVITE its ACK.
    pub(super) sent: Vec<u8>,
    /// The ACK, while the request itself may still be needed.
    pub(super) ack: Vec<u8>,
    /// The final response, where it may still be needed as the best one.
    pub(super) response: Vec<u8>,
    /// The final status, 0 while there is none.
    pub(super) code: u16,
    /// Is that 403 in place of a challenge, which the caller is not to see?
    pub(super) hides_challenge: bool,
    pub(super) cancel: Cancel,
    pub(super) limit: Limit,
    /// Where the name of this branch has to be written into the request, 0: it stands there.
    pub(super) name_at: u16,
    /// Where it went.
    pub target: Target<H>,
}

impl<H> Branch<H> {
    pub(super) fn new(method: Method, request: Vec<u8>, target: Target<H>, now: Now) -> Branch<H> {
        Branch {
            client: Client::new(method, target.reliable, now),
            sent: request,
            ack: Vec::new(),
            response: Vec::new(),
            code: 0,
            hides_challenge: false,
            cancel: Cancel::No,
            limit: Limit::None,
            name_at: 0,
            target,
        }
    }

    /// The request as it went out; after a failure of an INVITE its ACK; empty after a 2xx.
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// The kept final response.
    pub fn response(&self) -> &[u8] {
        &self.response
    }

    /// The final status, 0 while there is none.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Is its final status 403 in place of a challenge, which the caller is not to see?
    pub fn hides_challenge(&self) -> bool {
        self.hides_challenge
    }

    /// A provisional response has come, and no final one.
    pub fn is_proceeding(&self) -> bool {
        self.client.is_proceeding()
    }

    /// Would a response of this class be passed on? Not after one that says the contrary.
    pub fn delivers(&self, class: Class) -> bool {
        let mut client = self.client;
        client.on_response(class, 0).has(Actions::DELIVER)
    }

    /// It waited for its turn, and has no name yet.
    pub fn waited(&self) -> bool {
        self.name_at != 0
    }

    /// The place for this branch's name in a request that waited, until it is taken.
    pub fn name_place(&mut self, length: usize) -> Option<&mut [u8]> {
        let at = usize::from(std::mem::take(&mut self.name_at));
        if at == 0 { None } else { self.sent.get_mut(at..at + length) }
    }

    /// The limit that holds now: one whose fate is known has none, unless it is being cancelled and has said nothing
    /// final yet. Somebody who never will must not be waited for (RFC 3261 §9.1).
    pub(super) fn limit(&self) -> Limit {
        let ends = matches!(self.cancel, Cancel::Sent(..)) && self.client.is_proceeding();
        if self.code == 0 || ends { self.limit } else { Limit::None }
    }

    /// The earliest time at which something is to be done.
    pub(super) fn deadline(&self) -> Option<Now> {
        let cancel = match &self.cancel {
            Cancel::Sent(cancel, _) => cancel.deadline(),
            Cancel::No | Cancel::Wanted(_) => None,
        };
        let limit = match self.limit() {
            Limit::None => None,
            Limit::Silence(at) | Limit::Answer(at) => Some(at),
        };
        [self.client.deadline(), cancel, limit].into_iter().flatten().min()
    }

    /// Nothing more comes of it, nor of its CANCEL.
    pub(super) fn is_over(&self) -> bool {
        let cancelled = match &self.cancel {
            Cancel::No | Cancel::Wanted(_) => true,
            Cancel::Sent(c, _) => c.is_terminated(),
        };
        self.client.is_terminated() && cancelled
    }
}

/// A target whose turn comes when others have failed.
#[derive(Debug)]
pub struct Waiting<H> {
    /// The request as it will go out but for the name of the branch, which has its place at [`Waiting::name_at`].
    pub request: Vec<u8>,
    /// Where the name of the branch goes.
    pub name_at: u16,
    /// Where there is no way to it, the status that it counts as.
    pub dead: Option<u16>,
    /// Targets of one group are tried at once.
    pub group: u8,
    /// Where it goes.
    pub target: Target<H>,
}
