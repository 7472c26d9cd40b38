//! The socket of the bus: opened anew for ever, read and written in one task.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::ServerAddr;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_rustls::TlsConnector;
use trunkline_ari_rest::Backoff;

use super::Bus;
use super::login::{Login, ServerInfo};
use super::wire::{Message, Parsed, ServerOp, WireError, parse};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the server is asked whether it is there. One that is silent for twice as long is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A connection that does not last so long is as good as none.
const LASTING: Duration = Duration::from_secs(1);

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// The buffers that are kept, in bytes: one message may need more.
const KEPT: usize = 256 << 10;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
enum BusError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server says nothing any more")]
    Silent,
    #[error("the server refuses: {0}")]
    Refused(String),
    #[error("{0}")]
    Login(String),
    #[error("no answer within {PATIENCE:?}")]
    Timeout,
}

/// The servers to try: those of the configuration, and those that they tell of.
pub(crate) struct Servers {
    all: Vec<ServerAddr>,
    next: usize,
}

impl Servers {
    /// Begins anywhere, so that not all proxies use the same server.
    pub(crate) fn new(all: Vec<ServerAddr>) -> Self {
        let next = usize::try_from(RandomState::new().hash_one(0)).unwrap_or_default();
        Servers { all, next }
    }

    fn next(&mut self) -> Option<ServerAddr> {
        self.next = self.next.wrapping_add(1);
        self.all.get(self.next % self.all.len().max(1)).cloned()
    }

    fn learn(&mut self, others: &[String]) {
        for server in others.iter().filter_map(|o| o.parse::<ServerAddr>().ok()) {
            let same = |known: &ServerAddr| known.host() == server.host() && known.port() == server.port();
            if !self.all.iter().any(same) {
                self.all.push(server);
            }
        }
    }
}

/// Keeps the bus connected for ever.
pub(crate) async fn keep(bus: Arc<Bus>, login: Login, mut servers: Servers) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    let (mut failed, mut told) = (0, false);
    while let Some(server) = servers.next() {
        let opened = tokio::time::timeout(PATIENCE, Connection::open(&server, &login)).await;
        let why = match opened.unwrap_or(Err(BusError::Timeout)) {
            Ok((mut connection, info)) => {
                servers.learn(&info.others);
                let begun = Instant::now();
                bus.established(&info);
                let why = poll_fn(|cx| connection.poll(&bus, cx)).await;
                bus.lost();
                if begun.elapsed() >= LASTING {
                    (failed, told) = (0, false);
                    backoff.reset();
                }
                why
            }
            Err(why) => why,
        };
        let server = format!("{}:{}", server.host(), server.port());
        if std::mem::replace(&mut told, true) {
            tracing::debug!(server, %why, "no connection to NATS for requests");
        } else {
            tracing::warn!(server, %why, "no connection to NATS for requests; connecting again");
        }
        // Each server has its turn at once; then they are given time.
        failed += 1;
        if failed > servers.all.len() {
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }
}

/// An open connection.
struct Connection {
    socket: Box<dyn Socket>,
    inbox: Inbox,
    sending: Vec<u8>,
    sent: usize,
    keep_alive: Interval,
    /// Turns of the keep-alive in which nothing came.
    silent: u32,
}

/// Logs in.
async fn greet(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    inbox: &mut Inbox,
    hello: &str,
) -> Result<(), BusError> {
    socket.write_all(hello.as_bytes()).await?;
    socket.flush().await?;
    let greeted = inbox.first(socket, |op| match op {
        ServerOp::Pong => Ok(Some(())),
        ServerOp::Error(why) => Err(BusError::Refused(why.to_owned())),
        _ => Ok(None),
    });
    greeted.await
}

