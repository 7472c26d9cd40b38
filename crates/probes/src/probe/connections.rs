//! Attacks over connections: TCP, TLS and WebSockets.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::words::seen_lines;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::message::Message;
use crate::phone::{Ask, Phone};
use crate::stream::{PATIENCE, Stream, tcp};
use crate::wire::{frame, upgrade};

const RELAY: &str = "strangers hide behind the exchange, or reach the carrier through it";
const JUNK: &str = "one connection with nonsense keeps the exchange busy, or takes it down";
const HELD: &str = "one host that opens connections and says nothing keeps phones out";

/// Connections that one host opens and leaves silent.
const MANY: usize = 300;
/// Where the attacks come from.
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 61));

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let (tcp, tls, ws) = (cast.target.tcp, cast.target.tls, cast.target.ws);
    let mut results = vec![swallowed(cast, tcp)?];
    results.push(junk(cast, "tcp/junk", tcp, &TCP_JUNK)?);
    results.push(held(cast, "tcp/held", tcp, b"REGISTER sip:x SIP/2.0\r\nVia: ")?);
    match tls {
        Some(at) => {
            results.push(junk(cast, "tls/junk", at, &TLS_JUNK)?);
            results.push(held(cast, "tls/held", at, b"\x16\x03\x01\x02\x00\x01\x00")?);
        }
        None => results.push(ProbeResult::skipped("tls", "the configuration has no listener for TLS".into())),
    }
    match ws {
        Some(at) => {
            results.push(frames(cast, at)?);
            results.push(held(cast, "ws/held", at, b"GET / HTTP/1.1\r\nHost: ")?);
            results.extend(page(cast, at)?);
        }
        None => {
            results
                .push(ProbeResult::skipped("ws", "the configuration has no listener for WebSockets".into()));
        }
    }
    Ok(results)
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = tcp(ATTACKER, to)?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(stream)
}

/// What comes until it is quiet or the other side closes; did it close?
fn read(stream: &mut impl io::Read, patience: Duration) -> (Vec<u8>, bool) {
    let (mut all, mut buffer, end) = (Vec::new(), [0; 4_096], Instant::now() + patience);
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => return (all, true),
            Ok(n) => all.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return (all, true),
        }
    }
    (all, false)
}

/// Does the exchange still register a phone, and how long does that take?
fn serves(cast: &Cast) -> io::Result<(bool, Duration)> {
    let begun = Instant::now();
    let is_served = cast.registered(2)?.is_some();
    Ok((is_served, begun.elapsed()))
}

/// A message without a length over TCP must not swallow, or hide, the one behind it.
fn swallowed(cast: &mut Cast, at: SocketAddr) -> io::Result<ProbeResult> {
    let foreign = cast.foreign.contact();
    let domain = cast.target.domain.clone();
    let writer = cast.stranger()?;
    let first = writer.write(&Ask::new("OPTIONS", format!("sip:{domain}")));
    let first = first.replace("Content-Length: 0", "Content-Type: application/sdp");
    let hidden = writer.write(&Ask::new("OPTIONS", foreign));
    let mut stream = connect(at)?;
    stream.write_all(format!("{first}{hidden}").as_bytes())?;
    let (answer, closed) = read(&mut stream, PATIENCE);
    let refused = Message::read(&answer).map_or(0, |message| message.status());
    let reached = cast.reached();
    let what = format!(
        "a message without its length, and another behind it: {refused}, {}; {}",
        if closed { "closed" } else { "open" },
        seen_lines(&reached)
    );
    Ok(ProbeResult::new("tcp/length", reached.is_empty() && refused == 400 && closed, what, JUNK))
}

const TCP_JUNK: [&[u8]; 4] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\0\0\0\0\0\0\0\0\0\0\0\0",
    b"INVITE sip:x SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
];

/// SIP without TLS; hellos that are too long, cut, or of SSL 2; an alert; data before any handshake.
const TLS_JUNK: [&[u8]; 6] = [
    b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
    b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80\x03",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x17\x03\x03\x00\x10AAAAAAAAAAAAAAAA",
];

