//! A gRPC client that waits for its answers, in plaintext or over TLS, with any headers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::PATIENCE;
use crate::tls::provider;

/// What a call ended with, if not with an answer: the code and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcError {
    /// The gRPC status code.
    pub code: i32,
    /// The message.
    pub message: String,
}

/// The bytes of a request; one that is not whole goes on for ever.
struct Body {
    bytes: Option<Bytes>,
    whole: bool,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.whole => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// A connection.
pub struct Grpc {
    runtime: Runtime,
    sender: SendRequest<Body>,
    authorization: Option<String>,
    patience: Option<String>,
    /// The version that a resource must have.
    expected: Option<String>,
    /// What its calls are part of (`traceparent`).
    parent: Option<String>,
}

impl Grpc {
    /// In plaintext.
    pub fn plain(to: SocketAddr) -> Grpc {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(to).await.expect("a connection");
            stream.set_nodelay(true).expect("a live socket");
            begin(stream).await.expect("HTTP/2")
        });
        Grpc { runtime, sender, authorization: None, patience: None, expected: None, parent: None }
    }

    /// Over TLS, believing the certificates in this file alone; `own` is a chain and a key to show.
    pub fn tls(to: SocketAddr, believed: &Path, own: Option<(&Path, &Path)>) -> std::io::Result<Grpc> {
        Grpc::tls_from(Ipv4Addr::UNSPECIFIED.into(), to, believed, own)
    }

    /// The same, from this address of the machine.
    pub fn tls_from(
        host: IpAddr,
        to: SocketAddr,
        believed: &Path,
        own: Option<(&Path, &Path)>,
    ) -> std::io::Result<Grpc> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(believed).expect("a certificate")).expect("a certificate");
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_file(chain).expect("a certificate")];
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                config.with_client_auth_cert(chain, key).expect("a certificate and its key")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let socket = if host.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind((host, 0).into())?;
            let stream = socket.connect(to).await?;
            let name = ServerName::from(to.ip());
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            begin(stream).await
        })?;
        Ok(Grpc { runtime, sender, authorization: None, patience: None, expected: None, parent: None })
    }

    /// With this header from now on, e.g. `Bearer tl_…`.
    #[must_use]
    pub fn authorized(mut self, value: &str) -> Grpc {
        self.authorization = Some(value.to_owned());
        self
    }

    /// With this deadline from now on, as the header `grpc-timeout` says it, e.g. `250m`.
    #[must_use]
    pub fn waiting(mut self, timeout: &str) -> Grpc {
        self.patience = Some(timeout.to_owned());
        self
    }

    /// Expects this version of the resource from now on (`trunkline-if-version`).
    #[must_use]
    pub fn expecting(mut self, version: &str) -> Grpc {
        self.expected = Some(version.to_owned());
        self
    }

    /// As part of this trace from now on (`traceparent`).
    #[must_use]
    pub fn within(mut self, parent: &str) -> Grpc {
        self.parent = Some(parent.to_owned());
        self
    }

    /// Calls `/package.Service/Method`; the answer, and the version of the resource in it (`trunkline-version`).
    pub fn call_versioned<R: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<(R, String), GrpcError> {
        let (bytes, version) = self.answer(path, whole(&request.encode_to_vec()))?;
        Ok((R::decode(&*bytes).expect("the message of the answer"), version))
    }

    /// Calls `/package.Service/Method`.
    pub fn call<R: Message + Default>(&self, path: &str, request: &impl Message) -> Result<R, GrpcError> {
        let bytes = self.call_bytes(path, &request.encode_to_vec())?;
        Ok(R::decode(&*bytes).expect("the message of the answer"))
    }

    /// The same with the bytes of a message.
    pub fn call_bytes(&self, path: &str, message: &[u8]) -> Result<Vec<u8>, GrpcError> {
        self.answer(path, whole(message)).map(|(bytes, _)| bytes)
    }

    /// The same with a request that begins and never ends.
    pub fn call_forever(&self, path: &str) -> Result<Vec<u8>, GrpcError> {
        let body = Body { bytes: Some(Bytes::from_static(&[0, 0])), whole: false };
        self.answer(path, body).map(|(bytes, _)| bytes)
    }

    fn answer(&self, path: &str, body: Body) -> Result<(Vec<u8>, String), GrpcError> {
        self.runtime.block_on(async {
            let call = self.send(path, body);
            tokio::time::timeout(PATIENCE, call).await.expect("an answer in time")
        })
    }

    async fn send(&self, path: &str, body: Body) -> Result<(Vec<u8>, String), GrpcError> {
        let mut request = Request::post(format!("http://exchange{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        if let Some(value) = &self.patience {
            request = request.header("grpc-timeout", value);
        }
        if let Some(value) = &self.expected {
            request = request.header("trunkline-if-version", value);
        }
        if let Some(value) = &self.parent {
            request = request.header("traceparent", value);
        }
        let request = request.body(body).expect("a request");
        let broken = |error: hyper::Error| GrpcError { code: -1, message: format!("{error:?}") };
        let response = self.sender.clone().send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(broken)?;
        let headers = body.trailers().filter(|t| t.contains_key("grpc-status")).unwrap_or(&head.headers);
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        match text("grpc-status").parse() {
            Ok(0) => {
                let version = head.headers.get("trunkline-version").and_then(|v| v.to_str().ok());
                let bytes = body.to_bytes().get(5..).unwrap_or_default().to_vec();
                Ok((bytes, version.unwrap_or_default().to_owned()))
            }
            Ok(code) => Err(GrpcError { code, message: percent_decoded(text("grpc-message")) }),
            Err(_) => Err(GrpcError { code: -1, message: format!("no gRPC answer: {head:?}") }),
        }
    }
}

/// A whole message.
fn whole(message: &[u8]) -> Body {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
    bytes.extend(message);
    Body { bytes: Some(bytes.into()), whole: true }
}

fn runtime() -> Runtime {
    // A worker keeps the connection alive between calls.
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn begin<S>(stream: S) -> std::io::Result<SendRequest<Body>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    // Under TLS 1.3 a refusal of our certificate comes after the handshake.
    sender.ready().await.map_err(std::io::Error::other)?;
    Ok(sender)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match hex.filter(|_| *first == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
