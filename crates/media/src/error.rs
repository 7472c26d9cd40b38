//! Why there is no SDP.

use std::net::SocketAddr;

/// Errors of the relay; the caller gets 503, or 488 if the relay refused the SDP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// Nothing came back in time.
    #[error("rtpengine did not answer within {0} ms: does it run at the address of the key `rtpengine`?")]
    Timeout(u64),
    /// It refuses.
    #[error("rtpengine refused the command: {0}")]
    Refused(String),
    /// It has as many calls as it may.
    #[error("rtpengine accepts no more calls ({0}): raise its limits")]
    LoadLimit(String),
    /// Its answer has no SDP.
    #[error("rtpengine's answer has no SDP: is it older than 9?")]
    NoSdp,
    /// Too many commands wait.
    #[error("{0} commands wait for rtpengine: it is too slow or does not answer")]
    Busy(usize),
    /// The command does not fit into a datagram.
    #[error("an SDP of {0} bytes is too large for rtpengine's datagrams")]
    TooLarge(usize),
    /// There is no socket to it.
    #[error("cannot reach rtpengine at {0} (key `rtpengine`): {1}")]
    Socket(SocketAddr, String),
    /// The relay has been stopped.
    #[error("the media relay has ended")]
    Ended,
}

impl MediaError {
    /// The answer to the request whose SDP this was.
    pub fn status(&self) -> u16 {
        match self {
            MediaError::Refused(_) | MediaError::TooLarge(_) => 488,
            MediaError::Timeout(_)
            | MediaError::LoadLimit(_)
            | MediaError::NoSdp
            | MediaError::Busy(_)
            | MediaError::Socket(..)
            | MediaError::Ended => 503,
        }
    }
}
