//! What is asked of name servers, and which of their answers are of use.

use std::net::IpAddr;

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

/// Nothing is ever sent to broadcast, multicast or unspecified addresses, nor to the rest of 0.0.0.0/8, which no host has
/// either (RFC 1122 §3.2.1.3).
pub(crate) fn is_unicast(ip: IpAddr) -> bool {
    let nobody = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    !nobody && !ip.is_multicast()
}