/// Nonsense on many connections: it is served meanwhile, and hears the end of the nonsense that is whole.
fn junk(cast: &mut Cast, probe: &'static str, at: SocketAddr, all: &[&[u8]]) -> io::Result<ProbeResult> {
    let mut open = Vec::new();
    for _ in 0..10 {
        for bytes in all {
            let mut stream = connect(at)?;
            // It may have been closed already.
            let _ = stream.write_all(bytes);
            open.push(stream);
        }
    }
    let (is_served, took) = serves(cast)?;
    let what = format!(
        "{} connections with nonsense; a phone registers meanwhile: {is_served}, after {} ms",
        open.len(),
        took.as_millis()
    );
    Ok(ProbeResult::new(probe, is_served && took < PATIENCE, what, JUNK))
}

/// Connections on which a message, a handshake or an upgrade begins, and nothing follows.
fn held(cast: &mut Cast, probe: &'static str, at: SocketAddr, begin: &[u8]) -> io::Result<ProbeResult> {
    let mut open = Vec::new();
    for _ in 0..MANY {
        // One that is turned away is as good.
        let Ok(mut stream) = connect(at) else { break };
        let _ = stream.write_all(begin);
        open.push(stream);
    }
    let (is_served, took) = serves(cast)?;
    // Phones come by the same transport, from elsewhere.
    let another = TcpStream::connect_timeout(&at, PATIENCE).is_ok();
    let what = format!(
        "{} connections of one host that say nothing; a phone registers: {is_served}, after {} ms; another connects: {another}",
        open.len(),
        took.as_millis()
    );
    Ok(ProbeResult::new(probe, is_served && another && took < PATIENCE, what, HELD))
}

/// A WebSocket of a web page of this site.
fn upgraded(at: SocketAddr, origin: &str) -> io::Result<Option<Stream>> {
    let mut stream = Stream::Plain(connect(at)?);
    Ok(upgrade(&mut stream, at, origin)?.map(|_| stream))
}

/// Frames that no client may send: a length of exabytes, no mask, pieces without a beginning, a long ping.
const FRAMES: [&[u8]; 5] = [
    b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    b"\x81\x05hello",
    b"\x80\x85\0\0\0\0hello",
    b"\x89\xfe\x01\x00\0\0\0\0",
    b"\xf1\x85\0\0\0\0hello",
];

fn frames(cast: &mut Cast, at: SocketAddr) -> io::Result<ProbeResult> {
    let (mut open, mut closed) = (Vec::new(), 0);
    for bytes in FRAMES {
        if let Some(mut stream) = upgraded(at, "http://evil.example")? {
            let _ = stream.write_all(bytes);
            closed += usize::from(read(&mut stream, PATIENCE).1);
            open.push(stream);
        }
    }
    let (is_served, took) = serves(cast)?;
    let what = format!(
        "{} WebSockets with frames that RFC 6455 forbids: {closed} closed; a phone registers: {is_served}",
        open.len()
    );
    Ok(ProbeResult::new("ws/frames", closed == open.len() && is_served && took < PATIENCE, what, JUNK))
}

/// A web page of another site in somebody's browser speaks SIP.
fn page(cast: &mut Cast, at: SocketAddr) -> io::Result<Vec<ProbeResult>> {
    let Some(mut stream) = upgraded(at, "http://evil.example")? else {
        let what = "a web page of another site opens a WebSocket: refused".into();
        return Ok(vec![ProbeResult::new("ws/page", true, what, RELAY)]);
    };
    let (writer, foreign) = (cast.stranger()?, cast.foreign.contact());
    let (domain, allowed) = (cast.target.domain.clone(), cast.target.allowed.clone());
    let agent = cast.phone(0)?.aor();
    for method in ["INVITE", "MESSAGE", "OPTIONS", "REFER", "NOTIFY"] {
        for uri in [
            foreign.clone(),
            format!("sip:{allowed}@{domain}"),
            format!("sip:{allowed}@{}", cast.carrier.local()),
        ] {
            for from in ["<sip:x@evil.example>".to_owned(), format!("<{agent}>")] {
                let text = over_ws(&writer, &Ask::new(method, &uri).from(from));
                let _ = stream.write_all(&frame(&text));
            }
        }
    }
    read(&mut stream, Duration::from_millis(300));
    let reached = cast.reached();
    let what = format!("a web page of another site calls out over a WebSocket: {}", seen_lines(&reached));
    Ok(vec![ProbeResult::new("ws/page", reached.is_empty(), what, RELAY)])
}

fn over_ws(writer: &Phone, ask: &Ask) -> String {
    writer.write(ask).replace("SIP/2.0/UDP", "SIP/2.0/WS")
}
