//! The addresses of a name.

use std::net::SocketAddr;
use std::sync::Arc;

use trunkline_sip::Transport;
use trunkline_transport::{Egress, HostName};

/// One address of a host, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// All that is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ways {
    /// In the order they are tried.
    pub(super) list: Vec<Way>,
    /// Whose certificate must be shown: the host of the URI, not that of an SRV record (RFC 5922 §7.3).
    pub(super) host: Arc<str>,
}

impl Ways {
    pub(super) fn egress(&self, n: usize) -> Option<Egress> {
        let way = self.list.get(n)?;
        let name = if way.transport.is_secure() { HostName::of(&self.host) } else { HostName::NONE };
        Some(Egress { name, ..Egress::to(way.transport, way.address) })
    }
}
