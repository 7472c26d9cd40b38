//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use trunkline_operations::{Operations, Part};

use crate::exposition::{CONTENT_TYPE, Exposition};
use crate::figures::Page;

/// The routes of health and metrics, to be mounted on a [`HttpServer`](crate::HttpServer).
pub fn health(status: Arc<dyn Operations>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(status)
}

/// The answer itself shows that the process works.
async fn healthz() -> impl IntoResponse {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

async fn readyz(State(status): State<Arc<dyn Operations>>) -> impl IntoResponse {
    let readiness = status.readiness();
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = readiness.word();
    let degraded = readiness.parts.iter().filter(|part| !part.ok).map(|part| part.name.clone()).collect();
    let answer = Ready {
        status: word,
        listening: readiness.listening,
        draining: readiness.draining,
        degraded,
        parts: readiness.parts,
    };
    (code, Json(answer))
}

async fn metrics(State(status): State<Arc<dyn Operations>>) -> impl IntoResponse {
    let mut out = Exposition::default();
    let readiness = status.readiness();
    out.gauge("trunkline_ready", "Whether new calls are accepted.", u64::from(readiness.is_ready()));
    out.family("trunkline_part_up", crate::Kind::Gauge, "Whether a part of the process works.");
    for part in &readiness.parts {
        out.sample(&[("part", &part.name)], u64::from(part.ok));
    }
    Page(&status.figures()).write(&mut out);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], out.into_text())
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    listening: bool,
    draining: bool,
    degraded: Vec<String>,
    parts: Vec<Part>,
}
