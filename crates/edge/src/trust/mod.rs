//! Who may send what to whom. These rules hold for every message: a first request, a request inside a dialog, CANCEL,
//! ACK, a response, and what the exchange sends on its own.

pub(crate) mod admitted;
mod back_ends;
pub(crate) mod budget;
pub(crate) mod cancels;
mod companions;
mod contacts;
pub(crate) mod crossing;
mod digest_uri;
pub(crate) mod events;
mod found;
mod guard;
pub(crate) mod identity;
pub(crate) mod inside;
mod joins;
mod known_hosts;
mod look;
pub(crate) mod lookups;
pub(crate) mod marks;
mod origins;
mod owners;
mod party_names;
pub(crate) mod passing;
pub(crate) mod proven;
pub(crate) mod record_routes;
pub(crate) mod refusals;
pub(crate) mod senders;
mod sending;
pub(crate) mod signalling;
mod sips;
mod spent;
pub(crate) mod talking;
pub(crate) mod transfers;
mod translated;
mod unresolved;
mod ways;

use std::net::SocketAddr;

use trunkline_proxy::PartyKind;

pub(crate) use back_ends::{follow, literals};
pub(crate) use found::{Arrivals, LastLook};
pub(crate) use guard::{Forbidden, Guard};
pub(crate) use joins::replaced_record;
pub(crate) use party_names::PartyNames;
pub(crate) use sips::{SIPS_NOT_ALLOWED, is_sips, keep_secure};
pub(crate) use spent::Spent;
pub(crate) use ways::Judged;

/// The party by whose word a message goes to an address: the owner of the Contact, Path, Route or redirect that named it.
/// The operator's own configuration needs no such word. The default is a stranger's, who may name the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// What the party is.
    pub(crate) kind: PartyKind,
    /// Which agent, peer or trunk it is: [`trunkline_proxy::Secret::party`] of its reference, 0 for a stranger.
    pub(crate) party: u32,
    /// Where the party's own packets come from, or where it was reached; a party may always name its own address.
    pub(crate) seen_at: Option<SocketAddr>,
    /// Its packets come from a private network, of which no more is known.
    pub(crate) inside: bool,
    /// Where its packets came from when its dialog began, as marks have it ([`trunkline_proxy::Way::source`]); 0 where that is
    /// not known.
    pub(crate) source: u32,
}

impl Word {
    /// For whom the connections count that are made by this word ([`trunkline_transport::Egress::asker`]): the party, or where it is
    /// that nobody knows.
    pub(crate) fn asker(&self) -> u32 {
        let number = match (self.kind, self.party) {
            (PartyKind::Stranger, _) | (_, 0) => self.seen_at.map_or(0, |at| proven::number_of(at.ip())),
            (kind, party) => (kind as u64) << 32 | u64::from(party),
        };
        // Two that share a number share the limit.
        ((number >> 32) as u32 ^ number as u32).max(1)
    }
}
