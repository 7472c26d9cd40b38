//! What can be wrong with a message, and what to answer.

use thiserror::Error;

/// Why bytes are not a message we can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No blank line ends the headers.
    #[error("no empty line after the headers")]
    Truncated,
    /// Longer than an index can address, or than the limit.
    #[error("message too large")]
    TooLarge,
    /// More headers than the limit.
    #[error("too many headers")]
    TooManyHeaders,
    /// The first line is neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// A version other than SIP/2.0 in a request line.
    #[error("SIP version not supported")]
    Version,
    /// A character that may end a line elsewhere, or lines that end now in CR LF, now in LF.
    #[error("control characters in the start line or headers")]
    ControlCharacter,
    /// A header line without a name or a colon.
    #[error("malformed header line")]
    HeaderLine,
    /// A header that may stand once stands twice, or is missing; its name.
    #[error("{0} must be present exactly once")]
    Cardinality(&'static str),
    /// A header's value cannot be read; its name.
    #[error("malformed {0}")]
    Header(&'static str),
    /// The method is one that is known, but for the case of its letters: some stacks read it as that one, and it would escape
    /// what holds for that (RFC 3261 §7.1).
    #[error("the method must be in capitals")]
    MethodCase,
    /// The method in CSeq is not the request's.
    #[error("the method in CSeq differs from the request's")]
    CSeqMethod,
    /// Content-Length is larger than what came.
    #[error("the body is shorter than Content-Length")]
    ShortBody,
    /// A URI cannot be read.
    #[error("malformed URI")]
    Uri,
}

impl ParseError {
    /// The status that answers a request with this error, RFC 3261 §21.
    pub fn status(self) -> u16 {
        match self {
            ParseError::Version => 505,
            ParseError::TooLarge => 513,
            ParseError::Truncated
            | ParseError::TooManyHeaders
            | ParseError::StartLine
            | ParseError::ControlCharacter
            | ParseError::HeaderLine
            | ParseError::Cardinality(_)
            | ParseError::Header(_)
            | ParseError::CSeqMethod
            | ParseError::MethodCase
            | ParseError::ShortBody
            | ParseError::Uri => 400,
        }
    }
}
