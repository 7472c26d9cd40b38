//! A nats-server of the test's own, which can be killed and started again.

use std::process::{Child, Command, Stdio};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wait::{Scratch, free_port, until};

/// Waits until the server has done everything that was sent to it on this connection, such as a
/// subscription: a message to ourselves comes after it. `flush` only waits until it is sent.
///
/// # Panics
/// When the server is away.
pub async fn round_trip(nats: &async_nats::Client) {
    let inbox = nats.new_inbox();
    let mut echo = nats.subscribe(inbox.clone()).await.expect("a subscription");
    nats.publish(inbox, bytes::Bytes::new()).await.expect("published");
    echo.next().await.expect("its echo");
}

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
        until("nats-server listens", || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
    }
}

/// Three servers in a cluster, with JetStream.
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    monitors: Vec<u16>,
}

impl NatsCluster {
    /// Starts the three.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start() -> Self {
        let routes: [u16; 3] = std::array::from_fn(|_| free_port());
        let all = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
        let (mut servers, mut monitors) = (Vec::new(), Vec::new());
        for (n, port) in routes.iter().enumerate() {
            let (name, route, monitor) = (format!("s{n}"), format!("nats://127.0.0.1:{port}"), free_port());
            let arguments = ["--cluster_name", "three", "--server_name", &name, "--cluster", &route];
            let more = ["--routes", &all, "-m", &monitor.to_string()];
            servers.push(NatsServer::start_with(true, &[&arguments[..], &more[..]].concat()).await);
            monitors.push(monitor);
        }
        NatsCluster { servers, monitors }
    }

    /// The URLs of all, as one text.
    #[must_use]
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// Which server a connection goes to: the one whose list of connections has `name`.
    pub async fn holder(&self, name: &str) -> Option<usize> {
        for (n, monitor) in self.monitors.iter().enumerate() {
            if self.servers[n].child.is_some() && connections(*monitor).await.contains(name) {
                return Some(n);
            }
        }
        None
    }

    /// The server of this number.
    pub fn server(&mut self, n: usize) -> &mut NatsServer {
        &mut self.servers[n]
    }
}

/// What the monitoring page says of the connections; empty when it does not answer.
async fn connections(monitor: u16) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", monitor)).await {
        let request = "GET /connz HTTP/1.0\r\n\r\n";
        if stream.write_all(request.as_bytes()).await.is_ok() {
            // What could be read is looked at; the caller asks again.
            let _ = stream.read_to_string(&mut text).await;
        }
    }
    text
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