impl Connection {
    /// Connects and logs in.
    async fn open(server: &ServerAddr, login: &Login) -> Result<(Self, ServerInfo), BusError> {
        let mut tcp = TcpStream::connect((server.host(), server.port())).await?;
        tcp.set_nodelay(true)?;
        let mut inbox = Inbox::default();
        let info = inbox.first(&mut tcp, |op| match op {
            ServerOp::Info(json) => Ok(ServerInfo::read(json)),
            _ => Ok(None),
        });
        let info = info.await?;
        let tls = server.tls_required();
        let hello = login.connect(server, &info, tls).map_err(BusError::Login)?;
        let mut socket: Box<dyn Socket> = Box::new(tcp);
        if tls || info.tls_required {
            // Nothing that came before counts.
            inbox = Inbox::default();
            let name = ServerName::try_from(server.host().to_owned()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(login.tls().map_err(BusError::Login)?);
            socket = Box::new(connector.connect(name, socket).await?);
        }
        greet(&mut socket, &mut inbox, &hello).await?;
        let mut keep_alive = tokio::time::interval(KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keep_alive.reset();
        let connection = Connection { socket, inbox, sending: Vec::new(), sent: 0, keep_alive, silent: 0 };
        Ok((connection, info))
    }

    /// Reads and writes what there is; ready when the connection is lost.
    fn poll(&mut self, bus: &Bus, cx: &mut Context<'_>) -> Poll<BusError> {
        bus.awake();
        let done = self.poll_keep_alive(bus, cx).and_then(|()| self.poll_read(bus, cx));
        match done.map(|()| self.poll_write(bus, cx)) {
            Err(why) | Ok(Poll::Ready(Err(why))) => Poll::Ready(why),
            Ok(Poll::Pending | Poll::Ready(Ok(()))) => Poll::Pending,
        }
    }

    fn poll_keep_alive(&mut self, bus: &Bus, cx: &mut Context<'_>) -> Result<(), BusError> {
        while self.keep_alive.poll_tick(cx).is_ready() {
            self.silent += 1;
            if self.silent > 2 {
                return Err(BusError::Silent);
            }
            bus.ask();
        }
        Ok(())
    }

    fn poll_read(&mut self, bus: &Bus, cx: &mut Context<'_>) -> Result<(), BusError> {
        while let Poll::Ready(read) = self.inbox.poll_fill(&mut self.socket, cx) {
            if read? == 0 {
                return Err(BusError::Closed);
            }
            self.silent = 0;
            self.take(bus)?;
        }
        Ok(())
    }

    /// Takes every whole operation that was read.
    fn take(&mut self, bus: &Bus) -> Result<(), BusError> {
        loop {
            let (length, op) = match parse(self.inbox.unread())? {
                Parsed::Whole(length, op) => (length, op),
                Parsed::Needs(length) => {
                    self.inbox.needs = length;
                    return Ok(());
                }
            };
            match op {
                ServerOp::Message(delivery) => {
                    if let Some(take) = bus.taker(delivery.sid) {
                        take(Message::of(&delivery));
                    }
                }
                ServerOp::Ping => bus.pong(),
                ServerOp::Pong => bus.ponged(),
                ServerOp::Info(json) => {
                    if let Some(info) = ServerInfo::read(json) {
                        bus.learn(&info);
                    }
                }
                ServerOp::Ok => {}
                // A permission that is missing; after anything worse the server closes.
                ServerOp::Error(why) => tracing::warn!(why, "NATS"),
            }
            self.inbox.consume(length);
        }
    }

    fn poll_write(&mut self, bus: &Bus, cx: &mut Context<'_>) -> Poll<Result<(), BusError>> {
        loop {
            let left = self.sending.get(self.sent..).unwrap_or_default();
            if left.is_empty() {
                self.sent = 0;
                if self.sending.capacity() > KEPT {
                    self.sending = Vec::new();
                } else {
                    self.sending.clear();
                }
                if !bus.next_to_send(&mut self.sending, cx.waker()) {
                    return Pin::new(&mut self.socket).poll_flush(cx).map_err(BusError::from);
                }
                continue;
            }
            match ready!(Pin::new(&mut self.socket).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(BusError::Closed)),
                sent => self.sent += sent,
            }
        }
    }
}

/// What was read and not taken yet.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How long the operation is that begins at `start`, as far as that is known.
    needs: usize,
}

impl Inbox {
    /// The first operation that `read` takes; what comes before is passed over.
    async fn first<T>(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        read: impl Fn(ServerOp<'_>) -> Result<Option<T>, BusError>,
    ) -> Result<T, BusError> {
        loop {
            match parse(self.unread())? {
                Parsed::Whole(length, op) => {
                    let found = read(op)?;
                    self.consume(length);
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Parsed::Needs(length) => {
                    self.needs = length;
                    if poll_fn(|cx| self.poll_fill(socket, cx)).await? == 0 {
                        return Err(BusError::Closed);
                    }
                }
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }

    /// Reads what is there; 0 at the end.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(socket).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Room for the operation that has begun, and some.
    fn make_room(&mut self) {
        let unread = self.start..self.end;
        if unread.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > KEPT {
                self.bytes = Vec::new();
            }
        } else if self.start > 0 && self.start + self.needs + READ / 4 > self.bytes.len() {
            self.bytes.copy_within(unread.clone(), 0);
            (self.start, self.end) = (0, unread.len());
        }
        let wanted = (self.start + self.needs).max(self.end + 1).max(READ);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_reads_what_is_longer_than_itself() {
        let mut text = Vec::new();
        for n in [1, 5000, 100, 300_000, 7, 40_000, 2] {
            text.extend_from_slice(format!("MSG a 1 {n}\r\n{}\r\n", "x".repeat(n)).as_bytes());
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (mut inbox, mut from, mut lengths) = (Inbox::default(), text.as_slice(), Vec::new());
        loop {
            match parse(inbox.unread()).unwrap() {
                Parsed::Whole(length, ServerOp::Message(message)) => {
                    lengths.push(message.payload.len());
                    inbox.consume(length);
                }
                Parsed::Whole(..) => panic!("only messages"),
                Parsed::Needs(length) => {
                    inbox.needs = length;
                    if matches!(inbox.poll_fill(&mut from, &mut cx), Poll::Ready(Ok(0))) {
                        break;
                    }
                }
            }
        }
        assert_eq!(lengths, [1, 5000, 100, 300_000, 7, 40_000, 2]);
        assert!(inbox.unread().is_empty());
    }

    #[test]
    fn servers_have_their_turn_and_tell_of_others() {
        let mut servers = Servers::new(vec!["nats://a".parse().unwrap(), "nats://b:5".parse().unwrap()]);
        servers.learn(&["b:5".to_owned(), "c:6".to_owned(), "no server:x".to_owned()]);
        let mut turn: Vec<_> = (0..3).map(|_| servers.next().unwrap().host().to_owned()).collect();
        turn.sort();
        assert_eq!(turn, ["a", "b", "c"]);
        assert!(Servers::new(Vec::new()).next().is_none());
    }
}
