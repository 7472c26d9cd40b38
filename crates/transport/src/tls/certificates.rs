//! The certificates in force, and how they change.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::verify::Anybody;
use super::{ClientAuth, TlsError, TlsSettings, load};

/// Modification time and length of a file: they differ when the file has changed.
type Stamp = Option<(SystemTime, u64)>;

/// [`Certificates::server`] checks the files at most this often.
const PERIOD: Duration = Duration::from_secs(2);

/// The certificates in force, for servers and for clients. They follow their files. Cheap to clone.
#[derive(Clone)]
pub struct Certificates(Arc<Mutex<Loaded>>);

/// The settings with what was loaded from their files.
struct Loaded {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    seen: Vec<(PathBuf, Stamp)>,
    checked: Instant,
    /// Those of trunks that are shown a certificate of their own, with when its files were changed.
    identities: HashMap<String, ([Stamp; 2], Arc<ClientConfig>)>,
}

impl Certificates {
    /// Loads all files.
    pub fn load(settings: TlsSettings) -> Result<Certificates, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Before the files are read: a file that changes meanwhile is loaded again.
        let seen = stamps(&settings);
        let (server, client) = build(&settings, &provider)?;
        let seen = if seen.iter().any(|(_, s)| s.is_none()) { stamps(&settings) } else { seen };
        let checked = Instant::now();
        let loaded = Loaded { settings, provider, server, client, seen, checked, identities: HashMap::new() };
        Ok(Certificates(Arc::new(Mutex::new(loaded))))
    }

    /// The settings for a connection that a client begins now.
    pub fn server(&self) -> Arc<ServerConfig> {
        let mut loaded = self.lock();
        if loaded.checked.elapsed() >= PERIOD {
            loaded.refresh();
        }
        loaded.server.clone()
    }

    /// The same for a protocol that is agreed upon in the handshake (RFC 7301), such as `h2`.
    pub fn server_speaking(&self, protocol: &[u8]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.server());
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }

    /// The settings for a connection that we begin now.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.lock().client.clone()
    }

    /// The same as another identity: `certificate` and `key`, the paths of their files, with a line end between. Only a
    /// connection that is to show it does.
    pub fn client_as(&self, identity: &str) -> Result<Arc<ClientConfig>, TlsError> {
        let (chain, key) = identity.split_once('\n').unwrap_or((identity, identity));
        let mut loaded = self.lock();
        let files = [PathBuf::from(chain), PathBuf::from(key)];
        let now = files.each_ref().map(|path| stamp(path));
        if let Some((seen, config)) = loaded.identities.get(identity)
            && *seen == now
        {
            return Ok(config.clone());
        }
        let [chain, key] = files;
        let pair = load::pair(&chain, &key, &loaded.provider)?;
        let config = Arc::new(client(&loaded.settings, &loaded.provider, Some(pair))?);
        loaded.identities.insert(identity.to_owned(), (now, config.clone()));
        Ok(config)
    }

    /// Loads changed files. Established connections keep what they began with; when a file cannot be used, the
    /// certificates in force stay.
    pub fn refresh(&self) {
        self.lock().refresh();
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn refresh(&mut self) {
        self.checked = Instant::now();
        let now = stamps(&self.settings);
        if now == self.seen {
            return;
        }
        self.seen = now;
        match build(&self.settings, &self.provider) {
            Ok((server, client)) => {
                (self.server, self.client) = (server, client);
                // They verify the other side as the settings say.
                self.identities.clear();
                tracing::info!("certificates reloaded");
            }
            Err(error) => {
                tracing::warn!(%error, "the changed certificates cannot be used; the old ones stay")
            }
        }
    }
}

fn stamps(settings: &TlsSettings) -> Vec<(PathBuf, Stamp)> {
    let own = settings.self_signed.files.as_ref().filter(|_| settings.is_self_signed());
    let pairs = settings.pair.iter().chain(&settings.more).chain(own).flat_map(|(a, b)| [a, b]);
    let single =
        [settings.pkcs12.as_ref().map(|(p, _)| p), settings.client_ca.as_ref(), settings.trusted_ca.as_ref()];
    pairs.chain(single.into_iter().flatten()).map(|path| (path.clone(), stamp(path))).collect()
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).ok().and_then(|m| Some((m.modified().ok()?, m.len())))
}

