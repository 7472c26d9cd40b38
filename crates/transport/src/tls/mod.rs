//! TLS: our certificates and the CAs that we trust.

mod certificates;
mod failure;
mod jks;
mod load;
mod self_signed;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use certificates::Certificates;
pub use failure::TlsFailure;
pub use load::{certificates_in, check_pair, check_signers};
pub use self_signed::SelfSigned;

/// Do clients show a certificate?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked and may have none.
    Optional,
    /// Without one they are refused.
    Required,
}

/// The settings of TLS.
#[derive(Clone)]
pub struct TlsSettings {
    /// Chain and key of the certificate for all without a better one, PEM.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Or both in one PKCS#12 or JKS file, with its password.
    pub pkcs12: Option<(PathBuf, String)>,
    /// More chains and keys, PEM, chosen by SNI (RFC 6066 §3) among the names that stand in them.
    pub more: Vec<(PathBuf, PathBuf)>,
    /// Without any of these: a certificate of our own making.
    pub self_signed: SelfSigned,
    /// The CAs of client certificates: PEM, PKCS#12 or JKS.
    pub client_ca: Option<PathBuf>,
    /// The password of that file, where it has one.
    pub client_ca_password: String,
    /// Do clients show a certificate?
    pub client_auth: ClientAuth,
    /// The CAs of servers that we connect to, in addition to those of the system: PEM, PKCS#12 or JKS.
    pub trusted_ca: Option<PathBuf>,
    /// The password of that file, where it has one.
    pub trusted_ca_password: String,
    /// Are the certificates of those we connect to checked?
    pub verify: bool,
    /// Is TLS 1.2 left out, so that 1.3 alone is offered?
    pub only_1_3: bool,
}

impl std::fmt::Debug for TlsSettings {
    /// Without passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings")
            .field("pair", &self.pair)
            .field("client_ca", &self.client_ca)
            .field("trusted_ca", &self.trusted_ca)
            .finish_non_exhaustive()
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            pair: None,
            pkcs12: None,
            more: Vec::new(),
            self_signed: SelfSigned::default(),
            client_ca: None,
            client_ca_password: String::new(),
            client_auth: ClientAuth::Off,
            trusted_ca: None,
            trusted_ca_password: String::new(),
            verify: true,
            only_1_3: false,
        }
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source} (does it exist, may this user read it?)")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate of our own making cannot be kept.
    #[error("cannot write {path}: {source} (may this user write there? or set tls.cert and tls.key)")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate.
    #[error("{path} contains no certificate: it must be PEM with -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no key.
    #[error("{path} contains no private key: it must be PEM and not encrypted (PKCS#8, PKCS#1 or SEC1)")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A PKCS#12 or JKS file cannot be opened.
    #[error("cannot open the key store {path}: {reason} (is its password right?)")]
    KeyStore {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("the certificate in {path} cannot be used: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Clients are asked for certificates that nobody can check.
    #[error("clients need a certificate, but there is no CA to verify it: set tls.clientCa")]
    NoClientCa,
    /// A list of signers cannot be used.
    #[error("the CA certificates in {path} cannot be used: {reason}")]
    Signers {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate of our own making failed.
    #[error("cannot make a certificate for {names:?}: {reason}")]
    SelfSigned {
        /// The names it should have had.
        names: Vec<String>,
        /// Why.
        reason: String,
    },
    /// The library refuses.
    #[error("cannot set up TLS: {0}")]
    Library(#[from] rustls::Error),
}

impl TlsError {
    /// The file that cannot be used.
    pub fn file(&self) -> Option<&Path> {
        match self {
            TlsError::Read { path, .. }
            | TlsError::Write { path, .. }
            | TlsError::NoCertificate { path }
            | TlsError::NoKey { path }
            | TlsError::KeyStore { path, .. }
            | TlsError::Unusable { path, .. }
            | TlsError::Signers { path, .. } => Some(path),
            TlsError::NoClientCa | TlsError::SelfSigned { .. } | TlsError::Library(_) => None,
        }
    }
}
