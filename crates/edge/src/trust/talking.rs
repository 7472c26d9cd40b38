//! Who takes part in calls that were answered, for the BYE of clients that know no Route.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_proxy::transaction::Branch;
use trunkline_sip::{ConnectionId, Flow, HeaderName, Message, Method};

use crate::context::{Context, DialogUse, Hop};
use crate::edge::Edge;
use crate::inbound::Inbound;

/// Sides of calls that are remembered; a later one may take the place of an earlier.
const PLACES: usize = 16_384;

/// The sides of the calls that were answered last, in all shards, of fixed size and without locks.
pub(crate) struct Talking {
    places: Box<[AtomicU64]>,
    hasher: foldhash::quality::RandomState,
}

impl Talking {
    pub(crate) fn new() -> Talking {
        Talking {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    /// A side of a call: its Call-ID, the own and the other tag, and the flow by which it sends.
    fn side(&self, m: &Message<'_>, (own, other): (&[u8], &[u8]), flow: &Flow) -> u64 {
        let connection = if flow.transport.is_reliable() { flow.connection } else { ConnectionId::NONE };
        let remote = (flow.remote.ip().to_canonical(), flow.remote.port());
        self.hasher.hash_one((m.call_id(), own, other, flow.transport, remote, connection)).max(1)
    }

    fn place(&self, side: u64) -> Option<&AtomicU64> {
        self.places.get(side as usize % PLACES)
    }

    fn note(&self, side: u64) {
        if let Some(place) = self.place(side) {
            place.store(side, Ordering::Relaxed);
        }
    }

    fn has(&self, side: u64) -> bool {
        self.place(side).is_some_and(|place| place.load(Ordering::Relaxed) == side)
    }
}

impl Edge {
    /// The 2xx to an INVITE that began a dialog goes back.
    pub(crate) fn note_talking(&self, context: &Context, branch: &Branch<Hop>, m: &Message<'_>) {
        let begins = matches!(context.dialog, DialogUse::Begins(_));
        if !begins || m.cseq_method() != Method::Invite || !matches!(m.status(), Some(200..300)) {
            return;
        }
        let talking = &self.shared.talking;
        talking.note(talking.side(m, (m.from_tag(), m.to_tag()), &context.from));
        let egress = &branch.target.hop.egress;
        let flow = Flow { remote: egress.remote, connection: egress.connection, ..context.from };
        let flow = Flow { transport: egress.transport, ..flow };
        talking.note(talking.side(m, (m.to_tag(), m.from_tag()), &flow));
    }

    /// Is it the BYE of a party that knows no Route, by the very flow of its INVITE, or by the one that the INVITE took to
    /// it? It is routed as if it began something, to the address of record in its Request-URI.
    pub(crate) fn is_routeless_bye(&self, inbound: &Inbound<'_>) -> bool {
        let m = &inbound.message;
        let talking = &self.shared.talking;
        inbound.method == Method::Bye
            && m.header_line(HeaderName::Route).is_none()
            && !m.to_tag().is_empty()
            && talking.has(talking.side(m, (m.from_tag(), m.to_tag()), inbound.flow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known() {
        let talking = Talking::new();
        assert!(!talking.has(7));
        talking.note(7);
        assert!(talking.has(7) && !talking.has(8));
        talking.note(7 + PLACES as u64);
        assert!(!talking.has(7), "a later one took its place");
    }
}
