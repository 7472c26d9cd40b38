//! SIP messages to and from the protobuf of Routr v2, in which an edge port asks its processor.
//!
//! Protobuf has one field for each common header and a list for the others; it cannot carry all of a message: the bytes of a
//! body that is no text, a second Contact, parameters of URIs, `tel:`, status codes without a name. So the edge keeps the
//! message as it came. [`read`] gives what is sent; [`splice`] compares what comes back with it, field by field, and puts
//! only the differences into the kept bytes. What was sent and does not come back is taken out.
//!
//! ```
//! use trunkline_sip::{Index, Limits, Message};
//! use trunkline_translation::{read, splice};
//!
//! let bytes = b"MESSAGE tel:+15551000;phone-context=x SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
//!     From: <sip:a@example.test>;tag=1\r\nTo: <tel:+15551000>\r\nCall-ID: 7\r\nCSeq: 1 MESSAGE\r\nX-A: 1\r\n\r\n";
//! let mut index = Index::default();
//! index.parse(bytes, &Limits::default())?;
//! let message = Message::new(bytes, &index);
//! let mut returned = read(&message);
//! returned.extensions.retain(|header| header.name != "X-A");
//! let mut out = Vec::new();
//! splice(&message, &returned, &mut out)?;
//! let kept = bytes.len() - "X-A: 1\r\n".len();
//! assert_eq!((&out[..kept - 2], out.len()), (&bytes[..kept - 2], kept));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Values that are absent have the encoding that Routr's processors expect: −1 for numbers, the empty text
//! otherwise.

#![forbid(unsafe_code)]

mod codes;
mod digest;
mod element;
mod extensions;
mod list;
mod reading;
mod splicing;
mod uri;

pub use codes::{code_of, response_type_of};
pub use reading::read;
pub use splicing::{Spliced, splice};

/// Why a processor's answer cannot be written as SIP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslationError {
    /// A text holds a line end or another control character, or what its place does not allow.
    #[error("{0} holds characters that are not allowed there")]
    Characters(&'static str),
    /// A number is out of the range of its header.
    #[error("{0} is out of range")]
    Number(&'static str),
    /// A header that has a field of its own stands among the extensions.
    #[error("the extension {0} is a header with a field of its own")]
    HasField(String),
    /// A response came back for a request, or the other way round.
    #[error("a request was sent, and what came back is no request, or the other way round")]
    OtherKind,
}

/// The text of bytes; what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Texts that stand in a message as they are.
fn checked<'a>(text: &'a str, field: &'static str) -> Result<&'a [u8], TranslationError> {
    match text.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
        true => Err(TranslationError::Characters(field)),
        false => Ok(text.as_bytes()),
    }
}

/// A token, RFC 3261 §25.1.
fn token<'a>(text: &'a str, field: &'static str) -> Result<&'a [u8], TranslationError> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    match !text.is_empty() && text.bytes().all(is_token) {
        true => Ok(text.as_bytes()),
        false => Err(TranslationError::Characters(field)),
    }
}

/// A number that is absent when it is negative.
fn number(value: i32, most: i32, field: &'static str) -> Result<Option<u32>, TranslationError> {
    match value {
        ..0 => Ok(None),
        _ if value <= most => Ok(Some(value as u32)),
        _ => Err(TranslationError::Number(field)),
    }
}
