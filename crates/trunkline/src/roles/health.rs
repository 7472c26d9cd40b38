//! The role `health`: `/healthz`, `/readyz` and `/metrics` over HTTP.

use std::sync::Arc;

use anyhow::Result;
use trunkline_config::Http;
use trunkline_http::{HttpServer, RunningHttp, health};

use crate::operations::ProcessOperations;

/// Descriptors kept for questions about health: they are answered when the process has no others.
const OWN_DESCRIPTORS: usize = 8;

/// The listener at work; dropping it ends it.
pub struct Health {
    _running: RunningHttp,
}

impl Health {
    /// Opens the listener; `None` when `http.addr` is `off`.
    pub fn build(config: &Http, operations: &Arc<ProcessOperations>) -> Result<Option<Health>> {
        let Some(address) = config.addr else { return Ok(None) };
        let running = HttpServer::new(address)
            .own_descriptors(OWN_DESCRIPTORS)
            .mount(health(operations.clone()))
            .start()?;
        Ok(Some(Health { _running: running }))
    }
}
