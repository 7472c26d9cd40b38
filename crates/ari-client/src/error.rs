//! Errors of a client.

use std::fmt;
use std::time::Duration;

use trunkline_ari::Kind;
use trunkline_ari_rest::AriError;

use crate::nats::NatsError;

/// An error of a proxy or Asterisk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The proxy's text, such as `Non-2XX response: 409 Conflict`.
    pub text: String,
    /// The HTTP status of Asterisk, when it was Asterisk that refused.
    pub status: Option<u16>,
    /// Asterisk's own message, such as `Channel not in Stasis application`; empty when it gave none
    /// or the proxy is not one of ours.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(text: &str, status: Option<u16>, message: &str) -> Self {
        Refusal { text: text.to_owned(), status, message: message.to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The proxy or Asterisk says so.
    #[error("{0}")]
    Refused(Refusal),
    /// The request lacks what its kind needs; it was not sent.
    #[error("{kind} was not sent: {why}", kind = .0.name(), why = .1)]
    Incomplete(Kind, String),
    /// No proxy announced that it serves this node.
    #[error("no proxy serves the node {0}")]
    UnknownNode(String),
    /// The message is longer than NATS carries; it was not sent.
    #[error("the request has {0} bytes; a NATS message may have {1}")]
    TooLong(usize, usize),
    /// The call is not ours any more.
    #[error("the lease expired: another instance may have the call")]
    LeaseLost,
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No proxy takes requests for this application and node.
    #[error("no responders: no proxy accepts requests on {0}")]
    NoResponders(String),
    /// None of the proxies had data.
    #[error("no data")]
    NoData,
    /// The answer lacks what it should have.
    #[error("the answer has no {0}")]
    Nil(&'static str),
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Decode(#[from] serde_json::Error),
    /// The NATS settings or the connection.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// NATS did not take a message or subscription.
    #[error("NATS: {0}")]
    Bus(String),
    /// Asterisk itself, for a client without NATS.
    #[error(transparent)]
    Ari(#[from] AriError),
    /// The client or subscription was closed.
    #[error("the client is closed")]
    Closed,
    /// A setting that the client needs.
    #[error("{0}")]
    Setting(&'static str),
    /// The file of a recording could not be written.
    #[error("the file of `{0}` could not be written: {1}")]
    Write(String, #[source] std::io::Error),
    /// A recording's file is longer than is held in memory.
    #[error("the file of `{0}` has {1} bytes, more than the {2} that are kept in memory: use `write_to`")]
    LongFile(String, u64, usize),
    /// A recording's file came with a hole in it.
    #[error("a part of the file of `{0}` was not received")]
    Hole(String),
}

impl Error {
    /// Whether the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Refused(Refusal { text, status, .. }) => {
                *status == Some(404)
                    || text.ends_with("404 Not Found")
                    || text.eq_ignore_ascii_case("not found")
            }
            Error::Timeout(_)
            | Error::NoResponders(_)
            | Error::NoData
            | Error::Nil(_)
            | Error::Decode(_)
            | Error::Nats(_)
            | Error::Bus(_)
            | Error::Ari(_)
            | Error::Closed
            | Error::Setting(_)
            | Error::Incomplete(..)
            | Error::UnknownNode(_)
            | Error::TooLong(..)
            | Error::LeaseLost
            | Error::Write(..)
            | Error::LongFile(..)
            | Error::Hole(_) => false,
        }
    }
}
