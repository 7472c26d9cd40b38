//! The listener over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_http::{HttpError, HttpServer, Router, RunningHttp, health};
use trunkline_operations::{
    Figures, OperationError, Operations, Part, Readiness, TransportFigures, TrunkFigures,
};
use trunkline_store::Store;

/// A bound against hanging.
const BOUND: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Fake {
    starting: AtomicBool,
    draining: AtomicBool,
    store_dead: AtomicBool,
}

impl Operations for Fake {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        Err(OperationError::NotRunning)
    }

    fn readiness(&self) -> Readiness {
        let dead = self.store_dead.load(Ordering::Relaxed);
        Readiness {
            listening: !self.starting.load(Ordering::Relaxed),
            draining: self.draining.load(Ordering::Relaxed),
            parts: vec![
                Part::new("store", dead.then(|| "the disk is full".to_owned())),
                Part::new("location", None),
            ],
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            shards: vec![vec![("requests", 3), ("challenged", 1)], vec![("requests", 4), ("challenged", 0)]],
            shard_help: vec![("requests", "Requests received.")],
            busy_percent: vec![12, 80],
            sources_handed_over: 1,
            transports: vec![TransportFigures { name: "udp", received: 7, sent: 8 }],
            transactions: 2,
            flooding: 3,
            bindings: 5,
            calls: 1,
            location_writes: 9,
            trunks: vec![
                TrunkFigures { reference: "alpha".into(), up: 1, down: 1, unknown: 0 },
                TrunkFigures { reference: "beta".into(), up: 0, down: 0, unknown: 1 },
            ],
            ..Figures::default()
        }
    }
}

