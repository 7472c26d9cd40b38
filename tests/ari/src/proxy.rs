//! A proxy within the test's process.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trunkline_ari_proxy::{Config, Metrics, ProxyError, run_with};

/// A running proxy.
pub struct TestProxy {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ProxyError>>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// The configuration of a test's proxy.
///
/// # Panics
/// When `more` names a setting that does not exist.
#[must_use]
pub fn config(nats: &str, ari: &str, app: &str, more: &[(&str, &str)]) -> Config {
    let mut flags = vec![
        ("messagebus.url", nats.to_owned()),
        ("ari.http_url", ari.to_owned()),
        ("ari.application", app.to_owned()),
        ("ari.username", "ari".to_owned()),
        ("ari.password", "secret".to_owned()),
    ];
    flags.extend(more.iter().map(|(n, v)| (*n, (*v).to_owned())));
    Config::from_sources(|_| None, None, &flags).expect("a test's configuration")
}

impl TestProxy {
    /// Starts one.
    #[must_use]
    pub fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let metrics = Arc::<Metrics>::default();
        let shared = Arc::clone(&metrics);
        let task = tokio::spawn(async move {
            run_with(config, shared, async {
                // A dropped test stops it too.
                let _ = stopped.await;
            })
            .await
        });
        TestProxy { stop: Some(stop), task, metrics }
    }

    /// Stops it as SIGTERM does and waits for its end.
    ///
    /// # Panics
    /// When it ended with an error.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.expect("the proxy's task").expect("the proxy's end");
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        !self.task.is_finished()
    }
}
