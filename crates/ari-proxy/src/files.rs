//! Files of recordings, passed on as they come: neither Asterisk nor NATS waits for a whole file, and nobody
//! holds one.

use bytes::Bytes;
use trunkline_ari::{Exchange, FileParts, Outcome};
use trunkline_ari_rest::{AriError, Download, Reply};

use crate::bus::Message;
use crate::proxy::Proxy;
use crate::send::{self, HEADERS};

/// How much of a file is held whose length Asterisk does not tell beforehand, as each message does.
const UNTOLD: usize = 16 << 20;

/// A file that Asterisk has begun to send.
pub(crate) struct Passing {
    parts: FileParts,
    from: Source,
}

enum Source {
    Asterisk(Box<Download>),
    Held(Bytes),
}

/// The answer to a call for a file: the file, or what else came.
pub(crate) enum Opened {
    File(Box<Passing>),
    Reply(Reply),
}

/// Asterisk's response to a request for a file.
pub(crate) async fn open(
    proxy: &Proxy,
    exchange: &mut Exchange<'_>,
    download: Download,
) -> Result<Opened, AriError> {
    if !download.is_success() {
        return Ok(Opened::Reply(download.whole(proxy.config.ari.max_answer).await?));
    }
    let limit = proxy.bus.max_payload().saturating_sub(HEADERS);
    if let Some(total) = download.length
        && let Some(parts) = exchange.on_file(&download.content_type, total, limit)
    {
        return Ok(Opened::File(Box::new(Passing { parts, from: Source::Asterisk(Box::new(download)) })));
    }
    let reply = download.whole(UNTOLD.min(proxy.config.ari.max_file)).await?;
    match exchange.on_file(&reply.content_type, reply.body.len() as u64, limit) {
        Some(parts) => Ok(Opened::File(Box::new(Passing { parts, from: Source::Held(reply.body) }))),
        None => Ok(Opened::Reply(reply)),
    }
}

impl Passing {
    /// Sends the file to whoever made the request; whether it came whole. Where it breaks off an error
    /// follows.
    pub(crate) async fn send(mut self, proxy: &Proxy, request: &Message, shared: bool) -> bool {
        match self.pass_on(proxy, request, shared).await {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(%why, "the file of a recording could not be read to its end");
                let outcome = Outcome::error(&format!("failed to read the file: {why}"));
                send::send(proxy, request, outcome, shared).await;
                false
            }
        }
    }

    async fn pass_on(&mut self, proxy: &Proxy, request: &Message, shared: bool) -> Result<(), String> {
        let Some(subject) = request.reply() else { return Ok(()) };
        let headers = send::headers(proxy, None, shared);
        loop {
            let piece = match &mut self.from {
                Source::Held(body) => Some(std::mem::take(body)).filter(|b| !b.is_empty()),
                Source::Asterisk(download) => download.piece().await.map_err(|e| e.to_string())?,
            };
            let (end, piece) = (piece.is_none(), piece.unwrap_or_default());
            let mut bytes: &[u8] = &piece;
            while let Some(message) = self.parts.take(&mut bytes) {
                // It waits while NATS takes nothing.
                let sending = send::publish(proxy, subject, headers.as_ref(), &message);
                if !tokio::time::timeout(proxy.config.request_timeout, sending).await.unwrap_or(false) {
                    return Err("NATS does not take it".to_owned());
                }
            }
            if end {
                return if self.parts.is_whole() { Ok(()) } else { Err("it is not whole".to_owned()) };
            }
        }
    }
}
