//! Certificates and keys from files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::jks::{self, Jks};

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    chain.ok().filter(|c| !c.is_empty()).ok_or_else(|| TlsError::NoCertificate { path: path.into() })
}

/// A chain and its key, PEM.
pub(super) fn pair(
    chain: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::NoKey { path: key.into() })?;
    certified(certificates, key, chain, provider)
}

/// A chain and its key from a key store: PKCS#12 (RFC 7292) or JKS, whichever it is by its first bytes.
pub(super) fn key_store(
    path: &Path,
    password: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let failed = |reason: String| TlsError::KeyStore { path: path.into(), reason };
    let bytes = read(path)?;
    let (key, chain) = match Stored::of(&bytes) {
        Stored::Jks => {
            let store = Jks::open(&bytes, password).map_err(|why| failed(why.into()))?;
            store.key.ok_or_else(|| failed("it holds no key with a certificate".into()))?
        }
        Stored::Jceks => return Err(failed(JCEKS_REMEDY.into())),
        Stored::Pkcs12 | Stored::Pem => {
            let store = KeyStore::from_pkcs12(&bytes, password, Pkcs12ImportPolicy::Strict);
            let store = store.map_err(|e| failed(e.to_string()))?;
            let Some((_, chain)) = store.private_key_chain() else {
                return Err(failed("it holds no key with a certificate".into()));
            };
            let certificates = chain.certs().iter().map(|c| c.as_der().to_vec()).collect();
            (chain.key().as_der().to_vec(), certificates)
        }
    };
    let key = PrivateKeyDer::try_from(key).map_err(|e| failed(e.to_string()))?;
    certified(chain.into_iter().map(CertificateDer::from).collect(), key, path, provider)
}

const JCEKS_REMEDY: &str = "it is a JCEKS store, which is not supported: convert it with keytool -importkeystore \
                            -deststoretype pkcs12";

/// The format of a certificate file, by its first bytes.
enum Stored {
    Pkcs12,
    Jks,
    Jceks,
    Pem,
}

impl Stored {
    fn of(bytes: &[u8]) -> Stored {
        match bytes.first_chunk::<4>() {
            Some(&jks::MAGIC) => Stored::Jks,
            Some(&jks::JCEKS) => Stored::Jceks,
            Some([0x30, ..]) => Stored::Pkcs12,
            Some(_) | None => Stored::Pem,
        }
    }
}

/// A chain and a key that fit each other.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    CertifiedKey::from_der(chain, key, provider)
        .map(Arc::new)
        .map_err(|source| TlsError::Unusable { path: path.into(), source })
}

/// Adds the signers in a file: PEM, or the trusted certificates of a key store.
pub(super) fn signers(path: &Path, password: &str, into: &mut RootCertStore) -> Result<(), TlsError> {
    let failed = |reason: String| TlsError::Signers { path: path.into(), reason };
    for certificate in certificates_in(path, password)? {
        into.add(certificate).map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

/// Can the signers in a file be used? Without a password it must be PEM.
pub fn check_signers(path: &Path, password: Option<&str>) -> Result<(), TlsError> {
    if password.is_none() {
        certificates(path)?;
    }
    signers(path, password.unwrap_or_default(), &mut RootCertStore::empty())
}

/// Can a chain and its key be used, both PEM?
pub fn check_pair(chain: &Path, key: &Path) -> Result<(), TlsError> {
    pair(chain, key, &rustls::crypto::ring::default_provider()).map(drop)
}

/// The certificates in a file that are trusted: those of a PEM file; of a key store those that stand by themselves, and of a
/// key with its chain the first one, as Java has it.
pub fn certificates_in(path: &Path, password: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::Signers { path: path.into(), reason };
    let bytes = read(path)?;
    let found: Vec<CertificateDer<'static>> = match Stored::of(&bytes) {
        Stored::Pem => certificates(path)?,
        Stored::Jceks => return Err(failed(JCEKS_REMEDY.into())),
        Stored::Jks => {
            let store = Jks::open(&bytes, password).map_err(|why| failed(why.into()))?;
            let own = store.key.and_then(|(_, chain)| chain.into_iter().next());
            store.trusted.into_iter().chain(own).map(CertificateDer::from).collect()
        }
        Stored::Pkcs12 => {
            let open =
                |policy| KeyStore::from_pkcs12(&bytes, password, policy).map_err(|e| failed(e.to_string()));
            let mut store = open(Pkcs12ImportPolicy::Raw)?;
            // Beside a key the certificates of its chain stand like those that are trusted, but for Java's mark on the latter.
            if store.entries().any(|(_, entry)| matches!(entry, KeyStoreEntry::PrivateKeyChain(_))) {
                store = open(Pkcs12ImportPolicy::Strict)?;
            }
            let mut all = Vec::new();
            for (_, entry) in store.entries() {
                match entry {
                    KeyStoreEntry::Certificate(one) => all.push(one.as_der().to_vec()),
                    KeyStoreEntry::PrivateKeyChain(chain) => {
                        all.extend(chain.certs().first().map(|one| one.as_der().to_vec()));
                    }
                    _ => {}
                }
            }
            all.into_iter().map(CertificateDer::from).collect()
        }
    };
    if found.is_empty() {
        return Err(failed("it holds no certificate".into()));
    }
    Ok(found)
}
