//! An HTTP client for one URL: each answer is bounded in time and size, and a redirection is not followed.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trunkline_store::connector;

/// Of a larger answer the rest is not read.
const LARGEST: usize = 1 << 20;

/// What is posted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ContentType {
    Json,
    Protobuf,
}

impl ContentType {
    fn name(self) -> &'static str {
        match self {
            ContentType::Json => "application/json",
            ContentType::Protobuf => "application/x-protobuf",
        }
    }
}

/// The client.
pub(crate) struct Client {
    host: String,
    port: u16,
    target: Uri,
    authority: HeaderValue,
    tls: Option<TlsConnector>,
}

impl Client {
    /// For a URL such as `https://hooks.example/calls`, with the system's authorities and those in a PEM file; what is wrong with
    /// it otherwise. The URL itself is in no error: an operator may have written a password into it.
    pub fn new(url: &str, more: Option<&Path>) -> Result<Client, String> {
        let uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it must begin with http:// or https://".into()),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("user name and password must not be in the URL".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Client {
            host,
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            target: target.parse().map_err(|_| "its path is none".to_owned())?,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| "its host is none".to_owned())?,
            tls: secure.then(|| connector(more.map(|file| (file, "")))).transpose()?,
        })
    }

    /// Host and port, for the log: paths of webhooks are often secrets.
    pub fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Posts a body with these headers; the status of the answer.
    pub async fn post(
        &self,
        body: impl Into<Bytes>,
        kind: ContentType,
        headers: &[(HeaderName, String)],
    ) -> Result<u16, String> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let all = request.headers_mut();
        all.insert(HOST, self.authority.clone());
        all.insert(CONTENT_TYPE, HeaderValue::from_static(kind.name()));
        all.insert(USER_AGENT, HeaderValue::from_static(concat!("Trunkline/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| e.to_string())?;
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

/// One request over a connection of its own.
async fn converse(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        // The status is all that counts; but a server may be confused by a connection that ends before its answer.
        let _ = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(status)
    };
    let answer = answer.await;
    driver.abort();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_not_told() {
        for (url, wrong) in [
            ("ftp://h/", "http://"),
            ("https://u:secret@h/", "user name"),
            ("/path", "http://"),
            ("http://[::1", "URL"),
        ] {
            let error = Client::new(url, None).err().expect("refused");
            assert!(error.contains(wrong) && !error.contains("secret"), "{url}: {error}");
        }
        let client = Client::new("http://[::1]:8080/a?b=c", None).expect("a client");
        assert_eq!(
            (client.server().as_str(), client.target.to_string().as_str(), client.port),
            ("::1:8080", "/a?b=c", 8080)
        );
    }
}
