//! The kinds of parties that take part in a dialog.

/// What a party of a dialog is to this exchange. It decides where the party may have requests sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PartyKind {
    /// Nobody we know: a caller from outside, or a callee that no resource names.
    #[default]
    Stranger = 0,
    /// A phone account.
    Agent = 1,
    /// A server that is configured as a peer.
    Peer = 2,
    /// A carrier.
    Trunk = 3,
}

impl PartyKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [PartyKind; 4] =
        [PartyKind::Stranger, PartyKind::Agent, PartyKind::Peer, PartyKind::Trunk];
}
