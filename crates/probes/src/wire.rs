//! How a party reaches the exchange: by datagrams, or by a connection of its own.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::stream::{PATIENCE, Stream};

/// The transport of the phones and strangers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Datagrams.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// WebSockets.
    Ws,
    /// WebSockets over TLS.
    Wss,
}

impl Way {
    /// Its name, as a Via has it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Udp => "UDP",
            Way::Tcp => "TCP",
            Way::Tls => "TLS",
            Way::Ws => "WS",
            Way::Wss => "WSS",
        }
    }

    /// The parameter of a Contact.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Way::Udp => "",
            Way::Tcp => ";transport=tcp",
            Way::Tls => ";transport=tls",
            // RFC 7118 §5: `ws` for both.
            Way::Ws | Way::Wss => ";transport=ws",
        }
    }

    fn is_web(self) -> bool {
        matches!(self, Way::Ws | Way::Wss)
    }
}

/// A socket of a party.
pub(crate) enum Wire {
    Datagrams(UdpSocket, SocketAddr),
    Connection(Connection),
}

impl Wire {
    pub(crate) fn open(way: Way, from: SocketAddr, to: SocketAddr) -> io::Result<Wire> {
        Ok(match way {
            Way::Udp => Wire::Datagrams(UdpSocket::bind(from)?, to),
            _ => Wire::Connection(Connection::open(way, from.ip(), to)?),
        })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        let local = match self {
            Wire::Datagrams(socket, _) => socket.local_addr().ok(),
            Wire::Connection(connection) => Some(connection.local),
        };
        local.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        match self {
            Wire::Datagrams(socket, to) => socket.send_to(text.as_bytes(), *to).map(drop),
            Wire::Connection(connection) => {
                connection.send(text);
                Ok(())
            }
        }
    }

    /// The next message, or whatever comes as a datagram.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<Vec<u8>> {
        match self {
            Wire::Datagrams(socket, _) => {
                let mut buffer = vec![0; 65_535];
                socket.set_read_timeout(Some(patience)).ok()?;
                let n = socket.recv(&mut buffer).ok()?;
                buffer.truncate(n);
                Some(buffer)
            }
            Wire::Connection(connection) => connection.next(patience),
        }
    }
}

/// A connection that is opened anew when the exchange has closed it.
pub(crate) struct Connection {
    way: Way,
    local: SocketAddr,
    to: SocketAddr,
    stream: Option<Stream>,
    unread: Vec<u8>,
}

impl Connection {
    fn open(way: Way, from: IpAddr, to: SocketAddr) -> io::Result<Connection> {
        let local = SocketAddr::new(from, 0);
        let mut connection = Connection { way, local, to, stream: None, unread: Vec::new() };
        connection.connect()?;
        Ok(connection)
    }

    fn connect(&mut self) -> io::Result<()> {
        self.unread.clear();
        let tls = matches!(self.way, Way::Tls | Way::Wss);
        let mut stream = Stream::connect(self.local.ip(), self.to, tls)?;
        if self.way.is_web() {
            // As a page of the exchange itself: what other pages may do is another probe.
            let scheme = if tls { "https" } else { "http" };
            let upgraded = upgrade(&mut stream, self.to, &format!("{scheme}://{}", self.to))?;
            self.unread = upgraded.ok_or(io::ErrorKind::ConnectionRefused)?;
        }
        self.local = stream.socket().local_addr()?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Sends a message; one that the exchange takes from nobody here is lost, as an attacker finds.
    fn send(&mut self, text: &str) {
        let bytes = if self.way.is_web() { frame(text) } else { text.as_bytes().to_vec() };
        for _ in 0..2 {
            if self.stream.is_none() && self.connect().is_err() {
                return;
            }
            let sent = self.stream.as_mut().map(|s| s.write_all(&bytes).and_then(|()| s.flush()));
            if sent.is_some_and(|sent| sent.is_ok()) {
                return;
            }
            self.stream = None;
        }
    }

    fn next(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        loop {
            let one = if self.way.is_web() { take_frame(&mut self.unread) } else { take(&mut self.unread) };
            if one.is_some() {
                return one;
            }
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            let Some(stream) = &mut self.stream else {
                // The exchange has closed it. The time passes all the same, for those who look at two parties in turn.
                std::thread::sleep(left);
                return None;
            };
            let mut buffer = [0; 16_384];
            match stream.read_within(left, &mut buffer)? {
                0 => self.stream = None,
                n => self.unread.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            }
        }
    }
}

/// Takes a whole message off a stream (RFC 3261 §18.3).
fn take(unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let blank = unread.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    unread.drain(..blank);
    let head = unread.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(unread.get(..head)?).to_ascii_lowercase();
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name.trim(), "content-length" | "l").then(|| value.trim().parse().unwrap_or(0))
    });
    let whole = head.saturating_add(length.unwrap_or(0_usize));
    (unread.len() >= whole).then(|| unread.drain(..whole).collect())
}

/// Takes the text of a whole frame: a server's are not masked (RFC 6455 §5.1).
fn take_frame(unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let short = usize::from(unread.get(1)? & 0x7f);
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes([*unread.get(2)?, *unread.get(3)?]))),
        127 => (10, usize::try_from(u64::from_be_bytes(unread.get(2..10)?.try_into().ok()?)).ok()?),
        _ => (2, short),
    };
    let whole = usize::saturating_add(head, length);
    if unread.len() < whole {
        return None;
    }
    let frame: Vec<u8> = unread.drain(..whole).collect();
    frame.get(head..).map(<[u8]>::to_vec)
}

/// Asks for a WebSocket as a web page of this site; what came behind the answer, or `None` if it was refused.
pub(crate) fn upgrade(stream: &mut Stream, at: SocketAddr, origin: &str) -> io::Result<Option<Vec<u8>>> {
    let ask = format!(
        "GET / HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nOrigin: {origin}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes())?;
    stream.flush()?;
    let (mut head, end) = (Vec::new(), Instant::now() + PATIENCE);
    while Instant::now() < end {
        if let Some(length) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = head.split_off(length + 4);
            return Ok(head.starts_with(b"HTTP/1.1 101").then_some(rest));
        }
        let mut buffer = [0; 4_096];
        match stream.read_within(Duration::from_millis(100), &mut buffer) {
            Some(0) => return Ok(None),
            Some(n) => head.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            None => {}
        }
    }
    Ok(None)
}

/// A text frame as a client sends it: masked, here with zeros.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut all = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(length) => {
            all.push(0x80 | 126);
            all.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            all.push(0x80 | 127);
            all.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    all.extend_from_slice(&[0; 4]);
    all.extend_from_slice(text.as_bytes());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_stream_are_cut_by_their_lengths() {
        let mut unread =
            b"\r\n\r\nSIP/2.0 200 OK\r\nl: 2\r\n\r\nabBYE x SIP/2.0\r\nContent-Length: 9\r\n\r\nc".to_vec();
        assert_eq!(take(&mut unread), Some(b"SIP/2.0 200 OK\r\nl: 2\r\n\r\nab".to_vec()));
        assert_eq!(take(&mut unread), None);
        assert!(unread.starts_with(b"BYE"));
    }

    #[test]
    fn frames_are_read_whole() {
        let mut unread = b"\x81\x02hi\x81\x7e\x00\x03abc\x81\x05x".to_vec();
        let texts = [(); 3].map(|()| take_frame(&mut unread));
        assert_eq!(texts, [Some(b"hi".to_vec()), Some(b"abc".to_vec()), None]);
        let sent = frame("hi");
        assert_eq!(sent, b"\x81\xfe\x00\x02\0\0\0\0hi");
    }
}
