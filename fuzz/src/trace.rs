//! What watchers of messages are shown.

use trunkline_sip::Transport;
use trunkline_trace::{Direction, Summary, Traced, hep, masked, pcap, shown};

/// A message that came or went: what is left of it without secrets, as a packet for a capture server and in a capture file.
pub fn message(bytes: &[u8]) {
    let hidden = masked(bytes);
    assert!(shown(bytes).len() <= 3 * hidden.len());
    // Whatever stands before it, a secret in a line of its own is hidden.
    for line in [
        "Authorization: Basic SESAME",
        "Proxy-Authorization: Digest response=\"SESAME\"",
        "a=crypto:1 AES inline:SESAME",
    ] {
        let shown = masked(&[bytes, b"\r\n", line.as_bytes(), b"\r\n"].concat());
        let told = shown.get(hidden.len()..).unwrap_or_default();
        assert!(!told.windows(6).any(|part| part == b"SESAME"), "{line} after {}", bytes.escape_ascii());
    }
    let _ = (Summary::of(bytes).line(), Summary::of(bytes).is_of("1001@sip.local"));
    let addresses = ["192.0.2.1:5060", "[2001:db8::1]:5061", "[::ffff:192.0.2.9]:7"];
    let address = |n: usize| addresses[n % 3].parse().expect("an address");
    let message = Traced {
        at: bytes.len() as u64 * 1_000_003,
        direction: if bytes.len().is_multiple_of(2) { Direction::Sent } else { Direction::Received },
        transport: Transport::ALL[bytes.len() % Transport::ALL.len()],
        local: address(bytes.len()),
        remote: address(bytes.len() / 3),
        reason: String::new(),
        bytes: bytes.to_vec(),
    };
    let agent = hep::Agent { id: 7, password: "pw".into() };
    let mut packet = Vec::new();
    let whole = hep::packet(&agent, &message, &hidden, &mut packet);
    check_packet(&packet, &hidden, whole);
    let mut file = pcap::header();
    let begin = file.len();
    pcap::put(&message, &hidden, &mut file);
    let length = file[begin + 8..begin + 12].try_into().map(u32::from_le_bytes).expect("four bytes");
    assert_eq!(begin + 16 + length as usize, file.len());
    assert!(file.ends_with(&hidden));
}

/// Its chunks follow each other to its end; the last one is the message.
fn check_packet(packet: &[u8], payload: &[u8], whole: bool) {
    assert!(packet.starts_with(b"HEP3"));
    assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
    let (mut rest, mut last) = (&packet[6..], &packet[..0]);
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
        assert!(length >= 6);
        (last, rest) = rest.split_at(length);
    }
    assert!(payload.starts_with(&last[6..]));
    assert_eq!(whole, payload.len() + 6 == last.len());
}
