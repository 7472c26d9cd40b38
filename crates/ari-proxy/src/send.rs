//! Sending answers: in parts where they are longer than a NATS message, with headers for our clients.

use std::sync::atomic::Ordering;

use async_nats::{HeaderMap, Message, Subject};
use trunkline_ari::{Outcome, Refused, header, ulid};

use crate::proxy::Proxy;

/// The bytes of the largest message that the headers of an answer need.
pub(crate) const HEADERS: usize = 1024;

/// Sends the answer to `request`, if anybody waits for one. `shared`: others answer too.
pub(crate) async fn send(proxy: &Proxy, request: &Message, outcome: Outcome, shared: bool) {
    let Some(subject) = &request.reply else {
        tracing::debug!(ok = outcome.ok, "a request without reply subject was carried out");
        return;
    };
    let limit = proxy.nats.max_payload();
    let headers = headers(proxy, outcome.refusal.as_ref(), shared);
    let needed = if headers.is_some() { HEADERS } else { 0 };
    if outcome.message.len() + needed <= limit {
        publish(proxy, subject, headers, outcome.message).await;
    } else {
        Box::pin(too_long(proxy, request, subject, headers, outcome.message)).await;
    }
}

/// Whose answer it is, where that is not clear, and why Asterisk refused.
pub(crate) fn headers(proxy: &Proxy, refusal: Option<&Refused>, shared: bool) -> Option<HeaderMap> {
    if !shared && refusal.is_none() {
        return None;
    }
    let mut headers = HeaderMap::new();
    if shared {
        let site = proxy.site();
        headers.insert(header::APPLICATION, site.app.as_str());
        headers.insert(header::NODE, site.node.as_str());
    }
    if let Some(refusal) = refusal {
        headers.insert(header::STATUS, refusal.status.to_string());
        if !refusal.message.is_empty() {
            headers.insert(header::MESSAGE, refusal.message.as_str());
        }
    }
    Some(headers)
}

/// An answer longer than one message: in parts to whoever takes them, else an error.
async fn too_long(
    proxy: &Proxy,
    request: &Message,
    subject: &Subject,
    headers: Option<HeaderMap>,
    answer: Vec<u8>,
) {
    let limit = proxy.nats.max_payload();
    let mut headers = headers.unwrap_or_default();
    let takes_parts = request.headers.as_ref().is_some_and(|h| h.get(header::PARTS).is_some());
    proxy.metrics.answers_too_long.fetch_add(1, Ordering::Relaxed);
    if !takes_parts {
        let length = answer.len();
        tracing::warn!(length, limit, "an answer is longer than a NATS message may be");
        headers.insert(header::LENGTH, length.to_string());
        let error = Outcome::error(&format!("the answer has {length} bytes; NATS carries {limit}"));
        publish(proxy, subject, Some(headers), error.message).await;
        return;
    }
    let (id, size) = (ulid(), limit.saturating_sub(HEADERS).max(1));
    let total = answer.len().div_ceil(size);
    for (n, part) in answer.chunks(size).enumerate() {
        let mut headers = headers.clone();
        headers.insert(header::PART, format!("{id} {n} {total}"));
        if !publish(proxy, subject, Some(headers), part.to_vec()).await {
            return;
        }
    }
}

/// Hands a message to NATS; whether it took it.
pub(crate) async fn publish(
    proxy: &Proxy,
    subject: &Subject,
    headers: Option<HeaderMap>,
    body: Vec<u8>,
) -> bool {
    let sent = match headers {
        None => proxy.nats.publish(subject.clone(), body.into()).await,
        Some(headers) => proxy.nats.publish_with_headers(subject.clone(), headers, body.into()).await,
    };
    if let Err(error) = &sent {
        tracing::warn!(%error, "answer not sent");
    }
    sent.is_ok()
}
