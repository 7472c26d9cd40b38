//! Media of calls: relayed by rtpengine where the operator set one, refused where it cannot work without.
//!
//! A message whose SDP is to be replaced is parked: its bytes stay in the shard's [`Desk`] under a ticket, the shard
//! goes on, rtpengine's answer comes as mail, and the message is taken up again as if it had just come in. A request
//! finds its new body in [`Relayed`] then (one INVITE may need two, for browsers and for phones); a response is
//! rewritten before. Repetitions of a parked message are dropped.

mod body;
mod relayed;
mod requests;
mod responses;

use std::sync::Arc;

use hashbrown::HashMap;
use trunkline_media::{Command, MediaError, Party, Side};
use trunkline_sip::Flow;
use trunkline_transaction::{Slot, TransactionKey};

use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

pub(crate) use body::put_length;
use relayed::{Body, ByParty, Turned};
pub(crate) use relayed::{CallName, Relayed};
pub(crate) use requests::{Offered, Relaying, refusal};

/// What a transaction's responses mean to the relay.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) name: CallName,
    /// Who answers this request.
    pub(crate) responder: Side,
    /// Is this the INVITE that begins the call?
    pub(crate) first: bool,
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
    Offer(CallName),
    Turned(CallName, Turned),
    Response,
}

/// A message that waits.
#[derive(Debug)]
struct Parked {
    what: Waiting,
    awaited: Awaited,
    flow: Flow,
    bytes: Box<[u8]>,
    /// Answers still to come.
    left: usize,
}

/// The messages of one shard that wait.
#[derive(Default)]
pub(crate) struct Desk {
    next: u64,
    parked: HashMap<u64, Parked>,
    by_message: HashMap<Waiting, u64>,
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
        what: Waiting,
        awaited: Awaited,
        flow: &Flow,
        bytes: &[u8],
        commands: impl IntoIterator<Item = (Party, Command)>,
    ) -> Result<(), MediaError> {
        let Some(relayed) = self.shared.media.clone() else { return Err(MediaError::Ended) };
        self.desk.next = (self.desk.next + 1) & NUMBER;
        let number = self.desk.next;
        let (mut left, mut failed) = (0, None);
        for (party, command) in commands {
            let ticket = u64::from(self.shard) << 56 | number << 1 | relayed::place(party) as u64;
            match relayed.ask(command, ticket) {
                Ok(()) => left += 1,
                Err(error) => {
                    if let Awaited::Offer(name) = &awaited {
                        relayed.set_offered(name, party, Err(error.status()));
                    }
                    failed = Some(error);
                }
            }
        }
        if let (0, Some(error)) = (left, failed) {
            return Err(error);
        }
        self.desk.by_message.insert(what, number);
        self.desk.parked.insert(number, Parked { what, awaited, flow: *flow, bytes: bytes.into(), left });
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
                Awaited::Offer(name) => {
                    let party = relayed::PARTIES[(ticket & 1) as usize];
                    relayed.set_offered(name, party, body);
                }
                Awaited::Turned(name, turned) => relayed.set_turned(name, *turned, body),
                Awaited::Response => {}
            }
        }
        if !over {
            return;
        }
        let Some(parked) = self.desk.take(number) else { return };
        match parked.awaited {
            Awaited::Offer(_) | Awaited::Turned(..) => self.take_message(io, &parked.flow, &parked.bytes),
            Awaited::Response => self.take_response(io, &parked.flow, &parked.bytes, outcome.ok()),
        }
    }
}
