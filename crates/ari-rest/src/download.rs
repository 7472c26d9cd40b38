//! A response that is read piece by piece, because it is too long for memory.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Reply;
use crate::error::AriError;
use crate::http::{HttpConnection, ResponseHead, Rest};
use crate::pool::PooledConnection;

/// An answer whose body is still to be read.
pub struct Download {
    /// The HTTP status.
    pub status: u16,
    /// The words after the status.
    pub reason: Cow<'static, str>,
    /// The `Content-Type`; empty when absent.
    pub content_type: String,
    /// The bytes of the body, when Asterisk told.
    pub length: Option<u64>,
    bounds: Bounds,
    rest: Rest,
    keep: bool,
    read: u64,
    /// Gone once the body is read.
    transfer: Option<Transfer>,
}

/// The resources that a download holds while it runs.
pub(crate) struct Transfer {
    pub lease: PooledConnection,
    pub connection: HttpConnection,
    pub _file: Option<OwnedSemaphorePermit>,
}

/// What bounds a download, and the words for it.
pub(crate) struct Bounds {
    pub place: String,
    pub patience: Duration,
    pub limit: usize,
    pub setting: &'static str,
}

impl Bounds {
    fn too_long(&self) -> AriError {
        AriError::TooLong { place: self.place.clone(), limit: self.limit, setting: self.setting }
    }
}

impl Download {
    pub(crate) fn new(transfer: Transfer, head: ResponseHead, bounds: Bounds) -> Result<Self, AriError> {
        let length = match head.rest {
            Rest::Length(length) => Some(length),
            Rest::Chunked(_) | Rest::UntilClosed => None,
        };
        if length.is_some_and(|length| length > bounds.limit as u64) {
            return Err(bounds.too_long());
        }
        let ResponseHead { status, reason, content_type, rest, keep } = head;
        let transfer = Some(transfer);
        Ok(Download { status, reason, content_type, length, bounds, rest, keep, read: 0, transfer })
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The next piece of the body; `None` when it is whole.
    ///
    /// # Errors
    /// When the next piece does not come in time, the connection breaks, or the body is too long.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, AriError> {
        let Some(transfer) = &mut self.transfer else { return Ok(None) };
        let (place, patience) = (|| self.bounds.place.clone(), self.bounds.patience);
        let next = tokio::time::timeout(patience, transfer.connection.piece(&mut self.rest)).await;
        let next = next.map_err(|_| AriError::Timeout(place(), patience))?;
        match next.map_err(|e| AriError::Body(place(), e.to_string()))? {
            Some(piece) => {
                self.read += piece.len() as u64;
                if self.read > self.bounds.limit as u64 {
                    Err(self.bounds.too_long())
                } else {
                    Ok(Some(piece))
                }
            }
            None => {
                if let Some(Transfer { lease, connection, .. }) = self.transfer.take().filter(|_| self.keep) {
                    lease.done(connection);
                }
                Ok(None)
            }
        }
    }

    /// The whole answer, if its body is not longer than `limit`.
    ///
    /// # Errors
    /// As [`Self::piece`].
    pub async fn whole(mut self, limit: usize) -> Result<Reply, AriError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
            if body.len() > limit {
                let Bounds { place, setting, .. } = self.bounds;
                return Err(AriError::TooLong { place, limit, setting });
            }
        }
        let Download { status, reason, content_type, .. } = self;
        Ok(Reply { status, reason, content_type, body: body.freeze() })
    }
}
