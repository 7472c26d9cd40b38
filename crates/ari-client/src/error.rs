//! What can go wrong for a client.

use std::time::Duration;

use trunkline_ari_rest::AriError;

use crate::nats::NatsError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proxy or Asterisk says so, in free text.
    #[error("{0}")]
    Refused(String),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No proxy takes requests for this application and node.
    #[error("no responders: no proxy takes requests on {0}")]
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
    /// A recording's file came with a hole in it.
    #[error("the file of `{0}` came incomplete")]
    Incomplete(String),
}

impl Error {
    /// Whether the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Refused(text) => text.ends_with("404 Not Found") || text.eq_ignore_ascii_case("not found"),
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
            | Error::Incomplete(_) => false,
        }
    }
}
