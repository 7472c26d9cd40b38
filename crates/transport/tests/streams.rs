//! TLS, WS and WSS with real sockets on loopback: an echo behind a door and two shards.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::{Echo, MESSAGE, UNANSWERED, identity, tls_client, websocket_request};
use trunkline_sip::Transport;
use trunkline_transport::{ClientAuth, Closed, StreamLimits, TlsFailure, TlsSettings};
use tungstenite::Message;

/// A bound against hanging.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn messages_and_keep_alives_over_tls() {
    let echo = Echo::start(TlsSettings::default(), StreamLimits::default());
    let mut phone = tls_client(echo.at(Transport::Tls), "localhost", None, None).unwrap();
    phone.write_all(MESSAGE).unwrap();
    let mut answer = vec![0; MESSAGE.len()];
    phone.read_exact(&mut answer).unwrap();
    assert_eq!(answer, MESSAGE);
    // Cut anywhere, and a keep-alive of RFC 5626 behind it.
    for part in MESSAGE.chunks(7) {
        phone.write_all(part).unwrap();
        phone.flush().unwrap();
    }
    phone.write_all(b"\r\n\r\n").unwrap();
    let mut answer = vec![0; MESSAGE.len() + 2];
    phone.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [MESSAGE, b"\r\n"].concat());
}

#[test]
fn much_goes_through_a_full_socket() {
    let echo =
        Echo::start(TlsSettings::default(), StreamLimits { unsent: 64 << 20, ..StreamLimits::default() });
    let mut phone = tls_client(echo.at(Transport::Tls), "localhost", None, None).unwrap();
    const MANY: usize = 5_000;
    let all = MESSAGE.repeat(MANY);
    // Nothing is read until all is written: the echo has to wait for us.
    phone.write_all(&all).unwrap();
    phone.flush().unwrap();
    let mut answer = vec![0; all.len()];
    phone.read_exact(&mut answer).unwrap();
    assert!(answer == all);
}

#[test]
fn messages_over_websockets() {
    let echo = Echo::start(TlsSettings::default(), StreamLimits::default());
    let plain = TcpStream::connect(echo.at(Transport::Ws)).unwrap();
    let secure = tls_client(echo.at(Transport::Wss), "localhost", None, None).unwrap();
    talk(plain);
    talk(secure);
}

fn talk<S: Read + Write>(stream: S) {
    let (mut socket, response) = tungstenite::client(websocket_request("sip"), stream).unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    let text = std::str::from_utf8(MESSAGE).unwrap();
    socket.send(Message::text(text)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(text));
    socket.send(Message::binary(MESSAGE)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(text), "UTF-8 goes as text, however it came");
    let odd = [MESSAGE, b"\xff"].concat();
    socket.send(Message::binary(odd.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::binary(odd));
    socket.send(Message::text("\r\n\r\n")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("\r\n"));
    socket.send(Message::Ping(b"are you there"[..].into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"are you there"[..].into()));
    socket.close(None).unwrap();
    assert!(matches!(socket.read().unwrap(), Message::Close(_)));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn frames_behind_the_request_are_not_lost() {
    let echo = Echo::start(TlsSettings::default(), StreamLimits::default());
    let mut stream = TcpStream::connect(echo.at(Transport::Ws)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    // A masked text frame `\r\n\r\n` in the same packet.
    let frame = [0x81, 0x84, 0, 0, 0, 0, b'\r', b'\n', b'\r', b'\n'];
    stream.write_all(&[request.as_bytes(), &frame].concat()).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 512];
    while !all.ends_with(&[0x81, 2, b'\r', b'\n']) {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "closed after {all:?}");
        all.extend_from_slice(&buffer[..n]);
    }
    assert!(all.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn browsers_get_a_page_and_others_an_error() {
    let echo = Echo::start(TlsSettings::default(), StreamLimits::default());
    let mut browser = tls_client(echo.at(Transport::Wss), "localhost", None, None).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut page = String::new();
    browser.read_to_string(&mut page).unwrap();
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("certificate is now accepted"),
        "{page}"
    );
    let stream = TcpStream::connect(echo.at(Transport::Ws)).unwrap();
    match tungstenite::client(websocket_request("chat"), stream) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(response.status(), 400);
        }
        other => panic!("{:?}", other.is_ok()),
    }
}

