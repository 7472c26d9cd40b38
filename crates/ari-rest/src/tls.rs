//! The CAs for TLS connections to Asterisk.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::AriError;

/// TLS with the certificate authorities in `ca`, else those of the system (or of `SSL_CERT_FILE`).
pub(crate) fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, AriError> {
    let roots = match ca {
        Some(file) => in_file(file).map_err(|why| AriError::Authorities(file.to_owned(), why))?,
        None => of_the_system(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A certificate of the system that rustls cannot read is of no use to us either.
        let _ = roots.add(certificate);
    }
    roots
}

fn in_file(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| e.to_string())? {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() { Err("no certificate stands in it".to_owned()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let text = |file: &str| config(Some(Path::new(file))).unwrap_err().to_string();
        let file = std::env::temp_dir().join(format!("trunkline-none-{}.pem", std::process::id()));
        std::fs::write(&file, "no certificate").unwrap();
        let here = file.to_str().unwrap();
        assert_eq!(
            text(here),
            format!("the certificate authorities in {here} cannot be used: no certificate stands in it")
        );
        assert!(text("/nowhere/ca.pem").starts_with("the certificate authorities in /nowhere/ca.pem"));
        assert!(config(None).is_ok());
        std::fs::remove_file(&file).unwrap();
    }
}
