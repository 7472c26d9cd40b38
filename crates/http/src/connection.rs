//! One connection, with or without TLS.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::patience::Patience;
use crate::server::{TlsSource, told};
use crate::target::Tolerant;

/// A client has this long for its TLS handshake, to send a request's head, and to begin its next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request and its answer take at most this long, the rest of the request included.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answer is left after this long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How a listener talks.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// HTTPS.
    pub tls: Option<TlsSource>,
    /// Escape what clients should have escaped.
    pub tolerant: bool,
}

/// One connection, with whatever requests come over it. Handlers find the client's address in [`ConnectInfo`].
pub(crate) async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    manner: Manner,
    stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = manner.tls else { return plain(stream, from, router, manner.tolerant, stopped).await };
    let shaken = tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls()).accept(stream)).await;
    match shaken {
        Ok(Ok(stream)) => plain(stream, from, router, manner.tolerant, stopped).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS with an HTTP client"),
        Err(_) => tracing::debug!("an HTTP client did not end its TLS handshake"),
    }
}

async fn plain(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    router: Router,
    tolerant: bool,
    stopped: watch::Receiver<bool>,
) {
    if tolerant {
        talk(Tolerant::new(stream), from, router, false, stopped).await;
    } else {
        talk(stream, from, router, true, stopped).await;
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    router: Router,
    keep_alive: bool,
    mut stopped: watch::Receiver<bool>,
) {
    let service = From { inner: TowerToHyperService::new(router), from };
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .keep_alive(keep_alive)
            .serve_connection(TokioIo::new(Patience::new(stream, WRITE_TIMEOUT)), service)
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

/// Tells handlers where a request came from, and bounds their time.
struct From<S> {
    inner: S,
    from: SocketAddr,
}

impl<S> Service<Request<Incoming>> for From<S>
where
    S: Service<Request<Incoming>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let span = span(&request, self.from);
        request.extensions_mut().insert(ConnectInfo(self.from));
        let answer = tokio::time::timeout(CALL_TIMEOUT, self.inner.call(request));
        let answer = async move {
            let answer = answer.await.unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()));
            if let Ok(response) = &answer {
                let status = response.status();
                Span::current().record("http.response.status_code", status.as_u16());
                if status.is_server_error() {
                    Span::current().record("otlp.error", status.as_str());
                }
            }
            answer
        };
        Box::pin(answer.instrument(span))
    }
}

/// The span of a request, for a collector of OpenTelemetry. Queries are left out: they may contain tokens.
fn span(request: &Request<Incoming>, from: SocketAddr) -> Span {
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    tracing::info_span!(
        target: "otlp",
        "HTTP",
        otlp.name = request.method().as_str(),
        otlp.parent = parent,
        otlp.error = Empty,
        http.request.method = request.method().as_str(),
        url.path = request.uri().path(),
        client.address = %from.ip(),
        http.response.status_code = Empty,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_end_is_answered_all_the_same() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let router = Router::new().route("/", axum::routing::post(|body: String| async move { body }));
        let (_stop, stopped) = watch::channel(false);
        let from = SocketAddr::from(([192, 0, 2, 1], 9));
        let talking = tokio::spawn(talk(ours, from, router, true, stopped));
        let start = tokio::time::Instant::now();
        theirs
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            .await
            .expect("sent");
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.expect("an answer and the end");
        assert!(text.starts_with("HTTP/1.1 408"), "{text}");
        assert_eq!(start.elapsed(), CALL_TIMEOUT);
        talking.await.expect("no panic");
    }
}
