//! We register at carriers (`sendRegister`), so that they know where to send the calls for our numbers.
//!
//! One shard does it for all trunks. Each destination of a trunk is a [`trunkline_trunks::Registration`], a machine without
//! I/O; here it gets its time, its answers and its socket.

mod entry;
mod place;
mod request;
mod state;
mod wanted;

use std::fmt::Write as _;

use trunkline_model::Tables;
use trunkline_sip::{ConnectionId, Message};
use trunkline_transaction::timers::Now;

use entry::Entry;
pub(crate) use state::Registered;
pub use state::TrunkRegistration;
use wanted::{Hopeless, Wanted, wanted};

use crate::mail::Io;
use crate::shared::Shared;

/// Changed resources are noticed in this time, in milliseconds.
const LOOK: Now = 1_000;
/// An address that is just being left is registered again after this.
const AFTER_LEAVING: Now = 2_000;

/// The registrations of all trunks.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    /// The resources they were last compared with.
    version: u64,
    serial: u64,
    next: Now,
}

impl Registry {
    /// How many milliseconds may pass until there is something to do, at most `max`.
    pub(crate) fn sleep(&self, now: Now, max: Now) -> Now {
        if self.entries.is_empty() { max } else { self.next.saturating_sub(now) }
    }

    /// How many carriers are still to hear that we leave.
    pub(crate) fn leaving(&self) -> u64 {
        self.entries.iter().filter(|e| e.registration.is_leaving()).count() as u64
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, io: &mut Io<'_>, shared: &Shared, draining: bool) {
        let now = io.now();
        if now < self.next || !shared.config.register_at_trunks {
            return;
        }
        let version = shared.tables.version();
        if self.version != version && !draining {
            self.version = version;
            self.compare(&shared.tables.load(), shared, now);
        }
        for entry in &mut self.entries {
            while entry.registration.due().is_some_and(|due| due <= now) {
                let next = entry.registration.on_time(now);
                entry.step(io, shared, &mut self.serial, next, None);
            }
        }
        // What has ended has nothing more to wait for.
        self.entries.retain(|e| e.registration.due().is_some());
        let due = self.entries.iter().filter_map(|e| e.registration.due()).min();
        self.next = due.unwrap_or(Now::MAX).min(now + LOOK);
    }

    /// What the resources want, compared with what there is.
    fn compare(&mut self, tables: &Tables, shared: &Shared, now: Now) {
        let (wanted, hopeless) = wanted(tables);
        for entry in &mut self.entries {
            let same = |w: &&Wanted| w.trunk == entry.trunk && w.place == entry.place;
            let Some(wanted) = wanted.iter().find(same) else {
                entry.registration.leave(now);
                continue;
            };
            if entry.number != wanted.number {
                entry.number = wanted.number;
                shared.registered.begin(&entry.trunk, wanted.number, &entry.place);
                entry.registration.refresh(now);
            }
            if entry.credentials != wanted.credentials || entry.asked != wanted.expires {
                entry.credentials.clone_from(&wanted.credentials);
                entry.ask_for(wanted.expires);
                entry.registration.refresh(now);
            }
        }
        shared.registered.keep(|trunk, number| {
            wanted.iter().any(|w| w.trunk == *trunk && w.number == number)
                || hopeless.iter().any(|h| h.trunk == *trunk && h.number == number)
        });
        let accounts = wanted.iter().map(|w| (w.trunk.clone(), w.place.user.clone())).collect();
        shared.registered.set_accounts(accounts);
        for Hopeless { trunk, number, target, reason } in hopeless {
            shared.registered.refused(&trunk, number, target, reason);
        }
        self.add(wanted, shared, now);
    }

    /// Begins those that there are not yet.
    fn add(&mut self, wanted: Vec<Wanted>, shared: &Shared, now: Now) {
        for wanted in wanted {
            let same = |e: &&Entry| e.trunk == wanted.trunk && e.place == wanted.place;
            let known = self.entries.iter().find(same).map(|e| e.registration.is_leaving());
            let start = match known {
                Some(false) => continue,
                // What ends the old one must not end the new one.
                Some(true) => now + AFTER_LEAVING,
                None => now,
            };
            shared.registered.begin(&wanted.trunk, wanted.number, &wanted.place);
            let mut random = [0u8; 8];
            // A Call-ID that repeats after a restart is only a matter of CSeq then, and that is high.
            let _ = getrandom::fill(&mut random);
            let call_id = random.iter().fold(String::from("r"), |mut id, b| {
                let _ = write!(id, "{b:02x}");
                id
            });
            self.entries.push(Entry::new(wanted, call_id, start));
        }
    }

    /// The exchange ends.
    pub(crate) fn leave(&mut self, now: Now) {
        self.entries.iter_mut().for_each(|e| e.registration.leave(now));
        self.next = now;
    }

    /// Takes the answer to a REGISTER.
    pub(crate) fn on_response(&mut self, io: &mut Io<'_>, shared: &Shared, m: &Message<'_>, serial: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.serial == serial) {
            entry.on_response(io, shared, &mut self.serial, m);
        }
        self.next = io.now();
    }

    /// A connection ended. A carrier that sends us calls over it has no other way, where a NAT lets nobody in.
    pub(crate) fn connection_ended(&mut self, now: Now, connection: ConnectionId) {
        let on_it = |e: &&mut Entry| e.connection == connection && connection != ConnectionId::NONE;
        for entry in self.entries.iter_mut().filter(on_it) {
            entry.connection = ConnectionId::NONE;
            entry.registration.flow_ended(now);
            self.next = now;
        }
    }
}
