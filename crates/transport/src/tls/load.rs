//! Certificates and keys from files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;

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

/// A chain and its key from a PKCS#12 file, RFC 7292.
pub(super) fn pkcs12(
    path: &Path,
    password: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let failed = |reason: String| TlsError::Pkcs12 { path: path.into(), reason };
    let store = KeyStore::from_pkcs12(&read(path)?, password, Pkcs12ImportPolicy::Strict)
        .map_err(|e| failed(e.to_string()))?;
    let Some((_, chain)) = store.private_key_chain() else {
        return Err(failed("it holds no key with a certificate".into()));
    };
    let key = PrivateKeyDer::try_from(chain.key().as_der().to_vec()).map_err(|e| failed(e.to_string()))?;
    let certificates = chain.certs().iter().map(|c| CertificateDer::from(c.as_der().to_vec())).collect();
    certified(certificates, key, path, provider)
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

/// Adds the signers in a file.
pub(super) fn signers(path: &Path, into: &mut RootCertStore) -> Result<(), TlsError> {
    for certificate in certificates(path)? {
        into.add(certificate).map_err(|e| TlsError::Signers { path: path.into(), reason: e.to_string() })?;
    }
    Ok(())
}
