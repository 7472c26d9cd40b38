//! Asks rtpengine, and goes on with its answers.

use std::sync::Arc;

use trunkline_media::{Command, MediaError, Party};
use trunkline_sip::Flow;
use trunkline_transaction::TransactionKey;
use trunkline_transaction::timers::T1_64;

use super::answers::{Awaited, Numbered};
use super::call::{self, Body};
use crate::edge::Edge;
use crate::mail::Io;
use crate::memory::MessageMemory;
use crate::suspended::{Cause, Suspended, Waiting, number_of};

impl Edge {
    /// Asks rtpengine on behalf of a message that is to wait for it; the number of its ticket. What could not be asked comes
    /// back.
    pub(super) fn ask_relay(
        &mut self,
        (awaited, from): (&Awaited, &Flow),
        commands: impl IntoIterator<Item = (Party, Command)>,
    ) -> Result<(u64, usize), MediaError> {
        let Some(relayed) = self.shared.media.clone() else { return Err(MediaError::Ended) };
        let Some(number) = self.suspensions.number(from) else {
            return Err(MediaError::Busy(self.suspensions.len()));
        };
        let (mut left, mut failed) = (0, None);
        for (party, command) in commands {
            match relayed.ask(command, self.ticket(number, call::place(party))) {
                Ok(()) => left += 1,
                Err(error) => {
                    if let Awaited::Offer(call) = awaited {
                        relayed.set_offered(*call, party, Err(error.status()));
                    }
                    failed = Some(error);
                }
            }
        }
        match (left, failed) {
            (0, Some(error)) => Err(error),
            _ => Ok((number, left)),
        }
    }

    /// What was asked of rtpengine is of no use any more.
    pub(crate) fn end_awaited(&self, awaited: &Awaited) {
        if let (Awaited::Offer(call), Some(relayed)) = (awaited, &self.shared.media) {
            relayed.end(*call);
        }
    }

    /// rtpengine answered: the message goes on.
    pub(crate) fn on_media(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        ticket: u64,
        outcome: Result<Vec<u8>, MediaError>,
    ) {
        if Edge::is_for_packets(ticket) {
            return self.on_packets(io, memory, ticket, outcome);
        }
        let number = number_of(ticket);
        // Unknown: it was cancelled in the meantime.
        let Some(suspended) = self.suspensions.get_mut(number) else { return };
        let Cause::Media(awaited) = &suspended.cause else { return };
        suspended.left = suspended.left.saturating_sub(1);
        let over = suspended.left == 0;
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a call's media cannot be relayed");
        }
        if let (Some(relayed), false) = (&self.shared.media, matches!(awaited, Awaited::Response)) {
            let body: Body = match &outcome {
                Ok(sdp) => Ok(Arc::from(sdp.as_slice())),
                Err(error) => Err(error.status()),
            };
            match awaited {
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
        let Some(suspended) = self.suspensions.take(number) else { return };
        match suspended.cause {
            Cause::Media(Awaited::Response) => {
                self.take_response(io, memory, (&suspended.flow, &suspended.bytes), outcome.ok());
            }
            Cause::Media(Awaited::Offer(call)) => {
                self.keep_number(io, &suspended, call);
                self.resume(io, memory, suspended);
            }
            Cause::Media(Awaited::Turned(..)) | Cause::Name => self.resume(io, memory, suspended),
        }
    }

    /// An INVITE is taken up again: it has a number. It may have to wait for something else before it has a transaction.
    fn keep_number(&mut self, io: &Io<'_>, suspended: &Suspended, number: u64) {
        if let Waiting::Request(key) = suspended.what {
            let message = self.message_hash(&suspended.flow, &suspended.bytes);
            self.relay_answers.numbers.insert((key, message), Numbered { number, until: io.now() + T1_64 });
        }
    }

    /// The number of an INVITE that has waited.
    pub(super) fn take_number(&mut self, key: TransactionKey, flow: &Flow, bytes: &[u8]) -> Option<u64> {
        if self.relay_answers.numbers.is_empty() {
            return None;
        }
        let message = self.message_hash(flow, bytes);
        self.relay_answers.numbers.remove(&(key, message)).map(|n| n.number)
    }

    /// Gives the ports of INVITEs back that were taken up again and went nowhere.
    pub(crate) fn sweep_media(&mut self, io: &Io<'_>) {
        let Some(relayed) = &self.shared.media else { return };
        for (_, lost) in self.relay_answers.numbers.extract_if(|_, n| n.until <= io.now()) {
            relayed.end(lost.number);
        }
        if self.shard == 0 {
            relayed.sweep(io.unix_ms());
            self.ask_for_packets(io.unix_ms());
        }
    }
}
