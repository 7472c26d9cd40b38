//! A nats-server of the test's own, which can be killed and started again.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::{Scratch, free_port, until};

/// A running nats-server on the loopback.
pub struct NatsServer {
    port: u16,
    folder: Scratch,
    jetstream: bool,
    child: Option<Child>,
    arguments: Vec<String>,
}

impl NatsServer {
    /// Starts one, with JetStream if asked.
    ///
    /// # Panics
    /// When there is no nats-server or it does not come up.
    pub async fn start(jetstream: bool) -> Self {
        Self::start_with(jetstream, &[]).await
    }

    /// Starts one with more arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(jetstream: bool, arguments: &[&str]) -> Self {
        let mut server = NatsServer {
            port: free_port(),
            folder: Scratch::new("nats"),
            jetstream,
            child: None,
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        };
        server.revive().await;
        server
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its scratch folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Its process id; 0 when it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port with the same files.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn revive(&mut self) {
        let binary = std::env::var("NATS_SERVER").unwrap_or_else(|_| {
            ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
                .into_iter()
                .find(|p| std::path::Path::new(p).exists())
                .unwrap_or("nats-server")
                .to_owned()
        });
        let mut command = Command::new(&binary);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.jetstream {
            command.arg("-js").arg("-sd").arg(self.folder.path());
        }
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{binary}: {e}; run tests/ari/install.sh"));
        self.child = Some(child);
        let port = self.port;
        until("nats-server listens", Duration::from_secs(10), || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
