//! The parameter of our Record-Route by which we know a dialog again, after a restart too.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::response::put_number;
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

/// The value of our Record-Route's `dlg` parameter: a MAC over Call-ID, the caller's tag and the rest, which is there as
/// far as it is needed: the ways to both sides, and by how much CSeq was raised. `MAC`, `MAC.caller`,
/// `MAC.caller.callee`, `MAC..callee`, `MAC...1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RouteToken {
    /// How to reach the side that began the dialog.
    pub caller: Option<FlowToken>,
    /// How to reach the other side.
    pub callee: Option<FlowToken>,
    /// How much higher the other side counts what the beginning one sends: a challenge was answered for it.
    pub cseq_added: u8,
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
        self.put_value(secret, call_id, tag, out);
    }

    /// Appends the value alone.
    pub fn put_value(&self, secret: &Secret, call_id: &[u8], tag: &[u8], out: &mut Vec<u8>) {
        let mac_at = out.len();
        out.extend_from_slice(&[b'0'; 16]);
        let flows_at = out.len();
        let raised = self.cseq_added > 0;
        if self.caller.is_some() || self.callee.is_some() || raised {
            out.push(b'.');
            if let Some(f) = &self.caller {
                f.put(out);
            }
        }
        if self.callee.is_some() || raised {
            out.push(b'.');
            if let Some(f) = &self.callee {
                f.put(out);
            }
        }
        if raised {
            out.push(b'.');
            put_number(u64::from(self.cseq_added), out);
        }
        let mac = secret.dialog_mac(call_id, tag, out.get(flows_at..).unwrap_or_default());
        let mut digits = [0u8; 16];
        hex::fill(&mac.to_be_bytes(), &mut digits);
        if let Some(place) = out.get_mut(mac_at..mac_at + 16) {
            place.copy_from_slice(&digits);
        }
    }

    /// Reads and verifies a value; tells which side the request came from. `None`: not a dialog of ours. A request
    /// without To tag is in no dialog (RFC 3261 §12.2.2), whatever it has learnt of an earlier one.
    pub fn verify(
        value: &[u8],
        secret: &Secret,
        call_id: &[u8],
        from_tag: &[u8],
        to_tag: &[u8],
    ) -> Option<(RouteToken, Side)> {
        if to_tag.is_empty() {
            return None;
        }
        let from_caller =
            RouteToken::read(value, secret, call_id, from_tag).map(|token| (token, Side::Caller));
        from_caller
            .or_else(|| RouteToken::read(value, secret, call_id, to_tag).map(|token| (token, Side::Callee)))
    }

    /// Reads a value of ours; `tag` is that of the side which began the dialog.
    pub fn read(value: &[u8], secret: &Secret, call_id: &[u8], tag: &[u8]) -> Option<RouteToken> {
        let (mac, rest) = value.split_at_checked(16)?;
        let mut bytes = [0u8; 8];
        hex::take(mac, &mut bytes)?;
        if secret.dialog_mac(call_id, tag, rest) != u64::from_be_bytes(bytes) {
            return None;
        }
        let mut parts = rest.split(|&b| b == b'.').skip(1);
        let mut flow = || parts.next().filter(|p| !p.is_empty()).and_then(FlowToken::take);
        let (caller, callee) = (flow(), flow());
        let added = parts.next().and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
        Some(RouteToken { caller, callee, cseq_added: added.unwrap_or(0) })
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
            RouteToken { caller: Some(flow), callee: None, cseq_added: 0 },
            RouteToken { caller: None, callee: Some(v4), cseq_added: 0 },
            RouteToken { caller: Some(v4), callee: Some(flow), cseq_added: 0 },
            RouteToken { caller: None, callee: None, cseq_added: 1 },
            RouteToken { caller: None, callee: Some(v4), cseq_added: 12 },
        ] {
            let mut text = b"<sip:x;lr".to_vec();
            token.put(&secret, b"call", b"a", &mut text);
            let value = text.strip_prefix(b"<sip:x;lr;dlg=").unwrap();
            assert_eq!(RouteToken::verify(value, &secret, b"call", b"a", b"b"), Some((token, Side::Caller)));
            assert_eq!(RouteToken::verify(value, &secret, b"call", b"b", b"a"), Some((token, Side::Callee)));
            assert_eq!(RouteToken::verify(value, &secret, b"other", b"a", b"b"), None);
            assert_eq!(RouteToken::verify(value, &secret, b"call", b"a", b""), None, "no To tag, no dialog");
            assert_eq!(RouteToken::verify(value, &Secret::new([8; 16]), b"call", b"a", b"b"), None);
            let mut forged = value.to_vec();
            forged.extend_from_slice(b".00");
            assert_eq!(RouteToken::verify(&forged, &secret, b"call", b"a", b"b"), None);
        }
        assert_eq!(RouteToken::verify(b"", &secret, b"call", b"", b""), None);
    }
}
