//! The role `api`: the resource services over gRPC.

use anyhow::Result;
use trunkline_api::{ApiServer, RunningApi};
use trunkline_config::Grpc;

use crate::base::Base;
use crate::operations::ProcessOperations;

/// The resource services at work. Dropping it answers the calls under way and ends.
pub struct Api {
    pub running: RunningApi,
}

impl Api {
    /// Opens the configured endpoints and serves; `None` when both are `off`.
    pub fn build(config: &Grpc, base: &Base, operations: &ProcessOperations) -> Result<Option<Api>> {
        if config.addr.is_none() && config.external_addr.is_none() {
            return Ok(None);
        }
        let resources = base.resources()?;
        let mut server = ApiServer::new(operations)?;
        if let Some(address) = config.addr {
            server = server.internal(address)?;
        }
        if let Some(address) = config.external_addr {
            let (tls, login) = (base.certificates()?, resources.login.clone());
            server = server.external(address, tls, login, config.reveal_passwords)?;
        }
        Ok(Some(Api { running: server.start()? }))
    }

    /// Reports NOT_SERVING to health checks from now on; calls are still answered.
    pub fn drain(&self) {
        self.running.drain();
    }
}
