//! `trace.hep`: a copy of every message to a capture server, in HEP3.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use trunkline_tests::Exchange;

use super::{agents, registered};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What hep-js makes of packets.
fn decoded(packets: &[Vec<u8>]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hep/decode.js");
    let mut command = Command::new("node");
    let mut node = command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts: cargo xtask install brings it and hep-js");
    let lines: String = packets.iter().map(|packet| format!("{}\n", hex(packet))).collect();
    node.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("node reads");
    let out = node.wait_with_output().expect("node ends");
    assert!(out.status.success());
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn hep_js_reads_what_a_capture_server_gets() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    server.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
    let at = server.local_addr().expect("bound");
    let config = format!("trace: {{hep: '{at}', captureId: 2001, password: sesame}}\n");
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    let phone = registered(&exchange, "1001");
    let mut packets = Vec::new();
    let mut buffer = [0; 65_536];
    while packets.len() < 4 {
        let length = server.recv(&mut buffer).expect("a packet for each message");
        let packet = &buffer[..length];
        // The exchange is also asked whether it is there.
        if !packet.windows(11).any(|part| part == b"<sip:ready@") {
            packets.push(packet.to_vec());
        }
    }
    let all = decoded(&packets);
    let own = exchange.udp();
    let remote = phone.wire.local();
    for (n, message) in all.iter().enumerate() {
        let rc = &message["rcinfo"];
        let (source, destination) = if n % 2 == 0 { (remote, own) } else { (own, remote) };
        assert_eq!(rc["srcIp"], source.ip().to_string(), "{message:#}");
        assert_eq!(rc["srcPort"], source.port(), "{message:#}");
        assert_eq!(rc["dstIp"], destination.ip().to_string(), "{message:#}");
        assert_eq!(rc["dstPort"], destination.port(), "{message:#}");
        assert_eq!(rc["captureId"], 2001, "{message:#}");
        assert_eq!(rc["capturePass"], "sesame", "{message:#}");
        let payload = message["payload"].as_str().expect("the message");
        let call_id = rc["correlation_id"].as_str().expect("the Call-ID");
        assert!(payload.contains(&format!("Call-ID: {call_id}\r\n")), "{message:#}");
        assert!(!payload.contains("response=\""), "{payload}");
    }
    assert!(all[3]["payload"].as_str().is_some_and(|m| m.starts_with("SIP/2.0 200 OK")), "{all:#?}");
}
