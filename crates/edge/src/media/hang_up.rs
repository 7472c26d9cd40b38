//! Listens to calls that are relayed, and hangs up those that have become silent (`silence.rs`).

use trunkline_media::MediaError;
use trunkline_sip::{Flow, Index, Message};

use super::silence::{TICKET, Watched};
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
    pub(crate) fn listen(
        &self,
        context: &Context,
        (fork, answer, back): (u8, &Message<'_>, &[u8]),
        now: u64,
    ) {
        let (Some(_), Some(relayed), DialogUse::Begins(number)) =
            (self.shared.silence_ms(), &self.shared.media, &context.dialog)
        else {
            return;
        };
        let Some(branch) = context.proxy.branch(fork).filter(|_| context.media.is_some()) else { return };
        let mut indexes = [Index::default(), Index::default()];
        let [first, second] = &mut indexes;
        let limits = &self.shared.config.limits;
        if first.parse(branch.sent(), limits).is_err() || second.parse(back, limits).is_err() {
            return;
        }
        let egress = branch.target.hop.egress;
        let callee = Flow {
            transport: egress.transport,
            local: context.from.local,
            remote: egress.remote,
            connection: egress.connection,
        };
        let (sent, back) = (Message::new(branch.sent(), first), Message::new(back, second));
        relayed.silence.listen((*number, now), (context.from, callee), (&sent, answer, &back));
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
        let Watched { number, call_id, caller, callee, .. } = call;
        tracing::info!(call_id = %String::from_utf8_lossy(&call_id), "no media on either side: the call is ended");
        self.counters.media_timeouts.add();
        self.shared.calls.silent(number, now);
        for (side, talker) in [caller, callee].into_iter().enumerate() {
            self.own = true;
            self.take_message(io, memory, &talker.flow, &talker.bye(number << 1 | side as u64));
            self.own = false;
        }
        relayed.end(number);
    }
}
