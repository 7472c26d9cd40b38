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

use crate::proxy::Proxies;

/// `/metrics`, `/health` (the process works), `/ready` (Asterisk and NATS are there).
fn router(proxies: Arc<Proxies>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(proxies)
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, proxies: Arc<Proxies>) {
    if let Err(error) = axum::serve(listener, router(proxies)).await {
        tracing::error!(%error, "metrics and health ended");
    }
}

/// Binds before the proxy starts, so that a taken port is told at once.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn metrics(State(proxies): State<Arc<Proxies>>) -> impl IntoResponse {
    let text = proxies.metrics.render(proxies.are_up(), proxies.nats_is_up());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// Degraded is still alive: a supervisor must not restart us because Asterisk is away.
async fn health(State(proxies): State<Arc<Proxies>>) -> impl IntoResponse {
    (StatusCode::OK, axum::Json(report(&proxies)))
}

async fn ready(State(proxies): State<Arc<Proxies>>) -> impl IntoResponse {
    let ready = proxies.are_up() && proxies.nats_is_up();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, axum::Json(report(&proxies)))
}

fn report(proxies: &Proxies) -> serde_json::Value {
    let (ari, nats) = (proxies.are_up(), proxies.nats_is_up());
    let applications: Vec<_> = proxies.all.iter().map(|p| p.application.as_str()).collect();
    serde_json::json!({
        "status": if ari && nats { "ok" } else { "degraded" },
        "asterisk": if ari { "up" } else { "down" },
        "nats": if nats { "up" } else { "down" },
        "application": applications.join(","),
        "node": proxies.all.first().map(|p| p.site().node.clone()).unwrap_or_default(),
        "twins": proxies.metrics.twins.load(Ordering::Relaxed),
    })
}
