//! What is asked of name servers, and which of their answers are of use.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::Equivalent;
use trunkline_sip::Transport;

/// A name to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// In lower case, without a dot at its end.
    pub(crate) host: String,
    /// The port, where one stands.
    pub(crate) port: Option<u16>,
    /// The transport that was named; else the one to fall back to: UDP, or TLS of a `sips` URI.
    pub(crate) transport: Transport,
    /// Was the transport named?
    pub(crate) named: bool,
}

/// A [`Question`] that is only looked for: names are found without an allocation.
#[derive(Hash)]
pub(super) struct Sought<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) transport: Transport,
    pub(super) named: bool,
}

impl Equivalent<Question> for Sought<'_> {
    fn equivalent(&self, q: &Question) -> bool {
        self.host == q.host && (self.port, self.transport, self.named) == (q.port, q.transport, q.named)
    }
}

impl Equivalent<Arc<Question>> for Sought<'_> {
    fn equivalent(&self, q: &Arc<Question>) -> bool {
        Equivalent::<Question>::equivalent(self, q)
    }
}

/// Nothing is ever sent to broadcast, multicast or unspecified addresses, nor to the rest of 0.0.0.0/8, which no host has
/// either (RFC 1122 §3.2.1.3).
pub(crate) fn is_unicast(ip: IpAddr) -> bool {
    let nobody = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    !nobody && !ip.is_multicast()
}
