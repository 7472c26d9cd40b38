//! One connection of a stream transport.

use std::io::{self, Read, Write};

use trunkline_sip::{ConnectionId, Flow};

use crate::names::HostName;
use crate::tls::TlsFailure;
use crate::websocket::WebSocket;
use crate::wire::Wire;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The other side closed it.
    ByPeer,
    /// It could not be made.
    Refused,
    /// It could not be made, because of TLS.
    NoHandshake(TlsFailure),
    /// An error while reading or writing.
    Broken,
    /// Nothing was heard for too long.
    Idle,
    /// The other side does not take what we send.
    Slow,
    /// The received bytes cannot be cut into messages.
    Garbage,
    /// We wanted it.
    ByUs,
}

impl Closed {
    /// Was there never a connection?
    pub fn is_unmade(self) -> bool {
        matches!(self, Closed::Refused | Closed::NoHandshake(_))
    }
}

/// A connection and what is under way on it.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) wire: Wire,
    /// The frames around messages, where there are any.
    pub(crate) frames: Option<Box<WebSocket>>,
    /// The names under which it is found, if we connected: with the host name that the certificate had to contain, and without.
    pub(crate) names: [HostName; 2],
    /// The party that asked for it ([`crate::Egress::asker`]).
    pub(crate) asker: u32,
    pub(crate) flow: Flow,
    /// The beginning of a message whose rest has not come.
    pub(crate) unread: Vec<u8>,
    /// Bytes that are not written yet.
    pub(crate) unsent: Vec<u8>,
    /// Ours, and not established yet.
    pub(crate) connecting: bool,
    /// Close when all is written.
    pub(crate) closing: bool,
    /// Is it in the list of those to be written?
    pub(crate) dirty: bool,
    /// Is it in the list of those to be read further?
    pub(crate) half_read: bool,
    /// Did it come to us?
    pub(crate) accepted: bool,
    /// The other shards that have sent by it, a bit each; the last stands for all from it on.
    pub(crate) senders: u64,
    /// Has a whole message come by it, or is it ours? Until then keep-alives do not keep it.
    pub(crate) spoke: bool,
    /// When something last came, in the shard's milliseconds.
    pub(crate) active: u64,
    /// Until when it stays though nothing comes: it is the way to a registered phone. In milliseconds since 1970.
    pub(crate) kept_until: u64,
    /// When the beginning of a message came whose end has not (or the connection).
    pub(crate) began: u64,
    /// When the other side last took something, or had nothing to take, as of the last sweep.
    pub(crate) taken: u64,
}

impl Connection {
    /// Notes that another shard uses it, so that this shard is notified of its end.
    pub(crate) fn sent_by(&mut self, shard: usize) {
        self.senders |= 1 << shard.min(63);
    }

    /// Has this shard sent by it?
    pub(crate) fn was_sent_by(&self, shard: usize) -> bool {
        self.senders >> shard.min(63) & 1 != 0
    }

    /// Reads into `buffer`; `Ok(0)` at the end of the stream, `WouldBlock` when nothing is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wire.read(buffer)
    }

    /// Writes what is unsent, as far as it goes.
    pub(crate) fn write(&mut self, now: u64) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            let rest = self.unsent.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.wire.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        if done > 0 {
            self.taken = now;
        }
        self.unsent.drain(..done);
        result.and_then(|()| self.wire.flush())
    }
}
