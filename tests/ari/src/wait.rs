//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks `condition` until it is met.
///
/// # Panics
/// When it is not met within `limit`; `what` tells what was waited for.
pub async fn until<F: Future<Output = bool>>(what: &str, limit: Duration, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < end, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How long tests run that can run for any time: `TRUNKLINE_SOAK_SECONDS`, else `default`.
#[must_use]
pub fn soak(default: u64) -> Duration {
    let seconds = std::env::var("TRUNKLINE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

/// A TCP port of the loopback that is free now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
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
