//! A gRPC service of a test: a function from the bytes of a request to those of its answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::GrpcError;

type Answer = Arc<dyn Fn(&[u8]) -> Option<Result<Vec<u8>, GrpcError>> + Send + Sync>;

/// A running service; dropped, it is ended with its connections.
pub struct GrpcService {
    /// Where it listens.
    pub at: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl GrpcService {
    /// Starts one on this address; `answer` gives no answer at all with `None`.
    pub fn start(
        at: SocketAddr,
        answer: impl Fn(&[u8]) -> Option<Result<Vec<u8>, GrpcError>> + Send + Sync + 'static,
    ) -> GrpcService {
        GrpcService::start_with(at, None, answer)
    }

    /// The same over TLS.
    pub fn start_with(
        at: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&[u8]) -> Option<Result<Vec<u8>, GrpcError>> + Send + Sync + 'static,
    ) -> GrpcService {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(at)).expect("a free port");
        let (at, requests) = (listener.local_addr().expect("bound"), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let (answer, seen): (Answer, _) = (Arc::new(answer), requests.clone());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, tls) = (answer.clone(), seen.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| respond(request, answer.clone(), seen.clone()));
                    let builder = http2::Builder::new(TokioExecutor::new());
                    // A connection that breaks is what some tests want.
                    let _ = match tls {
                        None => builder.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
                            Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        GrpcService { at, runtime: Some(runtime), requests }
    }

    /// The messages that it was called with, in their order.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GrpcService {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Answer,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
) -> Result<Response<Body>, hyper::Error> {
    let bytes = request.into_body().collect().await?.to_bytes();
    let message = bytes.get(5..).unwrap_or_default().to_vec();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
    let Some(result) = answer(&message) else { return std::future::pending().await };
    let (data, code, text) = match result {
        Ok(message) => {
            let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
            (Some(Bytes::from([&[0][..], &length, &message].concat())), 0, String::new())
        }
        Err(error) => (None, error.code, error.message),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    trailers.insert("grpc-message", text.replace('%', "%25").parse().expect("a header"));
    let body = Body { data, trailers: Some(trailers) };
    Ok(Response::builder().header("content-type", "application/grpc").body(body).expect("a response"))
}

struct Body {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
