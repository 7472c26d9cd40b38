//! The bus against a server by hand, which reads when it likes and goes away in the middle of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use trunkline_ari_client::NatsConfig;

use super::{Bus, Headers, Login, Servers, TooLong, keep};

const INFO: &[u8] = b"INFO {\"headers\":true,\"max_payload\":100000}\r\n";

/// A server of which every step is the test's own.
struct ByHand(TcpListener);

impl ByHand {
    async fn start() -> (Self, Arc<Bus>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("nats://{}", listener.local_addr().unwrap()).parse().unwrap();
        let bus = Arc::new(Bus::new());
        let login = Login::new(&NatsConfig::default()).unwrap();
        let keeping = tokio::spawn(keep(Arc::clone(&bus), login, Servers::new(vec![server])));
        (ByHand(listener), bus, keeping)
    }

    /// Takes a connection and lets it in.
    async fn accept(&self) -> Peer {
        let (mut stream, _) = self.0.accept().await.unwrap();
        stream.write_all(INFO).await.unwrap();
        let mut peer = Peer(BufReader::new(stream));
        assert!(peer.line().await.starts_with("CONNECT {"));
        assert_eq!(peer.line().await, "PING");
        peer.send("PONG\r\n").await;
        peer
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The subject and the body of the next message; pings are answered on the way.
    async fn message(&mut self) -> (String, Vec<u8>) {
        loop {
            let line = self.line().await;
            if line == "PING" {
                self.send("PONG\r\n").await;
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            let ["PUB", subject, length] = words[..] else { panic!("no message: {line}") };
            let mut body = vec![0; length.parse::<usize>().unwrap() + 2];
            self.0.read_exact(&mut body).await.unwrap();
            assert_eq!(body.split_off(body.len() - 2), b"\r\n");
            return (subject.to_owned(), body);
        }
    }
}

/// Until the bus has its connection for the `n`th time.
async fn reached(bus: &Bus, n: u64) {
    bus.reached().wait_for(|reached| *reached >= n).await.unwrap();
}

#[tokio::test]
async fn messages_go_to_whoever_subscribed_until_the_end_is_confirmed() {
    let (server, bus, keeping) = ByHand::start().await;
    let taken = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&taken);
    let first = bus.subscribe("a".to_owned(), None, |_| {});
    let second = bus.subscribe("b".to_owned(), Some("q"), move |message| {
        assert_eq!((message.subject(), message.reply(), message.payload()), ("b", Some("r"), &b"hi"[..]));
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut peer = server.accept().await;
    assert_eq!(peer.line().await, format!("SUB a {first}"));
    assert_eq!(peer.line().await, format!("SUB b q {second}"));
    reached(&bus, 1).await;
    let third = bus.subscribe("c".to_owned(), None, |_| {});
    assert_eq!(peer.line().await, format!("SUB c {third}"));
    let delivery = format!("MSG b {second} r 2\r\nhi\r\n");
    peer.send(&delivery).await;
    let left = tokio::spawn(bus.leave(vec![first, second]));
    assert_eq!(peer.line().await, format!("UNSUB {first}"));
    assert_eq!(peer.line().await, format!("UNSUB {second}"));
    assert_eq!(peer.line().await, "PING");
    // On its way before the end was confirmed; after that nothing is taken.
    peer.send(&format!("{delivery}PONG\r\n{delivery}PING\r\n")).await;
    assert_eq!(peer.line().await, "PONG");
    left.await.unwrap();
    assert_eq!(taken.load(Ordering::Relaxed), 2);
    // A new connection has what is left of them.
    drop(peer);
    let mut peer = server.accept().await;
    assert_eq!(peer.line().await, format!("SUB c {third}"));
    // Without a connection nothing is waited for.
    keeping.abort();
}

#[tokio::test]
async fn a_server_that_does_not_read_makes_publishers_wait_and_gets_everything_in_order() {
    let (server, bus, keeping) = ByHand::start().await;
    let mut peer = server.accept().await;
    reached(&bus, 1).await;
    let total = 300;
    let sent = Arc::<AtomicUsize>::default();
    let sending = tokio::spawn({
        let (bus, sent) = (Arc::clone(&bus), Arc::clone(&sent));
        async move {
            for n in 0..total {
                bus.publish(&format!("s.{n}"), None, &vec![b'x'; 90_000]).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Nothing is read until a publisher had to wait: sockets and buffers take less than all of it.
    while bus.state.lock().messages.len() < super::WAITING {
        tokio::task::yield_now().await;
    }
    assert!(sent.load(Ordering::Relaxed) < total);
    for n in 0..total {
        let (subject, body) = peer.message().await;
        assert_eq!((subject, body.len()), (format!("s.{n}"), 90_000));
    }
    sending.await.unwrap();
    let flushing = tokio::spawn(async move { bus.flush().await });
    assert_eq!(peer.line().await, "PING");
    peer.send("PONG\r\n").await;
    flushing.await.unwrap();
    keeping.abort();
}

#[tokio::test]
async fn a_message_that_a_dead_connection_began_is_not_ended_on_the_next() {
    let (server, bus, keeping) = ByHand::start().await;
    let peer = server.accept().await;
    reached(&bus, 1).await;
    // Until the socket takes no more: then a message is half sent.
    let mut n = 0;
    while bus.state.lock().messages.is_empty() {
        bus.publish(&format!("s.{n}"), None, &vec![b'x'; 90_000]).await.unwrap();
        n += 1;
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(peer);
    let mut peer = server.accept().await;
    reached(&bus, 2).await;
    bus.publish("last", None, b"!").await.unwrap();
    while peer.message().await.0 != "last" {}
    keeping.abort();
}

#[tokio::test]
async fn what_the_server_does_not_carry_is_refused() {
    let (server, bus, keeping) = ByHand::start().await;
    let mut peer = server.accept().await;
    reached(&bus, 1).await;
    assert_eq!(bus.max_payload(), 100_000);
    assert_eq!(bus.publish("s", None, &vec![0; 100_001]).await, Err(TooLong(100_001, 100_000)));
    peer.send("INFO {\"headers\":false,\"max_payload\":10}\r\nPING\r\n").await;
    assert_eq!(peer.line().await, "PONG");
    assert_eq!(bus.publish("s", None, &[0; 11]).await, Err(TooLong(11, 10)));
    // A server without headers gets none.
    let mut headers = Headers::new();
    headers.insert("a", "b");
    bus.publish("s", Some(&headers), b"x").await.unwrap();
    assert_eq!(peer.line().await, "PUB s 1");
    keeping.abort();
}
