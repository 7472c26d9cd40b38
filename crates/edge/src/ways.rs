//! Where a target of a decision is reached, and by which flow later requests reach its caller.

use trunkline_proxy::FlowToken;
use trunkline_routing::{Decision, Target};
use trunkline_sip::{Flow, Uri};
use trunkline_transport::Egress;

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::nat::Arrived;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;

impl Edge {
    /// Where a target of the decision is reached.
    pub(crate) fn way_to(&self, decision: &Decision, target: &Target) -> Resolved {
        if let Some(flow) = &target.flow {
            // Whether its connection lives was asked when the binding was found.
            return Resolved::To(Egress::back(flow), Spare::default());
        }
        if let Some(hop) = &target.next_hop {
            return self.shared.resolver.resolve(decision.targets.text(hop.host), hop.port, hop.transport);
        }
        let (path, uri) = (decision.targets.text(target.path), decision.targets.text(target.uri));
        self.shared.way_by_uri(path, uri)
    }

    /// How later requests of the dialog reach the caller, where its Contact does not say: a client's connection, the
    /// public side of its NAT, the flow it asks for itself (`ob`, RFC 5626 §5.3), or that of a GRUU's phone.
    pub(crate) fn caller_flow(&self, inbound: &Inbound<'_>, contact: Option<&Uri<'_>>) -> Option<FlowToken> {
        let flow = inbound.flow;
        if flow.transport.is_reliable() {
            let behind_nat = |uri| self.shared.addresses.is_behind_nat(&Arrived::request(inbound), uri);
            let listens = flow.connection.was_opened() || !contact.is_some_and(behind_nat);
            return Some(flow_token(flow, listens && !flow.transport.is_websocket()));
        }
        let uri = contact?;
        let asks = !uri.params.is_empty() && wants_flow(uri);
        let by_flow = asks || self.shared.addresses.is_behind_nat(&Arrived::request(inbound), uri);
        by_flow.then(|| flow_token(flow, false))
    }
}

impl Shared {
    /// How later requests of the dialog reach a callee whose Contact does not lead to it: the public side of its NAT, or the
    /// connection that it was reached by, while that lives, where its Contact is the other end of that and names no transport.
    pub(crate) fn callee_flow(&self, contact: Option<&Uri<'_>>, from: &Egress) -> Option<FlowToken> {
        let uri = contact?;
        let arrived = Arrived { transport: from.transport, from: from.remote, opened_by_us: true, via: None };
        let behind_nat = self.addresses.is_behind_nat(&arrived, uri);
        let reached = || {
            from.transport.is_reliable()
                && uri.ip() == Some(from.remote.ip())
                && uri.param("transport").is_none()
        };
        (behind_nat || reached()).then(|| FlowToken {
            transport: from.transport,
            local_port: from.local.port(),
            remote: from.remote,
            connection: from.connection,
            listens: !behind_nat,
        })
    }
}

/// Does a Contact say that its phone is reached by the flow it came by?
fn wants_flow(contact: &Uri<'_>) -> bool {
    contact.param("ob").is_some() || contact.param("gr").is_some()
}

/// A flow as a route token keeps it.
pub(crate) fn flow_token(flow: &Flow, listens: bool) -> FlowToken {
    FlowToken {
        transport: flow.transport,
        local_port: flow.local.port(),
        remote: flow.remote,
        connection: flow.connection,
        listens,
    }
}
