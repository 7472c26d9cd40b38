//! The client's side of SIP over WebSocket (RFC 6455, RFC 7118): one frame is one message.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::stream::Stream;
use crate::wire::Closed;

/// A connection after its handshake.
#[derive(Debug)]
pub struct WebSocket {
    /// The stream below.
    pub stream: Stream,
    rest: Vec<u8>,
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl WebSocket {
    /// Asks for the subprotocol `sip` on a stream, as a web page of the server does.
    pub fn connect(stream: Stream) -> WebSocket {
        let server = stream.socket().peer_addr().expect("a connected socket");
        WebSocket::connect_with(stream, &format!("Origin: http://{server}\r\n"))
    }

    /// The same with these header fields of the client, each with its line end.
    pub fn connect_with(stream: Stream, fields: &str) -> WebSocket {
        WebSocket::open(stream, "/", "sip", fields)
    }

    /// Asks for a subprotocol at a path.
    pub fn open(mut stream: Stream, path: &str, protocol: &str, fields: &str) -> WebSocket {
        let server = stream.socket().peer_addr().expect("a connected socket");
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dHJ1bmtsaW5lIHRlc3RzIQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n{fields}\r\n"
        );
        stream.write_all(ask.as_bytes()).expect("the handshake is sent");
        stream.wait(PATIENCE);
        let mut rest = Vec::new();
        let end = loop {
            if let Some(at) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let mut buffer = [0; 2048];
            let n = stream.read(&mut buffer).expect("an answer to the handshake");
            assert!(n > 0, "the handshake was refused");
            rest.extend_from_slice(&buffer[..n]);
        };
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains(&format!("sec-websocket-protocol: {protocol}")), "{head}");
        rest.drain(..end);
        WebSocket { stream, rest }
    }

    /// Sends one message, as text where it is UTF-8 (RFC 7118 §5.2); false when the other side closed.
    pub fn send(&mut self, message: &[u8]) -> bool {
        let kind = if std::str::from_utf8(message).is_ok() { TEXT } else { BINARY };
        self.frame(kind, message)
    }

    fn frame(&mut self, kind: u8, data: &[u8]) -> bool {
        let mask = [0x5A, 0xC3, 0x17, 0x88];
        let mut out = vec![0x80 | kind];
        match data.len() {
            n if n < 126 => out.push(0x80 | n as u8),
            n if n < 65_536 => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
        out.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&out).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next message, or nothing within `wait`.
    pub fn recv(&mut self, wait: Duration) -> Result<Option<Vec<u8>>, Closed> {
        let end = Instant::now() + wait;
        loop {
            while let Some((kind, data)) = self.take() {
                match kind {
                    CLOSE => return Err(Closed),
                    PING => drop(self.frame(PONG, &data)),
                    PONG => {}
                    _ => return Ok(Some(data)),
                }
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.wait(left);
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Closed),
                Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(_) => return Err(Closed),
            }
        }
    }

    /// Takes one whole frame off what was read; servers neither mask nor, here, fragment.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.rest.first()?, *self.rest.get(1)?);
        let (head, length) = match second & 0x7F {
            126 => (4, u64::from(u16::from_be_bytes(self.rest.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(self.rest.get(2..10)?.try_into().ok()?)),
            n => (2, u64::from(n)),
        };
        assert_eq!(second & 0x80, 0, "a server's frames are not masked");
        let whole = head + usize::try_from(length).ok()?;
        if self.rest.len() < whole {
            return None;
        }
        let data = self.rest[head..whole].to_vec();
        self.rest.drain(..whole);
        Some((first & 0x0F, data))
    }
}
