//! The role `control`: the Unix socket by which the command line reaches this process.

use std::sync::Arc;

use anyhow::Result;
use trunkline_cli::ControlServer;

use crate::base::Base;
use crate::operations::ProcessOperations;

/// The socket at work; dropping it removes it.
pub struct Control {
    _server: ControlServer,
}

impl Control {
    /// Opens the socket and answers.
    pub fn build(base: &Base, operations: &Arc<ProcessOperations>) -> Result<Control> {
        // Its answers need the resources, also where no other role has opened them.
        base.resources()?;
        let server = ControlServer::start(&base.config.control_socket(), operations.clone())?;
        Ok(Control { _server: server })
    }
}
