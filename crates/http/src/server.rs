//! An HTTP listener and its thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accept::{Descriptors, accept};
use crate::connection::{Manner, connection};

/// The key of the address of the listener for health and metrics.
pub const KEY: &str = "http.addr";

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen for HTTP on {address}: {source} (key {key}: is another program there? `off` for none)"
    )]
    Bind {
        /// The key of the address.
        key: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the HTTP listener (key {key}): {source}")]
    Thread {
        /// The key of its address.
        key: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// A listener before it listens.
pub struct HttpServer {
    address: SocketAddr,
    key: &'static str,
    router: Router,
    manner: Manner,
    descriptors: Descriptors,
}

/// Gives the TLS settings in force, for each connection anew, so that a certificate can be changed. Asked on the
/// listener's thread.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

impl HttpServer {
    /// For this address; port 0 leaves the choice to the system.
    pub fn new(address: SocketAddr) -> HttpServer {
        HttpServer {
            address,
            key: KEY,
            router: Router::new(),
            manner: Manner::default(),
            descriptors: Descriptors::default(),
        }
    }

    /// Keeps so many descriptors for connections of this listener, so that it answers when the process has no others.
    #[must_use]
    pub fn own_descriptors(mut self, count: usize) -> HttpServer {
        self.descriptors = Descriptors::Own(count);
        self
    }

    /// The key that says the address, for errors.
    #[must_use]
    pub fn key(mut self, key: &'static str) -> HttpServer {
        self.key = key;
        self
    }

    /// HTTPS.
    #[must_use]
    pub fn tls(mut self, settings: TlsSource) -> HttpServer {
        self.manner.tls = Some(settings);
        self
    }

    /// For clients that write characters into their request targets that must be escaped there (RFC 3986 §2.1):
    /// they are escaped before they are read. That is done to the first request of a connection, so each connection
    /// has one.
    #[must_use]
    pub fn tolerant(mut self) -> HttpServer {
        self.manner.tolerant = true;
        self
    }

    /// Adds routes. They must be new ones, and the router must have no fallback: axum panics otherwise, at the
    /// start.
    #[must_use]
    pub fn mount(mut self, router: Router) -> HttpServer {
        self.router = self.router.merge(router);
        self
    }

    /// Binds, and serves in a thread of its own.
    pub fn start(self) -> Result<RunningHttp, HttpError> {
        let (at, key) = (self.address, self.key);
        let bind = |source| HttpError::Bind { key, address: at, source };
        let no_thread = |source| HttpError::Thread { key, source };
        let socket = std::net::TcpListener::bind(at).map_err(bind)?;
        socket.set_nonblocking(true).map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(socket).map_err(bind)?
        };
        let (stop, stopped) = watch::channel(false);
        let router = self.router.fallback(not_found);
        let thread = std::thread::Builder::new()
            .name("http".into())
            .spawn(move || {
                runtime.block_on(serve(listener, router, (self.manner, self.descriptors), stopped))
            })
            .map_err(no_thread)?;
        tracing::info!(%address, key, "listening for HTTP");
        Ok(RunningHttp { address, stop, thread: Some(thread) })
    }
}

/// The listener at work. Dropping it is [`RunningHttp::stop`].
pub struct RunningHttp {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningHttp {
    /// Where it listens, with the port filled in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and answers those under way, for two seconds at most; then waits for the thread.
    pub fn stop(self) {}
}

impl Drop for RunningHttp {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP listener panicked");
        }
    }
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(Missing { error: "no such page" }))
}

#[derive(serde::Serialize)]
struct Missing {
    error: &'static str,
}

/// Accepts until told to stop.
async fn serve(
    listener: TcpListener,
    router: Router,
    (manner, descriptors): (Manner, Descriptors),
    stopped: watch::Receiver<bool>,
) {
    let mut ending = stopped.clone();
    accept(listener, ("HTTP", descriptors), told(&mut ending), |stream, from| {
        connection(stream, from, router.clone(), manner.clone(), stopped.clone())
    })
    .await;
}

/// Until the listener is to end.
pub(crate) async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error is the end of the sender, which is the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
