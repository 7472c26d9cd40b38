//! Errors of digest headers.

/// A digest header that cannot be used. The remedy is the sender's: each text says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither `name=token` nor `name="text"` stands at this offset.
    #[error("digest: parameter expected at byte {0}: write name=value or name=\"value\"")]
    Syntax(usize),
    /// A parameter without which the response cannot be checked is absent.
    #[error("digest: parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter stands twice (RFC 7616 §3.4).
    #[error("digest: parameter {0} is repeated: keep one")]
    Repeated(&'static str),
    /// `algorithm` is none of MD5, SHA-256, SHA-512-256 and their `-sess` forms.
    #[error("digest: algorithm not supported: use MD5, SHA-256 or SHA-512-256")]
    Algorithm,
    /// `qop` is not `auth`.
    #[error("digest: qop not supported: use auth")]
    Qop,
    /// `nc` is not eight hexadecimal digits, or zero.
    #[error("digest: nc must be eight hexadecimal digits from 00000001")]
    NonceCount,
    /// `username*` is not UTF-8 in the form of RFC 8187.
    #[error("digest: username* must be UTF-8'' and a percent-encoded name")]
    Extended,
    /// No challenge offered can be answered.
    #[error("digest: no challenge with the scheme Digest and a supported algorithm")]
    NoChallenge,
}
