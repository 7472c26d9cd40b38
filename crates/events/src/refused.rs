//! What the log tells of a request that failed.

use std::net::SocketAddr;

use trunkline_sip::Transport;

use crate::event::Arrival;
use crate::story::shown;

/// What is told of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it came from.
    pub source: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Its method.
    pub method: String,
    /// The URI of From.
    pub from: String,
    /// The Request-URI.
    pub to: String,
    /// The Call-ID.
    pub call_id: String,
}

impl Refused {
    pub(crate) fn of(a: &Arrival<'_>) -> Refused {
        Refused {
            source: a.source,
            transport: a.transport,
            method: shown(a.method),
            from: shown(a.from),
            to: shown(a.uri),
            call_id: shown(a.call_id),
        }
    }
}