static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

impl TlsSettings {
    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        if self.only_1_3 { &ONLY_1_3 } else { rustls::DEFAULT_VERSIONS }
    }

    fn is_self_signed(&self) -> bool {
        self.pair.is_none() && self.pkcs12.is_none() && self.more.is_empty()
    }
}

fn build(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), TlsError> {
    let mut chosen = Vec::new();
    if let Some((chain, key)) = &settings.pair {
        chosen.push(load::pair(chain, key, provider)?);
    }
    if let Some((path, password)) = &settings.pkcs12 {
        chosen.push(load::key_store(path, password, provider)?);
    }
    for (chain, key) in &settings.more {
        chosen.push(load::pair(chain, key, provider)?);
    }
    let own = settings.is_self_signed();
    if own {
        chosen.push(settings.self_signed.load(provider)?);
    }
    let default = chosen.first().cloned();
    let by_name = BySni::new(chosen);
    let server =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(settings.versions())?;
    let server = match (settings.client_auth, &settings.client_ca) {
        (ClientAuth::Optional | ClientAuth::Required, None) => return Err(TlsError::NoClientCa),
        (ClientAuth::Off, None) => server.with_no_client_auth(),
        // Read whether it counts or not: one that cannot be is a mistake the operator learns of before it does.
        (ClientAuth::Off, Some(path)) => {
            load::signers(path, &settings.client_ca_password, &mut RootCertStore::empty())?;
            server.with_no_client_auth()
        }
        (auth, Some(path)) => {
            let mut roots = RootCertStore::empty();
            load::signers(path, &settings.client_ca_password, &mut roots)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
            let verifier = match auth {
                ClientAuth::Required => verifier,
                ClientAuth::Off | ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|e| TlsError::Signers { path: path.clone(), reason: e.to_string() })?;
            server.with_client_cert_verifier(verifier)
        }
    };
    let server = server.with_cert_resolver(Arc::new(by_name));

    // Trunks that ask who we are see the operator's certificate; one of our own making proves nothing.
    let client = client(settings, provider, default.filter(|_| !own))?;
    Ok((Arc::new(server), Arc::new(client)))
}

/// The settings for connections of ours, with this certificate for those who ask for one.
fn client(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    own: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, TlsError> {
    let client =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(settings.versions())?;
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.trusted_ca {
        load::signers(path, &settings.trusted_ca_password, &mut roots)?;
    }
    let client = if settings.verify {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        client.with_root_certificates(roots)
    } else {
        client.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider.clone())))
    };
    Ok(match own {
        Some(key) => {
            client.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(key))))
        }
        None => client.with_no_client_auth(),
    })
}

