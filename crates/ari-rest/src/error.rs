//! Errors of requests to Asterisk.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::http::AriHttpError;
use crate::url::UrlError;

/// Why a call had no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AriError {
    /// The configured URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// User or password cannot stand in a header.
    #[error("the ARI user or password contains characters that are not allowed in HTTP")]
    Credentials,
    /// The file of certificate authorities cannot be used.
    #[error("the certificate authorities in {0} cannot be used: {1}")]
    Authorities(PathBuf, String),
    /// TLS is asked for and cannot be had at all.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Asterisk's certificate is not one we trust.
    #[error(
        "{0}: {1}: set ari.ca to the CA that signed the certificate, and use a host name in the certificate"
    )]
    Certificate(String, rustls::Error),
    /// No connection, or it broke.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The other side does not speak HTTP as expected.
    #[error("{0}: {1}")]
    Http(String, #[source] AriHttpError),
    /// The answer is longer than the limit of its setting.
    #[error("{place}: the answer is longer than the {limit} bytes that {setting} allows")]
    TooLong {
        /// The node that answered.
        place: String,
        /// The limit in bytes.
        limit: usize,
        /// The setting that changes it.
        setting: &'static str,
    },
    /// The call's path is longer than Asterisk reads.
    #[error("the request's path has {0} bytes; Asterisk accepts {1}")]
    LongPath(usize, usize),
    /// An event is longer than we read.
    #[error("{0}: an event is longer than the {1} bytes that ari.max_answer allows")]
    LongEvent(String, usize),
    /// The answer broke off.
    #[error("{0}: the answer could not be read: {1}")]
    Body(String, String),
    /// No answer in time.
    #[error("{0}: no answer within {1:?}")]
    Timeout(String, Duration),
    /// The call's path or body cannot be sent.
    #[error("`{0}` cannot be sent as a request")]
    Request(String),
    /// The WebSocket was refused or broke.
    #[error("{0}: {1}")]
    WebSocket(String, #[source] Box<tokio_tungstenite::tungstenite::Error>),
}

impl AriError {
    /// A connection that failed: a certificate that is not trusted tells how to trust it.
    pub(crate) fn connecting(place: String, error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(certificate @ rustls::Error::InvalidCertificate(_)) => {
                AriError::Certificate(place, certificate.clone())
            }
            _ => AriError::Io(place, error),
        }
    }
}
