//! Responses and the relay.

use trunkline_media::{Command, Method as Turning, Party};
use trunkline_sip::{Flow, Index, Message, Method};
use trunkline_transaction::{Class, Slot};

use super::answers::{Awaited, Leg};
use super::body::with_body;
use crate::context::Context;
use crate::edge::Edge;
use crate::mail::Io;
use crate::memory::MessageMemory;
use crate::suspended::{Cause, Suspended, Waiting};

impl Edge {
    /// A response of one branch is about to go on; `true` when it waits for rtpengine instead.
    pub(crate) fn relay_response(
        &mut self,
        io: &Io<'_>,
        (slot, context): (Slot, &Context),
        fork: u8,
        flow: &Flow,
        m: &Message<'_>,
    ) -> bool {
        let Some(leg) = &context.media else { return false };
        let code = m.status().unwrap_or(0);
        if self.relay_answers.replaced || code <= 100 {
            return false;
        }
        if leg.is_first() && code >= 300 {
            // What one of several targets refuses says nothing of the call; nor does one that has answered refuse it.
            let accepted = self.has_success_suspended(slot, fork);
            if let Some(relayed) = self.shared.media.as_ref().filter(|_| !accepted) {
                relayed.on_failure(leg.number, fork);
            }
            return accepted;
        }
        let what = Waiting::Response(slot, fork, code);
        if self.suspensions.has(what) {
            return true;
        }
        let Some(command) = self.relay_command(io, (context, leg), fork, m) else { return false };
        match self.ask_relay((&Awaited::Response, flow), [(Party::Web, command)]) {
            Ok((number, _)) => {
                let cause = Cause::Media(Awaited::Response);
                let suspended = Suspended::new(what, cause, flow, m.bytes, io.now());
                self.counters.suspended.add();
                self.suspensions.insert(number, suspended);
                self.note_relay(io);
                true
            }
            Err(error) => {
                // It goes on with its own SDP: whom that does not suit will end the call.
                tracing::warn!(%error, "an answer's media cannot be relayed");
                false
            }
        }
    }

    /// What rtpengine is asked for a response that will go on.
    fn relay_command(
        &self,
        io: &Io<'_>,
        (context, leg): (&Context, &Leg),
        fork: u8,
        m: &Message<'_>,
    ) -> Option<Command> {
        let (relayed, branch) = (self.shared.media.as_ref()?, context.proxy.branch(fork)?);
        // A branch that has refused, and says the contrary after that, is not heard.
        if !branch.delivers(Class::of(m.status().unwrap_or(0))) {
            return None;
        }
        let method = match context.proxy.method() {
            Method::Invite => Turning::Invite,
            Method::Prack => Turning::Prack,
            Method::Update => Turning::Update,
            _ => return None,
        };
        let now = io.unix_ms();
        match &leg.callee_tag {
            None => {
                let callee = Party::of_transport(branch.target.hop.egress.transport.is_websocket());
                relayed.on_answer(leg.number, (fork, callee), m, now)
            }
            Some(tag) => relayed.on_response((leg.number, tag), leg.responder, method, m, now),
        }
    }

    /// Does a 2xx of this branch wait for rtpengine?
    fn has_success_suspended(&self, slot: Slot, fork: u8) -> bool {
        self.suspensions.len() > 0
            && (200..300).any(|code| self.suspensions.has(Waiting::Response(slot, fork, code)))
    }

    /// The call comes to nothing: the relay may have its ports back.
    pub(crate) fn end_media(&self, context: &Context) {
        let leg = context.media.as_deref().filter(|leg| leg.is_first());
        if let (Some(leg), Some(relayed)) = (leg, &self.shared.media) {
            relayed.end(leg.number);
        }
    }

    /// A request inside a dialog is refused, and its sender learns it: what it offered is not taken.
    pub(crate) fn take_back_offer(&self, context: &Context) {
        let offers = matches!(context.proxy.method(), Method::Invite | Method::Update | Method::Prack);
        if let (Some(leg), Some(relayed), true) = (&context.media, &self.shared.media, offers)
            && let Some(tag) = &leg.callee_tag
        {
            relayed.on_refusal((leg.number, tag), leg.responder.other());
        }
    }

    /// A response that waited goes on, with another SDP. Without one a provisional response goes without, and a
    /// final one as it is: whom that does not suit will end the call.
    pub(super) fn take_response(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        (flow, bytes): (&Flow, &[u8]),
        sdp: Option<Vec<u8>>,
    ) {
        let mut index = Index::default();
        if index.parse(bytes, &self.shared.config.limits).is_err() {
            return;
        }
        let m = Message::new(bytes, &index);
        let provisional = m.status().is_some_and(|code| code < 200);
        let changed = match sdp {
            Some(sdp) => Some(with_body(&m, &sdp, &mut io.memory.splices)),
            None if provisional => Some(with_body(&m, b"", &mut io.memory.splices)),
            None => None,
        };
        self.relay_answers.replaced = true;
        self.take_message(io, memory, flow, changed.as_deref().unwrap_or(bytes));
        self.relay_answers.replaced = false;
    }
}
