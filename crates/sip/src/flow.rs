//! Where bytes came from and can be sent back to.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A SIP transport, RFC 3261 §18 and RFC 7118.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Transport {
    /// Datagrams, RFC 3261 §18.
    #[default]
    Udp = 0,
    /// A byte stream, RFC 3261 §18.
    Tcp = 1,
    /// A byte stream inside TLS, RFC 3261 §26.2.
    Tls = 2,
    /// WebSocket frames, RFC 7118.
    Ws = 3,
    /// WebSocket frames inside TLS, RFC 7118.
    Wss = 4,
}

impl Transport {
    /// All of them, in the order of their numbers.
    pub const ALL: [Transport; 5] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// As it stands in a Via: `UDP`, `TCP`, …
    pub fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As it stands in a `transport=` parameter and in configuration: `udp`, `tcp`, …
    pub fn param_name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// Reads a name in any case; `None` for a transport we do not speak.
    pub fn from_bytes(name: &[u8]) -> Option<Transport> {
        Transport::ALL.into_iter().find(|t| name.eq_ignore_ascii_case(t.param_name().as_bytes()))
    }

    /// Does the transport itself retransmit? (RFC 3261 §17: "reliable transport")
    pub fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Is it protected by TLS?
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Is it a WebSocket? Such a client can never be connected to (RFC 7118 §5).
    pub fn is_websocket(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// The port of a URI or Via that names none, RFC 3261 §19.1.2; 80 and 443 for WebSockets.
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param_name())
    }
}

impl FromStr for Transport {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        Transport::from_bytes(s.as_bytes()).ok_or(())
    }
}

/// A connection of a stream transport; 0 where there is none (UDP).
///
/// Numbers are never used twice while the process lives, so a stale one finds nothing. The uppermost bit says whether a
/// foreign web page made it, the 15 bits below it name the shard that owns the connection, the next one says whether we
/// made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// No connection: UDP.
    pub const NONE: ConnectionId = ConnectionId(0);

    /// Set in the number of a connection that we made.
    pub const OPENED: u64 = 1 << 47;

    /// Set in the number of a WebSocket that a web page made whose origin the operator has not allowed.
    pub const FOREIGN_PAGE: u64 = 1 << 63;

    /// The shard that owns the connection.
    pub fn shard(self) -> usize {
        (self.0 >> 48) as usize & 0x7fff
    }

    /// Did a web page make it whose origin the operator has not allowed? The page speaks from its browser's address, and
    /// the user of that browser does not know (RFC 6455 §10.2).
    pub fn is_foreign_page(self) -> bool {
        self.0 & Self::FOREIGN_PAGE != 0
    }

    /// Did we make this connection? Any shard may ask.
    pub fn was_opened(self) -> bool {
        self.0 & Self::OPENED != 0
    }
}

/// The way a message came, and so the way back (RFC 5626 §3.1): for UDP the pair of addresses, for streams
/// the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our side: the address of ours the message was sent to.
    pub local: SocketAddr,
    /// The other side: the source of the packet, the peer of the connection.
    pub remote: SocketAddr,
    /// The connection, [`ConnectionId::NONE`] for UDP.
    pub connection: ConnectionId,
}
