//! Certificates, keys, key stores and trust stores of a configuration: can they be used?

use std::path::{Path, PathBuf};

use trunkline_config::{Config, Loaded, Role, conversion};
use trunkline_model::document::Report;
use trunkline_transport::{TlsError, certificates_in, check_pair, check_signers};

/// A key of the configuration, and the file that it names.
type Named<'c> = (&'static str, &'c Path);

/// What a part of the configuration names.
enum Store<'c> {
    /// A key store or trust store, with its password.
    Opened(Named<'c>, &'c str),
    /// Certificate authorities. Without a password they must be PEM.
    Signers(Named<'c>, Option<&'c str>),
    /// A certificate and its key, PEM.
    Pair(Named<'c>, Named<'c>),
}

impl<'c> Store<'c> {
    fn check(&self) -> Result<(), TlsError> {
        match self {
            Store::Opened((_, file), password) => certificates_in(file, password).map(drop),
            Store::Signers((_, file), password) => check_signers(file, *password),
            Store::Pair((_, chain), (_, key)) => check_pair(chain, key),
        }
    }

    /// The key that names what is wrong.
    fn key(&self, error: &TlsError) -> &'static str {
        match self {
            Store::Opened((key, _), _) | Store::Signers((key, _), _) => key,
            Store::Pair((chain, _), (key, file)) => {
                if error.file() == Some(*file) {
                    key
                } else {
                    chain
                }
            }
        }
    }
}

fn named<'c>(key: &'static str, file: &'c Option<PathBuf>) -> Option<Named<'c>> {
    file.as_deref().map(|file| (key, file))
}

/// Those of SIP, gRPC and the REST API of Routr v1.
fn of_listeners(config: &Config) -> Vec<Store<'_>> {
    let (tls, v1) = (&config.tls, &config.routr_v1);
    let mut all = Vec::new();
    let pair = named("tls.cert", &tls.cert).zip(named("tls.key", &tls.key));
    all.extend(pair.map(|(chain, key)| Store::Pair(chain, key)));
    all.extend(tls.certificates.iter().map(|one| {
        let key = "tls.certificates";
        Store::Pair((key, &one.cert), (key, &one.key))
    }));
    for (file, password) in [
        (named("tls.clientCa", &tls.client_ca), &tls.client_ca_password.0),
        (named("tls.trustedCa", &tls.trusted_ca), &tls.trusted_ca_password.0),
    ] {
        all.extend(file.map(|file| Store::Signers(file, Some(password))));
    }
    for (file, password) in [
        (named("tls.pkcs12.file", &tls.pkcs12.file), &tls.pkcs12.password.0),
        (named("routrV1.pkcs12.file", &v1.pkcs12.file), &v1.pkcs12.password.0),
        (named("routrV1.trustStore.file", &v1.trust_store.file), &v1.trust_store.password.0),
    ] {
        all.extend(file.map(|file| Store::Opened(file, password)));
    }
    all
}

/// Those of the receivers of events.
fn of_events(config: &Config) -> Vec<Store<'_>> {
    let (webhook, nats) = (&config.events.webhook, &config.events.nats);
    let pair = named("events.nats.cert", &nats.cert).zip(named("events.nats.key", &nats.key));
    let webhook = named("events.webhook.trustedCa", &webhook.trusted_ca);
    let webhook = webhook.map(|file| Store::Signers(file, Some("")));
    let signers = named("events.nats.trustedCa", &nats.trusted_ca).map(|file| Store::Signers(file, None));
    [webhook, signers, pair.map(|(chain, key)| Store::Pair(chain, key))].into_iter().flatten().collect()
}

/// Checks the certificates, keys, key stores and lists of CAs of a configuration: the exchange would not start with one that
/// cannot be used. With `roles` only those are that the roles of the process use.
///
/// # Errors
/// Those that cannot be used, each with the key that names it, the reason and the remedy.
pub fn check_stores(loaded: &Loaded, roles: bool) -> Result<(), Report> {
    let config = &loaded.config;
    let runs = |wanted: &[Role]| !roles || wanted.iter().any(|role| config.runs(*role));
    let mut stores = Vec::new();
    if runs(&[Role::Exchange, Role::Api, Role::RestV1]) {
        stores.extend(of_listeners(config));
    }
    if runs(&[Role::Exchange]) {
        stores.extend(of_events(config));
    }
    let collector = config.otlp.trusted_ca.as_deref();
    stores.extend(collector.map(|file| Store::Signers(("otlp.trustedCa", file), Some(""))));
    let mut found: Vec<(&'static str, String, Option<String>)> = Vec::new();
    for store in &stores {
        let Err(error) = store.check() else { continue };
        let message = error.to_string();
        // A trust store is both.
        if found.iter().all(|(_, other, _)| *other != message) {
            found.push((store.key(&error), message, remedy(&error)));
        }
    }
    loaded.report(found)
}

/// What to do, where the error itself does not say it.
pub(crate) fn remedy(error: &TlsError) -> Option<String> {
    match error {
        // A list of CAs may be PEM, which has no password.
        TlsError::Signers { path, .. } | TlsError::KeyStore { path, .. } => {
            let file = path.display().to_string();
            let is_pem = std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"-----BEGIN"));
            Some(match is_pem {
                true => {
                    format!("write another copy of it: openssl x509 -in {file} -noout -text must read it")
                }
                false => format!("is its password right? If so, {}", conversion(&file)),
            })
        }
        TlsError::NoCertificate { .. } => Some("name a file of certificates in PEM".into()),
        TlsError::NoKey { .. } => Some("name the key in PEM that belongs to the certificate".into()),
        TlsError::Unusable { .. } => Some("name the key that belongs to the certificate".into()),
        _ => None,
    }
}
