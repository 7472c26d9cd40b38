//! Once its pools are steady, a shard forwards without allocating: calls with digest off, their 100, 180, 200,
//! ACK and BYE, and messages, over real sockets.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use trunkline_calls::Calls;
use trunkline_edge::{Edge, EdgeConfig, EdgeMail, Shared};
use trunkline_location::Location;
use trunkline_model::{Agent, Authenticate, Domain, Live, Ref, Tables};
use trunkline_sip::{ConnectionId, Flow, ParseError, Transport};
use trunkline_transport::{Alive, Closed, Handler, Io, Listener, Mail, Mailbox, Shard, StreamLimits};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The edge, with a hook: any [`EdgeMail::Drain`] tells how often this shard's thread allocated so far, and lets
/// all transactions of the past end.
struct Watched {
    edge: Edge,
    tell: Sender<u64>,
}

impl Handler for Watched {
    type Mail = EdgeMail;
    fn on_message(&mut self, io: &mut Io<EdgeMail>, flow: &Flow, bytes: &[u8]) {
        self.edge.on_message(io, flow, bytes);
    }
    fn on_broken(&mut self, io: &mut Io<EdgeMail>, flow: &Flow, head: &[u8], error: ParseError) {
        self.edge.on_broken(io, flow, head, error);
    }
    fn on_closed(&mut self, io: &mut Io<EdgeMail>, connection: ConnectionId, why: Closed) {
        self.edge.on_closed(io, connection, why);
    }
    fn on_mail(&mut self, io: &mut Io<EdgeMail>, _: EdgeMail) {
        let before = ALLOCATIONS.with(Cell::get);
        io.advance(70_000);
        self.edge.on_timer(io);
        let _ = self.tell.send(before);
    }
    fn on_timer(&mut self, io: &mut Io<EdgeMail>) {
        self.edge.on_timer(io);
    }
    fn sleep(&self, now: u64, max: u64) -> u64 {
        self.edge.sleep(now, max)
    }
}

struct Phones {
    caller: UdpSocket,
    callee: UdpSocket,
    serial: u32,
}

impl Phones {
    fn receive(socket: &UdpSocket) -> String {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).expect("an answer in time");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    /// The header lines of `message` that a response repeats, with a tag in To.
    fn response(request: &str, status: &str, contact: &str) -> String {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for line in request.lines().take_while(|l| !l.is_empty()) {
            let name = line.split(':').next().unwrap_or_default();
            if ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains(&name) {
                out += &format!("{line}\r\n");
            } else if name == "To" {
                let tag = if line.contains("tag=") { "" } else { ";tag=callee" };
                out += &format!("{line}{tag}\r\n");
            }
        }
        out + &format!("Contact: <{contact}>\r\nContent-Length: 0\r\n\r\n")
    }

    fn header(message: &str, name: &str) -> String {
        let prefix = format!("{name}: ");
        message.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    }

    fn request(&mut self, method: &str, uri: &str, cseq: u32, to_tag: &str, route: &str) -> String {
        let (n, me) = (self.serial, self.caller.local_addr().unwrap());
        let route = if route.is_empty() { String::new() } else { format!("Route: {route}\r\n") };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}{n};rport\r\nMax-Forwards: 70\r\n{route}\
             From: <sip:1001@sip.local>;tag=caller\r\nTo: <sip:1002@sip.local>{to_tag}\r\nCall-ID: call-{n:06}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:1001@{me}>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn send(&self, text: &str) {
        self.caller.send(text.as_bytes()).unwrap();
    }

