//! A client of an HTTP service that may be slow, absent or hostile: every answer is bounded in time and size.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::provider::Access;
use crate::trusted::connector;

/// A larger answer is cut off.
const LARGEST: usize = 64 << 20;

/// The client of one service.
pub(super) struct Http {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    authorization: HeaderValue,
    timeout: Duration,
    /// Taken when this is dropped, which may happen where nobody may wait.
    runtime: Option<Runtime>,
}

/// Status and body of an answer.
pub(super) struct HttpAnswer {
    pub status: u16,
    pub body: Bytes,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Http {
    /// Of a base such as `https://host:8080/v1/ctl`; what is wrong with it otherwise.
    pub fn new(base: &Uri, access: &Access) -> Result<Http, String> {
        let host = base.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match base.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it is not an http:// or https:// URL".into()),
        };
        if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("user name and password must not be in the URL".into());
        }
        let tls = secure.then(|| connector(access.authorities())).transpose()?;
        let pair = STANDARD.encode(format!("{}:{}", access.username, access.secret));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {pair}")).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Http {
            host,
            port: base.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls,
            authorization,
            timeout: access.timeout,
            runtime: Some(runtime),
        })
    }

    /// Asks once and waits for the answer, within the time limit.
    pub fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<HttpAnswer, String> {
        let Some(runtime) = &self.runtime else { return Err("the client has ended".into()) };
        let asked = async { tokio::time::timeout(self.timeout, self.exchange(method, path, body)).await };
        runtime.block_on(asked).unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)))
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<String>) -> Result<HttpAnswer, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| e.to_string())?;
        let mut request = Request::new(Full::new(Bytes::from(body.clone().unwrap_or_default())));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse::<Uri>().map_err(|error| error.to_string())?;
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let host = HeaderValue::from_str(&format!("{host}:{}", self.port)).map_err(|e| e.to_string())?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        if body.is_some() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        match &self.tls {
            None => converse(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
                let stream = tls.connect(name, stream).await.map_err(|error| error.to_string())?;
                converse(stream, request).await
            }
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One request over a connection of its own.
async fn converse(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<HttpAnswer, String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(HttpAnswer { status, body: body.map_err(|error| error.to_string())?.to_bytes() })
    };
    let answer = answer.await;
    driver.abort();
    answer
}
