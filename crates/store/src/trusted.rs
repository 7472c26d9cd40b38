//! TLS to the servers that resources are kept on.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

/// TLS to services whose certificate the system's authorities signed, or those in a PEM file.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn connector(more: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = more {
        let wrong = |error| format!("cannot read {}: {error}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).map_err(wrong)? {
            roots.add(certificate.map_err(wrong)?).map_err(|error| error.to_string())?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}