fn start(status: Arc<Fake>) -> RunningHttp {
    HttpServer::new(([127, 0, 0, 1], 0).into()).mount(health(status)).start().unwrap()
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Status, head, body.
fn get(to: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = connect(to);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

fn get_json(to: SocketAddr, path: &str) -> (u16, Value) {
    let (code, head, body) = get(to, path);
    assert!(head.contains("content-type: application/json"), "{head}");
    (code, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_dead_store_is_told_and_turns_nothing_red() {
    let status = Arc::new(Fake::default());
    let server = start(status.clone());
    assert_eq!(get_json(server.address(), "/healthz").0, 200);
    let (code, ready) = get_json(server.address(), "/readyz");
    assert_eq!((code, &ready["status"], &ready["degraded"]), (200, &json!("ready"), &json!([])));

    status.store_dead.store(true, Ordering::Relaxed);
    let (code, alive) = get_json(server.address(), "/healthz");
    assert_eq!((code, &alive["status"]), (200, &json!("ok")));
    let (code, ready) = get_json(server.address(), "/readyz");
    assert_eq!(code, 200);
    assert_eq!(
        ready,
        json!({
            "status": "degraded", "listening": true, "draining": false, "degraded": ["store"],
            "parts": [
                {"name": "store", "ok": false, "reason": "the disk is full"},
                {"name": "location", "ok": true},
            ],
        })
    );
}

#[test]
fn not_ready_before_listening_and_while_draining() {
    let status = Arc::new(Fake::default());
    let server = start(status.clone());
    status.starting.store(true, Ordering::Relaxed);
    let (code, ready) = get_json(server.address(), "/readyz");
    assert_eq!((code, &ready["status"]), (503, &json!("starting")));
    status.starting.store(false, Ordering::Relaxed);
    status.draining.store(true, Ordering::Relaxed);
    let (code, ready) = get_json(server.address(), "/readyz");
    assert_eq!((code, &ready["status"]), (503, &json!("draining")));
    assert_eq!(get(server.address(), "/healthz").0, 200);
}

#[test]
fn metrics_are_sums_over_the_shards() {
    let status = Arc::new(Fake::default());
    let server = start(status.clone());
    status.store_dead.store(true, Ordering::Relaxed);
    let (code, head, text) = get(server.address(), "/metrics");
    assert_eq!(code, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "trunkline_ready 1",
        "trunkline_part_up{part=\"store\"} 0",
        "trunkline_part_up{part=\"location\"} 1",
        "# HELP trunkline_edge_requests_total Requests received.",
        "# TYPE trunkline_edge_requests_total counter",
        "trunkline_edge_requests_total 7",
        "trunkline_edge_challenged_total 1",
        "trunkline_shards 2",
        "trunkline_shard_busy_percent{shard=\"0\"} 12",
        "trunkline_shard_busy_percent{shard=\"1\"} 80",
        "trunkline_sources_handed_over 1",
        "trunkline_sip_messages_total{transport=\"udp\",direction=\"in\"} 7",
        "trunkline_sip_messages_total{transport=\"udp\",direction=\"out\"} 8",
        "trunkline_transactions 2",
        "trunkline_sources_flooding 3",
        "trunkline_bindings 5",
        "trunkline_calls 1",
        "trunkline_location_writes_total 9",
        "trunkline_trunk_up{trunk=\"alpha\"} 1",
        "trunkline_trunk_up{trunk=\"beta\"} 0",
        "trunkline_trunk_destinations_down{trunk=\"alpha\"} 1",
        "trunkline_trunk_destinations_unknown{trunk=\"beta\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
    }
    // Every family stands once, and every sample below its own head.
    let mut heads = std::collections::HashSet::new();
    let mut family = "";
    for line in text.lines() {
        match line.strip_prefix("# TYPE ").map(|rest| rest.split(' ').next().unwrap()) {
            Some(name) => {
                assert!(heads.insert(name), "{name} stands twice");
                family = name;
            }
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next().unwrap(), family),
        }
    }
}

#[test]
fn a_busy_port_names_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let Err(error) = HttpServer::new(address).start() else { panic!("two listeners on {address}") };
    assert!(matches!(error, HttpError::Bind { .. }));
    let text = error.to_string();
    assert!(text.contains("key http.addr") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn other_parts_mount_beside_health() {
    let hello = Router::new().route("/hello", axum::routing::get(|| async { "here" }));
    let server = HttpServer::new(([127, 0, 0, 1], 0).into())
        .mount(health(Arc::new(Fake::default())))
        .mount(hello)
        .start()
        .unwrap();
    assert_eq!(get(server.address(), "/hello").2, "here");
    let (code, missing) = get_json(server.address(), "/nothing");
    assert_eq!((code, missing), (404, json!({"error": "no such page"})));
    let mut stream = connect(server.address());
    stream
        .write_all(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 405"), "{text}");
}

#[test]
fn what_is_under_way_is_answered_when_it_ends() {
    let (arrived, at) = mpsc::channel();
    let (finish, end) = tokio::sync::watch::channel(false);
    let slow = Router::new().route(
        "/slow",
        axum::routing::get(move || {
            let (arrived, mut end) = (arrived.clone(), end.clone());
            async move {
                let _ = arrived.send(());
                let _ = end.wait_for(|e| *e).await.is_ok();
                "done"
            }
        }),
    );
    let server = HttpServer::new(([127, 0, 0, 1], 0).into()).mount(slow).start().unwrap();
    let address = server.address();
    // A connection that says nothing must not hold up the end.
    let idle = connect(address);
    let client = std::thread::spawn(move || get(address, "/slow"));
    at.recv_timeout(BOUND).unwrap();
    let stopping = std::thread::spawn(move || server.stop());
    // It takes no more: the port is free for another.
    let end = std::time::Instant::now() + BOUND;
    while TcpListener::bind(address).is_err() {
        assert!(std::time::Instant::now() < end, "it still listens");
        std::thread::yield_now();
    }
    finish.send(true).unwrap();
    let (code, head, body) = client.join().unwrap();
    assert_eq!((code, body.as_str()), (200, "done"));
    assert!(head.contains("connection: close"), "{head}");
    stopping.join().unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).is_err());
}

/// Who asks, and what for.
async fn echo(
    axum::extract::ConnectInfo(from): axum::extract::ConnectInfo<SocketAddr>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> String {
    format!("{} {}", from.ip(), query.unwrap_or_default())
}

#[test]
fn a_tolerant_listener_reads_what_should_have_been_escaped() {
    let router = Router::new().route("/echo", axum::routing::get(echo));
    let tolerant =
        HttpServer::new(([127, 0, 0, 1], 0).into()).tolerant().mount(router.clone()).start().unwrap();
    let (status, _, body) = get(tolerant.address(), "/echo?a=\"b c\"");
    assert_eq!((status, body.as_str()), (200, "127.0.0.1 a=%22b%20c%22"));
    // One request a connection: only its first line is looked at.
    let mut stream = connect(tolerant.address());
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 1, "{text}");
    let strict = HttpServer::new(([127, 0, 0, 1], 0).into()).mount(router).start().unwrap();
    assert_eq!(get(strict.address(), "/echo?a=\"b").0, 400);
}

#[test]
fn another_listener_names_its_own_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let Err(error) = HttpServer::new(address).key("some.key").start() else { panic!("two listeners") };
    assert!(error.to_string().contains("key some.key"), "{error}");
}

/// A client that never ends its request line is let go, on a tolerant listener too.
#[test]
fn who_does_not_end_a_request_is_let_go() {
    let server = HttpServer::new(([127, 0, 0, 1], 0).into()).tolerant().start().unwrap();
    let mut stream = connect(server.address());
    stream.write_all(b"GET /never").unwrap();
    let mut rest = Vec::new();
    // The bound is the socket's: many times what a head may take.
    stream.read_to_end(&mut rest).expect("the connection is ended");
}

/// A connection from another loopback address.
fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

#[test]
fn one_address_does_not_take_all_the_room() {
    let server = start(Arc::default());
    let to = server.address();
    let silent: Vec<TcpStream> = (0..64).map(|_| connect_from([127, 0, 0, 2], to)).collect();
    let mut turned_away = connect_from([127, 0, 0, 2], to);
    assert_eq!(turned_away.read(&mut [0; 16]).unwrap(), 0, "the 65th is closed");
    assert_eq!(get(to, "/healthz").0, 200, "another address is served");
    drop(silent);
    // Their places are free again, in a moment.
    let deadline = std::time::Instant::now() + BOUND;
    loop {
        let mut again = connect_from([127, 0, 0, 2], to);
        let _ = again.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        if again.read_to_string(&mut text).is_ok() && text.contains(" 200 ") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no place became free");
        std::thread::yield_now();
    }
}
