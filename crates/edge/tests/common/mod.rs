//! Shards of an exchange in this process, whose clock a test moves, and two phones at real sockets.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use trunkline_calls::Calls;
use trunkline_edge::{EdgeConfig, EdgeMail, EdgePort, RebalancingConfig, Shared};
use trunkline_location::Location;
use trunkline_model::{Agent, Authenticate, Domain, Live, Ref, Tables};
use trunkline_sip::{ConnectionId, Flow, ParseError, Transport};
use trunkline_transport::{Alive, Closed, Handler, Io, Listener, Mail, Mailbox, Shard, StreamLimits};

/// How long anything may take: a bound against hanging.
const BOUND: Duration = Duration::from_secs(60);

/// The edge, with a hook: [`EdgeMail::Drain`] moves its clock and tells what `count` says of this shard's thread.
struct Watched {
    edge: EdgePort,
    step: Arc<AtomicU64>,
    count: fn() -> u64,
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
    fn on_mail(&mut self, io: &mut Io<EdgeMail>, mail: EdgeMail) {
        let EdgeMail::Drain = mail else { return self.edge.on_mail(io, mail) };
        let before = (self.count)();
        io.advance(self.step.load(Ordering::Relaxed));
        self.edge.on_timer(io);
        let _ = self.tell.send(before);
    }
    fn on_batch(&mut self, io: &mut Io<EdgeMail>) {
        self.edge.on_batch(io);
    }
    fn on_timer(&mut self, io: &mut Io<EdgeMail>) {
        self.edge.on_timer(io);
    }
    fn sleep(&self, now: u64, max: u64) -> u64 {
        self.edge.sleep(now, max)
    }
}

/// Running shards with the agents 1001 and 1002 of `sip.local`, who are not asked for secrets.
pub struct Shards {
    pub shared: Arc<Shared>,
    pub address: SocketAddr,
    step: Arc<AtomicU64>,
    mailboxes: Vec<Mailbox<EdgeMail>>,
    told: Vec<Receiver<u64>>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
    asleep: Vec<Shard<EdgeMail>>,
    /// Where it hears TCP.
    pub tcp: SocketAddr,
}

impl Shards {
    /// Starts so many; `count` is asked on each shard's own thread.
    pub fn start(shards: usize, rebalancing: RebalancingConfig, count: fn() -> u64) -> Shards {
        Shards::start_awake(shards, shards, rebalancing, count)
    }

    /// The same, but only the first `awake` of them do anything.
    pub fn start_awake(
        awake: usize,
        shards: usize,
        rebalancing: RebalancingConfig,
        count: fn() -> u64,
    ) -> Shards {
        let mut tables = Tables::default();
        let mut domain = Domain::new("domain-01", "sip.local");
        domain.authenticate = Authenticate::Never;
        tables.put(domain);
        for user in ["1001", "1002"] {
            tables.put(Agent::new(format!("agent-{user}"), user, Some(Ref::new("domain-01"))));
        }
        let any = "127.0.0.1:0".parse().unwrap();
        let mut listening: Vec<Listener> =
            [Transport::Udp, Transport::Tcp].map(|transport| Listener { transport, address: any }).to_vec();
        let mut bound: Vec<Shard<EdgeMail>> = Vec::new();
        for number in 0..shards {
            let shard = Shard::bind(number, &listening, StreamLimits::default(), shards > 1).unwrap();
            listening = shard.listening();
            bound.push(shard);
        }
        let mailboxes: Vec<_> = bound.iter().map(Shard::mailbox).collect();
        let config = EdgeConfig { listeners: listening.clone(), rebalancing, ..EdgeConfig::default() };
        let shared = Shared::new(
            config,
            (listening.clone(), shards),
            Arc::new(Live::new(tables)),
            Arc::new(Location::new()),
            Arc::new(Calls::new()),
            [7; 16],
        );
        let (step, alive) = (Arc::new(AtomicU64::new(0)), Alive::default());
        let (mut told, mut threads, mut asleep) = (Vec::new(), Vec::new(), Vec::new());
        for (number, mut shard) in bound.into_iter().enumerate() {
            shard.io.introduce(mailboxes.clone().into(), alive.clone());
            if number >= awake {
                asleep.push(shard);
                continue;
            }
            let (tell, heard) = channel();
            let mut watched =
                Watched { edge: EdgePort::new(shared.clone(), number), step: step.clone(), count, tell };
            told.push(heard);
            threads.push(std::thread::spawn(move || shard.run(&mut watched)));
        }
        let at = |transport| listening.iter().find(|l| l.transport == transport).unwrap().address;
        let (address, tcp) = (at(Transport::Udp), at(Transport::Tcp));
        Shards { shared, address, tcp, step, mailboxes, told, threads, asleep }
    }

