//! What becomes of requests whose connection ends before they have an answer.

use trunkline_events::Failure;
use trunkline_proxy::transaction::Input;
use trunkline_transaction::Slot;
use trunkline_transport::{Closed, TlsFailure};

use crate::edge::Edge;
use crate::mail::Io;

impl Edge {
    /// A connection ended: requests that went out on it and have no answer fail.
    pub(crate) fn connection_ended(
        &mut self,
        io: &mut Io<'_>,
        connection: trunkline_sip::ConnectionId,
        why: Closed,
    ) {
        self.shared.location.connection_lost(connection, io.unix_ms());
        // Looking at every transaction for each connection a stranger opens and closes would stop a busy shard.
        if !self.asked.remove(&connection) {
            return;
        }
        self.counters.asked_ended.add();
        let mut waiting: Vec<(Slot, u8)> = Vec::new();
        for slot in self.contexts.slots() {
            let branches = self.contexts.get(slot).map_or(&[][..], |c| c.proxy.branches());
            let on_it = (0..=u8::MAX).zip(branches).filter(|(_, b)| {
                let egress = &b.target.hop.egress;
                egress.connection == connection && egress.transport.is_reliable() && b.code() == 0
            });
            waiting.extend(on_it.map(|(branch, _)| (slot, branch)));
        }
        for (slot, branch) in waiting {
            if let Some(context) = self.contexts.get(slot) {
                self.events.resume(context.request);
                self.note_failed(io, branch, failure(why));
            }
            self.step(io, slot, Input::Lost { branch, refused: why.is_unmade() }, None);
        }
    }
}

/// As events call it.
fn failure(why: Closed) -> Failure {
    match why {
        Closed::Refused => Failure::NoConnection,
        Closed::NoHandshake(TlsFailure::NoTls) => Failure::NoTls,
        Closed::NoHandshake(TlsFailure::OtherName) => Failure::CertificateName,
        Closed::NoHandshake(TlsFailure::Expired) => Failure::CertificateExpired,
        Closed::NoHandshake(TlsFailure::NotYetValid) => Failure::CertificateEarly,
        Closed::NoHandshake(TlsFailure::Untrusted) => Failure::CertificateUntrusted,
        Closed::NoHandshake(TlsFailure::RefusedByPeer) => Failure::TlsRefused,
        Closed::NoHandshake(TlsFailure::Other) => Failure::NoHandshake,
        Closed::ByPeer | Closed::Broken | Closed::Idle | Closed::Slow | Closed::Garbage | Closed::ByUs => {
            Failure::ConnectionEnded
        }
    }
}
