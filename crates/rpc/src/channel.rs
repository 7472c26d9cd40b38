//! The client's side: one connection to a service, which is made again when it has broken.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::http::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use trunkline_transport::Certificates;

/// Names are looked up, and the connection is made, in this time.
const CONNECT: Duration = Duration::from_secs(3);
/// After a failure no connection is tried for this long: calls fail at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a service is: `HOST:PORT`, or `https://HOST:PORT` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcAddress {
    host: String,
    port: u16,
    tls: bool,
}

impl RpcAddress {
    /// Is it reached over TLS?
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for RpcAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<RpcAddress, &'static str> {
        let (tls, at) = match text.split_once("://") {
            None => (false, text),
            Some(("http", at)) => (false, at),
            Some(("https", at)) => (true, at),
            Some(_) => return Err("write HOST:PORT, or https://HOST:PORT for TLS"),
        };
        let (host, port) = at.rsplit_once(':').ok_or("the port is missing: write HOST:PORT")?;
        let port: u16 = port.parse().map_err(|_| "the port must be a number from 1 to 65535")?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._:".contains(&c);
        if port == 0 || host.is_empty() || !host.bytes().all(plain) {
            return Err("write HOST:PORT, or https://HOST:PORT for TLS");
        }
        Ok(RpcAddress { host: host.to_owned(), port, tls })
    }
}

impl fmt::Display for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https://" } else { "" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}{}:{}", self.host, self.port),
        }
    }
}

/// A client's connection. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct RpcChannel(Arc<Target>);

struct Target {
    at: RpcAddress,
    tls: Option<Certificates>,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    sender: Option<SendRequest<Body>>,
    /// When connecting failed, and why.
    failed: Option<(Instant, String)>,
}

impl RpcChannel {
    /// To this address; does not connect yet. TLS needs `certificates`: those that are trusted, and one to show.
    pub fn new(at: RpcAddress, certificates: Option<Certificates>) -> RpcChannel {
        let tls = certificates.filter(|_| at.tls);
        RpcChannel(Arc::new(Target { at, tls, link: Mutex::default() }))
    }

    /// The origin of requests, for the generated clients.
    pub fn origin(&self) -> Uri {
        let scheme = if self.0.tls.is_some() { "https" } else { "http" };
        let at = self.0.at.to_string();
        let host = at.strip_prefix("https://").unwrap_or(&at);
        // The characters were checked when the address was read.
        format!("{scheme}://{host}").parse().unwrap_or_default()
    }

    /// Waits for a call, for so long at most. A connection on which a call took too long is not used again: the other
    /// side may be gone without a word.
    pub async fn within<T>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(time, call).await {
            Ok(result) => result,
            Err(_) => {
                self.0.link.lock().await.sender = None;
                Err(Status::deadline_exceeded(format!(
                    "{} gave no answer in {} ms",
                    self.0.at,
                    time.as_millis()
                )))
            }
        }
    }

    /// The open connection, or a new one.
    async fn sender(&self) -> Result<SendRequest<Body>, Status> {
        let mut link = self.0.link.lock().await;
        if let Some(sender) = link.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        link.sender = None;
        if let Some((when, why)) = &link.failed
            && when.elapsed() < PAUSE
        {
            return Err(Status::unavailable(why.clone()));
        }
        let connected = tokio::time::timeout(CONNECT, self.0.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err("no answer in time".into()));
        match connected {
            Ok(sender) => {
                link.failed = None;
                link.sender = Some(sender.clone());
                Ok(sender)
            }
            Err(error) => {
                let why = format!("cannot connect to {}: {error}", self.0.at);
                tracing::debug!("{why}");
                link.failed = Some((Instant::now(), why.clone()));
                Err(Status::unavailable(why))
            }
        }
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Incoming>, Status> {
        // A second time only if nothing was sent: the connection ended before.
        for _ in 0..2 {
            let mut sender = self.sender().await?;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(&failed.into_error())),
                },
            }
        }
        Err(Status::unavailable(format!("{} closes every connection", self.0.at)))
    }

    fn broken(&self, error: &hyper::Error) -> Status {
        Status::unavailable(format!("the connection to {} broke: {error}", self.0.at))
    }
}

impl Target {
    async fn connect(&self) -> Result<SendRequest<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect((self.at.host.as_str(), self.at.port)).await?;
        stream.set_nodelay(true)?;
        let Some(certificates) = &self.tls else { return begin(stream).await };
        let mut config = rustls::ClientConfig::clone(&certificates.client());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(self.at.host.clone())?;
        begin(TlsConnector::from(Arc::new(config)).connect(name, stream).await?).await
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Body>, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a gRPC connection to a service broke");
        }
    });
    // Under TLS 1.3 a refusal of our certificate comes after the handshake.
    sender.ready().await?;
    Ok(sender)
}

impl Service<Request<Body>> for RpcChannel {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown, tls) in [
            ("connect:51904", "connect:51904", false),
            ("http://10.0.0.1:1", "10.0.0.1:1", false),
            ("https://connect.example:443", "https://connect.example:443", true),
            ("[::1]:51904", "[::1]:51904", false),
        ] {
            let at: RpcAddress = text.parse().expect(text);
            assert_eq!((at.to_string().as_str(), at.is_tls()), (shown, tls));
            let origin = RpcChannel::new(at, None).origin();
            assert_eq!(origin.authority().map(|a| a.as_str()), Some(shown.trim_start_matches("https://")));
        }
        for wrong in ["", "connect", ":1", "connect:0", "connect:x", "ftp://connect:1", "a b:1", "a/b:1"] {
            assert!(wrong.parse::<RpcAddress>().is_err(), "{wrong}");
        }
    }
}
