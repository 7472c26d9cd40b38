//! A way back to one side of a dialog.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::{ConnectionId, Transport};

/// A way back to one side that its Contact does not give: behind a NAT, or a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowToken {
    /// The transport.
    pub transport: Transport,
    /// Our port it came to.
    pub local_port: u16,
    /// The other side's address.
    pub remote: SocketAddr,
    /// The connection; [`ConnectionId::NONE`] for UDP.
    pub connection: ConnectionId,
    /// Once the connection has ended: may the other side be connected to where its Contact says?
    pub listens: bool,
}

/// Beside the transport's number: the other side listens.
const LISTENS: u8 = 0x80;
/// Beside the transport's number: the address is an IPv6 one.
const IPV6: u8 = 0x40;

impl FlowToken {
    /// The longest binary form, in bytes.
    pub(crate) const LONGEST: usize = 13 + 16;

    /// Writes the binary form to the start of `into`; gives its length.
    pub(crate) fn put(&self, into: &mut [u8]) -> usize {
        let mut bytes = [0u8; FlowToken::LONGEST];
        let (head, address) = bytes.split_at_mut(13);
        let mut flags = self.transport as u8 | if self.listens { LISTENS } else { 0 };
        let length = match self.remote.ip() {
            IpAddr::V4(ip) => {
                address.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
                17
            }
            IpAddr::V6(ip) => {
                flags |= IPV6;
                address.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
                29
            }
        };
        let [l1, l0] = self.local_port.to_be_bytes();
        let [p1, p0] = self.remote.port().to_be_bytes();
        let fields = [flags, l1, l0, p1, p0].into_iter().chain(self.connection.0.to_be_bytes());
        head.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        into.iter_mut().zip(bytes).take(length).for_each(|(to, from)| *to = from);
        length
    }

    /// Reads a binary form from the start of `bytes`; gives what follows it as well.
    pub(crate) fn take(bytes: &[u8]) -> Option<(FlowToken, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<13>()?;
        let [flags, l1, l0, p1, p0, connection @ ..] = *head;
        let (ip, rest) = if flags & IPV6 == 0 {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(*ip), rest)
        } else {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(*ip), rest)
        };
        let token = FlowToken {
            transport: Transport::ALL.into_iter().find(|x| *x as u8 == flags & !(LISTENS | IPV6))?,
            local_port: u16::from_be_bytes([l1, l0]),
            remote: SocketAddr::new(ip, u16::from_be_bytes([p1, p0])),
            connection: ConnectionId(u64::from_be_bytes(connection)),
            listens: flags & LISTENS != 0,
        };
        Some((token, rest))
    }
}
