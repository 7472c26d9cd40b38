//! How a binding is reached: by its flow, through the proxy it registered through, or where its Contact points.

use trunkline_location::Binding;
use trunkline_sip::{Address, ConnectionId, Flow, List};

use crate::mail::Io;
use crate::resolver::Resolved;
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
pub(crate) fn reach(io: &Io<'_>, binding: &Binding<'_>) -> Option<Reach> {
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

impl Shared {
    /// Where the first Route value, else the Request-URI points.
    pub(crate) fn way_by_uri(&self, path: &[u8], uri: &[u8]) -> Resolved {
        let first = List::new(path).flatten().next().filter(|p| !p.is_empty());
        match first.map(|p| Address::parse(p, "Path")) {
            Some(Ok(address)) => self.resolver.resolve_uri(address.uri),
            Some(Err(_)) => Resolved::Nowhere,
            None => self.resolver.resolve_uri(uri),
        }
    }
}
