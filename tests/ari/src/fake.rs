//! A stand-in for Asterisk's ARI: answers HTTP as a function says and writes frames to whoever
//! opened the event WebSocket. It can be stopped and started again on the same port.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::wait::{free_port, until};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// Path and query after `/ari`, as sent.
    pub path: String,
    /// The body.
    pub body: Bytes,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The status; 0 cuts the connection without an answer, 1 keeps it and never answers, 2 begins
    /// an answer that never ends, the body again and again, 3 one that ends after half the length it tells.
    pub status: u16,
    /// The body; none with 204.
    pub body: Bytes,
    /// The `Content-Type`.
    pub content_type: &'static str,
}

impl HttpReply {
    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        HttpReply { status, body: body.into(), content_type: "application/json" }
    }
}

type Handler = dyn Fn(&HttpRequest) -> HttpReply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    sockets: Mutex<HashMap<u64, (String, mpsc::UnboundedSender<Utf8Bytes>)>>,
    next: AtomicU64,
    requests: AtomicU64,
    accepted: AtomicU64,
    endless: AtomicU64,
}

/// A running stand-in.
pub struct FakeAri {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    connections: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl FakeAri {
    /// Starts one on a port that stays its own while it is killed.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(handler: impl Fn(&HttpRequest) -> HttpReply + Send + Sync + 'static) -> Self {
        let mut fake = FakeAri {
            port: free_port(),
            shared: Arc::new(Shared {
                handler: Box::new(handler),
                sockets: Mutex::default(),
                next: AtomicU64::new(0),
                requests: AtomicU64::new(0),
                accepted: AtomicU64::new(0),
                endless: AtomicU64::new(0),
            }),
            accepting: None,
            connections: Arc::default(),
        };
        fake.revive().await;
        fake
    }

    /// The REST interface's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.port)
    }

    /// How many requests were answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many bytes of endless answers were taken.
    #[must_use]
    pub fn endless(&self) -> u64 {
        self.shared.endless.load(Ordering::Relaxed)
    }

    /// How many connections were made.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// The applications whose WebSocket is open.
    #[must_use]
    pub fn applications(&self) -> Vec<String> {
        self.shared.sockets.lock().values().map(|(app, _)| app.clone()).collect()
    }

    /// The number of the WebSocket that was opened last, of those that are open.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.shared.sockets.lock().keys().max().copied()
    }

    /// Waits until a WebSocket is open.
    pub async fn connected(&self) {
        until("the event WebSocket is open", || async { !self.applications().is_empty() }).await;
    }

    /// Writes a frame to every open WebSocket.
    pub fn emit(&self, frame: impl Into<Utf8Bytes>) {
        let frame = frame.into();
        for (_, sender) in self.shared.sockets.lock().values() {
            let _ = sender.send(frame.clone());
        }
    }

    /// A way to write frames from other tasks.
    pub fn emitter(&self) -> impl Fn(String) + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |frame| {
            let frame = Utf8Bytes::from(frame);
            for (_, sender) in shared.sockets.lock().values() {
                let _ = sender.send(frame.clone());
            }
        }
    }

    /// Stops listening and cuts every connection.
    pub async fn kill(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
            let _ = task.await;
        }
        for connection in self.connections.lock().drain(..) {
            connection.abort();
        }
        self.shared.sockets.lock().clear();
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn revive(&mut self) {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("reuse");
        socket.bind(([127, 0, 0, 1], self.port).into()).expect("the port");
        let listener = socket.listen(1024).expect("listening");
        let (shared, connections) = (Arc::clone(&self.shared), Arc::clone(&self.connections));
        self.accepting = Some(tokio::spawn(accept(listener, shared, connections)));
    }
}

impl Drop for FakeAri {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
        }
        for connection in self.connections.lock().drain(..) {
            connection.abort();
        }
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(serve(stream, Arc::clone(&shared)));
        let mut connections = connections.lock();
        connections.retain(|c| !c.is_finished());
        connections.push(task.abort_handle());
    }
}