    /// Moves the clock of every shard; what `count` said on each before.
    pub fn advance(&self, ms: u64) -> Vec<u64> {
        self.step.store(ms, Ordering::Relaxed);
        for mailbox in self.mailboxes.iter().take(self.told.len()) {
            assert!(mailbox.post(Mail::User(EdgeMail::Drain)));
        }
        self.told.iter().map(|told| told.recv_timeout(BOUND).expect("the shard lives")).collect()
    }

    /// Moves the clock second by second until a condition holds, at most so many times.
    pub fn advance_until(&self, seconds: usize, what: &str, holds: impl Fn(&Shared) -> bool) {
        assert!(
            (0..seconds).any(|_| {
                self.advance(1_000);
                holds(&self.shared)
            }),
            "not within {seconds} s: {what}"
        );
    }

    /// A counter of each shard.
    pub fn counter(&self, name: &str) -> Vec<u64> {
        let of = |all: Vec<(&'static str, u64)>| all.into_iter().find(|(n, _)| *n == name).unwrap().1;
        self.shared.counters.iter().map(|c| of(c.all())).collect()
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Stop);
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok_and(|result| result.is_ok()));
        }
    }
}

/// A caller and a callee.
pub struct Phones {
    pub caller: UdpSocket,
    pub callee: UdpSocket,
    serial: u32,
    beside: u32,
}

impl Phones {
    pub fn new(server: SocketAddr) -> Phones {
        Phones::with_callee_at(server, "127.0.0.1")
    }

    /// The callee at another address of this machine.
    pub fn with_callee_at(server: SocketAddr, callee: &str) -> Phones {
        let socket = |host: &str| {
            let s = UdpSocket::bind((host, 0)).unwrap();
            s.connect(server).unwrap();
            s.set_read_timeout(Some(BOUND)).unwrap();
            s
        };
        Phones { caller: socket("127.0.0.1"), callee: socket(callee), serial: 0, beside: 0 }
    }

    /// Another caller for the same callee.
    pub fn beside(&mut self, server: SocketAddr) -> Phones {
        let Phones { caller, .. } = Phones::new(server);
        self.beside += 1;
        let callee = self.callee.try_clone().unwrap();
        Phones { caller, callee, serial: self.beside * 10_000, beside: 0 }
    }

    pub fn receive(socket: &UdpSocket) -> String {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).expect("an answer in time");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    /// The next message that begins so and has this Call-ID; what else comes was said before the clock was moved.
    pub fn receive_of(socket: &UdpSocket, call: &str, start: &str) -> String {
        loop {
            let message = Self::receive(socket);
            if message.starts_with(start) && Self::header(&message, "Call-ID") == call {
                return message;
            }
        }
    }

