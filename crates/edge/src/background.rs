//! What the exchange sends of its own accord, by one shard for all: OPTIONS to trunks and peers, and our registrations at
//! carriers.

use trunkline_sip::{ConnectionId, Flow, Message};
use trunkline_transport::{Closed, Mail};

use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

/// Who asks trunks and peers how they are.
const ASKER: u8 = 0;
/// Who registers.
const REGISTRANT: u8 = 0;

impl Edge {
    /// Asks those that are due.
    pub(crate) fn qualify(&mut self, io: &mut Io<'_>) {
        if self.shard == ASKER {
            self.qualify.run(io, &self.shared);
        }
    }

    /// A connection ended, with it maybe a question.
    pub(crate) fn question_lost(&mut self, io: &mut Io<'_>, connection: ConnectionId, why: Closed) {
        if self.shard == ASKER {
            self.qualify.closed(io, &self.shared, connection, why);
        }
    }

    /// Takes an answer to one of our questions.
    pub(crate) fn on_qualify_response(&mut self, io: &mut Io<'_>, flow: &Flow, m: &Message<'_>, serial: u64) {
        if self.shard != ASKER {
            io.post(usize::from(ASKER), Mail::User(EdgeMail::Message(*flow, m.bytes.into())));
            return;
        }
        self.qualify.answered(io, &self.shared, serial, (m.status().unwrap_or(0), m.reason()));
    }

    /// Registers, where that is due.
    pub(crate) fn register_at_trunks(&mut self, io: &mut Io<'_>) {
        if self.shard == REGISTRANT {
            self.registry.run(io, &self.shared, self.draining);
        }
    }

    /// The exchange ends: carriers are told to send no more calls.
    pub(crate) fn leave_trunks(&mut self, io: &mut Io<'_>) {
        self.registry.leave(io.now());
        self.register_at_trunks(io);
    }

    /// Takes the answer to one of our REGISTERs.
    pub(crate) fn on_register_response(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        m: &Message<'_>,
        serial: u64,
    ) {
        if self.shard != REGISTRANT {
            io.post(usize::from(REGISTRANT), Mail::User(EdgeMail::Message(*flow, m.bytes.into())));
            return;
        }
        self.registry.on_response(io, &self.shared, m, serial);
    }
}
