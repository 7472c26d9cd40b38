//! Connections to Asterisk: kept for the next request, made a few at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::AriError;
use crate::http::HttpConnection;
use crate::stream;
use crate::url::Url;

/// Asterisk closes a connection that was idle for 15 s; ours are given up before.
const IDLE: Duration = Duration::from_secs(10);

/// How many connections are made at the same time. Asterisk lets 10 wait for being accepted; what
/// the kernel drops beyond that is tried again after a second.
const CONNECTING: usize = 4;

/// The result for a waiting request.
type Got = Result<PooledConnection, AriError>;

/// The connections of one Asterisk.
pub(crate) struct Pool {
    url: Url,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// How many connections may be open at once.
    limit: usize,
    /// How long making one may take.
    patience: Duration,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Connections that nobody uses, the one used last at the end.
    idle: Vec<(HttpConnection, Instant)>,
    /// Requests without a connection, in the order they came.
    waiting: VecDeque<oneshot::Sender<Got>>,
    /// Connections that are being made.
    connecting: usize,
    /// All connections: idle, used and being made.
    open: usize,
    /// Whether a task closes what is idle for too long.
    sweeping: bool,
}

/// A connection for one request. Dropping it hands it on, or closes it when it is in the middle of
/// an exchange.
pub(crate) struct PooledConnection {
    pool: Arc<Pool>,
    connection: Option<HttpConnection>,
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
            if let Some(connection) = state.kept() {
                return Ok(self.leased(connection, true));
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

    fn leased(self: &Arc<Self>, connection: HttpConnection, reused: bool) -> PooledConnection {
        PooledConnection { pool: Arc::clone(self), connection: Some(connection), returned: false, reused }
    }

    /// Begins to make as many connections as the waiting requests need and the bounds allow.
    fn connect(self: &Arc<Self>, state: &mut PoolState) {
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
            Ok(connection) => {
                self.state.lock().connecting -= 1;
                self.hand(self.leased(connection, false));
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

    async fn open(&self) -> Result<HttpConnection, AriError> {
        let stream = stream::connect(&self.url, self.tls.as_ref())
            .await
            .map_err(|e| AriError::connecting(self.url.to_string(), e))?;
        Ok(HttpConnection::new(stream))
    }

    /// Gives a connection to the first request that still waits, else keeps it.
    fn hand(self: &Arc<Self>, mut lease: PooledConnection) {
        loop {
            let next = {
                let mut state = self.state.lock();
                match state.waiting.pop_front() {
                    Some(next) => next,
                    None => {
                        if let Some(connection) = lease.connection.take() {
                            state.idle.push((connection, Instant::now()));
                            lease.returned = true;
                            if !std::mem::replace(&mut state.sweeping, true) {
                                tokio::spawn(sweep(Arc::downgrade(self)));
                            }
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

/// Closes what is idle for too long, until nothing is idle: nobody else looks at a connection that
/// nobody needs.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state.lock();
        let before = state.idle.len();
        state.idle.retain_mut(|(connection, since)| since.elapsed() < IDLE && connection.is_quiet());
        state.open -= before - state.idle.len();
        if state.idle.is_empty() {
            state.sweeping = false;
            return;
        }
    }
}

impl PoolState {
    /// An idle connection that can be used again.
    fn kept(&mut self) -> Option<HttpConnection> {
        while let Some((mut connection, since)) = self.idle.pop() {
            if since.elapsed() >= IDLE {
                // All below it are older still.
                self.open -= 1 + self.idle.len();
                self.idle.clear();
                return None;
            }
            if connection.is_quiet() {
                return Some(connection);
            }
            self.open -= 1;
        }
        None
    }
}

impl PooledConnection {
    /// The connection, for one exchange. Unless [`PooledConnection::done`] follows it is closed at the end.
    pub(crate) fn take(&mut self) -> Option<HttpConnection> {
        self.connection.take()
    }

    /// The exchange is over and its answer read whole: the next request may have the connection.
    pub(crate) fn done(mut self, connection: HttpConnection) {
        self.reused = true;
        // Dropping the lease hands it on.
        self.connection = Some(connection);
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.returned {
            return;
        }
        match self.connection.take() {
            Some(connection) => {
                let pool = Arc::clone(&self.pool);
                pool.hand(pool.leased(connection, self.reused));
            }
            None => self.pool.gone(),
        }
    }
}
