//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::{Duration, Instant};

/// One that the kernel gave would be given again while nobody listens at it, to a client's socket as well.
pub use trunkline_tests::free_port;

/// How long a test waits for what must come: a bound against hanging, not a pace. However busy the machine is, it is enough.
/// What is looked at each minute has its turn within it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks `condition` until it is met.
///
/// # Panics
/// When it is never met; `what` tells what was waited for.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How long tests run that can run for any time: `TRUNKLINE_SOAK_SECONDS`, else `default`.
#[must_use]
pub fn soak(default: u64) -> Duration {
    let seconds = std::env::var("TRUNKLINE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

/// A scratch folder of its own, removed when dropped.
pub struct Scratch(std::path::PathBuf);

impl Scratch {
    /// A fresh folder under the system's temporary folder.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("trunkline-{name}-{}", trunkline_ari::ulid()));
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Scratch(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the log to standard error when `RUST_LOG` asks for it.
pub fn log() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // Another test of this process may have been first.
        let _ = builder.try_init();
    }
}
