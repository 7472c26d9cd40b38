//! TLS to the servers that resources are kept on.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use trunkline_transport::certificates_in;

/// TLS to services whose certificate the system's authorities signed, or those in a file: PEM, PKCS#12 or
/// JKS, the latter two with a password.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn connector(more: Option<(&Path, &str)>) -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some((file, password)) = more {
        for certificate in certificates_in(file, password).map_err(|error| error.to_string())? {
            let wrong = |error| format!("{}: {error}", file.display());
            roots.add(certificate).map_err(wrong)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}