#[test]
fn names_choose_certificates_and_files_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (a, b) = (identity("a.test", None), identity("b.test", None));
    let pair = |name: &str, made: &common::Identity| {
        (write(&format!("{name}.crt"), &made.chain), write(&format!("{name}.key"), &made.key))
    };
    let tls = TlsSettings { pair: Some(pair("a", &a)), more: vec![pair("b", &b)], ..TlsSettings::default() };
    let echo = Echo::start(tls, StreamLimits::default());
    let to = echo.at(Transport::Tls);
    // Each client trusts one certificate alone, for its name.
    let mut phone = tls_client(to, "a.test", Some(&a), None).unwrap();
    tls_client(to, "b.test", Some(&b), None).unwrap();
    assert!(tls_client(to, "b.test", Some(&a), None).is_err());

    let newer = identity("a.test", None);
    pair("a", &newer);
    let until = Instant::now() + BOUND;
    while tls_client(to, "a.test", Some(&newer), None).is_err() {
        assert!(Instant::now() < until, "the new certificate was not taken up");
    }
    // The old connection lives.
    phone.write_all(MESSAGE).unwrap();
    let mut answer = vec![0; MESSAGE.len()];
    phone.read_exact(&mut answer).unwrap();
    // Nonsense in the files changes nothing.
    write("a.crt", "nonsense");
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        tls_client(to, "a.test", Some(&newer), None).unwrap();
    }
}

#[test]
fn clients_show_certificates_where_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let ca = common::Authority::new();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, &ca.chain).unwrap();
    let known = identity("phone.test", Some(&ca));
    let stranger = identity("phone.test", None);
    for (auth, who, welcome) in [
        (ClientAuth::Required, Some(&known), true),
        (ClientAuth::Required, Some(&stranger), false),
        (ClientAuth::Required, None, false),
        (ClientAuth::Optional, None, true),
        (ClientAuth::Optional, Some(&known), true),
    ] {
        let tls = TlsSettings { client_ca: Some(path.clone()), client_auth: auth, ..TlsSettings::default() };
        let echo = Echo::start(tls, StreamLimits::default());
        let works = || -> std::io::Result<()> {
            let mut phone = tls_client(echo.at(Transport::Tls), "localhost", None, who)?;
            phone.write_all(MESSAGE)?;
            phone.read_exact(&mut vec![0; MESSAGE.len()])
        };
        assert_eq!(works().is_ok(), welcome, "{auth:?}, with a certificate: {}", who.is_some());
    }
}

#[test]
fn the_slow_and_the_wild_have_to_go() {
    let echo = Echo::start(TlsSettings::default(), hasty());
    let all = [
        (Transport::Tls, &b"\x16\x03\x01"[..]),
        (Transport::Tls, b""),
        (Transport::Wss, b"\x16"),
        (Transport::Ws, b"GET / HTTP/1.1\r\n"),
        (Transport::Tls, b"OPTIONS sip:h SIP/2.0\r\n\r\n"),
        (Transport::Wss, b"GET / HTTP/1.1\r\n\r\n"),
        (Transport::Ws, &[0u8; 20_000]),
    ];
    let goes = |transport: Transport, at: SocketAddr, first: &[u8]| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        // It may be closed while we still write.
        let _ = stream.write_all(first);
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(e) => assert_ne!(e.kind(), std::io::ErrorKind::WouldBlock, "{transport} is still open"),
        }
    };
    let all = all.map(|(transport, first)| (transport, echo.at(transport), first));
    std::thread::scope(|scope| {
        all.into_iter()
            .for_each(|(transport, at, first)| drop(scope.spawn(move || goes(transport, at, first))));
    });
    // A frame that was not masked ends a WebSocket with 1002.
    let (mut socket, _) =
        tungstenite::client(websocket_request("sip"), TcpStream::connect(echo.at(Transport::Ws)).unwrap())
            .unwrap();
    socket.get_mut().write_all(&[0x81, 1, b'a']).unwrap();
    let Message::Close(Some(close)) = socket.read().unwrap() else { panic!() };
    assert_eq!(u16::from(close.code), 1002);
    // And the rest goes on.
    tls_client(echo.at(Transport::Tls), "localhost", None, None).unwrap();
}