/// Chooses a certificate by the name the client asks for, RFC 6066 §3; the first where none fits.
#[derive(Debug)]
struct BySni {
    first: Option<Arc<CertifiedKey>>,
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl BySni {
    fn new(certificates: Vec<Arc<CertifiedKey>>) -> BySni {
        let mut names = HashMap::new();
        for c in &certificates {
            let parsed = c.cert.first().and_then(|der| webpki::EndEntityCert::try_from(der).ok());
            for name in parsed.iter().flat_map(|p| p.valid_dns_names()) {
                names.entry(name.to_ascii_lowercase()).or_insert_with(|| c.clone());
            }
        }
        BySni { first: certificates.into_iter().next(), names }
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let found = name.map(str::to_ascii_lowercase).and_then(|name| {
            let exact = self.names.get(&name);
            // `*` stands for one label (RFC 9525 §6.3).
            let wildcard = || self.names.get(&format!("*.{}", name.split_once('.')?.1));
            exact.or_else(wildcard).cloned()
        });
        found.or_else(|| self.first.clone())
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::SelfSigned;

    #[test]
    fn the_best_name_wins() {
        let provider = rustls::crypto::ring::default_provider();
        let make = |names: &[&str]| {
            let names = names.iter().map(|n| n.to_string()).collect();
            SelfSigned { files: None, names }.load(&provider).unwrap()
        };
        let (a, wild, b) = (make(&["a.test"]), make(&["*.b.test"]), make(&["x.b.test"]));
        let sni = BySni::new(vec![a.clone(), wild.clone(), b.clone()]);
        let chosen = |name| sni.choose(name).unwrap().cert.clone();
        assert_eq!(chosen(Some("X.b.test")), b.cert);
        assert_eq!(chosen(Some("y.b.test")), wild.cert);
        assert_eq!(chosen(Some("z.y.b.test")), a.cert);
        assert_eq!(chosen(None), a.cert);
    }

    #[test]
    fn the_same_settings_while_nothing_changes() {
        let tls = Certificates::load(TlsSettings::default()).expect("a self-signed certificate");
        assert!(Arc::ptr_eq(&tls.server(), &tls.clone().server()));
    }

    #[test]
    fn a_file_of_signers_is_read_whether_it_counts_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signers.p12");
        fs::write(&path, [0x30, 0x82, 0, 0]).unwrap();
        let clients = TlsSettings { client_ca: Some(path.clone()), ..TlsSettings::default() };
        let servers = TlsSettings { trusted_ca: Some(path.clone()), verify: false, ..TlsSettings::default() };
        for settings in [clients, servers] {
            let error = Certificates::load(settings).err().unwrap().to_string();
            assert!(error.contains("signers.p12"), "{error}");
        }
    }

    /// As Java has it: who trusts a server does not trust all that its CA signed.
    #[test]
    fn of_a_key_in_a_trust_store_its_own_certificate_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| {
            let mut params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let [own_key, ca_key, other_key] = [(); 3].map(|()| rcgen::KeyPair::generate().unwrap());
        let ca = named("ca.test").self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(named("ca.test"), ca_key);
        let own = named("own.test").signed_by(&own_key, &issuer).unwrap();
        let other = named("other.test").self_signed(&other_key).unwrap();
        let p12 = |made: &rcgen::Certificate| p12_keystore::Certificate::from_der(made.der()).unwrap();
        let key = p12_keystore::PrivateKey::from_der(&own_key.serialize_der()).unwrap();
        let chain = p12_keystore::PrivateKeyChain::new(vec![1u8], key, [p12(&own), p12(&ca)]);
        let mut store = p12_keystore::KeyStore::new();
        store.add_entry("key", p12_keystore::KeyStoreEntry::PrivateKeyChain(chain));
        store.add_entry("other", p12_keystore::KeyStoreEntry::Certificate(p12(&other)));
        let path = folder.path().join("trust.p12");
        fs::write(&path, store.writer("secret").encryption_iterations(10).write().unwrap()).unwrap();
        let mut found = super::super::certificates_in(&path, "secret").unwrap();
        let mut wanted = vec![own.der().clone(), other.der().clone()];
        found.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        wanted.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        assert_eq!(found, wanted);
    }

    #[test]
    fn pkcs12_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["p.test".into()]).unwrap();
        let chain = p12_keystore::PrivateKeyChain::new(
            vec![1u8],
            p12_keystore::PrivateKey::from_der(&made.signing_key.serialize_der()).unwrap(),
            [p12_keystore::Certificate::from_der(made.cert.der()).unwrap()],
        );
        let mut store = p12_keystore::KeyStore::new();
        store.add_entry("p", p12_keystore::KeyStoreEntry::PrivateKeyChain(chain));
        let path = folder.path().join("p.p12");
        fs::write(&path, store.writer("secret").encryption_iterations(10).write().unwrap()).unwrap();
        let load = |password: &str| {
            Certificates::load(TlsSettings {
                pkcs12: Some((path.clone(), password.into())),
                ..TlsSettings::default()
            })
        };
        assert!(load("secret").is_ok());
        let error = load("wrong").err().unwrap().to_string();
        assert!(error.contains("p.p12") && error.contains("password"), "{error}");
        let missing =
            TlsSettings { pair: Some(("/no/chain".into(), "/no/key".into())), ..TlsSettings::default() };
        let error = Certificates::load(missing).err().unwrap().to_string();
        assert!(error.contains("/no/chain"), "{error}");
        let nobody = TlsSettings { client_auth: ClientAuth::Required, ..TlsSettings::default() };
        assert!(matches!(Certificates::load(nobody), Err(TlsError::NoClientCa)));
    }
}
