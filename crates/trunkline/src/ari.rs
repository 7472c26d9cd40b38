//! Asterisk's REST interface over NATS: as commands of their own, and inside `serve`.

use std::future::Future;
use std::process::ExitCode;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use trunkline_ari_proxy::cli::{AriProxyArgs, CliError};

use crate::complain;

/// Runs a command to its end.
pub fn finish(command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: no runtime: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_unread() => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}\n"));
            ExitCode::from(error.exit_status())
        }
    }
}

/// The proxy on a thread of its own; ends when it is dropped.
pub struct InsideServe {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl InsideServe {
    /// Starts it, configured by environment and file as ari-proxy is.
    pub fn start() -> Result<InsideServe> {
        let config = AriProxyArgs::default().config().context("role ari-proxy")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("ari-proxy".into()).spawn(move || {
            let until = async {
                let _ = stopped.await;
            };
            if let Err(error) = runtime.block_on(trunkline_ari_proxy::run(config, until)) {
                tracing::error!(%error, "ari-proxy has ended");
            }
        })?;
        Ok(InsideServe { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for InsideServe {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
