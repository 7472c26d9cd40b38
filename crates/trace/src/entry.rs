//! One message with what is known of it, and its form in the ring of a tap.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::Transport;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the exchange.
    Received,
    /// From the exchange.
    Sent,
}

/// A message as a shard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub transport: Transport,
    /// The address of the exchange.
    pub local: SocketAddr,
    /// The address of the other side.
    pub remote: SocketAddr,
    /// The reason code, of a response that the exchange made itself because of it; else empty.
    pub reason: &'a str,
    /// The message.
    pub bytes: &'a [u8],
}

/// A message that was read from a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub transport: Transport,
    /// The address of the exchange.
    pub local: SocketAddr,
    /// The address of the other side.
    pub remote: SocketAddr,
    /// The reason code, of a response that the exchange made itself because of it; else empty.
    pub reason: String,
    /// The message, secrets included.
    pub bytes: Vec<u8>,
}

impl Traced {
    /// Who sent it, and to whom.
    pub fn from_to(&self) -> (SocketAddr, SocketAddr) {
        match self.direction {
            Direction::Received => (self.remote, self.local),
            Direction::Sent => (self.local, self.remote),
        }
    }
}

/// Bytes of the fixed part: length, time, direction, transport, two addresses, length of the reason.
const HEAD: usize = 4 + 8 + 1 + 1 + 2 * ADDRESS + 1;
/// Bytes of an address: family, IP address, port.
const ADDRESS: usize = 1 + 16 + 2;

impl Seen<'_> {
    /// Its length in a ring; `None` if that cannot be written.
    pub(crate) fn length(&self) -> Option<u32> {
        u32::try_from(HEAD + self.short_reason().len() + self.bytes.len()).ok()
    }

    /// Reason codes are short; the length is one byte.
    fn short_reason(&self) -> &[u8] {
        let reason = self.reason.as_bytes();
        reason.get(..usize::from(u8::MAX)).unwrap_or(reason)
    }

    /// Gives its parts to `put`, in order.
    pub(crate) fn write(&self, length: u32, mut put: impl FnMut(&[u8])) {
        put(&length.to_le_bytes());
        put(&self.at.to_le_bytes());
        put(&[u8::from(self.direction == Direction::Sent), self.transport as u8]);
        put(&address(self.local));
        put(&address(self.remote));
        let reason = self.short_reason();
        put(&[reason.len() as u8]);
        put(reason);
        put(self.bytes);
    }
}

fn address(address: SocketAddr) -> [u8; ADDRESS] {
    let mut out = [0; ADDRESS];
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (4, ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => (6, ip.octets()),
    };
    let [low, high] = address.port().to_le_bytes();
    out[0] = family;
    out[1..17].copy_from_slice(&ip);
    out[17] = low;
    out[18] = high;
    out
}

/// The messages in a copy of a part of a ring.
pub(crate) struct Entries<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let length = u32::from_le_bytes(*self.0.first_chunk::<4>()?) as usize;
        let (entry, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        read(entry)
    }
}

fn read(entry: &[u8]) -> Option<Seen<'_>> {
    let (_, entry) = entry.split_first_chunk::<4>()?;
    let (at, entry) = entry.split_first_chunk::<8>()?;
    let ([sent, transport], entry) = entry.split_first_chunk::<2>()?;
    let (local, entry) = entry.split_first_chunk::<ADDRESS>()?;
    let (remote, entry) = entry.split_first_chunk::<ADDRESS>()?;
    let (length, entry) = entry.split_first()?;
    let (reason, bytes) = entry.split_at_checked(usize::from(*length))?;
    Some(Seen {
        at: u64::from_le_bytes(*at),
        direction: if *sent == 1 { Direction::Sent } else { Direction::Received },
        transport: *Transport::ALL.get(usize::from(*transport))?,
        local: read_address(local),
        remote: read_address(remote),
        reason: std::str::from_utf8(reason).unwrap_or_default(),
        bytes,
    })
}

fn read_address(bytes: &[u8; ADDRESS]) -> SocketAddr {
    let mut ip = [0; 16];
    ip.copy_from_slice(&bytes[1..17]);
    let v6 = std::net::Ipv6Addr::from(ip);
    let ip = match v6.to_ipv4_mapped() {
        Some(v4) if bytes[0] == 4 => IpAddr::V4(v4),
        Some(_) | None => IpAddr::V6(v6),
    };
    SocketAddr::new(ip, u16::from_le_bytes([bytes[17], bytes[18]]))
}

impl From<Seen<'_>> for Traced {
    fn from(seen: Seen<'_>) -> Traced {
        let Seen { at, direction, transport, local, remote, reason, bytes } = seen;
        Traced { at, direction, transport, local, remote, reason: reason.to_owned(), bytes: bytes.to_vec() }
    }
}
