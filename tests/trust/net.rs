//! The sockets of all parties of one world, read in one loop by one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use trunkline_tests::split_stream;

use super::cast::Who;

/// A socket, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub usize);

/// What the phone behind a NAT takes for its address.
pub const PRIVATE: [u8; 4] = [10, 9, 8, 4];

/// The carrier's second host, in the network that its list names.
const CARRIERS_SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 44, 33, 5));

/// Parties have a socket each; after them comes a second one of each, on the same address and another port.
const PARTIES: usize = Who::ALL.len();

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    /// A door that nothing should come through unless the party is called there.
    Door(TcpListener),
    /// Not connected yet, or ended.
    None,
}

#[derive(Debug)]
struct Entry {
    who: Who,
    at: SocketAddr,
    socket: Socket,
}

/// All of them.
#[derive(Debug)]
pub struct Sockets {
    list: Vec<Entry>,
    exchange: SocketAddr,
}

impl Sockets {
    /// Binds all that need no exchange.
    pub fn bind() -> Sockets {
        let mut list = Vec::new();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        for second in [false, true] {
            for who in Who::ALL {
                if who.is_tcp() && !second {
                    list.push(Entry { who, at: nowhere, socket: Socket::None });
                    continue;
                }
                let elsewhere = second && who == Who::Carrier;
                list.push(udp(who, if elsewhere { CARRIERS_SECOND } else { who.ip() }));
            }
        }
        // Doors for what is sent over TCP to where only a datagram is due.
        for i in [Who::Carrier, Who::Foreign, Who::Pbx].map(|who| who as usize) {
            let (who, at) = (list[i].who, list[i].at);
            if let Ok(door) = TcpListener::bind(at) {
                door.set_nonblocking(true).expect("a listener");
                list.push(Entry { who, at, socket: Socket::Door(door) });
            }
        }
        Sockets { list, exchange: nowhere }
    }

    /// Opens the connections of those who have one.
    pub fn connect(&mut self, exchange: SocketAddr) {
        self.exchange = exchange;
        for entry in self.list.iter_mut().take(PARTIES).filter(|e| e.who.is_tcp()) {
            let stream = TcpStream::connect(exchange).expect("the exchange takes connections");
            stream.set_nodelay(true).expect("a live socket");
            stream.set_nonblocking(true).expect("a live socket");
            entry.at = stream.local_addr().expect("a local address");
            entry.socket = Socket::Tcp(stream, Vec::new());
        }
    }

    /// Gives somebody a new address, so that the exchange has not seen it before.
    pub fn renew(&mut self, who: Who, ip: IpAddr) {
        for port in [Sockets::port(who), Sockets::second(who)] {
            self.list[port.0] = udp(who, ip);
        }
    }

    pub fn exchange(&self) -> SocketAddr {
        self.exchange
    }

    pub fn port(who: Who) -> Port {
        Port(who as usize)
    }

    /// Another port of the same address.
    pub fn second(who: Who) -> Port {
        Port(PARTIES + who as usize)
    }

    pub fn address(&self, who: Who) -> SocketAddr {
        self.list[who as usize].at
    }

    pub fn at(&self, port: Port) -> SocketAddr {
        self.list[port.0].at
    }

    /// The address its owner believes it has: behind a NAT it is a private one.
    pub fn shown(&self, port: Port) -> SocketAddr {
        match self.who(port) {
            Who::Nat => SocketAddr::from((PRIVATE, 5060)),
            _ => self.at(port),
        }
    }

    pub fn who(&self, port: Port) -> Who {
        self.list[port.0].who
    }

    pub fn is_tcp(&self, port: Port) -> bool {
        matches!(self.list[port.0].socket, Socket::Tcp(..))
    }

    /// Sends to the exchange.
    pub fn send(&mut self, port: Port, bytes: &[u8]) {
        let exchange = self.exchange;
        match &mut self.list[port.0].socket {
            Socket::Udp(socket) => {
                socket.send_to(bytes, exchange).expect("the loopback takes datagrams");
            }
            Socket::Tcp(stream, _) => stream.write_all(bytes).expect("the exchange reads"),
            Socket::Door(_) | Socket::None => {}
        }
    }

    /// Waits until something can be read, and gives every whole message that has come.
    pub fn read(&mut self, bound: Duration, out: &mut Vec<(Port, Vec<u8>)>) {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.list.len());
        let mut places = Vec::with_capacity(self.list.len());
        for (place, entry) in self.list.iter().enumerate() {
            match &entry.socket {
                Socket::Udp(s) => fds.push(PollFd::new(s, PollFlags::IN)),
                Socket::Tcp(s, _) => fds.push(PollFd::new(s, PollFlags::IN)),
                Socket::Door(s) => fds.push(PollFd::new(s, PollFlags::IN)),
                Socket::None => continue,
            }
            places.push(place);
        }
        let time = Timespec { tv_sec: bound.as_secs() as i64, tv_nsec: i64::from(bound.subsec_nanos()) };
        let _ = poll(&mut fds, Some(&time));
        let ready = fds.iter().zip(places).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, place)| place);
        for place in ready.collect::<Vec<_>>() {
            self.read_one(Port(place), out);
        }
    }

    fn read_one(&mut self, port: Port, out: &mut Vec<(Port, Vec<u8>)>) {
        let mut buffer = [0_u8; 65_536];
        let mut accepted = None;
        let entry = &mut self.list[port.0];
        match &mut entry.socket {
            Socket::Udp(socket) => {
                while let Ok(n) = socket.recv(&mut buffer) {
                    out.push((port, buffer[..n].to_vec()));
                }
            }
            Socket::Tcp(stream, rest) => loop {
                match stream.read(&mut buffer) {
                    Ok(0) => {
                        entry.socket = Socket::None;
                        break;
                    }
                    Ok(n) => {
                        rest.extend_from_slice(&buffer[..n]);
                        while let Some(message) = split_stream(rest) {
                            out.push((port, message));
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            },
            Socket::Door(door) => {
                if let Ok((stream, at)) = door.accept() {
                    stream.set_nonblocking(true).expect("a live socket");
                    accepted = Some(Entry { who: entry.who, at, socket: Socket::Tcp(stream, Vec::new()) });
                }
            }
            Socket::None => {}
        }
        self.list.extend(accepted);
    }
}

fn udp(who: Who, ip: IpAddr) -> Entry {
    let socket = UdpSocket::bind((ip, 0)).expect("a port on a loopback address");
    socket.set_nonblocking(true).expect("a socket");
    Entry { who, at: socket.local_addr().expect("bound"), socket: Socket::Udp(socket) }
}

/// An address of this machine that no party has, for a source nobody has seen.
pub fn fresh_ip(n: u64) -> IpAddr {
    let [a, b, c] = [n / 62_500 % 100, n / 250 % 250, n % 250].map(|part| part as u8);
    IpAddr::V4(Ipv4Addr::new(127, 100 + a, b, c + 1))
}
