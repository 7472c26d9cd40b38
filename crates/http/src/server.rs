//! The listener, its thread, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The key of the listener's address.
pub const KEY: &str = "http.addr";
/// Connections at a time; more wait in the kernel.
const MOST_CONNECTIONS: usize = 512;
/// A client has this long to send a request's head, and to begin its next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way have this long when the listener ends.
const DRAIN: Duration = Duration::from_secs(2);
/// Out of descriptors: no use in asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen for HTTP on {address}: {source} (key {KEY}: is another program there? `off` for none)"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the HTTP listener (key {KEY}): {0}")]
    Thread(std::io::Error),
}

/// The listener before it listens.
pub struct Server {
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// For this address; port 0 leaves the choice to the system.
    pub fn new(address: SocketAddr) -> Server {
        Server { address, router: Router::new() }
    }

    /// Adds routes. They must be new ones, and the router must have no fallback: axum panics otherwise, at the
    /// start.
    #[must_use]
    pub fn mount(mut self, router: Router) -> Server {
        self.router = self.router.merge(router);
        self
    }

    /// Binds, and serves in a thread of its own.
    pub fn start(self) -> Result<Running, HttpError> {
        let at = self.address;
        let bind = |source| HttpError::Bind { address: at, source };
        let socket = std::net::TcpListener::bind(at).map_err(bind)?;
        socket.set_nonblocking(true).map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HttpError::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(socket).map_err(bind)?
        };
        let (stop, stopped) = watch::channel(false);
        let router = self.router.fallback(not_found);
        let thread = std::thread::Builder::new()
            .name("http".into())
            .spawn(move || runtime.block_on(serve(listener, router, stopped)))
            .map_err(HttpError::Thread)?;
        tracing::info!(%address, "listening for HTTP");
        Ok(Running { address, stop, thread: Some(thread) })
    }
}

/// The listener at work. Dropping it is [`Running::stop`].
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens, with the port filled in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and answers those under way, for two seconds at most; then waits for the thread.
    pub fn stop(self) {}
}

impl Drop for Running {
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
async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { std::future::pending().await };
            (place, listener.accept().await)
        };
        tokio::select! {
            () = told(&mut stopped) => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    let (router, stopped) = (router.clone(), stopped.clone());
                    connections.spawn(async move {
                        connection(stream, router, stopped).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}

/// Until the listener is to end.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error is the end of the sender, which is the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// One connection, with whatever requests come over it.
async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = told(&mut stopped) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}
