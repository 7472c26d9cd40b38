//! The router's parties as the rules of trust see them.

use trunkline_model::{Ref, Tables};
use trunkline_proxy::PartyKind;
use trunkline_routing::{Parties, PartyName, RoutedKind};

use crate::shared::Shared;

/// A party of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartyRef<'a> {
    pub(crate) kind: PartyKind,
    pub(crate) reference: Option<&'a Ref>,
}

impl<'a> PartyRef<'a> {
    /// Who calls. Who calls the number of a trunk without being its carrier is a stranger.
    pub(crate) fn caller(parties: &'a Parties) -> PartyRef<'a> {
        let caller = PartyRef::of(&parties.caller);
        match caller.kind {
            PartyKind::Trunk if !parties.is_carrier => PartyRef { kind: PartyKind::Stranger, ..caller },
            PartyKind::Trunk | PartyKind::Agent | PartyKind::Peer | PartyKind::Stranger => caller,
        }
    }

    /// Who is called, or whose bindings are registered.
    pub(crate) fn callee(parties: &'a Parties) -> PartyRef<'a> {
        PartyRef::of(&parties.callee)
    }

    fn of(party: &'a PartyName) -> PartyRef<'a> {
        PartyRef { kind: kind_of(party.kind), reference: party.reference.as_ref() }
    }
}

/// What the router's party is to the rules of trust.
pub(crate) fn kind_of(kind: RoutedKind) -> PartyKind {
    match kind {
        RoutedKind::Unknown => PartyKind::Stranger,
        RoutedKind::Agent => PartyKind::Agent,
        RoutedKind::Peer => PartyKind::Peer,
        RoutedKind::Pstn => PartyKind::Trunk,
    }
}

impl Shared {
    /// The short name of a party, 0 for a stranger.
    pub(crate) fn party(&self, party: &PartyRef<'_>) -> u32 {
        match (party.reference, party.kind) {
            (None, _) | (_, PartyKind::Stranger) => 0,
            (Some(r), _) => self.secret.party(r.as_str().as_bytes()),
        }
    }

    /// What stands in a binding for who registered it.
    pub(crate) fn registrant(&self, kind: RoutedKind, reference: &Ref) -> u32 {
        self.secret.registrant(kind_of(kind), self.secret.party(reference.as_str().as_bytes()))
    }

    /// What stands in a binding for the secret that its registrant has shown; 0 where it has none.
    pub(crate) fn proof(&self, tables: &Tables, kind: RoutedKind, reference: &Ref) -> u32 {
        let reference = reference.as_str();
        let credentials = match kind {
            RoutedKind::Agent => tables.agent_by_ref(reference).and_then(|agent| agent.credentials.as_ref()),
            RoutedKind::Peer => tables.peer_by_ref(reference).and_then(|peer| peer.credentials.as_ref()),
            RoutedKind::Unknown | RoutedKind::Pstn => None,
        };
        let found = credentials.and_then(|reference| tables.credentials_by_ref(reference.as_str()));
        found.map_or(0, |found| self.secret.proof(&found.username, &found.password))
    }
}
