//! Listens to calls that are relayed, and hangs up those that have become silent (`silence.rs`).

use trunkline_calls::Cause;
use trunkline_media::MediaError;
use trunkline_sip::{Index, Message};

use super::silence::{REASON, TICKET, Watched};
use crate::context::{Context, DialogUse};
use crate::edge::Edge;
use crate::mail::Io;
use crate::memory::MessageMemory;
use crate::shared::Shared;

impl Shared {
    /// After so many milliseconds without media a call ends; `None`: never.
    fn silence_ms(&self) -> Option<u64> {
        let seconds = u64::from(self.config.media_timeout_seconds);
        (seconds > 0 && self.media.is_some()).then_some(seconds * 1000)
    }
}

impl Edge {
    /// A 2xx to an INVITE goes back: the call is listened to from now on.
    pub(crate) fn listen(&self, context: &Context, (fork, answer): (u8, &Message<'_>), now: u64) {
        let (Some(_), Some(relayed), DialogUse::Begins(number)) =
            (self.shared.silence_ms(), &self.shared.media, &context.dialog)
        else {
            return;
        };
        let Some(branch) = context.proxy.branch(fork).filter(|_| context.media.is_some()) else { return };
        let mut index = Index::default();
        if index.parse(branch.sent(), &self.shared.config.limits).is_ok() {
            relayed.silence.listen((*number, now), (&Message::new(branch.sent(), &index), answer));
        }
    }

    /// Asks rtpengine after the packets of calls.
    pub(super) fn ask_for_packets(&self, now: u64) {
        let (Some(timeout), Some(relayed)) = (self.shared.silence_ms(), &self.shared.media) else { return };
        for (ticket, command) in relayed.silence.due(timeout, now) {
            if relayed.ask(command, u64::from(self.shard) << 56 | ticket).is_err() {
                return;
            }
        }
    }

    /// Is it a ticket of such a question?
    pub(super) fn is_for_packets(ticket: u64) -> bool {
        ticket & TICKET != 0
    }

    /// rtpengine says how many packets of a call have come.
    pub(super) fn on_packets(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        ticket: u64,
        outcome: Result<Vec<u8>, MediaError>,
    ) {
        let (Some(timeout), Some(relayed)) = (self.shared.silence_ms(), self.shared.media.clone()) else {
            return;
        };
        let packets =
            outcome.map(|bytes| bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes)));
        let now = io.unix_ms();
        let Some(call) = relayed.silence.answered(ticket, &packets, (timeout, now)) else { return };
        let Watched { number, call_id, .. } = call;
        tracing::info!(call_id = %String::from_utf8_lossy(&call_id), "no media on either side: the call is ended");
        self.counters.media_timeouts.add();
        self.hang_up(io, memory, (number, Cause::MediaTimeout, ""), REASON);
        relayed.end(number);
    }
}
