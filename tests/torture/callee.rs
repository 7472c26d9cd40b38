//! The registered phone that shows whether a message was forwarded: it keeps what it gets and answers it.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline_tests::{Exchange, Message, Ua, Wire};

/// A phone on UDP, and on TCP at the same port for what is too long for a datagram.
pub struct Callee {
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Callee {
    /// Registers it and lets it listen until the process ends.
    pub fn start(exchange: &Exchange, user: &str, domain: &str) -> Callee {
        let mut ua = Ua::udp(exchange.udp(), user, domain, "b-secret");
        let answer = ua.register(600);
        assert_eq!(answer.status(), 200, "{}", answer.start);
        let got = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind(ua.wire.local()).expect("the UDP port's number is free for TCP");
        let (on_tcp, on_udp) = (got.clone(), got.clone());
        std::thread::spawn(move || {
            loop {
                let wire = Wire::accept(&listener);
                let (got, mut ua) = (on_tcp.clone(), Ua::new(wire, "bert", "torture.test", ""));
                std::thread::spawn(move || while listen(&mut ua, &got) {});
            }
        });
        std::thread::spawn(move || while listen(&mut ua, &on_udp) {});
        Callee { got }
    }

    /// How many messages it has had.
    pub fn count(&self) -> usize {
        self.got.lock().expect("no thread panics with it").len()
    }

    /// The first message after that many with this Call-ID (any, if it is empty): what an earlier one led to may be
    /// late.
    pub fn after(&self, count: usize, call_id: &str) -> Option<Vec<u8>> {
        let got = self.got.lock().expect("no thread panics with it");
        let of_it = |bytes: &&Vec<u8>| {
            call_id.is_empty() || Message::parse(bytes).is_none_or(|m| m.call_id() == call_id)
        };
        got.iter().skip(count).find(of_it).cloned()
    }
}

/// Takes one message; ACK and CANCEL belong to what was seen before.
fn listen(ua: &mut Ua, got: &Mutex<Vec<Vec<u8>>>) -> bool {
    let Ok(bytes) = ua.wire.recv(Duration::from_millis(200)) else { return false };
    let Some(bytes) = bytes else { return true };
    let Some(message) = Message::parse(&bytes) else { return true };
    if message.method().is_empty() || message.method() == "ACK" {
        return true;
    }
    if message.method() != "CANCEL" {
        let mut got = got.lock().expect("no thread panics with it");
        let again =
            got.iter().any(|old| Message::parse(old).is_some_and(|old| old.branch() == message.branch()));
        if !again {
            got.push(bytes);
        }
    }
    // Busy ends an INVITE's transactions at once.
    let response = if message.method() == "INVITE" {
        ua.response(&message, 486, "Busy Here")
    } else {
        ua.response(&message, 200, "OK")
    };
    ua.wire.send(&response.bytes());
    true
}
