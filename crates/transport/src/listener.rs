//! Addresses to listen on.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use trunkline_sip::Transport;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address; port 0 for any that is free.
    pub address: SocketAddr,
}

/// An address that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct ListenError {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A bound TCP socket.
pub(crate) fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let s = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        s.set_only_v6(true)?;
    }
    s.set_reuse_address(true)?;
    if shared {
        s.set_reuse_port(true)?;
    }
    s.set_nonblocking(true)?;
    s.bind(&address.into())?;
    s.listen(1024)?;
    Ok(TcpListener::from_std(s.into()))
}

/// Can this address be bound by us alone?
pub(crate) fn is_free(transport: Transport, address: SocketAddr) -> io::Result<()> {
    let kind = if transport == Transport::Udp { Type::DGRAM } else { Type::STREAM };
    let s = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        s.set_only_v6(true)?;
    }
    // Connections of an earlier run may still be winding down; a listener is what counts.
    s.set_reuse_address(transport != Transport::Udp)?;
    s.bind(&address.into())
}
