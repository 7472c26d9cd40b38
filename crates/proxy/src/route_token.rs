//! The parameter of our Record-Route by which we know a dialog again, after a restart too.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::{ConnectionId, Transport};

use crate::hex;
use crate::secret::Secret;

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

impl FlowToken {
    fn put(&self, out: &mut Vec<u8>) {
        hex::put(&[self.transport as u8 | if self.listens { LISTENS } else { 0 }], out);
        hex::put(&self.local_port.to_be_bytes(), out);
        hex::put(&self.remote.port().to_be_bytes(), out);
        hex::put(&self.connection.0.to_be_bytes(), out);
        match self.remote.ip() {
            IpAddr::V4(ip) => hex::put(&ip.octets(), out),
            IpAddr::V6(ip) => hex::put(&ip.octets(), out),
        }
    }

    fn take(digits: &[u8]) -> Option<FlowToken> {
        let mut head = [0u8; 13];
        hex::take(digits.get(..26)?, &mut head)?;
        let [t, l1, l0, p1, p0, connection @ ..] = head;
        let address = digits.get(26..)?;
        let ip = if address.len() == 8 {
            let mut b = [0u8; 4];
            hex::take(address, &mut b)?;
            IpAddr::from(b)
        } else {
            let mut b = [0u8; 16];
            hex::take(address, &mut b)?;
            IpAddr::from(b)
        };
        Some(FlowToken {
            transport: Transport::ALL.into_iter().find(|x| *x as u8 == t & !LISTENS)?,
            local_port: u16::from_be_bytes([l1, l0]),
            remote: SocketAddr::new(ip, u16::from_be_bytes([p1, p0])),
            connection: ConnectionId(u64::from_be_bytes(connection)),
            listens: t & LISTENS != 0,
        })
    }
}

/// The value of our Record-Route's `dlg` parameter: a MAC over Call-ID, the caller's tag and the ways to both
/// sides; then the ways, where there are any: `MAC`, `MAC.caller`, `MAC.caller.callee`, `MAC..callee`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RouteToken {
    /// How to reach the side that began the dialog.
    pub caller: Option<FlowToken>,
    /// How to reach the other side.
    pub callee: Option<FlowToken>,
}

/// Which side sent a request inside the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that began it.
    Caller,
    /// The other.
    Callee,
}

impl RouteToken {
    /// The parameter's name.
    pub const PARAM: &'static str = "dlg";

    /// Appends `;dlg=…`. `tag` is the From tag of the request that begins the dialog.
    pub fn put(&self, secret: &Secret, call_id: &[u8], tag: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b";dlg=");
        let mac_at = out.len();
        out.extend_from_slice(&[b'0'; 16]);
        let flows_at = out.len();
        if self.caller.is_some() || self.callee.is_some() {
            out.push(b'.');
            if let Some(f) = &self.caller {
                f.put(out);
            }
        }
        if let Some(f) = &self.callee {
            out.push(b'.');
            f.put(out);
        }
        let mac = secret.dialog_mac(call_id, tag, out.get(flows_at..).unwrap_or_default());
        let mut digits = [0u8; 16];
        hex::fill(&mac.to_be_bytes(), &mut digits);
        if let Some(place) = out.get_mut(mac_at..mac_at + 16) {
            place.copy_from_slice(&digits);
        }
    }

    /// Reads and verifies a value; tells which side the request came from. `None`: not a dialog of ours.
    pub fn verify(
        value: &[u8],
        secret: &Secret,
        call_id: &[u8],
        from_tag: &[u8],
        to_tag: &[u8],
    ) -> Option<(RouteToken, Side)> {
        let (mac, flows) = value.split_at_checked(16)?;
        let mut bytes = [0u8; 8];
        hex::take(mac, &mut bytes)?;
        let mac = u64::from_be_bytes(bytes);
        let side = if secret.dialog_mac(call_id, from_tag, flows) == mac {
            Side::Caller
        } else if !to_tag.is_empty() && secret.dialog_mac(call_id, to_tag, flows) == mac {
            Side::Callee
        } else {
            return None;
        };
        let mut parts = flows.split(|&b| b == b'.').skip(1);
        let mut flow = || parts.next().filter(|p| !p.is_empty()).and_then(FlowToken::take);
        Some((RouteToken { caller: flow(), callee: flow() }, side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_known_and_forgeries_are_not() {
        let secret = Secret::new([7; 16]);
        let flow = FlowToken {
            transport: Transport::Wss,
            local_port: 5063,
            remote: "[2001:db8::7]:4711".parse().unwrap(),
            connection: ConnectionId(42),
            listens: true,
        };
        let v4 = FlowToken {
            transport: Transport::Udp,
            remote: "192.0.2.1:5".parse().unwrap(),
            listens: false,
            ..flow
        };
        for token in [
            RouteToken::default(),
            RouteToken { caller: Some(flow), callee: None },
            RouteToken { caller: None, callee: Some(v4) },
            RouteToken { caller: Some(v4), callee: Some(flow) },
        ] {
            let mut text = b"<sip:x;lr".to_vec();
            token.put(&secret, b"call", b"a", &mut text);
            let value = text.strip_prefix(b"<sip:x;lr;dlg=").unwrap();
            assert_eq!(RouteToken::verify(value, &secret, b"call", b"a", b"b"), Some((token, Side::Caller)));
            assert_eq!(RouteToken::verify(value, &secret, b"call", b"b", b"a"), Some((token, Side::Callee)));
            assert_eq!(RouteToken::verify(value, &secret, b"other", b"a", b"b"), None);
            assert_eq!(RouteToken::verify(value, &Secret::new([8; 16]), b"call", b"a", b"b"), None);
            let mut forged = value.to_vec();
            forged.extend_from_slice(b".00");
            assert_eq!(RouteToken::verify(&forged, &secret, b"call", b"a", b"b"), None);
        }
        assert_eq!(RouteToken::verify(b"", &secret, b"call", b"", b""), None);
    }
}
