//! Key stores and trust stores: can they be opened?

use trunkline_config::{Loaded, conversion};
use trunkline_model::document::Report;
use trunkline_transport::{TlsError, certificates_in};

/// Opens the key stores and lists of CAs of a configuration: the exchange would not start with one that cannot be opened.
///
/// # Errors
/// Those that cannot be opened, each with the key that names it, the reason and the remedy.
pub fn check_stores(loaded: &Loaded) -> Result<(), Report> {
    let (tls, v1) = (&loaded.config.tls, &loaded.config.routr_v1);
    let stores = [
        ("tls.pkcs12.file", &tls.pkcs12.file, &tls.pkcs12.password.0),
        ("tls.clientCa", &tls.client_ca, &tls.client_ca_password.0),
        ("tls.trustedCa", &tls.trusted_ca, &tls.trusted_ca_password.0),
        ("routrV1.pkcs12.file", &v1.pkcs12.file, &v1.pkcs12.password.0),
        ("routrV1.trustStore.file", &v1.trust_store.file, &v1.trust_store.password.0),
    ];
    let mut found: Vec<(&'static str, String, Option<String>)> = Vec::new();
    for (path, file, password) in stores {
        let Some(file) = file else { continue };
        let Err(error) = certificates_in(file, password) else { continue };
        // A list of CAs may be PEM, which has no password.
        let help = match error {
            TlsError::Signers { .. } | TlsError::KeyStore { .. } => {
                let file = file.display().to_string();
                Some(format!("is its password right? If so, {}", conversion(&file)))
            }
            _ => None,
        };
        let message = error.to_string();
        // A trust store is both.
        if found.iter().all(|(_, other, _)| *other != message) {
            found.push((path, message, help));
        }
    }
    loaded.report(found)
}
