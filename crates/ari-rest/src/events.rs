//! The event WebSocket: frames in the order Asterisk sent them, pings when it is silent.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, ORIGIN};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::config::AriConfig;
use crate::error::AriError;
use crate::stream::Stream;
use crate::url::Url;

/// An open event WebSocket. The application exists at Asterisk while it is open.
pub struct Events {
    socket: WebSocketStream<Stream>,
    keep_alive: Duration,
    place: String,
    limit: usize,
}

impl Events {
    pub(crate) async fn open(
        stream: Stream,
        url: &Url,
        config: &AriConfig,
        authorization: &HeaderValue,
        app: &str,
        subscribe_all: bool,
    ) -> Result<Self, AriError> {
        let place = url.to_string();
        let fail = |e| AriError::WebSocket(place.clone(), Box::new(e));
        let all = if subscribe_all { "&subscribeAll=true" } else { "" };
        let target = format!("ws://{}{}?app={}{all}", url.authority(), url.path, encoded(app));
        let mut request = target.into_client_request().map_err(fail)?;
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        if let Ok(origin) = HeaderValue::from_str(&config.origin) {
            request.headers_mut().insert(ORIGIN, origin);
        }
        let limit = config.max_answer;
        let limits = WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit));
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await.map_err(fail)?;
        Ok(Events { socket, keep_alive: config.keep_alive, place, limit })
    }

    /// The next text frame, as it came. After a silence Asterisk is pinged; if it is silent for as
    /// long again, the socket counts as dead. Cancel-safe.
    ///
    /// # Errors
    /// When the socket is closed, broken or silent for too long.
    pub async fn next(&mut self) -> Result<Bytes, AriError> {
        let mut pinged = false;
        loop {
            match tokio::time::timeout(self.keep_alive, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return Ok(text.into()),
                Ok(Some(Ok(Message::Close(_))) | None) => {
                    return Err(self.broken(tungstenite::Error::ConnectionClosed));
                }
                // Pings are answered by the library; a pong shows that Asterisk is there.
                Ok(Some(Ok(_))) => pinged = false,
                Ok(Some(Err(error))) => return Err(self.broken(error)),
                Err(_) if pinged => return Err(AriError::Timeout(self.place.clone(), self.keep_alive * 2)),
                Err(_) => {
                    pinged = true;
                    if let Err(error) = self.socket.send(Message::Ping(Bytes::new())).await {
                        return Err(self.broken(error));
                    }
                }
            }
        }
    }

    /// Closes in an orderly way: Asterisk ends the application at once.
    pub async fn close(mut self) {
        // It is going away either way.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }

    fn broken(&self, error: tungstenite::Error) -> AriError {
        match error {
            tungstenite::Error::Capacity(_) => AriError::LongEvent(self.place.clone(), self.limit),
            error => AriError::WebSocket(self.place.clone(), Box::new(error)),
        }
    }
}

/// An application name in a query.
fn encoded(app: &str) -> String {
    let mut out = String::with_capacity(app.len());
    for byte in app.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b',') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
