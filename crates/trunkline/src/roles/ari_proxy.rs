//! The role `ari-proxy`: Asterisk's REST interface over NATS, inside `serve`.

use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use trunkline_ari_proxy::cli::AriProxyArgs;

/// The proxy on a thread of its own; dropping it ends the thread.
pub struct AriProxy {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AriProxy {
    /// Starts the proxy, configured by environment and file as the command `ari-proxy` is.
    pub fn build() -> Result<AriProxy> {
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
        Ok(AriProxy { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for AriProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
