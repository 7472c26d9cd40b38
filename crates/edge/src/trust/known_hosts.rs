//! What the guard found in names, for the time after a restart: until the names are found again, they lead where they led before.

use std::net::SocketAddr;
use std::time::Instant;

use hashbrown::HashSet;
use trunkline_location::KnownHost;
use trunkline_proxy::PartyKind;

use super::found::Found;
use super::literals;
use super::owners::Owner;
use crate::shared::Shared;

/// The number of the servers that the exchange itself uses; no trunk or peer has it.
const SERVERS: u64 = 0;

fn number(owner: &Owner) -> u64 {
    (owner.kind as u64) << 32 | u64::from(owner.party)
}

fn owner(number: u64, at: SocketAddr) -> Option<Owner> {
    let kind = PartyKind::ALL.into_iter().find(|kind| *kind as u64 == number >> 32)?;
    Some(Owner { kind, party: number as u32, port: at.port() })
}

impl Shared {
    /// The addresses that the names of trunks, peers and of the exchange's own servers led to lately.
    pub fn known_hosts(&self) -> Vec<KnownHost> {
        let named = literals(&self.config.back_ends);
        let servers = self.guard.back_ends();
        let servers = servers.iter().filter(|at| !named.contains(at));
        let mut known: Vec<KnownHost> = servers.map(|at| KnownHost { owner: SERVERS, at: *at }).collect();
        let found = self.found.lock();
        known.extend(found.there.keys().map(|(at, owner)| KnownHost { owner: number(owner), at: *at }));
        known
    }

    /// These were known before a restart. To be called before anything is received.
    pub fn restore_hosts(&self, known: &[KnownHost]) {
        let servers: HashSet<SocketAddr> =
            known.iter().filter(|k| k.owner == SERVERS).map(|k| k.at).collect();
        let parties = known.iter().filter(|k| k.owner != SERVERS);
        let parties: HashSet<(SocketAddr, Owner)> =
            parties.filter_map(|k| Some((k.at, owner(k.owner, k.at)?))).collect();
        if !self.config.back_ends.is_empty() {
            let mut all = literals(&self.config.back_ends);
            all.extend(&servers);
            self.guard.set_back_ends(all);
        }
        {
            let mut found = self.found.lock();
            (found.restored, found.servers) = (parties, servers);
            found.next = None;
        }
        self.renew_guard();
    }
}

impl Found {
    /// While a name of theirs is not found, trunks and peers are also where they were before the restart.
    pub(super) fn keep_restored(&mut self, now: Instant) {
        let (unfound, there) = (&self.unfound, &mut self.there);
        self.restored.retain(|(at, owner)| {
            let waits = unfound.contains(&(owner.kind, owner.party));
            if waits {
                there.insert((*at, *owner), now);
            }
            waits
        });
    }
}
