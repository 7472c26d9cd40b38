//! One gRPC connection and its calls.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::http::{Request, Response};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use trunkline_transport::Certificates;

use crate::phase::{ServerPhase, reached};

/// A TLS handshake takes at most this long.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be silent; clients connect again when they need to.
const PATIENCE: IdleLimits = IdleLimits {
    unused: Duration::from_secs(30),
    idle: Duration::from_secs(15 * 60),
    round: Duration::from_secs(5),
};
/// Bytes of a call's head.
const MOST_HEAD: u32 = 16 * 1024;
/// The other side is asked whether it is there, and has so long to say so.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// What answers the calls of a connection.
pub trait Calls: Send + Sync + 'static {
    /// Calls at a time on one connection.
    const MOST: u32;

    /// One call, from its head to the head of its answer.
    fn pass(
        &self,
        from: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug)]
struct IdleLimits {
    /// If nothing was ever called.
    unused: Duration,
    /// Since the last call.
    idle: Duration,
    /// How often that is looked at; one that was told to go has so long to do so.
    round: Duration,
}

/// Serves a connection to its end: the other side's, a silence, or the order to end.
pub async fn serve<C: Calls>(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Certificates>,
    calls: Arc<C>,
    phase: watch::Receiver<ServerPhase>,
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http(stream, from, calls, phase, PATIENCE).await };
    let acceptor = TlsAcceptor::from(tls.server_speaking(b"h2"));
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, from, calls, phase, PATIENCE).await,
        Ok(Err(error)) => tracing::debug!(%from, %error, "a TLS handshake for gRPC failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake for gRPC took too long"),
    }
}

/// When the connection was used last, and by how many calls it is used now.
struct ConnectionUse {
    calls: AtomicUsize,
    last: Mutex<Instant>,
    ever: AtomicUsize,
}

/// A call under way.
struct InUse(Arc<ConnectionUse>);

impl InUse {
    fn begin(of: &Arc<ConnectionUse>) -> InUse {
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

impl ConnectionUse {
    fn over(&self, patience: IdleLimits) -> bool {
        let limit = if self.ever.load(Ordering::Relaxed) == 0 { patience.unused } else { patience.idle };
        self.calls.load(Ordering::Relaxed) == 0 && self.last.lock().elapsed() >= limit
    }
}

async fn http<C: Calls>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    from: SocketAddr,
    calls: Arc<C>,
    mut phase: watch::Receiver<ServerPhase>,
    patience: IdleLimits,
) {
    let used = Arc::new(ConnectionUse {
        calls: AtomicUsize::new(0),
        last: Mutex::new(Instant::now()),
        ever: AtomicUsize::new(0),
    });
    let using = used.clone();
    let service = service_fn(move |request| {
        let (calls, call) = (calls.clone(), InUse::begin(&using));
        async move {
            let answer = calls.pass(from, request).await;
            drop(call);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(C::MOST)
            .max_header_list_size(MOST_HEAD)
            .keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut look = tokio::time::interval(patience.round);
    let mut leaving = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = reached(&mut phase, ServerPhase::Ending), if !leaving => {
                // Nobody waits for an answer, and the other side may not even speak HTTP/2.
                if used.ever.load(Ordering::Relaxed) == 0 {
                    return;
                }
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => {
                // One that was told to go and is still here after a round does not answer.
                if used.over(patience) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use hyper::body::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tonic::Status;

    const BOUND: Duration = Duration::from_secs(60);

    /// Knows no method.
    struct Nothing;

    impl Calls for Nothing {
        const MOST: u32 = 4;

        async fn pass(&self, _: SocketAddr, _: Request<Incoming>) -> Response<Body> {
            Status::unimplemented("").into_http()
        }
    }

    fn begin(
        patience: IdleLimits,
    ) -> (tokio::io::DuplexStream, tokio::task::JoinHandle<()>, watch::Sender<ServerPhase>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (phase, phases) = watch::channel(ServerPhase::Serving);
        let from = SocketAddr::from(([192, 0, 2, 1], 9));
        let task = tokio::spawn(http(ours, from, Arc::new(Nothing), phases, patience));
        (theirs, task, phase)
    }

    fn patience(unused: u64, idle: u64) -> IdleLimits {
        let ms = Duration::from_millis;
        IdleLimits { unused: ms(unused), idle: ms(idle), round: ms(20) }
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_closed() {
        let (mut client, task, _phase) = begin(patience(60, 60_000));
        tokio::time::timeout(BOUND, task).await.expect("closed").expect("no panic");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("an end");
        // And one that speaks another protocol at once.
        let (mut client, task, _phase) = begin(patience(60_000, 60_000));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        tokio::time::timeout(BOUND, task).await.expect("closed").expect("no panic");
    }

    #[tokio::test]
    async fn one_that_was_used_may_be_silent_for_longer() {
        let (client, task, _phase) = begin(patience(1_000, 2_000));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
                .await
                .expect("HTTP/2");
        let ended = tokio::spawn(connection);
        let request = hyper::Request::post("http://x/nobody.knows/This");
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let start = Instant::now();
        let response = sender.send_request(request).await.expect("an answer");
        assert_eq!(response.headers()["grpc-status"], "12");
        tokio::time::timeout(BOUND, task).await.expect("closed").expect("no panic");
        assert!(start.elapsed() >= Duration::from_secs(2), "not before its time");
        tokio::time::timeout(BOUND, ended)
            .await
            .expect("the client knows")
            .expect("no panic")
            .expect("no error");
    }

    #[tokio::test]
    async fn the_order_to_end_closes_it() {
        let (_silent, task, phase) = begin(patience(60_000, 60_000));
        phase.send(ServerPhase::Ending).expect("somebody listens");
        tokio::time::timeout(BOUND, task).await.expect("closed").expect("no panic");
    }
}
