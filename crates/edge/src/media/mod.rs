//! Media of calls: relayed by rtpengine where the operator set one, refused where it cannot work without.
//!
//! A message whose SDP is to be replaced is parked: its bytes stay in the shard's [`Desk`] under a ticket, the shard
//! goes on, rtpengine's answer comes as mail, and the message is taken up again as if it had just come in. A request
//! finds its new body in [`Relayed`] then (one INVITE may need two, for browsers and for phones); a response is
//! rewritten before. Repetitions of a parked message are dropped.
//!
//! A first INVITE gets the number of its dialogs here, before it has a transaction: everything that is relayed for it goes by
//! that number, and by the tag of the callee.

mod body;
mod call;
mod name;
mod relayed;
mod requests;
mod responses;

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use trunkline_media::{Command, MediaError, Party, Side};
use trunkline_sip::Flow;
use trunkline_transaction::timers::{Now, T1_64};
use trunkline_transaction::{Slot, TransactionKey};

use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

pub(crate) use body::put_length;
use call::{Body, ByParty, Turned};
pub(crate) use relayed::Relayed;
pub(crate) use requests::{Offered, Relaying, refusal};

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
    fn is_first(&self) -> bool {
        self.callee_tag.is_none()
    }
}

/// What waits for rtpengine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Waiting {
    Request(TransactionKey),
    Response(Slot, u8, u16),
}

/// What becomes of rtpengine's answer.
#[derive(Clone, Debug)]
enum Awaited {
    Offer(u64),
    Turned(u64, Turned),
    Response,
}

/// A message that waits.
#[derive(Debug)]
struct Parked {
    what: Waiting,
    awaited: Awaited,
    flow: Flow,
    bytes: Box<[u8]>,
    /// Of an INVITE, what its CANCEL has in common with it, and where it is about to go.
    companion: u64,
    bound_for: Box<[IpAddr]>,
    /// Answers still to come.
    left: usize,
}

impl Parked {
    /// A message that waits for so much.
    fn new(what: Waiting, awaited: Awaited, flow: &Flow, bytes: &[u8]) -> Parked {
        Parked {
            what,
            awaited,
            flow: *flow,
            bytes: bytes.into(),
            companion: 0,
            bound_for: Box::default(),
            left: 0,
        }
    }
}

/// The number of an INVITE between the relay's answer and its transaction.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    number: u64,
    until: Now,
}

/// The messages of one shard that wait.
#[derive(Default)]
pub(crate) struct Desk {
    next: u64,
    parked: HashMap<u64, Parked>,
    by_message: HashMap<Waiting, u64>,
    /// By the transaction to be, and the very message: another one under the same key is another call.
    numbers: HashMap<(TransactionKey, u64), Numbered>,
    /// The response at hand has its SDP replaced already.
    replaced: bool,
}

/// A ticket: the shard in the first byte, then a number, then for which sort of callee.
const NUMBER: u64 = (1 << 55) - 1;

impl Desk {
    /// How the parked messages came.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.parked.values().map(|p| &p.flow)
    }

    fn take(&mut self, number: u64) -> Option<Parked> {
        let parked = self.parked.remove(&number)?;
        self.by_message.remove(&parked.what);
        Some(parked)
    }
}

impl Edge {
    /// Parks a message and asks rtpengine; what could not be asked comes back.
    fn park(
        &mut self,
        mut parked: Parked,
        commands: impl IntoIterator<Item = (Party, Command)>,
    ) -> Result<(), MediaError> {
        let Some(relayed) = self.shared.media.clone() else { return Err(MediaError::Ended) };
        self.desk.next = (self.desk.next + 1) & NUMBER;
        let number = self.desk.next;
        let mut failed = None;
        for (party, command) in commands {
            let ticket = u64::from(self.shard) << 56 | number << 1 | call::place(party) as u64;
            match relayed.ask(command, ticket) {
                Ok(()) => parked.left += 1,
                Err(error) => {
                    if let Awaited::Offer(call) = parked.awaited {
                        relayed.set_offered(call, party, Err(error.status()));
                    }
                    failed = Some(error);
                }
            }
        }
        if let (0, Some(error)) = (parked.left, failed) {
            return Err(error);
        }
        self.desk.by_message.insert(parked.what, number);
        self.desk.parked.insert(number, parked);
        Ok(())
    }

    /// rtpengine answered: the message goes on.
    pub(crate) fn on_media(
        &mut self,
        io: &mut Io<EdgeMail>,
        ticket: u64,
        outcome: Result<Vec<u8>, MediaError>,
    ) {
        let number = ticket >> 1 & NUMBER;
        // Unknown: it was cancelled in the meantime.
        let Some(parked) = self.desk.parked.get_mut(&number) else { return };
        parked.left = parked.left.saturating_sub(1);
        let over = parked.left == 0;
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a call's media cannot be relayed");
        }
        if let (Some(relayed), false) = (&self.shared.media, matches!(parked.awaited, Awaited::Response)) {
            let body: Body = match &outcome {
                Ok(sdp) => Ok(Arc::from(sdp.as_slice())),
                Err(error) => Err(error.status()),
            };
            match &parked.awaited {
                Awaited::Offer(call) => {
                    let party = call::PARTIES[(ticket & 1) as usize];
                    relayed.set_offered(*call, party, body);
                }
                Awaited::Turned(call, turned) => relayed.set_turned(*call, turned, body),
                Awaited::Response => {}
            }
        }
        if !over {
            return;
        }
        let Some(parked) = self.desk.take(number) else { return };
        match parked.awaited {
            Awaited::Offer(call) => {
                self.keep_number(io, &parked, call);
                self.take_message(io, &parked.flow, &parked.bytes);
            }
            Awaited::Turned(..) => self.take_message(io, &parked.flow, &parked.bytes),
            Awaited::Response => self.take_response(io, &parked.flow, &parked.bytes, outcome.ok()),
        }
    }

    /// An INVITE is taken up again: it has a number. It may have to wait for something else before it has a transaction.
    fn keep_number(&mut self, io: &Io<EdgeMail>, parked: &Parked, number: u64) {
        if let Waiting::Request(key) = parked.what {
            let message = self.message_hash(&parked.flow, &parked.bytes);
            self.desk.numbers.insert((key, message), Numbered { number, until: io.now() + T1_64 });
        }
    }

    /// The number of an INVITE that was parked.
    fn take_number(&mut self, key: TransactionKey, flow: &Flow, bytes: &[u8]) -> Option<u64> {
        if self.desk.numbers.is_empty() {
            return None;
        }
        let message = self.message_hash(flow, bytes);
        self.desk.numbers.remove(&(key, message)).map(|n| n.number)
    }

    /// Gives the ports of INVITEs back that were taken up again and went nowhere.
    pub(crate) fn sweep_media(&mut self, io: &Io<EdgeMail>) {
        let Some(relayed) = &self.shared.media else { return };
        for (_, lost) in self.desk.numbers.extract_if(|_, n| n.until <= io.now()) {
            relayed.end(lost.number);
        }
        if self.shard == 0 {
            relayed.sweep(io.unix_ms());
        }
    }
}
