//! What the exchange sends of its own accord, by one shard for all: OPTIONS to trunks and peers, and our registrations at
//! carriers.

use trunkline_sip::{Flow, Message};
use trunkline_transport::Mail;

use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

/// Who asks trunks and peers how they are.
const ASKER: u8 = 0;
/// Who registers.
const REGISTRANT: u8 = 0;

impl Edge {
    /// Asks again when it is time.
    pub(crate) fn qualify(&mut self, io: &mut Io<'_>) {
        let every = self.shared.config.qualify.as_millis() as u64;
        if self.shard == ASKER && self.qualify.is_due(every, io.now()) {
            self.qualify.round(io, &self.shared);
        }
    }

    /// Takes an answer to one of our questions.
    pub(crate) fn on_qualify_response(&mut self, io: &mut Io<'_>, flow: &Flow, m: &Message<'_>, serial: u64) {
        if self.shard != ASKER {
            io.post(usize::from(ASKER), Mail::User(EdgeMail::Message(*flow, m.bytes.into())));
            return;
        }
        self.qualify.answered(&self.shared, serial, m.status().unwrap_or(0));
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
