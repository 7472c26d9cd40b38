//! The bytes below SIP or WebSocket frames: a TCP socket, plain or inside TLS.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// A non-blocking stream of bytes.
pub(crate) enum Wire {
    /// Plain.
    Tcp(TcpStream),
    /// Inside TLS.
    Tls(Box<Tls>),
    /// Ours; the acceptor still does its handshake.
    Pending,
}

/// A socket and the TLS session on it.
pub(crate) struct Tls {
    pub(crate) socket: TcpStream,
    session: rustls::Connection,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wire::Tcp(_) => "Tcp",
            Wire::Tls(_) => "Tls",
            Wire::Pending => "Pending",
        })
    }
}

impl Wire {
    /// The socket, unless the wire is pending.
    pub(crate) fn socket(&mut self) -> Option<&mut TcpStream> {
        match self {
            Wire::Tcp(socket) => Some(socket),
            Wire::Tls(tls) => Some(&mut tls.socket),
            Wire::Pending => None,
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self.socket() {
            Some(socket) => registry.register(socket, token, Interest::READABLE | Interest::WRITABLE),
            None => Ok(()),
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) {
        if let Some(socket) = self.socket() {
            let _ = registry.deregister(socket);
        }
    }

    /// May a short read be taken for an empty socket? Not where records and frames stand between.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Wire::Tcp(_))
    }

    /// Does the session hold bytes that the socket has not taken?
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Wire::Tls(tls) if tls.session.wants_write())
    }

    /// Says goodbye, as far as the socket takes it at once.
    pub(crate) fn finish(&mut self) {
        if let Wire::Tls(tls) = self {
            tls.session.send_close_notify();
            let _ = tls.push();
        }
        if let Some(socket) = self.socket() {
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(socket) => socket.read(buffer),
            Wire::Tls(tls) => tls.read(buffer),
            Wire::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(socket) => socket.write(bytes),
            Wire::Tls(tls) => tls.write(bytes),
            Wire::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Tls(tls) => tls.push(),
            Wire::Tcp(_) | Wire::Pending => Ok(()),
        }
    }
}

impl Tls {
    pub(crate) fn new(socket: TcpStream, session: rustls::Connection) -> Tls {
        Tls { socket, session }
    }

    /// Goes on with the handshake; `true` when it is done, `false` when the other side must speak first.
    pub(crate) fn handshake(&mut self) -> io::Result<bool> {
        loop {
            self.push()?;
            if !self.session.is_handshaking() {
                return Ok(true);
            }
            match self.pull() {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// Takes records from the socket.
    fn pull(&mut self) -> io::Result<usize> {
        let n = self.session.read_tls(&mut self.socket)?;
        if n > 0
            && let Err(error) = self.session.process_new_packets()
        {
            // The alert says why.
            let _ = self.push();
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(n)
    }

    /// Gives records to the socket, as far as it takes them.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // Many end a connection without close_notify; messages carry their own length.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            let n = self.pull()?;
            // Key updates and tickets of TLS 1.3 are answered at once.
            self.push()?;
            if n == 0 {
                return match self.session.reader().read(buffer) {
                    Ok(n) => Ok(n),
                    Err(_) => Ok(0),
                };
            }
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        if self.session.wants_write() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = self.session.writer().write(bytes)?;
        self.push()?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}
