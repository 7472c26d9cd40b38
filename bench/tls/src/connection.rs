//! One connection: TLS over a socket that never blocks, SIP on it or in WebSocket frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme};

use crate::Result;

/// After so long without an answer the run is over.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of a frame from a client: a mask, which may be all zeros (RFC 6455 §5.3).
const MASK: [u8; 4] = [0; 4];

/// How SIP is carried.
#[derive(Clone, Copy, PartialEq)]
pub enum Over {
    Tls,
    Wss,
}

/// Takes any certificate: it is the server's speed that is measured. Signatures are checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub fn client_config(resume: bool) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

pub struct Client {
    socket: TcpStream,
    tls: ClientConnection,
    over: Over,
    me: SocketAddr,
    plain: Vec<u8>,
    sip: Vec<u8>,
    cseq: u32,
    received: u64,
}

impl Client {
    pub fn connect(server: SocketAddr, source: IpAddr, over: Over, config: Arc<ClientConfig>) -> Result<Client> {
        let socket = bound(source, server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let name = ServerName::try_from("bench.local")?;
        let me = socket.local_addr()?;
        let tls = ClientConnection::new(config, name)?;
        Ok(Client { socket, tls, over, me, plain: Vec::new(), sip: Vec::new(), cseq: 0, received: 0 })
    }

    /// The handshake, and the upgrade to a WebSocket.
    pub fn finish_handshake(&mut self) -> Result<()> {
        self.wait(|c| !c.tls.is_handshaking())?;
        if self.over == Over::Wss {
            self.tls.writer().write_all(
                b"GET / HTTP/1.1\r\nHost: bench.local\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
            )?;
            self.wait(|c| c.plain.windows(4).any(|part| part == b"\r\n\r\n"))?;
            if !self.plain.starts_with(b"HTTP/1.1 101") {
                return Err(String::from_utf8_lossy(&self.plain).into_owned().into());
            }
            let end = self.plain.windows(4).position(|part| part == b"\r\n\r\n").map_or(0, |at| at + 4);
            self.plain.drain(..end);
        }
        Ok(())
    }

    pub fn was_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// All bytes of TLS that came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Over TLS CRLF CRLF, answered by CRLF; over WebSockets its own ping. Tickets of the session come before the answer.
    pub fn ping(&mut self) -> Result<()> {
        match self.over {
            Over::Tls => self.tls.writer().write_all(b"\r\n\r\n")?,
            Over::Wss => {
                self.tls.writer().write_all(&[0x89, 0x80])?;
                self.tls.writer().write_all(&MASK)?;
            }
        }
        self.wait(|c| c.plain.len() >= 2)?;
        self.plain.clear();
        Ok(())
    }

    pub fn close(mut self) {
        self.tls.send_close_notify();
        let _ = self.tls.write_tls(&mut self.socket);
    }

    pub fn put_register(&mut self, user: usize, text: &mut Vec<u8>) -> Result<()> {
        self.cseq += 1;
        let (me, cseq) = (self.me, self.cseq);
        let (via, transport) = match self.over {
            Over::Tls => ("TLS", "tls"),
            Over::Wss => ("WSS", "ws"),
        };
        text.clear();
        // A port that does not change from run to run: there is one contact.
        write!(
            text,
            "REGISTER sip:bench.local SIP/2.0\r\nVia: SIP/2.0/{via} {me};branch=z9hG4bK{user:x}x{cseq:x};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:u{user}@bench.local>;tag=t{user:x}\r\nTo: <sip:u{user}@bench.local>\r\n\
             Call-ID: {user:08x}x{port:x}@bench\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:u{user}@{ip}:7000;transport={transport}>\r\nExpires: 3600\r\nUser-Agent: tlsload/1.0 (bench)\r\n\
             Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\r\nContent-Length: 0\r\n\r\n",
            ip = me.ip(),
            port = me.port(),
        )?;
        if self.over == Over::Wss {
            let mut head = [0x81, 0xfe, 0, 0, 0, 0, 0, 0];
            head[2..4].copy_from_slice(&(text.len() as u16).to_be_bytes());
            self.tls.writer().write_all(&head)?;
        }
        self.tls.writer().write_all(text)?;
        Ok(())
    }

    /// Sends what there is to be sent, and reads what has come.
    pub fn turn(&mut self) -> Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(n) => {
                self.received += n as u64;
                let state = self.tls.process_new_packets()?;
                let from = self.plain.len();
                self.plain.resize(from + state.plaintext_bytes_to_read(), 0);
                self.tls.reader().read_exact(&mut self.plain[from..])?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn wait(&mut self, over: impl Fn(&Client) -> bool) -> Result<()> {
        let start = Instant::now();
        while !over(self) {
            self.turn()?;
            if start.elapsed() > PATIENCE {
                return Err("the server does not answer".into());
            }
        }
        Ok(())
    }

    /// The status of the next response that has come whole.
    pub fn response(&mut self) -> Option<u16> {
        if self.over == Over::Wss {
            while let Some((begin, end)) = frame(&self.plain) {
                self.sip.extend_from_slice(&self.plain[begin..end]);
                self.plain.drain(..end);
            }
        } else {
            self.sip.append(&mut self.plain);
        }
        // None of them has a body.
        let end = self.sip.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
        let status = self.sip.get(8..11).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        self.sip.drain(..end);
        status
    }
}

/// Where the payload of the first whole frame of a server stands.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (begin, length) = match *bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => return None,
        short => (2, usize::from(short)),
    };
    (bytes.len() >= begin + length).then_some((begin, begin + length))
}

/// A socket of this address, connected. The standard library binds none before it connects.
fn bound(source: IpAddr, server: SocketAddr) -> Result<TcpStream> {
    let IpAddr::V4(source) = source else { return Err("IPv4 alone".into()) };
    let SocketAddr::V4(server) = server else { return Err("IPv4 alone".into()) };
    let name = |ip: [u8; 4], port: u16| {
        let mut address = [0_u8; 16];
        address[..2].copy_from_slice(&2_u16.to_ne_bytes());
        address[2..4].copy_from_slice(&port.to_be_bytes());
        address[4..8].copy_from_slice(&ip);
        address
    };
    unsafe extern "C" {
        fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
        fn bind(fd: i32, address: *const u8, length: u32) -> i32;
        fn connect(fd: i32, address: *const u8, length: u32) -> i32;
        fn setsockopt(fd: i32, level: i32, name: i32, value: *const i32, length: u32) -> i32;
    }
    let (from, to) = (name(source.octets(), 0), name(server.ip().octets(), server.port()));
    // SAFETY: the addresses are sockaddr_in of 16 bytes; the descriptor is owned by the stream from its making on.
    unsafe {
        let fd = socket(2, 1 | 0o2000000, 0);
        if fd < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        let stream = <TcpStream as std::os::fd::FromRawFd>::from_raw_fd(fd);
        // IP_BIND_ADDRESS_NO_PORT: the port is chosen for the whole way, so that there are enough of them.
        let on = 1;
        setsockopt(fd, 0, 24, &on, 4);
        if bind(fd, from.as_ptr(), 16) < 0 || connect(fd, to.as_ptr(), 16) < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(stream)
    }
}
