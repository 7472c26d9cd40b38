//! The sockets a test phone speaks through.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use crate::stream::Stream;
use crate::tls::Authority;
use crate::websocket::WebSocket;

/// One socket towards the exchange.
#[derive(Debug)]
pub enum Wire {
    /// Datagrams; anyone may send to it.
    Udp {
        /// The bound socket.
        socket: UdpSocket,
        /// Where requests go.
        server: SocketAddr,
    },
    /// One connection, plain or inside TLS, and what of the next message has been read.
    Tcp {
        /// The connected stream.
        stream: Stream,
        /// Bytes not yet taken.
        rest: Vec<u8>,
    },
    /// A WebSocket, plain or inside TLS.
    Ws(WebSocket),
}

impl Wire {
    /// A UDP socket on a free port of the loopback address of the server's family.
    pub fn udp(server: SocketAddr) -> Wire {
        let host = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        Wire::Udp { socket: UdpSocket::bind(host).expect("a UDP port"), server }
    }

    /// A UDP socket on a free port of one of this machine's addresses.
    pub fn udp_from(host: IpAddr, server: SocketAddr) -> Wire {
        Wire::Udp { socket: UdpSocket::bind((host, 0)).expect("a UDP port"), server }
    }

    /// A UDP socket on a given port.
    pub fn udp_at(server: SocketAddr, port: u16) -> Wire {
        let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a UDP port");
        Wire::Udp { socket, server }
    }

    /// A UDP socket of the caller's.
    pub fn udp_on(socket: UdpSocket, server: SocketAddr) -> Wire {
        Wire::Udp { socket, server }
    }

    /// A TCP connection to the exchange.
    pub fn tcp(server: SocketAddr) -> Wire {
        Wire::over(Stream::tcp(server))
    }

    /// A TLS connection to the exchange, which must prove the address it is called at.
    pub fn tls(server: SocketAddr, authority: &Authority) -> Wire {
        Wire::over(authority.connect(server, &server.ip().to_string()))
    }

    /// A WebSocket to the exchange.
    pub fn ws(server: SocketAddr) -> Wire {
        Wire::Ws(WebSocket::connect(Stream::tcp(server)))
    }

    /// A secure WebSocket to the exchange, which must prove the address it is called at.
    pub fn wss(server: SocketAddr, authority: &Authority) -> Wire {
        Wire::Ws(WebSocket::connect(authority.connect(server, &server.ip().to_string())))
    }

    /// A connection that the exchange made to `listener`.
    pub fn accept(listener: &TcpListener) -> Wire {
        let (socket, _) = listener.accept().expect("the exchange connects");
        socket.set_nodelay(true).expect("a live socket");
        Wire::over(Stream::Tcp(socket))
    }

    /// Messages over a stream that stands.
    pub fn over(stream: Stream) -> Wire {
        Wire::Tcp { stream, rest: Vec::new() }
    }

    /// Our address, as it stands in Via and Contact.
    pub fn local(&self) -> SocketAddr {
        match self {
            Wire::Udp { socket, .. } => socket.local_addr(),
            Wire::Tcp { stream, .. } => stream.socket().local_addr(),
            Wire::Ws(socket) => socket.stream.socket().local_addr(),
        }
        .expect("a bound socket has an address")
    }

    /// The name in Via.
    pub fn name(&self) -> &'static str {
        match self {
            Wire::Udp { .. } => "UDP",
            Wire::Tcp { stream, .. } if stream.is_secure() => "TLS",
            Wire::Tcp { .. } => "TCP",
            Wire::Ws(socket) if socket.stream.is_secure() => "WSS",
            Wire::Ws(_) => "WS",
        }
    }

    /// Sends bytes as they are; false when the other side closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self {
            Wire::Udp { socket, server } => socket.send_to(bytes, *server).is_ok(),
            Wire::Tcp { stream, .. } => stream.write_all(bytes).and_then(|()| stream.flush()).is_ok(),
            Wire::Ws(socket) => socket.send(bytes),
        }
    }

    /// The bytes of the next message, or nothing within `wait`. `Err` when the stream ended.
    pub fn recv(&mut self, wait: Duration) -> Result<Option<Vec<u8>>, Closed> {
        let end = Instant::now() + wait;
        match self {
            Wire::Ws(socket) => socket.recv(wait),
            Wire::Udp { socket, .. } => {
                let mut buffer = vec![0; 65_536];
                let _ = socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))));
                match socket.recv(&mut buffer) {
                    Ok(n) => Ok(Some(buffer[..n].to_vec())),
                    Err(_) => Ok(None),
                }
            }
            Wire::Tcp { stream, rest } => loop {
                if let Some(message) = split_stream(rest) {
                    return Ok(Some(message));
                }
                let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                stream.wait(left);
                let mut buffer = [0; 65_536];
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(Closed),
                    Ok(n) => rest.extend_from_slice(&buffer[..n]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Ok(None);
                    }
                    Err(_) => return Err(Closed),
                }
            },
        }
    }
}

/// The other side ended the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Takes the first whole message off a stream's bytes; leading empty lines are keep-alives.
pub fn split_stream(rest: &mut Vec<u8>) -> Option<Vec<u8>> {
    let blank = rest.iter().take_while(|byte| **byte == b'\r' || **byte == b'\n').count();
    rest.drain(..blank);
    let head = rest.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&rest[..head]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        let known = name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l");
        if known { value.trim().parse::<usize>().ok() } else { None }
    });
    let whole = head + length.unwrap_or(0);
    (rest.len() >= whole).then(|| rest.drain(..whole).collect())
}