    /// The header lines of `message` that a response repeats, with a tag in To.
    pub fn response(request: &str, status: &str, contact: &str) -> String {
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

    pub fn header(message: &str, name: &str) -> String {
        let prefix = format!("{name}: ");
        message.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    }

    /// The Call-ID of the call or message begun last.
    pub fn call_id(&self) -> String {
        format!("call-{:06}", self.serial)
    }

    /// An OPTIONS to the exchange with a Call-ID of its own.
    pub fn options(&mut self, transport: &str, me: SocketAddr) -> String {
        self.serial += 1;
        let (n, call) = (self.serial, self.call_id());
        format!(
            "OPTIONS sip:sip.local SIP/2.0\r\nVia: SIP/2.0/{transport} {me};branch=z9hG4bKo{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@sip.local>;tag=caller\r\nTo: <sip:sip.local>\r\nCall-ID: {call}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn request(&mut self, method: &str, uri: &str, cseq: u32, to_tag: &str, route: &str) -> String {
        let (n, me, call) = (self.serial, self.caller.local_addr().unwrap(), self.call_id());
        let route = if route.is_empty() { String::new() } else { format!("Route: {route}\r\n") };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}{n};rport\r\nMax-Forwards: 70\r\n{route}\
             From: <sip:1001@sip.local>;tag=caller\r\nTo: <sip:1002@sip.local>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:1001@{me}>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    pub fn send(&self, text: &str) {
        self.caller.send(text.as_bytes()).unwrap();
    }

    /// Calls and lets it ring: the INVITE as it was sent, and as it arrived.
    pub fn ring(&mut self) -> (String, String) {
        self.serial += 1;
        let call = self.call_id();
        let invite = self.request("INVITE", "sip:1002@sip.local", 1, "", "");
        self.send(&invite);
        let trying = Self::receive_of(&self.caller, &call, "SIP/2.0");
        assert!(trying.starts_with("SIP/2.0 100"), "{trying}");
        let arrived = Self::receive_of(&self.callee, &call, "");
        assert!(arrived.starts_with("INVITE"), "{arrived}");
        let contact = self.contact();
        self.callee.send(Self::response(&arrived, "180 Ringing", &contact).as_bytes()).unwrap();
        assert!(Self::receive_of(&self.caller, &call, "SIP/2.0").starts_with("SIP/2.0 180"));
        (invite, arrived)
    }

    fn contact(&self) -> String {
        format!("sip:1002@{}", self.callee.local_addr().unwrap())
    }

    /// A whole call.
    pub fn call(&mut self) {
        let (_, arrived) = self.ring();
        let (call, contact) = (self.call_id(), self.contact());
        self.callee.send(Self::response(&arrived, "200 OK", &contact).as_bytes()).unwrap();
        let answer = Self::receive_of(&self.caller, &call, "SIP/2.0");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        let route = Self::header(&answer, "Record-Route");
        let ack = self.request("ACK", &contact, 1, ";tag=callee", &route);
        self.send(&ack);
        assert!(Self::receive_of(&self.callee, &call, "").starts_with("ACK"));
        let bye = self.request("BYE", &contact, 2, ";tag=callee", &route);
        self.send(&bye);
        let arrived = Self::receive_of(&self.callee, &call, "");
        assert!(arrived.starts_with("BYE"), "{arrived}");
        self.callee.send(Self::response(&arrived, "200 OK", &contact).as_bytes()).unwrap();
        assert!(Self::receive_of(&self.caller, &call, "SIP/2.0").starts_with("SIP/2.0 200"));
    }

    /// ACK to a failure of this INVITE, RFC 3261 §17.1.1.3.
    pub fn acknowledge(&self, invite: &str, failure: &str) {
        let to = format!("To: {}\r\n", Self::header(failure, "To"));
        let ack = invite.replacen("INVITE sip:", "ACK sip:", 1).replacen("1 INVITE", "1 ACK", 1);
        self.send(&ack.replacen("To: <sip:1002@sip.local>\r\n", &to, 1));
    }

    /// Cancels a call that rings, and acknowledges its end.
    pub fn cancel(&self, invite: &str, arrived: &str) {
        let call = Self::header(invite, "Call-ID");
        let again = |method: &str| {
            let head = invite.replacen("INVITE sip:", &format!("{method} sip:"), 1);
            head.replacen("CSeq: 1 INVITE", &format!("CSeq: 1 {method}"), 1)
        };
        self.send(&again("CANCEL"));
        let answer = Self::receive_of(&self.caller, &call, "SIP/2.0");
        assert!(answer.starts_with("SIP/2.0 200") && answer.contains("CANCEL\r\n"), "{answer}");
        let cancelled = Self::receive_of(&self.callee, &call, "");
        assert!(cancelled.starts_with("CANCEL"), "{cancelled}");
        self.callee.send(Self::response(&cancelled, "200 OK", "sip:x@y").as_bytes()).unwrap();
        self.callee.send(Self::response(arrived, "487 Request Terminated", "sip:x@y").as_bytes()).unwrap();
        let ended = Self::receive_of(&self.caller, &call, "SIP/2.0");
        assert!(ended.starts_with("SIP/2.0 487"), "{ended}");
        self.send(&again("ACK").replacen(
            "To: <sip:1002@sip.local>",
            "To: <sip:1002@sip.local>;tag=callee",
            1,
        ));
        assert!(Self::receive_of(&self.callee, &call, "").starts_with("ACK"));
    }

    /// A MESSAGE and its answer.
    pub fn message(&mut self) {
        self.serial += 1;
        let call = self.call_id();
        let text = self.request("MESSAGE", "sip:1002@sip.local", 1, "", "");
        self.send(&text);
        let arrived = Self::receive_of(&self.callee, &call, "MESSAGE");
        self.callee.send(Self::response(&arrived, "200 OK", "sip:x@y").as_bytes()).unwrap();
        assert!(Self::receive_of(&self.caller, &call, "SIP/2.0").starts_with("SIP/2.0 200"));
    }

    /// The callee registers, or does so again.
    pub fn refresh(&mut self) {
        self.serial += 1;
        Self::register(&self.callee, "1002", self.serial);
    }

    /// The caller registers, too: its address is proven, so that nothing towards it is kept back.
    pub fn register_caller(&mut self) {
        self.serial += 1;
        Self::register(&self.caller, "1001", self.serial);
    }

    fn register(socket: &UdpSocket, user: &str, n: u32) {
        let me = socket.local_addr().unwrap();
        let call = format!("registration-{user}");
        let text = format!(
            "REGISTER sip:sip.local SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKr{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@sip.local>;tag=r{n:06}\r\nTo: <sip:{user}@sip.local>\r\nCall-ID: {call}\r\n\
             CSeq: {n} REGISTER\r\nContact: <sip:{user}@{me}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(text.as_bytes()).unwrap();
        let answer = Self::receive_of(socket, &call, "SIP/2.0");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }
}
