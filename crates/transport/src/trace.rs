//! What a shard shows of its messages to whoever watches (crate `trunkline-trace`). While nobody does, a message costs the load
//! of one number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_sip::{ConnectionId, Flow, Transport};
use trunkline_trace::{Direction, Seen, Tap};

use crate::io::{Egress, Io};
use crate::udp::UdpSocket;

/// Why the exchange makes a response itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Because {
    status: u16,
    reason: &'static str,
}

impl<M> Io<M> {
    /// Where this shard's messages can be watched.
    pub fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    /// The next response with this status is sent for this reason; whoever watches is told.
    pub fn because(&mut self, status: u16, reason: &'static str) {
        if self.tap.is_on() {
            self.because = Some(Because { status, reason });
        }
    }

    /// A message came.
    #[inline]
    pub(crate) fn trace_received(&self, flow: &Flow, bytes: &[u8]) {
        if self.tap.is_on() {
            show(&self.tap, flow.transport, (flow.local, flow.remote), Direction::Received, ("", bytes));
        }
    }

    /// A message is on its way, on a stream by this connection.
    #[inline]
    pub(crate) fn trace_sent(&mut self, egress: &Egress, connection: ConnectionId, bytes: &[u8]) {
        if self.tap.is_on() {
            self.show_sent(egress, connection, bytes);
        }
    }

    #[cold]
    fn show_sent(&mut self, egress: &Egress, connection: ConnectionId, bytes: &[u8]) {
        let because = self.because.take().filter(|because| has_status(bytes, because.status));
        let own = self.place(connection).and_then(|place| self.connections.get(place));
        let (mut local, remote) = match own {
            Some(c) => (c.flow.local, c.flow.remote),
            None => (egress.local, egress.remote),
        };
        if egress.transport == Transport::Udp
            && let Some(socket) = self.udp_socket(egress).and_then(|n| self.udp.get(n)).map(UdpSocket::local)
        {
            let ip = if socket.ip().is_unspecified() { local.ip() } else { socket.ip() };
            local = SocketAddr::new(ip, socket.port());
        }
        if local.ip().is_unspecified() {
            // The kernel chooses; so it is asked.
            local.set_ip(self.sources.toward(remote.ip()));
        }
        let reason = because.map_or("", |because| because.reason);
        show(&self.tap, egress.transport, (local, remote), Direction::Sent, (reason, bytes));
    }
}

/// Does a response begin with this status?
fn has_status(bytes: &[u8], status: u16) -> bool {
    let code = bytes.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok()) == Some(status)
}

#[cold]
fn show(
    tap: &Tap,
    transport: Transport,
    (local, remote): (SocketAddr, SocketAddr),
    direction: Direction,
    (reason, bytes): (&str, &[u8]),
) {
    // Keep-alives and the answers of STUN are no SIP.
    if bytes.first().is_none_or(|b| *b < 4) || bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        return;
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
    tap.put(&Seen { at, direction, transport, local, remote, reason, bytes });
}
