//! Phones on TCP.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{Phones, Shards};
use trunkline_edge::RebalancingConfig;

/// The phone of 1002 on a TCP connection.
struct Phone {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Phone {
    fn registered(server: SocketAddr) -> Phone {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut phone = Phone { stream, unread: Vec::new() };
        let me = phone.stream.local_addr().unwrap();
        phone.send(&format!(
            "REGISTER sip:sip.local SIP/2.0\r\nVia: SIP/2.0/TCP {me};branch=z9hG4bKr;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1002@sip.local>;tag=r\r\nTo: <sip:1002@sip.local>\r\nCall-ID: registration\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:1002@{me};transport=tcp>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(phone.receive().starts_with("SIP/2.0 200"));
        phone
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next message as RFC 3261 §18.3 cuts it: CRLF ends lines, Content-Length says where the body ends.
    fn receive(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..end + 4].to_vec()).unwrap();
                let length = head.split("\r\n").find_map(|l| l.strip_prefix("Content-Length: "));
                let whole = end + 4 + length.map_or(0, |l| l.parse::<usize>().unwrap());
                if self.unread.len() >= whole {
                    return String::from_utf8(self.unread.drain(..whole).collect()).unwrap();
                }
            }
            let mut buffer = [0; 4096];
            let n = self.stream.read(&mut buffer).expect("a message in time");
            assert!(
                n > 0,
                "closed; of the next message there is {:?}",
                String::from_utf8_lossy(&self.unread)
            );
            self.unread.extend_from_slice(&buffer[..n]);
        }
    }
}

/// A MESSAGE to 1002 as a datagram may hold it, RFC 3261 §18.3: without Content-Length.
fn message(phones: &mut Phones, body: &str) -> String {
    let me = phones.caller.local_addr().unwrap();
    let text = phones
        .options("UDP", me)
        .replace("OPTIONS sip:", "MESSAGE sip:1002@")
        .replace("1 OPTIONS", "1 MESSAGE");
    text.replace("Content-Length: 0\r\n", "Content-Type: text/plain\r\n") + body
}

#[test]
fn a_datagram_without_length_or_with_bare_line_feeds_does_not_break_a_stream() {
    let shards = Shards::start(1, RebalancingConfig::default(), || 0);
    let mut phone = Phone::registered(shards.tcp);
    let mut phones = Phones::new(shards.address);
    for bare in [false, true] {
        let text = message(&mut phones, "first");
        phones.send(&if bare { text.replace("\r\n", "\n") } else { text });
        let text = message(&mut phones, "second");
        phones.send(&text);
        for body in ["first", "second"] {
            let arrived = phone.receive();
            assert!(arrived.starts_with("MESSAGE sip:1002@") && arrived.ends_with(body), "{arrived}");
            assert_eq!(arrived.matches("\r\n").count(), arrived.matches('\n').count(), "{arrived}");
            // Its answer has no length either; on a stream that means no body.
            let answer = Phones::response(&arrived, "200 OK", "sip:x@y").replace("Content-Length: 0\r\n", "");
            phone.send(&answer);
            let call = Phones::header(&arrived, "Call-ID");
            Phones::receive_of(&phones.caller, &call, "SIP/2.0 200");
        }
    }
}

/// Only the end of a connection that requests went out on is looked for among all transactions.
#[test]
fn strangers_who_come_and_go_cost_no_search() {
    let shards = Shards::start(1, RebalancingConfig::default(), || 0);
    for _ in 0..20 {
        drop(TcpStream::connect(shards.tcp).unwrap());
    }
    let mut phone = Phone::registered(shards.tcp);
    let mut phones = Phones::new(shards.address);
    let text = message(&mut phones, "hello");
    phones.send(&text);
    assert!(phone.receive().starts_with("MESSAGE"));
    drop(phone);
    // Its connection was all that led to it.
    Phones::receive_of(&phones.caller, &phones.call_id(), "SIP/2.0 480");
    assert_eq!(shards.counter("asked_ended"), [1]);
}
