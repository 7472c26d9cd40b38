//! The thread that asks DNS.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::dns::Dns;
use super::question::Question;
use super::selection::{Located, locate};

/// Answers questions until nobody can ask any more.
pub(super) fn run(
    mut todo: UnboundedReceiver<Question>,
    servers: &[SocketAddr],
    answer: impl Fn(&Question, Located) + Send + Sync + 'static,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the resolver cannot start: names will not be resolved"),
    };
    runtime.block_on(async {
        let (dns, answer) = (Arc::new(Dns::new(servers)), Arc::new(answer));
        while let Some(question) = todo.recv().await {
            let (dns, answer) = (dns.clone(), answer.clone());
            tokio::spawn(async move {
                let located = locate(&dns, &question).await;
                tracing::debug!(host = %question.host, found = located.ways.len(), "a name was looked up");
                answer(&question, located);
            });
        }
    });
}
