//! Metrics and health over HTTP, only where an address is set.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::proxy::Proxy;

/// `/metrics`, `/health` (the process works), `/ready` (Asterisk and NATS are there).
fn router(proxy: Arc<Proxy>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(proxy)
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, proxy: Arc<Proxy>) {
    if let Err(error) = axum::serve(listener, router(proxy)).await {
        tracing::error!(%error, "metrics and health ended");
    }
}

/// Binds before the proxy starts, so that a taken port is told at once.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn metrics(State(proxy): State<Arc<Proxy>>) -> impl IntoResponse {
    let text = proxy.metrics.render(proxy.is_up(), proxy.nats_is_up());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// Degraded is still alive: a supervisor must not restart us because Asterisk is away.
async fn health(State(proxy): State<Arc<Proxy>>) -> impl IntoResponse {
    (StatusCode::OK, axum::Json(report(&proxy)))
}

async fn ready(State(proxy): State<Arc<Proxy>>) -> impl IntoResponse {
    let ready = proxy.is_up() && proxy.nats_is_up();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, axum::Json(report(&proxy)))
}

fn report(proxy: &Proxy) -> serde_json::Value {
    let site = proxy.site();
    let (ari, nats) = (proxy.is_up(), proxy.nats_is_up());
    serde_json::json!({
        "status": if ari && nats { "ok" } else { "degraded" },
        "asterisk": if ari { "up" } else { "down" },
        "nats": if nats { "up" } else { "down" },
        "application": site.app,
        "node": site.node,
        "twins": proxy.metrics.twins.load(Ordering::Relaxed),
    })
}
