//! HEP3 (EEP), the protocol of capture servers such as Homer, Kamailio's `sipcapture` and heplify: a message in one datagram, with
//! its addresses, its time and an identifier by which the messages of a call are found together.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::Transport;

use crate::entry::Traced;
use crate::summary::Summary;

/// The longest payload of a UDP datagram over IPv4.
const LONGEST: usize = 65_507;

/// Types of chunks, all of the generic vendor (0).
mod chunk {
    pub const FAMILY: u16 = 0x01;
    pub const PROTOCOL: u16 = 0x02;
    pub const IPV4_SOURCE: u16 = 0x03;
    pub const IPV4_DESTINATION: u16 = 0x04;
    pub const IPV6_SOURCE: u16 = 0x05;
    pub const IPV6_DESTINATION: u16 = 0x06;
    pub const SOURCE_PORT: u16 = 0x07;
    pub const DESTINATION_PORT: u16 = 0x08;
    pub const SECONDS: u16 = 0x09;
    pub const MICROSECONDS: u16 = 0x0a;
    pub const KIND: u16 = 0x0b;
    pub const CAPTURE_ID: u16 = 0x0c;
    pub const PASSWORD: u16 = 0x0e;
    pub const PAYLOAD: u16 = 0x0f;
    pub const CORRELATION: u16 = 0x11;
}

/// The payload is SIP.
const SIP: u8 = 1;

/// Who captures.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// The number of this capture agent.
    pub id: u32,
    /// The password that the server asks for; empty for none.
    pub password: String,
}

/// Writes a message as one packet, with `bytes` for its own (they may be masked). The end of a message that does not fit in a
/// datagram is left out; `false` says so.
pub fn packet(agent: &Agent, message: &Traced, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    out.extend_from_slice(b"HEP3\0\0");
    let (source, destination) = message.from_to();
    // Sockets for both families name IPv4 addresses in a form of their own.
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(source), plain(destination));
    let v4 = source.is_ipv4() && destination.is_ipv4();
    put(chunk::FAMILY, &[if v4 { 2 } else { 10 }], out);
    put(chunk::PROTOCOL, &[if message.transport == Transport::Udp { 17 } else { 6 }], out);
    put_address(source.ip(), v4, (chunk::IPV4_SOURCE, chunk::IPV6_SOURCE), out);
    put_address(destination.ip(), v4, (chunk::IPV4_DESTINATION, chunk::IPV6_DESTINATION), out);
    put(chunk::SOURCE_PORT, &source.port().to_be_bytes(), out);
    put(chunk::DESTINATION_PORT, &destination.port().to_be_bytes(), out);
    put(chunk::SECONDS, &((message.at / 1_000_000) as u32).to_be_bytes(), out);
    put(chunk::MICROSECONDS, &((message.at % 1_000_000) as u32).to_be_bytes(), out);
    put(chunk::KIND, &[SIP], out);
    put(chunk::CAPTURE_ID, &agent.id.to_be_bytes(), out);
    if !agent.password.is_empty() {
        put(chunk::PASSWORD, agent.password.as_bytes(), out);
    }
    let call_id = Summary::of(&message.bytes).call_id;
    if !call_id.is_empty() && call_id.len() < 1024 {
        put(chunk::CORRELATION, call_id, out);
    }
    let room = LONGEST.saturating_sub(out.len() + 6);
    let whole = bytes.len() <= room;
    put(chunk::PAYLOAD, bytes.get(..room).unwrap_or(bytes), out);
    let length = (out.len() as u16).to_be_bytes();
    if let Some(place) = out.get_mut(4..6) {
        place.copy_from_slice(&length);
    }
    whole
}

fn put(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((value.len() + 6) as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn put_address(ip: IpAddr, v4: bool, (four, six): (u16, u16), out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) if v4 => put(four, &ip.octets(), out),
        // One family for both.
        IpAddr::V4(ip) => put(six, &ip.to_ipv6_mapped().octets(), out),
        IpAddr::V6(ip) => put(six, &ip.octets(), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Direction;

    #[test]
    fn one_that_is_too_long_loses_its_end() {
        let bytes = [b"SIP/2.0 200 OK\r\nCall-ID: a@b\r\n\r\n".to_vec(), vec![b'x'; 70_000]].concat();
        let message = Traced {
            at: 1_500_000,
            direction: Direction::Sent,
            transport: Transport::Tls,
            local: "[::ffff:192.0.2.1]:5061".parse().unwrap(),
            remote: "192.0.2.7:4000".parse().unwrap(),
            reason: String::new(),
            bytes,
        };
        let agent = Agent { id: 7, password: "pw".into() };
        let mut out = Vec::new();
        assert!(!packet(&agent, &message, &message.bytes, &mut out));
        assert_eq!((out.len(), &out[..6]), (LONGEST, &[b'H', b'E', b'P', b'3', 0xff, 0xe3][..]));
        assert_eq!(out[6..13], [0, 0, 0, 1, 0, 7, 2]);
        assert!(out.windows(10).any(|part| part == [0, 0, 0, 0x11, 0, 9, b'a', b'@', b'b', 0]));
        assert!(packet(&agent, &message, b"short", &mut out));
        assert!(out.ends_with(b"short"));
    }
}
