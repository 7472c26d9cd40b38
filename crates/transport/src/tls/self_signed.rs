//! The certificate of the first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, load};

/// A self-signed certificate, used when none is configured.
#[derive(Clone, Debug, Default)]
pub struct SelfSigned {
    /// Where chain and key are kept, PEM; `None`: only in memory, another one at each start.
    pub files: Option<(PathBuf, PathBuf)>,
    /// The host names and addresses it is for.
    pub names: Vec<String>,
}

impl SelfSigned {
    /// Makes the files unless they are there.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        let Some((chain, key)) = &self.files else {
            let (certificate, key) = self.make()?;
            let failed = |reason: String| TlsError::SelfSigned { names: self.names.clone(), reason };
            let certificate =
                CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| failed(e.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| failed(e.to_string()))?;
            return load::certified(vec![certificate], key, Path::new("memory"), provider);
        };
        if !chain.exists() || !key.exists() {
            let (certificate, secret) = self.make()?;
            let write = |path: &Path, text: &str, mode| {
                keep(path, text, mode).map_err(|source| TlsError::Write { path: path.into(), source })
            };
            write(key, &secret, 0o600)?;
            write(chain, &certificate, 0o600)?;
            tracing::info!(certificate = %chain.display(), "made a self-signed certificate");
        }
        load::pair(chain, key, provider)
    }

    /// Certificate and key, PEM.
    fn make(&self) -> Result<(String, String), TlsError> {
        let make = || -> Result<_, rcgen::Error> {
            let mut params = CertificateParams::new(self.names.clone())?;
            let name = self.names.first().map_or("trunkline", String::as_str);
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            // Clients accept it by hand once, and no authority renews it, so it is valid for long.
            params.not_after = rcgen::date_time_ymd(2046, 1, 1);
            let key = KeyPair::generate()?;
            Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
        };
        make().map_err(|e| TlsError::SelfSigned { names: self.names.clone(), reason: e.to_string() })
    }
}

fn keep(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // A leftover of an interrupted start may have other permissions.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let files = (folder.path().join("t.crt"), folder.path().join("t.key"));
        let names = vec!["sip.local".into(), "127.0.0.1".into(), "::1".into()];
        let own = SelfSigned { files: Some(files.clone()), names };
        let provider = rustls::crypto::ring::default_provider();
        let first = own.load(&provider).unwrap();
        let again = own.load(&provider).unwrap();
        assert_eq!(first.cert, again.cert);
        assert_eq!(fs::metadata(&files.1).unwrap().permissions().mode() & 0o777, 0o600);
        let certificate = webpki::EndEntityCert::try_from(&first.cert[0]).unwrap();
        assert_eq!(certificate.valid_dns_names().collect::<Vec<_>>(), ["sip.local"]);
    }
}
