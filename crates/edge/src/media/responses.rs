//! Responses and the relay.

use trunkline_media::{Method as Turning, Party};
use trunkline_sip::{Flow, Index, Message, Method};
use trunkline_transaction::Slot;

use super::body::with_body;
use super::{Awaited, Waiting};
use crate::context::Context;
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

impl Edge {
    /// A response of one branch is about to go on; `true` when it waits for rtpengine instead.
    pub(crate) fn relay_response(
        &mut self,
        io: &Io<EdgeMail>,
        (slot, context): (Slot, &Context),
        fork: u8,
        flow: &Flow,
        m: &Message<'_>,
    ) -> bool {
        let code = m.status().unwrap_or(0);
        let (Some(leg), Some(branch)) = (&context.media, context.proxy.branch(fork)) else { return false };
        let Some(relayed) = self.shared.media.clone() else { return false };
        // What one of several targets refuses says nothing of the call.
        if self.desk.replaced || code <= 100 || code >= 300 && leg.first {
            return false;
        }
        let method = match context.proxy.method() {
            Method::Invite => Turning::Invite,
            Method::Prack => Turning::Prack,
            Method::Update => Turning::Update,
            _ => return false,
        };
        let what = Waiting::Response(slot, fork, code);
        if self.desk.by_message.contains_key(&what) {
            return true;
        }
        let callee =
            leg.first.then(|| Party::of_transport(branch.target.hop.egress.transport.is_websocket()));
        let command = relayed.on_response(&leg.name, leg.responder, callee, method, m, io.unix_ms());
        let Some(command) = command else { return false };
        match self.park(what, Awaited::Response, flow, m.bytes, [(Party::Web, command)]) {
            Ok(()) => true,
            Err(error) => {
                // It goes on with its own SDP: whom that does not suit will end the call.
                tracing::warn!(%error, "an answer's media cannot be relayed");
                false
            }
        }
    }

    /// The call comes to nothing: the relay may have its ports back.
    pub(crate) fn end_media(&self, context: &Context) {
        let leg = context.media.as_deref().filter(|leg| leg.first);
        if let (Some(leg), Some(relayed)) = (leg, &self.shared.media) {
            relayed.end(&leg.name, false);
        }
    }

    /// A response that waited goes on, with another SDP. Without one a provisional response goes without, and a
    /// final one as it is: whom that does not suit will end the call.
    pub(super) fn take_response(
        &mut self,
        io: &mut Io<EdgeMail>,
        flow: &Flow,
        bytes: &[u8],
        sdp: Option<Vec<u8>>,
    ) {
        let mut index = Index::default();
        if index.parse(bytes, &self.shared.config.limits).is_err() {
            return;
        }
        let m = Message::new(bytes, &index);
        let provisional = m.status().is_some_and(|code| code < 200);
        let changed = match sdp {
            Some(sdp) => Some(with_body(&m, &sdp, &mut self.scratch.splices)),
            None if provisional => Some(with_body(&m, b"", &mut self.scratch.splices)),
            None => None,
        };
        self.desk.replaced = true;
        self.take_message(io, flow, changed.as_deref().unwrap_or(bytes));
        self.desk.replaced = false;
    }
}