/// A message has this time: longer than this machine may keep us from our handshakes.
fn hasty() -> StreamLimits {
    StreamLimits { partial: Duration::from_secs(2), ..StreamLimits::default() }
}

/// Any of our streams.
trait Both: Read + Write + Send {}

impl<T: Read + Write + Send> Both for T {}

/// What is begun, what is written to it again and again, and what that is.
type Endless = (Box<dyn Both>, &'static [&'static [u8]], &'static str);

/// Writes `pieces` over and over until the other side closes; panics when it does not.
fn closes(mut stream: impl Read + Write, pieces: &[&[u8]], what: &str) {
    let until = Instant::now() + BOUND;
    for piece in pieces.iter().cycle() {
        assert!(Instant::now() < until, "{what}: still open");
        if stream.write_all(piece).and_then(|()| stream.flush()).is_err() {
            return;
        }
        // The read timeout is the pace.
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

const PACE: Option<Duration> = Some(Duration::from_millis(20));
const PING: &[u8] = &[0x89, 0x80, 0, 0, 0, 0];
const HALVES: [&[u8]; 2] = [&[0x89, 0x80, 0], &[0, 0, 0]];
const EMPTY_FRAGMENT: &[u8] = &[0x00, 0x80, 0, 0, 0, 0];

#[test]
fn what_comes_in_between_gives_a_message_no_more_time() {
    let echo = Echo::start(TlsSettings::default(), hasty());
    let tcp = |transport, first: &[u8]| {
        let mut stream = TcpStream::connect(echo.at(transport)).unwrap();
        stream.set_read_timeout(PACE).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    let tls = |first: &[u8]| {
        let mut stream = tls_client(echo.at(Transport::Tls), "localhost", None, None).unwrap();
        stream.sock.set_read_timeout(PACE).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    let websocket = |first: &[u8]| {
        let plain = TcpStream::connect(echo.at(Transport::Ws)).unwrap();
        let mut stream = tungstenite::client(websocket_request("sip"), plain).unwrap().0.into_inner();
        stream.set_read_timeout(PACE).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    let fragment = [0x01, 0x81, 0, 0, 0, 0, b'M'];
    let all: Vec<Endless> = vec![
        (Box::new(websocket(&fragment)), &[PING], "a fragment and pings"),
        (Box::new(websocket(&fragment)), &[EMPTY_FRAGMENT], "fragments without end"),
        (Box::new(websocket(&fragment)), &[PING, EMPTY_FRAGMENT], "both"),
        (Box::new(websocket(&fragment)), &HALVES, "a fragment and halves of pings"),
        (Box::new(websocket(&[0x81, 0xfe, 0xff, 0xf0, 0, 0, 0, 0])), &[b"a"], "one frame, byte by byte"),
        (Box::new(websocket(&[PING, &fragment].concat())), &[PING], "a ping, then a fragment"),
        (Box::new(tcp(Transport::Tcp, b"\r\n\r\nOPTIONS sip:h SIP/2.0\r\nX: ")), &[b"x"], "half a header"),
        (Box::new(tcp(Transport::Tcp, b"OPTIONS sip:h SIP/2.0\r\nl: 9999\r\n\r\n")), &[b"x"], "half a body"),
        (Box::new(tls(b"OPTIONS sip:h SIP/2.0\r\nX: ")), &[b"x"], "half a header in TLS"),
        (Box::new(tcp(Transport::Ws, b"GET / HTTP/1.1\r\nX: ")), &[b"x"], "half a request"),
        (Box::new(tcp(Transport::Tls, &[0x16, 3, 1, 1, 0, 1])), &[&[0]], "half a handshake"),
    ];
    // At once, as each of them takes the whole time.
    std::thread::scope(|scope| {
        all.into_iter().for_each(|(stream, pieces, what)| drop(scope.spawn(|| closes(stream, pieces, what))));
    });
}

#[test]
fn keep_alives_keep_nobody_who_says_nothing() {
    // Longer than this machine may keep us from writing.
    let limits = StreamLimits { idle: Duration::from_millis(1_500), ..StreamLimits::default() };
    let echo = Echo::start(TlsSettings::default(), limits);
    let mut stream = TcpStream::connect(echo.at(Transport::Tcp)).unwrap();
    stream.set_read_timeout(PACE).unwrap();
    closes(&mut stream, &[b"\r\n\r\n"], "keep-alives alone");
    // After a message they keep the connection.
    let mut phone = TcpStream::connect(echo.at(Transport::Tcp)).unwrap();
    phone.write_all(MESSAGE).unwrap();
    phone.read_exact(&mut vec![0; MESSAGE.len()]).unwrap();
    phone.set_read_timeout(Some(BOUND)).unwrap();
    let until = Instant::now() + Duration::from_millis(3_500);
    while Instant::now() < until {
        phone.write_all(b"\r\n\r\n").unwrap();
        phone.read_exact(&mut [0; 2]).unwrap();
    }
}

#[test]
fn who_takes_nothing_has_to_go() {
    let limits =
        StreamLimits { partial: Duration::from_millis(500), unsent: 1 << 30, ..StreamLimits::default() };
    let echo = Echo::start(TlsSettings::default(), limits);
    let mut stream = TcpStream::connect(echo.at(Transport::Tcp)).unwrap();
    // More than the sockets' buffers hold, so that the echo waits for us.
    let much = MESSAGE.repeat(1_000);
    for _ in 0..(64 << 20) / much.len() {
        if stream.write_all(&much).is_err() {
            return;
        }
    }
    stream.set_write_timeout(PACE).unwrap();
    let until = Instant::now() + BOUND;
    loop {
        match stream.write(MESSAGE) {
            Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => assert!(Instant::now() < until, "still open"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn who_never_stops_lets_others_have_their_turn() {
    let echo = Echo::start(TlsSettings::default(), StreamLimits::default());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut flood = TcpStream::connect(echo.at(Transport::Tcp)).unwrap();
        let (begun, is_begun) = channel();
        scope.spawn({
            let done = &done;
            move || {
                let much = UNANSWERED.repeat(20_000);
                while !done.load(Ordering::Relaxed) {
                    flood.write_all(&much).unwrap();
                    let _ = begun.send(());
                }
            }
        });
        is_begun.recv().unwrap();
        let answers = (0..10).map(|_| {
            let mut other = TcpStream::connect(echo.at(Transport::Tcp)).unwrap();
            other.set_read_timeout(Some(BOUND)).unwrap();
            other.write_all(MESSAGE).unwrap();
            let mut answer = vec![0; MESSAGE.len()];
            other.read_exact(&mut answer).map(|()| answer == MESSAGE)
        });
        let answered = answers.filter(|answer| matches!(answer, Ok(true))).count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(answered, 10);
    });
}

#[test]
fn connections_from_one_address_are_bounded() {
    let limits = StreamLimits { per_address: 3, ..StreamLimits::default() };
    let echo = Echo::start(TlsSettings::default(), limits);
    // Waiting for their handshake they count at the door.
    let _waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(echo.at(Transport::Tls)).unwrap()).collect();
    let mut one_more = TcpStream::connect(echo.at(Transport::Tls)).unwrap();
    one_more.set_read_timeout(Some(BOUND)).unwrap();
    assert!(!matches!(one_more.read(&mut [0]), Ok(1..)));
}

#[test]
fn our_own_tls_connections_check_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let ca = common::Authority::new();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, &ca.chain).unwrap();
    let trunk = common::TlsServer::start(&identity("trunk.test", Some(&ca)));
    let with = |tls| Echo::start(tls, StreamLimits::default());
    let trusting = with(TlsSettings { trusted_ca: Some(path), ..TlsSettings::default() });
    assert_eq!(trusting.ask(trunk.address, "trunk.test"), Ok(MESSAGE.to_vec()));
    let failed = |why| Err(Closed::NoHandshake(why));
    assert_eq!(trusting.ask(trunk.address, "other.test"), failed(TlsFailure::OtherName));
    let careless = with(TlsSettings { verify: false, ..TlsSettings::default() });
    assert_eq!(careless.ask(trunk.address, "other.test"), Ok(MESSAGE.to_vec()));
    let strict = with(TlsSettings::default());
    assert_eq!(strict.ask(trunk.address, "trunk.test"), failed(TlsFailure::Untrusted));
    // Nobody listens on port 1.
    assert_eq!(careless.ask("127.0.0.1:1".parse().unwrap(), "x.test"), Err(Closed::Refused));
}
