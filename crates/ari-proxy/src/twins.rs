//! Twins: proxies that serve the same application on the same node, as when two Asterisks have one
//! entity id (copies of one machine) or a proxy was started twice. Requests for the node reach both.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use trunkline_ari::{Class, Key, Kind, OwnedRequest};

use crate::proxy::Proxy;

/// How often we look, besides each time Asterisk is reached.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long a twin has for its answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks for twins as long as it is polled: a request that changes nothing goes to our own node, and
/// every answer but our own is a twin's.
pub(crate) async fn watch(proxy: Arc<Proxy>) {
    let mut serving = proxy.taking_creates.subscribe();
    loop {
        // From then on our own answer comes too.
        if serving.wait_for(|serving| *serving).await.is_err() {
            return;
        }
        look(&proxy).await;
        tokio::select! {
            changed = serving.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn look(proxy: &Proxy) {
    let site = proxy.site();
    let Some(answers) = answers(proxy, &site.node).await else { return };
    let twins = answers.saturating_sub(1);
    let before = proxy.twins.swap(twins, Ordering::Relaxed);
    // The count is that of all applications.
    proxy.metrics.twins.fetch_add(twins.wrapping_sub(before), Ordering::Relaxed);
    let (application, node) = (site.app.as_str(), site.node.as_str());
    if twins > 0 && before != twins {
        tracing::error!(
            application,
            node,
            twins,
            "other proxies serve the same application and node: each of them carries out every request. Give each Asterisk its own entity id (entityid in asterisk.conf, or ARI_NODE) and start one proxy for it"
        );
    } else if twins == 0 && before > 0 {
        tracing::info!(application, node, "no other proxy serves the same application and node any more");
    }
}

/// How many proxies answer for our application and `node`; `None` when NATS is away.
async fn answers(proxy: &Proxy, node: &str) -> Option<u64> {
    let inbox = proxy.nats.new_inbox();
    let mut messages = proxy.nats.subscribe(inbox.clone()).await.ok()?;
    let subject = proxy.subjects.request(Class::Command, &proxy.application, node);
    let request = OwnedRequest::new(Kind::BridgeUnsubscribe, Key::default()).to_json();
    proxy.nats.publish_with_reply(subject, inbox, request.into()).await.ok()?;
    let mut count = 0;
    let counting = async {
        while messages.next().await.is_some() {
            count += 1;
        }
    };
    // The subscription does not end by itself.
    let _ = tokio::time::timeout(PATIENCE, counting).await;
    Some(count)
}
