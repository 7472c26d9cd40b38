//! HTTP to Asterisk: calls with a time limit, answers with a bound.

use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::Semaphore;
use trunkline_ari::{RestCall, RestReply};

use crate::config::AriConfig;
use crate::error::AriError;
use crate::events::Events;
use crate::pool::Pool;
use crate::url::Url;
use crate::{stream, tls};

/// How many files are read at the same time: each is held in memory whole.
const FILES: usize = 2;

/// The longest line that Asterisk reads is 4096 bytes; it would take the rest of a longer request
/// line for a header. Method and version need their part of it.
const MAX_PATH: usize = 4000;

/// What Asterisk answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The words after the status.
    pub reason: Cow<'static, str>,
    /// The `Content-Type`; empty when absent.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The same for an exchange.
    #[must_use]
    pub fn as_rest(&self) -> RestReply<'_> {
        RestReply {
            status: self.status,
            reason: &self.reason,
            content_type: &self.content_type,
            body: &self.body,
        }
    }
}

/// One Asterisk. Calls may run at the same time; each has a connection of its own.
pub struct Ari {
    config: AriConfig,
    http: Url,
    websocket: Url,
    tls: Option<Arc<rustls::ClientConfig>>,
    authorization: HeaderValue,
    host: HeaderValue,
    pool: Arc<Pool>,
    files: Semaphore,
}

impl Ari {
    /// Checks the configuration; connects only when something is called.
    ///
    /// # Errors
    /// When a URL or the credentials cannot be used.
    pub fn new(config: AriConfig) -> Result<Self, AriError> {
        let http = Url::http(&config.http_url)?;
        let websocket = Url::websocket(&config.websocket_url)?;
        let tls = if http.tls || websocket.tls { Some(tls::config(config.ca.as_deref())?) } else { None };
        let login = format!("{}:{}", config.username, config.password);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
        let mut authorization = HeaderValue::from_str(&basic).map_err(|_| AriError::Credentials)?;
        authorization.set_sensitive(true);
        let host = HeaderValue::from_str(&http.authority()).map_err(|_| AriError::Credentials)?;
        let pool = Arc::new(Pool::new(http.clone(), tls.clone(), config.connections, config.timeout));
        Ok(Ari { config, http, websocket, tls, authorization, host, pool, files: Semaphore::new(FILES) })
    }

    /// Makes one call within the time limit.
    ///
    /// # Errors
    /// When there is no answer. An answer with an error status is an answer.
    pub async fn call(&self, call: RestCall) -> Result<Reply, AriError> {
        let limit = self.config.timeout;
        match tokio::time::timeout(limit, self.exchange(call)).await {
            Ok(result) => result,
            Err(_) => Err(AriError::Timeout(self.http.to_string(), limit)),
        }
    }

    /// Opens the event WebSocket for `app`, for all events of Asterisk if `subscribe_all`.
    ///
    /// # Errors
    /// When the connection or the upgrade fails, or takes longer than a call may.
    pub async fn events(&self, app: &str, subscribe_all: bool) -> Result<Events, AriError> {
        let limit = self.config.timeout;
        let opening = async {
            let tls = self.tls.as_ref().filter(|_| self.websocket.tls);
            let stream = stream::connect(&self.websocket, tls)
                .await
                .map_err(|e| AriError::connecting(self.websocket.to_string(), e))?;
            Events::open(stream, &self.websocket, &self.config, &self.authorization, app, subscribe_all).await
        };
        match tokio::time::timeout(limit, opening).await {
            Ok(result) => result,
            Err(_) => Err(AriError::Timeout(self.websocket.to_string(), limit)),
        }
    }

    /// Closes the connections that are kept for later, as after Asterisk was gone.
    pub fn forget_connections(&self) {
        self.pool.forget();
    }

    async fn exchange(&self, call: RestCall) -> Result<Reply, AriError> {
        let (setting, limit) = match call.file {
            true => ("ari.max_file", self.config.max_file),
            false => ("ari.max_answer", self.config.max_answer),
        };
        // The semaphore is never closed.
        let _file = if call.file { Some(self.files.acquire().await) } else { None };
        let mut request = self.request(call)?;
        loop {
            let mut lease = self.pool.lease().await?;
            // A fresh lease has its connection.
            let Some(mut sender) = lease.sender() else { continue };
            let response = match sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    // A kept connection was closed under us and nothing was sent: take another.
                    Some(unsent) if lease.reused => {
                        request = unsent;
                        continue;
                    }
                    _ => return Err(AriError::Http(self.http.to_string(), error.into_error())),
                },
            };
            let (head, body) = response.into_parts();
            let body = self.body(body, setting, limit).await?;
            lease.done(sender);
            // The registered words: Asterisk writes its own in various ways ("Not found").
            let phrase = head.extensions.get::<hyper::ext::ReasonPhrase>();
            let phrase = phrase.and_then(|p| std::str::from_utf8(p.as_bytes()).ok());
            let reason = match head.status.canonical_reason() {
                Some(registered) => Cow::Borrowed(registered),
                None => Cow::Owned(phrase.unwrap_or_default().to_owned()),
            };
            let content_type = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
            // Only files are told by their type; JSON need not be copied for each answer.
            let content_type =
                if content_type == "application/json" { String::new() } else { content_type.to_owned() };
            return Ok(Reply { status: head.status.as_u16(), reason, content_type, body });
        }
    }

    /// The whole of an answer, if it is not longer than `limit`.
    async fn body(&self, body: Incoming, setting: &'static str, limit: usize) -> Result<Bytes, AriError> {
        let too_long = || AriError::TooLong { place: self.http.to_string(), limit, setting };
        // Nothing is read of an answer that says itself that it is too long.
        if body.size_hint().lower() > limit as u64 {
            return Err(too_long());
        }
        match Limited::new(body, limit).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
            Err(error) => Err(AriError::Body(self.http.to_string(), error.to_string())),
        }
    }

    fn request(&self, call: RestCall) -> Result<hyper::Request<Full<Bytes>>, AriError> {
        let path = format!("{}{}", self.http.path, call.path);
        if path.len() > MAX_PATH {
            return Err(AriError::LongPath(path.len(), MAX_PATH));
        }
        let mut request = hyper::Request::builder()
            .method(call.method.name())
            .uri(path)
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.authorization.clone());
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = Full::new(Bytes::from(call.body.unwrap_or_default()));
        request.body(body).map_err(|_| AriError::Request(call.path))
    }
}
