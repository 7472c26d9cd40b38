//! The stream below a phone's messages or WebSocket frames: TCP, or TLS on it from either side.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::PATIENCE;

/// Bytes both ways.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS that we asked for.
    TlsClient(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// TLS that the exchange asked for.
    TlsServer(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// Connects with plain TCP.
    pub fn tcp(server: SocketAddr) -> Stream {
        let socket = TcpStream::connect_timeout(&server, PATIENCE).expect("a TCP connection");
        socket.set_nodelay(true).expect("a live socket");
        Stream::Tcp(socket)
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Tcp(socket) => socket,
            Stream::TlsClient(tls) => &tls.sock,
            Stream::TlsServer(tls) => &tls.sock,
        }
    }

    /// The certificate that the exchange showed as a client, DER.
    pub fn shown(&self) -> Option<Vec<u8>> {
        match self {
            Stream::TlsServer(tls) => tls.conn.peer_certificates()?.first().map(|der| der.to_vec()),
            Stream::Tcp(_) | Stream::TlsClient(_) => None,
        }
    }

    /// Is it TLS?
    pub fn is_secure(&self) -> bool {
        !matches!(self, Stream::Tcp(_))
    }

    /// How long a read waits.
    pub fn wait(&self, bound: Duration) {
        let _ = self.socket().set_read_timeout(Some(bound.max(Duration::from_millis(1))));
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.read(buffer),
            Stream::TlsClient(tls) => tls.read(buffer),
            Stream::TlsServer(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.write(bytes),
            Stream::TlsClient(tls) => tls.write(bytes),
            Stream::TlsServer(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.flush(),
            Stream::TlsClient(tls) => tls.flush(),
            Stream::TlsServer(tls) => tls.flush(),
        }
    }
}
