//! Appends addresses and other parts of URIs to a message.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::flow::Transport;
use crate::response::put_number;

/// Appends an address as it stands in a message: IPv6 in brackets, the port always.
pub fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(_) => {
            put_ip(address.ip(), out);
            out.push(b':');
            put_number(u64::from(address.port()), out);
        }
        IpAddr::V6(ip) => {
            let _ = write!(out, "[{ip}]:{}", address.port());
        }
    }
}

/// Appends an address without a port, IPv6 without brackets.
pub fn put_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => {
            let mut text = [0u8; 16];
            let mut length = 0;
            let mut put = |b: u8| {
                if let Some(place) = text.get_mut(length) {
                    *place = b;
                    length += 1;
                }
            };
            for octet in ip.octets() {
                if octet >= 100 {
                    put(b'0' + octet / 100);
                }
                if octet >= 10 {
                    put(b'0' + octet / 10 % 10);
                }
                put(b'0' + octet % 10);
                put(b'.');
            }
            out.extend_from_slice(text.get(..length.saturating_sub(1)).unwrap_or_default());
        }
        IpAddr::V6(ip) => {
            let _ = write!(out, "{ip}");
        }
    }
}

/// `;transport=tcp` and its like; UDP needs none. A URI knows one word for WebSockets, secure or not (RFC 7118
/// §5.2.4).
pub fn put_transport(transport: Transport, out: &mut Vec<u8>) {
    let name = match transport {
        Transport::Udp => return,
        Transport::Wss => Transport::Ws.param_name(),
        Transport::Tcp | Transport::Tls | Transport::Ws => transport.param_name(),
    };
    out.extend_from_slice(b";transport=");
    out.extend_from_slice(name.as_bytes());
}

/// What may stand in a user part beside letters and digits, RFC 3261 §25.1.
pub const IN_USER: &[u8] = b"-_.!~*'()&=+$,;?/";

/// Appends text, with escapes for what is neither a letter nor a digit nor `allowed` (RFC 3261 §19.1.2).
pub fn escape(text: &[u8], allowed: &[u8], out: &mut Vec<u8>) {
    for &b in text {
        if b.is_ascii_alphanumeric() || allowed.contains(&b) {
            out.push(b);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}
