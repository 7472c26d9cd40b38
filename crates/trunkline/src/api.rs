//! The resource services over gRPC, put together.

use std::sync::Arc;

use anyhow::Result;
use trunkline_api::{Running, Server};
use trunkline_config::{Config, Role};
use trunkline_login::Login;
use trunkline_store::Store;
use trunkline_transport::ServerTls;

/// Opens the doors that are configured; `None` where there is none.
pub fn start(config: &Config, store: &Arc<Store>, login: &Login, tls: ServerTls) -> Result<Option<Running>> {
    let grpc = &config.grpc;
    if !config.runs(Role::Api) || (grpc.addr.is_none() && grpc.external_addr.is_none()) {
        return Ok(None);
    }
    let mut server = Server::new(store.clone())?;
    if let Some(address) = grpc.addr {
        server = server.internal(address)?;
    }
    if let Some(address) = grpc.external_addr {
        server = server.external(address, tls, login.clone(), grpc.reveal_passwords)?;
    }
    Ok(Some(server.start()?))
}