/// One connection: requests until the client closes or upgrades.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = BytesMut::with_capacity(8192);
    let mut out = Vec::with_capacity(4096);
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&buffer.split_to(end)).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let header = |name: &str| {
            head.lines().skip(1).find_map(|l| {
                let (n, v) = l.split_once(':')?;
                n.eq_ignore_ascii_case(name).then(|| v.trim().to_owned())
            })
        };
        if let Some(key) = header("sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            if stream.write_all(answer.as_bytes()).await.is_ok() {
                let query = target.split_once('?').map_or("", |(_, q)| q);
                let app = query.split('&').find_map(|p| p.strip_prefix("app=")).unwrap_or_default();
                websocket(stream, app.to_owned(), shared).await;
            }
            return;
        }
        let length: usize = header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            match stream.read_buf(&mut buffer).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
        let body = buffer.split_to(length).freeze();
        let path = target.strip_prefix("/ari").unwrap_or(target).to_owned();
        let reply = (shared.handler)(&HttpRequest { method: method.to_owned(), path, body });
        match reply.status {
            0 => return,
            1 => std::future::pending().await,
            2 => return endless(stream, &reply.body, &shared.endless).await,
            3 => {
                out.clear();
                write_reply(&mut out, &HttpReply { status: 200, ..reply.clone() }, reply.body.len() * 2);
                if stream.write_all(&out).await.is_ok() {
                    std::future::pending::<()>().await;
                }
                return;
            }
            _ => {}
        }
        shared.requests.fetch_add(1, Ordering::Relaxed);
        out.clear();
        write_reply(&mut out, &reply, reply.body.len());
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Writes chunks until nobody takes them.
async fn endless(mut stream: TcpStream, part: &[u8], sent: &AtomicU64) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut out = head.to_vec();
    loop {
        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
        if stream.write_all(&out).await.is_err() {
            return;
        }
        sent.fetch_add(out.len() as u64, Ordering::Relaxed);
        out.clear();
    }
}

fn write_reply(out: &mut Vec<u8>, reply: &HttpReply, length: usize) {
    use std::io::Write as _;
    let reason = match reply.status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        422 => "Unprocessable Entity",
        500 => "Internal Server Error",
        _ => "Status",
    };
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", reply.status);
    if reply.status != 204 {
        let _ = write!(out, "Content-Type: {}\r\nContent-Length: {length}\r\n", reply.content_type);
    }
    out.extend_from_slice(b"\r\n");
    if reply.status != 204 {
        out.extend_from_slice(&reply.body);
    }
}

/// An event WebSocket: frames out until either side ends.
async fn websocket(stream: TcpStream, app: String, shared: Arc<Shared>) {
    let (mut write, mut read) = WebSocketStream::from_raw_socket(stream, Role::Server, None).await.split();
    let (sender, mut frames) = mpsc::unbounded_channel();
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    shared.sockets.lock().insert(id, (app, sender));
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => {
                    if write.feed(Message::Text(frame)).await.is_err() { break }
                    // Several at once when several wait: one system call.
                    while let Ok(frame) = frames.try_recv() {
                        if write.feed(Message::Text(frame)).await.is_err() { break }
                    }
                    if write.flush().await.is_err() { break }
                }
                None => break,
            },
            message = read.next() => match message {
                Some(Ok(Message::Ping(data))) => {
                    if write.send(Message::Pong(data)).await.is_err() { break }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    shared.sockets.lock().remove(&id);
}

/// The answer to `GET /asterisk/info` of an Asterisk with this entity id.
#[must_use]
pub fn info(entity: &str) -> HttpReply {
    HttpReply::json(
        200,
        format!(
            r#"{{"build":{{"os":"o","kernel":"k","machine":"m","options":"","date":"d","user":"u"}},"system":{{"version":"22.0.0","entity_id":"{entity}"}},"config":{{"name":"fake","default_language":"en","setid":{{"user":"","group":""}}}},"status":{{"startup_time":"2026-01-02T03:04:05.678+0000","last_reload_time":"2026-01-02T03:04:05.678+0000"}}}}"#
        ),
    )
}
