//! Sending answers: in parts where they are longer than a NATS message, with headers for our clients.

use std::sync::atomic::Ordering;

use trunkline_ari::{Outcome, Refused, header, ulid};

use crate::bus::{Headers, Message};
use crate::proxy::Proxy;

/// The bytes of the largest message that the headers of an answer need.
pub(crate) const HEADERS: usize = 1024;

/// Sends the answer to `request`, if anybody waits for one. `shared`: others answer too.
pub(crate) async fn send(proxy: &Proxy, request: &Message, outcome: Outcome, shared: bool) {
    let Some(subject) = request.reply() else {
        tracing::debug!(ok = outcome.ok, "a request without reply subject was carried out");
        return;
    };
    let limit = proxy.bus.max_payload();
    let headers = headers(proxy, outcome.refusal.as_ref(), shared);
    let needed = if headers.is_some() { HEADERS } else { 0 };
    if outcome.message.len() + needed <= limit {
        publish(proxy, subject, headers.as_ref(), &outcome.message).await;
    } else {
        Box::pin(too_long(proxy, request, subject, headers, &outcome.message)).await;
    }
}

/// Whose answer it is, where that is not clear, and why Asterisk refused.
pub(crate) fn headers(proxy: &Proxy, refusal: Option<&Refused>, shared: bool) -> Option<Headers> {
    if !shared && refusal.is_none() {
        return None;
    }
    let mut headers = Headers::new();
    if shared {
        let site = proxy.site();
        headers.insert(header::APPLICATION, &site.app);
        headers.insert(header::NODE, &site.node);
    }
    if let Some(refusal) = refusal {
        headers.insert(header::STATUS, &refusal.status.to_string());
        if !refusal.message.is_empty() {
            headers.insert(header::MESSAGE, &refusal.message);
        }
    }
    Some(headers)
}

/// An answer longer than one message: in parts to whoever takes them, else an error.
async fn too_long(proxy: &Proxy, request: &Message, subject: &str, headers: Option<Headers>, answer: &[u8]) {
    let limit = proxy.bus.max_payload();
    let mut headers = headers.unwrap_or_else(Headers::new);
    proxy.metrics.answers_too_long.fetch_add(1, Ordering::Relaxed);
    if !request.takes_parts {
        let length = answer.len();
        tracing::warn!(length, limit, "an answer is longer than a NATS message may be");
        headers.insert(header::LENGTH, &length.to_string());
        let error = Outcome::error(&format!("the answer has {length} bytes; NATS carries {limit}"));
        publish(proxy, subject, Some(&headers), &error.message).await;
        return;
    }
    let (id, size) = (ulid(), limit.saturating_sub(HEADERS).max(1));
    let total = answer.len().div_ceil(size);
    for (n, part) in answer.chunks(size).enumerate() {
        let mut headers = headers.clone();
        headers.insert(header::PART, &format!("{id} {n} {total}"));
        if !publish(proxy, subject, Some(&headers), part).await {
            return;
        }
    }
}

/// Hands a message to NATS; whether it takes it.
pub(crate) async fn publish(proxy: &Proxy, subject: &str, headers: Option<&Headers>, body: &[u8]) -> bool {
    let sent = proxy.bus.publish(subject, headers, body).await;
    if let Err(error) = &sent {
        tracing::warn!(%error, "answer not sent");
    }
    sent.is_ok()
}
