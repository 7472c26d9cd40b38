//! Where parties' packets come from, and who is believed to be there.

use std::net::IpAddr;

use trunkline_model::{Agent, Domain, Tables, Trunk};
use trunkline_proxy::{Holder, PartyKind};
use trunkline_sip::Flow;
use trunkline_transport::Egress;

use super::owners::Owner;
use crate::shared::Shared;

impl Shared {
    /// The agent of this name, and its domain.
    pub(crate) fn account<'t>(&self, tables: &'t Tables, party: u32) -> Option<(&'t Agent, &'t Domain)> {
        let name = self.party_names.agent(tables, self.tables.version(), &self.secret, party)?;
        let agent = tables.agent_by_ref(name.as_str())?;
        Some((agent, tables.domain_by_ref(agent.domain.as_ref()?.as_str())?))
    }

    /// Is this source the trunk's carrier? Anybody may call the number of a trunk that has neither a list nor credentials; only
    /// who comes from the trunk's own addresses is its carrier. A list that allows everybody says nothing of whose they are.
    pub(crate) fn is_carrier(&self, tables: &Tables, trunk: &Trunk, source: IpAddr) -> bool {
        let list = trunk.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl.as_str()));
        let party = self.secret.party(trunk.reference.as_str().as_bytes());
        list.is_some_and(|list| list.names(source))
            || trunk.inbound_credentials.is_some()
            || self.guard.is_address_of(PartyKind::Trunk, party, source)
    }

    /// Where a party's packets come from, as marks have it: of an agent address and port, of others the host. A peer or carrier
    /// that comes by the very port of another one has that before it, as its proxy; a stranger may only say so.
    pub(super) fn source(&self, (kind, party): (PartyKind, u32), at: &Egress) -> u32 {
        let own = |owner: &Owner| (owner.kind, owner.party) == (kind, party);
        match kind {
            PartyKind::Peer | PartyKind::Trunk if !self.guard.is_anothers_port(at.remote, own) => {
                self.secret.host(at.remote.ip())
            }
            PartyKind::Agent | PartyKind::Peer | PartyKind::Trunk => {
                self.secret.source(at.transport, at.remote)
            }
            PartyKind::Stranger => self.secret.host(at.remote.ip()),
        }
    }

    /// Does a packet from there come from where a mark's holder that is no agent is?
    pub(super) fn is_from(&self, holder: &Holder, flow: &Flow) -> bool {
        holder.source == self.secret.host(flow.remote.ip())
            || holder.source == self.secret.source(flow.transport, flow.remote)
    }

    /// May a party say that its packets come from there? A source address of UDP is easily forged, and where the address is a
    /// trunk's or a peer's, what goes there would be a call at somebody's expense: there an agent has to show it. Peers and carriers
    /// show who they are when they call. A stranger speaks for nobody but whoever has its address.
    pub(crate) fn is_shown(&self, from: &Egress, (kind, party): (PartyKind, u32), proven: bool) -> bool {
        let own = |owner: &Owner| (owner.kind, owner.party) == (kind, party);
        let asks_nothing = proven || from.transport.is_reliable() || kind != PartyKind::Agent;
        asks_nothing || !self.guard.is_anothers(from.remote, own)
    }
}
