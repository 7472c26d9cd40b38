//! One connection, with whatever calls come over it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use trunkline_transport::ServerTls;

use crate::gate::Gate;
use crate::server::{Phase, reached};

/// A TLS handshake takes at most this long.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A connection on which nothing was ever called is closed after this.
const UNUSED: Duration = Duration::from_secs(30);
/// A connection on which nothing was called for this long is closed; clients connect again when they need to.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often that is looked at.
const ROUND: Duration = Duration::from_secs(5);
/// Calls at a time on one connection.
const MOST_CALLS: u32 = 64;
/// Bytes of a call's head.
const MOST_HEAD: u32 = 16 * 1024;
/// The other side is asked whether it is there, and has so long to say so.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// Serves a connection to its end: the other side's, a silence, or the order to end.
pub(crate) async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<ServerTls>,
    gate: Arc<Gate>,
    phase: watch::Receiver<Phase>,
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http(stream, from, gate, phase).await };
    let acceptor = TlsAcceptor::from(tls.speaking(b"h2"));
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, from, gate, phase).await,
        Ok(Err(error)) => tracing::debug!(%from, %error, "a TLS handshake for gRPC failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake for gRPC took too long"),
    }
}

/// When the connection was used last, and by how many calls it is used now.
struct Use {
    calls: AtomicUsize,
    last: Mutex<Instant>,
    ever: AtomicUsize,
}

/// A call under way.
struct InUse(Arc<Use>);

impl InUse {
    fn begin(of: &Arc<Use>) -> InUse {
        of.calls.fetch_add(1, Ordering::Relaxed);
        of.ever.store(1, Ordering::Relaxed);
        InUse(of.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        *self.0.last.lock() = Instant::now();
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Use {
    fn over(&self) -> bool {
        let limit = if self.ever.load(Ordering::Relaxed) == 0 { UNUSED } else { IDLE };
        self.calls.load(Ordering::Relaxed) == 0 && self.last.lock().elapsed() >= limit
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    from: SocketAddr,
    gate: Arc<Gate>,
    mut phase: watch::Receiver<Phase>,
) {
    let used = Arc::new(Use {
        calls: AtomicUsize::new(0),
        last: Mutex::new(Instant::now()),
        ever: AtomicUsize::new(0),
    });
    let calls = used.clone();
    let service = service_fn(move |request| {
        let (gate, call) = (gate.clone(), InUse::begin(&calls));
        async move {
            let answer = gate.pass(from, request).await;
            drop(call);
            answer
        }
    });
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_CALLS)
            .max_header_list_size(MOST_HEAD)
            .keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut look = tokio::time::interval(ROUND);
    let mut leaving = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = reached(&mut phase, Phase::Ending), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => {
                // One that was told to go and is still here after a round does not answer.
                if used.over() {
                    if leaving {
                        return;
                    }
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a gRPC connection broke");
    }
}
