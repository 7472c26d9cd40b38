//! Who may send what to whom. These rules hold for every message: a first request, a request inside a dialog, CANCEL,
//! ACK, a response, and what the exchange sends on its own.

pub(crate) mod inside;
pub(crate) mod marks;
pub(crate) mod refusals;

use std::net::IpAddr;

use trunkline_proxy::PartyKind;

/// The party by whose word a message goes to an address: the owner of the Contact, Path, Route or redirect that named it.
/// The operator's own configuration needs no such word.
#[allow(dead_code)] // the guard reads it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What the party is.
    pub(crate) kind: PartyKind,
    /// Which agent, peer or trunk it is: [`trunkline_proxy::Secret::party`] of its reference, 0 for a stranger.
    pub(crate) party: u32,
    /// Where the party's own packets come from, or where it was reached; a party may always name its own address.
    pub(crate) seen_at: Option<IpAddr>,
}
