//! Connections to Asterisk: kept for the next request, made a few at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::AriError;
use crate::stream;
use crate::url::Url;

/// Asterisk closes a connection that was idle for 15 s; ours are given up before.
const IDLE: Duration = Duration::from_secs(10);

/// How many connections are made at the same time. Asterisk lets 10 wait for being accepted; what
/// the kernel drops beyond that is tried again after a second.
const CONNECTING: usize = 4;

/// How long a connection may take from the end of an answer until it takes the next request.
const READY: Duration = Duration::from_secs(1);

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// What a request that waits gets.
type Got = Result<Lease, AriError>;

/// The connections of one Asterisk.
pub(crate) struct Pool {
    url: Url,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// How many connections may be open at once.
    limit: usize,
    /// How long making one may take.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that nobody uses, the one used last at the end.
    idle: Vec<(Sender, Instant)>,
    /// Requests without a connection, in the order they came.
    waiting: VecDeque<oneshot::Sender<Got>>,
    /// Connections that are being made.
    connecting: usize,
    /// All connections: idle, used and being made.
    open: usize,
}

/// A connection for one request. Dropping it hands it on, or closes it when it is in the middle of
/// an exchange.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    sender: Option<Sender>,
    /// Whether the pool has taken the connection back already.
    returned: bool,
    /// Whether it served a request before, so that Asterisk may have closed it meanwhile.
    pub reused: bool,
}

impl Pool {
    pub(crate) fn new(
        url: Url,
        tls: Option<Arc<rustls::ClientConfig>>,
        limit: usize,
        patience: Duration,
    ) -> Self {
        let tls = tls.filter(|_| url.tls);
        Pool { url, tls, limit: limit.max(1), patience, state: Mutex::default() }
    }

    /// A connection: one that is idle, else the first that becomes free or is made.
    pub(crate) async fn lease(self: &Arc<Self>) -> Got {
        let waiting = {
            let mut state = self.state.lock();
            if let Some(sender) = state.kept() {
                return Ok(self.leased(sender, true));
            }
            let (sender, waiting) = oneshot::channel();
            state.waiting.push_back(sender);
            self.connect(&mut state);
            waiting
        };
        match waiting.await {
            Ok(got) => got,
            // The pool keeps the other end until it is served.
            Err(_) => Err(AriError::Io(self.url.to_string(), std::io::ErrorKind::NotConnected.into())),
        }
    }

    /// Closes what is idle.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.open -= state.idle.len();
        state.idle.clear();
    }

    fn leased(self: &Arc<Self>, sender: Sender, reused: bool) -> Lease {
        Lease { pool: Arc::clone(self), sender: Some(sender), returned: false, reused }
    }

    /// Begins to make as many connections as the waiting requests need and the bounds allow.
    fn connect(self: &Arc<Self>, state: &mut State) {
        let wanted = state.waiting.len().min(CONNECTING);
        while state.connecting < wanted && state.open < self.limit {
            state.connecting += 1;
            state.open += 1;
            // A task of its own: the request may be served by another connection before.
            tokio::spawn(Arc::clone(self).connected());
        }
    }

    /// Makes one connection and hands it, or what went wrong, to whoever waits.
    async fn connected(self: Arc<Self>) {
        let made = tokio::time::timeout(self.patience, self.open()).await;
        let made = made.unwrap_or_else(|_| Err(AriError::Timeout(self.url.to_string(), self.patience)));
        match made {
            Ok(sender) => {
                self.state.lock().connecting -= 1;
                self.hand(self.leased(sender, false));
            }
            Err(error) => {
                let mut state = self.state.lock();
                state.connecting -= 1;
                state.open -= 1;
                let mut error = Err(error);
                // One failure for one request; the others have their own attempts.
                while let Some(first) = state.waiting.pop_front()
                    && let Err(back) = first.send(error)
                {
                    error = back;
                }
            }
        }
        self.connect(&mut self.state.lock());
    }

    async fn open(&self) -> Result<Sender, AriError> {
        let stream = stream::connect(&self.url, self.tls.as_ref())
            .await
            .map_err(|e| AriError::connecting(self.url.to_string(), e))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| AriError::Http(self.url.to_string(), e))?;
        // Ends when the sender is dropped or Asterisk closes.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to Asterisk ended");
            }
        });
        Ok(sender)
    }

    /// Gives a connection to the first request that still waits, else keeps it.
    fn hand(self: &Arc<Self>, mut lease: Lease) {
        loop {
            let next = {
                let mut state = self.state.lock();
                match state.waiting.pop_front() {
                    Some(next) => next,
                    None => {
                        if let Some(sender) = lease.sender.take() {
                            state.idle.push((sender, Instant::now()));
                            lease.returned = true;
                        }
                        return;
                    }
                }
            };
            match next.send(Ok(lease)) {
                Ok(()) | Err(Err(_)) => return,
                Err(Ok(back)) => lease = back,
            }
        }
    }

    /// A connection is no more.
    fn gone(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.open -= 1;
        self.connect(&mut state);
    }
}

impl State {
    /// An idle connection that can be used again.
    fn kept(&mut self) -> Option<Sender> {
        while let Some((sender, since)) = self.idle.pop() {
            if since.elapsed() >= IDLE {
                // All below it are older still.
                self.open -= 1 + self.idle.len();
                self.idle.clear();
                return None;
            }
            if sender.is_ready() {
                return Some(sender);
            }
            self.open -= 1;
        }
        None
    }
}

impl Lease {
    /// The connection, for one exchange. Unless [`Lease::done`] follows it is closed at the end.
    pub(crate) fn sender(&mut self) -> Option<Sender> {
        self.sender.take()
    }

    /// The exchange is over and its answer read whole: the next request may have the connection.
    pub(crate) fn done(mut self, mut sender: Sender) {
        self.reused = true;
        if sender.is_ready() {
            return self.pass_on(sender);
        }
        // The library frees it when it has seen the end of the answer, which is a moment later.
        tokio::spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(READY, sender.ready()).await {
                self.pass_on(sender);
            }
        });
    }

    /// The connection is free; dropping the lease hands it on.
    fn pass_on(mut self, sender: Sender) {
        self.sender = Some(sender);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.returned {
            return;
        }
        match self.sender.take() {
            Some(sender) if sender.is_ready() => {
                let pool = Arc::clone(&self.pool);
                pool.hand(pool.leased(sender, self.reused));
            }
            _ => self.pool.gone(),
        }
    }
}
