//! Capture files that Wireshark opens. Each message is an exported PDU: it names its protocol, both addresses and ports, so that
//! messages of TLS and WebSockets, and those longer than a datagram, are shown as SIP too.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::Transport;

use crate::entry::Traced;

/// LINKTYPE_WIRESHARK_UPPER_PDU.
const LINK_TYPE: u32 = 252;
/// The longest packet that Wireshark reads.
const SNAP: u32 = 262_144;

/// The beginning of a file: that of pcap, with times in microseconds.
pub fn header() -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    out.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    out.extend_from_slice(&2u16.to_le_bytes());
    out.extend_from_slice(&4u16.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&SNAP.to_le_bytes());
    out.extend_from_slice(&LINK_TYPE.to_le_bytes());
    out
}

/// Tags of an exported PDU.
mod tag {
    pub const PROTOCOL: u16 = 12;
    pub const IPV4_SOURCE: u16 = 20;
    pub const IPV4_DESTINATION: u16 = 21;
    pub const IPV6_SOURCE: u16 = 22;
    pub const IPV6_DESTINATION: u16 = 23;
    pub const PORT_TYPE: u16 = 24;
    pub const SOURCE_PORT: u16 = 25;
    pub const DESTINATION_PORT: u16 = 26;
    pub const END: u16 = 0;
}

/// Appends a message, with `bytes` for its own (they may be masked).
pub fn put(message: &Traced, bytes: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let (seconds, micros) = (message.at / 1_000_000, message.at % 1_000_000);
    out.extend_from_slice(&(seconds as u32).to_le_bytes());
    out.extend_from_slice(&(micros as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    let packet = out.len();
    put_tag(tag::PROTOCOL, b"sip\0", out);
    let (source, destination) = message.from_to();
    put_address(source, (tag::IPV4_SOURCE, tag::IPV6_SOURCE), out);
    put_address(destination, (tag::IPV4_DESTINATION, tag::IPV6_DESTINATION), out);
    // As in Wireshark's own: 2 is TCP, 3 is UDP.
    let kind: u32 = if message.transport == Transport::Udp { 3 } else { 2 };
    put_tag(tag::PORT_TYPE, &kind.to_be_bytes(), out);
    put_tag(tag::SOURCE_PORT, &u32::from(source.port()).to_be_bytes(), out);
    put_tag(tag::DESTINATION_PORT, &u32::from(destination.port()).to_be_bytes(), out);
    put_tag(tag::END, &[], out);
    let whole = out.len() - packet + bytes.len();
    let room = (SNAP as usize).saturating_sub(out.len() - packet);
    out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    let lengths = [(out.len() - packet) as u32, whole as u32].map(u32::to_le_bytes).concat();
    if let Some(place) = out.get_mut(begin + 8..begin + 16) {
        place.copy_from_slice(&lengths);
    }
}

fn put_tag(tag: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn put_address(address: SocketAddr, (v4, v6): (u16, u16), out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => put_tag(v4, &ip.octets(), out),
        IpAddr::V6(ip) => put_tag(v6, &ip.octets(), out),
    }
}
