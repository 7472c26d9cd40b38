//! An echo of SIP messages behind an acceptor and two shards, and what clients of it need.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use trunkline_sip::{ConnectionId, Flow, ParseError, Transport};
use trunkline_transport::{
    Acceptor, Alive, Certificates, Closed, Egress, Handler, HostName, Io, Listener, Mail, Mailboxes,
    RunningAcceptor, Sent, Shard, StreamLimits, TlsSettings,
};
use tungstenite::client::IntoClientRequest as _;

/// A message that the echo says nothing to.
pub const UNANSWERED: &[u8] = b"ACK sip:a@h SIP/2.0\r\nContent-Length: 0\r\n\r\n";
pub const MESSAGE: &[u8] = b"MESSAGE sip:a@h SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";

/// What the echo is asked to send elsewhere, and where its answer goes.
type Order = (Egress, Answer);
type Answer = Sender<Result<Vec<u8>, Closed>>;

struct Repeat {
    waiting: Vec<(ConnectionId, Answer)>,
}

impl Handler for Repeat {
    type Mail = Order;

    fn on_message(&mut self, io: &mut Io<Order>, flow: &Flow, bytes: &[u8]) {
        match self.waiting.iter().position(|(id, _)| *id == flow.connection) {
            Some(place) => {
                let _ = self.waiting.remove(place).1.send(Ok(bytes.to_vec()));
            }
            None if bytes == UNANSWERED => {}
            None => {
                io.send(&Egress::back(flow), bytes);
            }
        }
    }

    fn on_broken(&mut self, _: &mut Io<Order>, _: &Flow, _: &[u8], _: ParseError) {}

    fn on_closed(&mut self, _: &mut Io<Order>, connection: ConnectionId, why: Closed) {
        if let Some(place) = self.waiting.iter().position(|(id, _)| *id == connection) {
            let _ = self.waiting.remove(place).1.send(Err(why));
        }
    }

    fn on_mail(&mut self, io: &mut Io<Order>, (egress, answer): Order) {
        match io.send(&egress, MESSAGE) {
            Sent::Via(id) => self.waiting.push((id, answer)),
            Sent::NoWay => {
                let _ = answer.send(Err(Closed::Refused));
            }
        }
    }

    fn on_timer(&mut self, _: &mut Io<Order>) {}

    fn sleep(&self, _: u64, max: u64) -> u64 {
        max
    }
}

/// A running echo.
pub struct Echo {
    listening: Vec<Listener>,
    mailboxes: Mailboxes<Order>,
    threads: Vec<JoinHandle<()>>,
    _acceptor: RunningAcceptor,
}

impl Echo {
    pub fn start(tls: TlsSettings, limits: StreamLimits) -> Echo {
        let address = "127.0.0.1:0".parse().unwrap();
        let listeners =
            [Transport::Tls, Transport::Ws, Transport::Wss].map(|transport| Listener { transport, address });
        let tcp = [Listener { transport: Transport::Tcp, address }];
        let mut shards =
            [(0, &tcp[..]), (1, &[])].map(|(n, own)| Shard::bind(n, own, limits, false).unwrap());
        let mut acceptor = Acceptor::new(Certificates::load(tls).unwrap(), limits).unwrap();
        acceptor.bind(&listeners).unwrap();
        let listening = [acceptor.listening(), shards[0].listening()].concat();
        let mailboxes: Mailboxes<Order> = shards.iter().map(Shard::mailbox).collect();
        let alive = Alive::default();
        for s in &mut shards {
            s.io.introduce(mailboxes.clone(), alive.clone());
            s.io.set_dialer(acceptor.dialer());
        }
        let run = |mut s: Shard<Order>| {
            std::thread::spawn(move || s.run(&mut Repeat { waiting: Vec::new() }).unwrap())
        };
        let threads = shards.map(run).into();
        let _acceptor = acceptor.start(mailboxes.clone()).unwrap();
        Echo { listening, mailboxes, threads, _acceptor }
    }

    pub fn at(&self, transport: Transport) -> SocketAddr {
        self.listening.iter().find(|l| l.transport == transport).unwrap().address
    }

    /// Sends [`MESSAGE`] over a TLS connection of the echo's own; the first message that comes back.
    pub fn ask(&self, remote: SocketAddr, name: &str) -> Result<Vec<u8>, Closed> {
        let (sender, receiver): (_, Receiver<_>) = channel();
        let egress = Egress { name: HostName::of(name), ..Egress::to(Transport::Tls, remote) };
        self.mailboxes[1].post(Mail::User((egress, sender)));
        receiver.recv_timeout(Duration::from_secs(60)).expect("an answer or an end")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        for mailbox in self.mailboxes.iter() {
            mailbox.post(Mail::Stop);
        }
        self.threads.drain(..).for_each(|t| t.join().unwrap());
    }
}

/// A certificate and its key, PEM.
pub struct Identity {
    pub chain: String,
    pub key: String,
}

/// Somebody who signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub chain: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let chain = issuer.pem();
        Authority { issuer, chain }
    }
}

/// Makes a certificate, signed by `ca` or by itself.
pub fn identity(name: &str, ca: Option<&Authority>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_string()]).unwrap();
    let certificate = match ca {
        Some(ca) => params.signed_by(&key, &ca.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Identity { chain: certificate.pem(), key: key.serialize_pem() }
}

/// Trusts exactly one certificate, or any.
#[derive(Debug)]
struct Only(Option<CertificateDer<'static>>);

impl rustls::client::danger::ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        if self.0.as_ref().is_some_and(|wanted| wanted != shown) {
            return Err(rustls::Error::General("another certificate".into()));
        }
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verify_tls12_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn parts(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (
        vec![CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap()],
        PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
    )
}

/// A TLS connection through its handshake. `trust` alone is believed, or anybody; `own` is shown.
pub fn tls_client(
    to: SocketAddr,
    name: &str,
    trust: Option<&Identity>,
    own: Option<&Identity>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Only(trust.map(|t| parts(t).0.remove(0)))));
    let config = match own {
        Some(own) => {
            let (chain, key) = parts(own);
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from(name.to_string()).unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

/// The request of a WebSocket with this subprotocol.
pub fn websocket_request(protocol: &'static str) -> tungstenite::handshake::client::Request {
    let mut request = "ws://localhost/".into_client_request().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", tungstenite::http::HeaderValue::from_static(protocol));
    request
}

/// A server that repeats what it reads over TLS, as long as the test lasts.
pub struct TlsServer {
    pub address: SocketAddr,
}

impl TlsServer {
    pub fn start(identity: &Identity) -> TlsServer {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (chain, key) = parts(identity);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let session = ServerConnection::new(config.clone()).unwrap();
                std::thread::spawn(move || repeat(StreamOwned::new(session, socket)));
            }
        });
        TlsServer { address }
    }
}

fn repeat(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut buffer = [0; 2048];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
