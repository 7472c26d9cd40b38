//! Why a TLS connection of ours could not be made.

use std::io::Error;

use rustls::CertificateError;

/// Why a TLS handshake failed that we began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The other side speaks no TLS.
    NoTls,
    /// Its certificate does not contain the name that we connect to.
    OtherName,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Its certificate is from no authority that we trust.
    Untrusted,
    /// The other side refused: it may want a certificate of ours, or another version of TLS.
    RefusedByPeer,
    /// Anything else.
    Other,
}

impl TlsFailure {
    /// Reads the error of a handshake.
    pub(crate) fn of(error: &Error) -> TlsFailure {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(_)) => TlsFailure::NoTls,
            Some(rustls::Error::InvalidCertificate(why)) => match why {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    TlsFailure::OtherName
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    TlsFailure::NotYetValid
                }
                // An authority of the same name with another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFailure::Untrusted,
                _ => TlsFailure::Other,
            },
            Some(rustls::Error::AlertReceived(_)) => TlsFailure::RefusedByPeer,
            _ => TlsFailure::Other,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            TlsFailure::NoTls => "the other side speaks no TLS on this port",
            TlsFailure::OtherName => "the certificate of the other side is for another name",
            TlsFailure::Expired => "the certificate of the other side has expired",
            TlsFailure::NotYetValid => "the certificate of the other side is not valid yet",
            TlsFailure::Untrusted => {
                "the certificate of the other side is from an authority that is not trusted"
            }
            TlsFailure::RefusedByPeer => "the other side refused the TLS handshake",
            TlsFailure::Other => "the TLS handshake failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let of = |error: rustls::Error| TlsFailure::of(&Error::new(ErrorKind::InvalidData, error));
        let certificate = |why| of(rustls::Error::InvalidCertificate(why));
        assert_eq!(certificate(CertificateError::NotValidForName), TlsFailure::OtherName);
        assert_eq!(certificate(CertificateError::NotValidYet), TlsFailure::NotYetValid);
        assert_eq!(certificate(CertificateError::Expired), TlsFailure::Expired);
        assert_eq!(certificate(CertificateError::UnknownIssuer), TlsFailure::Untrusted);
        assert_eq!(of(rustls::Error::DecryptError), TlsFailure::Other);
        assert_eq!(TlsFailure::of(&ErrorKind::UnexpectedEof.into()), TlsFailure::Other);
    }
}
