//! Passes a `create` request to another proxy of the queue group when our Asterisk has died.

use std::time::Duration;

use bytes::Bytes;
use trunkline_ari::{Class, Outcome};

use crate::bus::Message;
use crate::proxy::Proxy;

/// How long after a broken call the loss of Asterisk may show: both connections end when it dies.
const NOTICE: Duration = Duration::from_secs(2);

/// Whether other proxies hear this subject in the queue group too. One that names our node has
/// nobody else to go to.
pub(crate) fn is_shared(proxy: &Proxy, subject: &str) -> bool {
    let app = proxy.application.as_str();
    [("", ""), (app, "")]
        .iter()
        .any(|(app, node)| subject == proxy.subjects.request(Class::Create, app, node))
}

/// Asks the rest of the queue group in our place; `None` when Asterisk is there after all, or nobody
/// else takes calls.
pub(crate) async fn hand_over(proxy: &Proxy, message: &Message) -> Option<Outcome> {
    let mut state = proxy.state.subscribe();
    let down = state.wait_for(|reach| !reach.up);
    // The sender lives as long as the proxy.
    tokio::time::timeout(NOTICE, down).await.ok()?.ok()?;
    // Not before we have left the group: it would come back to us.
    let mut taking = proxy.taking_creates.subscribe();
    taking.wait_for(|taking| !taking).await.ok()?;
    let body = Bytes::copy_from_slice(message.payload());
    let asked = proxy.nats.request(message.subject().to_owned(), body).await;
    match asked {
        Ok(answer) => {
            tracing::info!(subject = message.subject(), "a create request was passed to another proxy");
            proxy.metrics.handed_over.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Some(Outcome::of(answer.payload.to_vec()))
        }
        Err(error) => {
            tracing::debug!(%error, "nobody takes over");
            None
        }
    }
}
