//! Which way leads to a phone: its flow, the proxy it registered through, or where its Contact points.

use trunkline_location::Binding;
use trunkline_proxy::FlowToken;
use trunkline_routing::{Plan, Target};
use trunkline_sip::{Address, ConnectionId, Flow, List, Uri};
use trunkline_transport::Egress;

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::nat::Arrived;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;

/// How a binding is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// By this flow; `None`: where its Path or its Contact points.
    pub(crate) flow: Option<Flow>,
    /// Nothing else leads to it.
    pub(crate) flow_only: bool,
}

/// How a binding is reached now; `None`: not at all, its connection has ended and nobody listens where it came from.
pub(crate) fn reach(io: &Io<EdgeMail>, binding: &Binding<'_>) -> Option<Reach> {
    let flow = binding.flow;
    let by_uri = Reach { flow: None, flow_only: false };
    if !binding.path.is_empty() {
        // The proxies it came through know the way (RFC 3327 §5.2).
        return Some(by_uri);
    }
    if !flow.transport.is_reliable() {
        let flow = Some(flow).filter(|_| binding.behind_nat);
        return Some(Reach { flow, flow_only: binding.behind_nat });
    }
    let flow_only = binding.behind_nat || flow.transport.is_websocket();
    match flow.connection != ConnectionId::NONE && io.is_connected(flow.connection) {
        true => Some(Reach { flow: Some(flow), flow_only }),
        false => (!flow_only).then_some(by_uri),
    }
}

impl Edge {
    /// Where a target of the plan is reached.
    pub(crate) fn way_to(&self, plan: &Plan, target: &Target) -> Resolved {
        if let Some(flow) = &target.flow {
            // Whether its connection lives was asked when the binding was found.
            return Resolved::To(Egress::back(flow), Spare::default());
        }
        if let Some(hop) = &target.next_hop {
            return self.shared.resolver.resolve(plan.targets.text(hop.host), hop.port, hop.transport);
        }
        let (path, uri) = (plan.targets.text(target.path), plan.targets.text(target.uri));
        self.way_by_uri(path, uri)
    }

    /// Where the first Route value, else the Request-URI points.
    pub(crate) fn way_by_uri(&self, path: &[u8], uri: &[u8]) -> Resolved {
        let first = List::new(path).flatten().next().filter(|p| !p.is_empty());
        match first.map(|p| Address::parse(p, "Path")) {
            Some(Ok(address)) => self.shared.resolver.resolve_uri(address.uri),
            Some(Err(_)) => Resolved::Nowhere,
            None => self.shared.resolver.resolve_uri(uri),
        }
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
