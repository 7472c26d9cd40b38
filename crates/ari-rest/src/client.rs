//! HTTP to Asterisk: calls with a time limit, answers with a bound.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use trunkline_ari::{Method, RestCall, RestReply};

use crate::config::AriConfig;
use crate::download::{Bounds, Download, Transfer};
use crate::error::AriError;
use crate::events::Events;
use crate::http::{AriHttpError, Failed, HttpConnection, ResponseHead, Rest};
use crate::pool::{Pool, PooledConnection};
use crate::url::Url;
use crate::{stream, tls};

/// How many files are read at the same time, so that they leave room for calls.
const FILES: usize = 4;

/// The longest line that Asterisk reads is 4096 bytes; it would take the rest of a longer request
/// line for a header. Method and version need their part of it.
const MAX_PATH: usize = 4000;

/// Asterisk's response.
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
    /// What follows the path in each request.
    fields: Vec<u8>,
    pool: Arc<Pool>,
    files: Arc<Semaphore>,
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
        let fields = [
            b" HTTP/1.1\r\nHost: ",
            host.as_bytes(),
            b"\r\nAuthorization: ",
            authorization.as_bytes(),
            b"\r\n",
        ];
        let fields = fields.concat();
        let pool = Arc::new(Pool::new(http.clone(), tls.clone(), config.connections, config.timeout));
        let files = Arc::new(Semaphore::new(FILES));
        Ok(Ari { config, http, websocket, tls, authorization, fields, pool, files })
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

    /// As [`Self::call`], for a caller that waits no longer than `patience`: a second timer is only set
    /// when the time limit of calls is shorter.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_within(&self, call: RestCall, patience: Duration) -> Result<Reply, AriError> {
        if patience <= self.config.timeout { self.exchange(call).await } else { self.call(call).await }
    }

    /// Makes one call whose answer is read piece by piece. The time limit is one for the head and for
    /// each piece.
    ///
    /// # Errors
    /// When there is no answer, or its head says that it is too long.
    pub async fn open(&self, call: RestCall) -> Result<Download, AriError> {
        let patience = self.config.timeout;
        let (setting, limit) = self.bound(&call);
        let place = self.http.to_string();
        let opening = async {
            let file = self.file().await;
            self.begin(&call).await.map(|begun| (file, begun))
        };
        let opened = tokio::time::timeout(patience, opening).await;
        let (file, (lease, connection, head)) =
            opened.map_err(|_| AriError::Timeout(place.clone(), patience))??;
        Download::new(
            Transfer { lease, connection, _file: file },
            head,
            Bounds { place, patience, limit, setting },
        )
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
        let (setting, limit) = self.bound(&call);
        let _file = if call.file { Some(self.file().await) } else { None };
        let place = || self.http.to_string();
        let too_long = || AriError::TooLong { place: place(), limit, setting };
        let (lease, mut connection, head) = self.begin(&call).await?;
        let mut rest = head.rest;
        // Nothing is read of an answer that says itself that it is too long.
        if let Rest::Length(length) = rest
            && length > limit as u64
        {
            return Err(too_long());
        }
        let read = |e: AriHttpError| AriError::Body(place(), e.to_string());
        let mut body = connection.piece(&mut rest).await.map_err(read)?.unwrap_or_default();
        if rest != Rest::Length(0) {
            let mut whole = BytesMut::from(body);
            while let Some(piece) = connection.piece(&mut rest).await.map_err(read)? {
                whole.extend_from_slice(&piece);
                if whole.len() > limit {
                    return Err(too_long());
                }
            }
            body = whole.freeze();
        }
        if head.keep {
            lease.done(connection);
        }
        let ResponseHead { status, reason, content_type, .. } = head;
        Ok(Reply { status, reason, content_type, body })
    }

    /// Sends a call and reads the head of its answer, on a connection that is kept or a new one.
    async fn begin(
        &self,
        call: &RestCall,
    ) -> Result<(PooledConnection, HttpConnection, ResponseHead), AriError> {
        let request = self.request(call)?;
        loop {
            let mut lease = self.pool.lease().await?;
            // A fresh lease has its connection.
            let Some(mut connection) = lease.take() else { continue };
            match connection.exchange(&request).await {
                Ok(head) => return Ok((lease, connection, head)),
                // A kept connection was closed under us: take another, unless the call may be carried out.
                Err(Failed::Unsent(_)) if lease.reused => {}
                Err(Failed::Unanswered(_)) if lease.reused && call.method == Method::Get => {}
                Err(failed) => return Err(AriError::Http(self.http.to_string(), failed.into_error())),
            }
        }
    }

    /// How long an answer may be, and the setting that says so.
    fn bound(&self, call: &RestCall) -> (&'static str, usize) {
        match call.file {
            true => ("ari.max_file", self.config.max_file),
            false => ("ari.max_answer", self.config.max_answer),
        }
    }

    async fn file(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.files).acquire_owned().await.ok()
    }

    /// The bytes of a call.
    fn request(&self, call: &RestCall) -> Result<Vec<u8>, AriError> {
        let length = self.http.path.len() + call.path.len();
        if length > MAX_PATH {
            return Err(AriError::LongPath(length, MAX_PATH));
        }
        // What else stands in a path would end the line.
        if !self.http.path.bytes().chain(call.path.bytes()).all(|b| b.is_ascii_graphic()) {
            return Err(AriError::Request(call.path.clone()));
        }
        let body = call.body.as_deref().unwrap_or_default();
        let mut request = Vec::with_capacity(length + self.fields.len() + body.len() + 96);
        request.extend_from_slice(call.method.name().as_bytes());
        request.push(b' ');
        request.extend_from_slice(self.http.path.as_bytes());
        request.extend_from_slice(call.path.as_bytes());
        request.extend_from_slice(&self.fields);
        if call.body.is_some() {
            request.extend_from_slice(b"Content-Type: application/json\r\n");
        }
        // RFC 9110 §8.6: methods for which a body has a meaning say that there is none.
        if call.body.is_some() || matches!(call.method, Method::Post | Method::Put) {
            request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        Ok(request)
    }
}