    fn call(&mut self) {
        self.serial += 1;
        let contact = format!("sip:1002@{}", self.callee.local_addr().unwrap());
        let invite = self.request("INVITE", "sip:1002@sip.local", 1, "", "");
        self.send(&invite);
        assert!(Self::receive(&self.caller).starts_with("SIP/2.0 100"));
        let arrived = Self::receive(&self.callee);
        assert!(arrived.starts_with("INVITE"), "{arrived}");
        for status in ["180 Ringing", "200 OK"] {
            self.callee.send(Self::response(&arrived, status, &contact).as_bytes()).unwrap();
            assert!(Self::receive(&self.caller).starts_with(&format!("SIP/2.0 {status}")));
        }
        let route = Self::header(&arrived, "Record-Route");
        let ack = self.request("ACK", &contact, 1, ";tag=callee", &route);
        self.send(&ack);
        assert!(Self::receive(&self.callee).starts_with("ACK"));
        let bye = self.request("BYE", &contact, 2, ";tag=callee", &route);
        self.send(&bye);
        let arrived = Self::receive(&self.callee);
        assert!(arrived.starts_with("BYE"), "{arrived}");
        self.callee.send(Self::response(&arrived, "200 OK", &contact).as_bytes()).unwrap();
        assert!(Self::receive(&self.caller).starts_with("SIP/2.0 200"));
    }

    fn message(&mut self) {
        self.serial += 1;
        let text = self.request("MESSAGE", "sip:1002@sip.local", 1, "", "");
        self.send(&text);
        let arrived = Self::receive(&self.callee);
        self.callee.send(Self::response(&arrived, "200 OK", "sip:x@y").as_bytes()).unwrap();
        assert!(Self::receive(&self.caller).starts_with("SIP/2.0 200"));
    }

    fn refresh(&mut self) {
        self.serial += 1;
        let (n, me) = (self.serial, self.callee.local_addr().unwrap());
        let text = format!(
            "REGISTER sip:sip.local SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKr{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1002@sip.local>;tag=r{n:06}\r\nTo: <sip:1002@sip.local>\r\nCall-ID: registration\r\n\
             CSeq: {n} REGISTER\r\nContact: <sip:1002@{me}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        self.callee.send(text.as_bytes()).unwrap();
        let answer = Self::receive(&self.callee);
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }
}

fn settled(mailbox: &Mailbox<EdgeMail>, told: &std::sync::mpsc::Receiver<u64>) -> u64 {
    assert!(mailbox.post(Mail::User(EdgeMail::Drain)));
    told.recv_timeout(Duration::from_secs(10)).expect("the shard lives")
}

#[test]
fn a_steady_shard_forwards_without_allocating() {
    let mut tables = Tables::default();
    let mut domain = Domain::new("domain-01", "sip.local");
    domain.authenticate = Authenticate::Never;
    tables.put(domain);
    for user in ["1001", "1002"] {
        tables.put(Agent::new(format!("agent-{user}"), user, Some(Ref::new("domain-01"))));
    }
    let address = "127.0.0.1:0".parse().unwrap();
    let listeners = [Listener { transport: Transport::Udp, address }];
    let mut shard: Shard<EdgeMail> = Shard::bind(0, &listeners, StreamLimits::default(), false).unwrap();
    let listening = shard.listening();
    let mailbox = shard.mailbox();
    shard.io.introduce(vec![mailbox.clone()].into(), Alive::default());
    let config = EdgeConfig { listeners: listening.clone(), ..EdgeConfig::default() };
    let shared = Shared::new(
        config,
        listening.clone(),
        1,
        Arc::new(Live::new(tables)),
        Arc::new(Location::new()),
        Arc::new(Calls::new()),
        [7; 16],
    );
    let (tell, told) = channel();
    let running = std::thread::spawn(move || {
        let mut watched = Watched { edge: Edge::new(shared, 0), tell };
        shard.run(&mut watched)
    });
    let socket = || {
        let s = UdpSocket::bind("127.0.0.1:0").unwrap();
        s.connect(listening[0].address).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        s
    };
    let mut phones = Phones { caller: socket(), callee: socket(), serial: 0 };
    let round = |phones: &mut Phones| {
        for _ in 0..300 {
            phones.refresh();
            phones.call();
            phones.message();
        }
    };
    // Pools and tables grow.
    for _ in 0..3 {
        round(&mut phones);
        settled(&mailbox, &told);
    }
    let before = settled(&mailbox, &told);
    round(&mut phones);
    let after = settled(&mailbox, &told);
    println!("allocations in 300 registrations, calls and messages: {}", after - before);
    assert_eq!(after - before, 0, "the path of a packet allocates");
    assert!(mailbox.post(Mail::Stop));
    running.join().unwrap().unwrap();
}
