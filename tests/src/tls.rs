//! Certificates of a test: an authority of its own, whom phones believe and nobody else.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sha1::{Digest, Sha1};

use crate::PATIENCE;
use crate::scratch::Scratch;
use crate::stream::Stream;

/// Somebody who signs certificates; its files lie in a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Scratch,
}

impl Authority {
    /// A new one with a key of its own.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = Scratch::new("authority");
        folder.write("ca.pem", issuer.pem());
        Authority { issuer, folder }
    }

    /// Its certificate, PEM.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its certificate in trust stores under a password: PKCS#12, and Java's own format.
    pub fn trust_stores(&self, password: &str) -> [PathBuf; 2] {
        let der = self.issuer.der();
        let mut store = p12_keystore::KeyStore::new();
        let own = p12_keystore::Certificate::from_der(der).expect("a certificate");
        store.add_entry("ca", p12_keystore::KeyStoreEntry::Certificate(own));
        let p12 = store.writer(password).encryption_iterations(10).write().expect("PKCS#12");
        [self.folder.write("trust.p12", p12), self.folder.write("trust.jks", java_trust_store(der, password))]
    }

    /// Makes a certificate for these names or addresses; the files of chain and key, PEM.
    pub fn sign(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = names.first().map_or_else(String::new, |name| name.replace([':', '*'], "_"));
        let params = CertificateParams::new(names).expect("names of a certificate");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (
            self.folder.write(&format!("{file}.pem"), certificate.pem()),
            self.folder.write(&format!("{file}.key"), key.serialize_pem()),
        )
    }

    /// Makes a certificate for this name that was valid in 2020 only.
    pub fn sign_expired(&self, name: &str) -> (PathBuf, PathBuf) {
        self.sign_for_year(name, 2020)
    }

    /// Makes a certificate for this name that is valid in this year only.
    pub fn sign_for_year(&self, name: &str, year: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(year, 1, 1), date_time_ymd(year, 12, 31));
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (
            self.folder.write(&format!("{name}-{year}.pem"), certificate.pem()),
            self.folder.write(&format!("{name}-{year}.key"), key.serialize_pem()),
        )
    }

    /// Lines of `trunkline.yaml`: the exchange shows a certificate for these names, and believes this authority.
    pub fn config(&self, names: &[&str]) -> String {
        let (chain, key) = self.sign(names);
        let show = |path: PathBuf| path.display().to_string();
        format!("tls: {{cert: {}, key: {}, trustedCa: {}}}\n", show(chain), show(key), show(self.file()))
    }

    /// Connects as a phone does that believes nobody else; the certificate must be for `name`.
    pub fn connect(&self, server: SocketAddr, name: &str) -> Stream {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a host name or an address");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let socket = TcpStream::connect_timeout(&server, PATIENCE).expect("a TCP connection");
        socket.set_nodelay(true).expect("a live socket");
        let mut tls = StreamOwned::new(session, socket);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).expect("a TLS handshake");
        }
        Stream::TlsClient(Box::new(tls))
    }

    /// A server of gRPC with this chain and key, for clients with a certificate of this authority.
    pub fn server_config(&self, chain: &Path, key: &Path) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let asks = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
        let chain = vec![CertificateDer::from_pem_file(chain).expect("our certificate")];
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(asks.build().expect("an authority"))
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).expect("our key"))
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Takes a TLS connection that the exchange makes, with a certificate for `names`; why it came to none when
    /// the exchange does not like it.
    pub fn accept(&self, listener: &TcpListener, names: &[&str]) -> std::io::Result<Stream> {
        self.accept_as(listener, self.sign(names))
    }

    /// The same with a certificate of its own: the files of chain and key.
    pub fn accept_as(
        &self,
        listener: &TcpListener,
        (chain, key): (PathBuf, PathBuf),
    ) -> std::io::Result<Stream> {
        let chain = CertificateDer::from_pem_file(chain).expect("our certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("our key");
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        // It asks, and takes who shows nothing.
        let asks = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .allow_unauthenticated()
            .build()
            .expect("an authority");
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(asks)
            .with_single_cert(vec![chain], key)
            .expect("a certificate and its key");
        let session = ServerConnection::new(Arc::new(config)).expect("a session");
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let mut tls = StreamOwned::new(session, socket);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Stream::TlsServer(Box::new(tls)))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Authority::new()
    }
}

/// A self-signed certificate for an address: PEM, and with its key as PKCS#12 under a password.
pub fn key_store(address: &str, password: &str) -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed([address.to_owned()]).expect("a certificate");
    let chain = p12_keystore::PrivateKeyChain::new(
        vec![1u8],
        p12_keystore::PrivateKey::from_der(&made.signing_key.serialize_der()).expect("a key"),
        [p12_keystore::Certificate::from_der(made.cert.der()).expect("a certificate")],
    );
    let mut store = p12_keystore::KeyStore::new();
    store.add_entry("api", p12_keystore::KeyStoreEntry::PrivateKeyChain(chain));
    (made.cert.pem(), store.writer(password).encryption_iterations(10).write().expect("PKCS#12"))
}

/// A trust store as `keytool -importcert -storetype JKS` writes it.
fn java_trust_store(certificate: &[u8], password: &str) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).expect("a short certificate").to_be_bytes();
    let mut content = [[0xfe, 0xed, 0xfe, 0xed], number(2), number(1), number(2)].concat();
    content.extend_from_slice(b"\x00\x02ca");
    content.extend_from_slice(&[0; 8]);
    content.extend_from_slice(b"\x00\x05X.509");
    content.extend_from_slice(&number(certificate.len()));
    content.extend_from_slice(certificate);
    let secret: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digest = Sha1::new().chain_update(secret).chain_update(b"Mighty Aphrodite").chain_update(&content);
    content.extend_from_slice(&digest.finalize());
    content
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
