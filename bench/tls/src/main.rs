//! tlsload: SIP over TLS and secure WebSockets against a server on loopback; one JSON line.
//!
//!   register    REGISTER over connections that stand (--conns), --window of them outstanding
//!   handshakes  a new connection for each operation, full ones or resumed (--resume): TCP, handshake, a ping (CRLF CRLF) and
//!               its pong (RFC 5626 §3.5.1), so that both sides have finished
//!   idle        --conns connections, each with one REGISTER; then what the server has grown by
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod connection;
#[allow(dead_code, reason = "sipload beside it uses all of it")]
#[path = "../../src/process.rs"]
mod process;

use connection::{Client, Over, client_config};
use process::{cpu_ns, pss_kb, tree};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    mode: String,
    server: SocketAddr,
    over: Over,
    pid: u32,
    name: String,
    conns: usize,
    window: usize,
    warmup: Duration,
    duration: Duration,
    first_user: usize,
    users: usize,
    resume: bool,
}

fn options() -> Result<Options> {
    let mut words = HashMap::new();
    let mut args = std::env::args().skip(1);
    let mode = args.next().ok_or("register, handshakes or idle?")?;
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        words.insert(name, value);
    }
    let word = |name: &str, otherwise: &str| words.get(name).map_or(otherwise, String::as_str).to_owned();
    let number = |name: &str, otherwise: &str| word(name, otherwise).parse::<f64>();
    Ok(Options {
        mode,
        server: word("--server", "127.0.0.1:5061").parse()?,
        over: if word("--over", "tls") == "wss" { Over::Wss } else { Over::Tls },
        pid: number("--server-pid", "0")? as u32,
        name: word("--name", "tls"),
        conns: number("--conns", "32")? as usize,
        window: number("--window", "64")? as usize,
        warmup: Duration::from_secs_f64(number("--warmup", "0.3")?),
        duration: Duration::from_secs_f64(number("--duration", "1.2")?),
        first_user: number("--first-user", "0")? as usize,
        users: number("--users", "1000")? as usize,
        resume: number("--resume", "0")? != 0.0,
    })
}

/// What was measured: operations, those that failed, and the server's CPU time and ours in that time.
struct Measured {
    done: u64,
    failed: u64,
    seconds: f64,
    server_s: f64,
    own_s: f64,
}

/// Does steps for the warm-up, then for the time that is measured.
fn measured(o: &Options, mut step: impl FnMut() -> Result<(u64, u64)>) -> Result<Measured> {
    let (server, own) = (tree(o.pid), [std::process::id()]);
    let warm = Instant::now();
    while warm.elapsed() < o.warmup {
        step()?;
    }
    let (start, server_0, own_0) = (Instant::now(), cpu_ns(&server), cpu_ns(&own));
    let (mut done, mut failed) = (0, 0);
    while start.elapsed() < o.duration {
        let (good, bad) = step()?;
        (done, failed) = (done + good, failed + bad);
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = |from: u64, to: u64| (to - from) as f64 / 1e9;
    let (server_s, own_s) = (cpu(server_0, cpu_ns(&server)), cpu(own_0, cpu_ns(&own)));
    Ok(Measured { done, failed, seconds, server_s, own_s })
}

/// A user keeps its connection; a connection has requests of several users under way.
fn register(o: &Options) -> Result<(Measured, String)> {
    let config = client_config(false)?;
    let mut clients = Vec::new();
    for n in 0..o.conns {
        let mut client = Client::connect(o.server, source(0), o.over, Arc::clone(&config))?;
        client.finish_handshake()?;
        clients.push((client, n, 0_usize));
    }
    let each = (o.window / o.conns).max(1);
    let mut text = Vec::new();
    let measured = measured(o, || {
        let (mut good, mut bad) = (0, 0);
        for (client, user, outstanding) in &mut clients {
            while *outstanding < each {
                client.put_register(o.first_user + *user, &mut text)?;
                *user = (*user + o.conns) % o.users.max(o.conns);
                *outstanding += 1;
            }
            client.turn()?;
            while let Some(status) = client.response() {
                *outstanding -= 1;
                match status {
                    200 => good += 1,
                    _ => bad += 1,
                }
            }
        }
        Ok((good, bad))
    })?;
    let bytes = clients.iter().map(|(client, ..)| client.received()).sum::<u64>();
    Ok((measured, format!(",\"bytes_received\":{bytes}")))
}

fn handshakes(o: &Options) -> Result<(Measured, String)> {
    let config = client_config(o.resume)?;
    let (mut full, mut resumed) = (0_u64, 0_u64);
    let mut source_number = 0;
    let measured = measured(o, || {
        // Each source keeps its ports for a while after a connection has ended.
        source_number = (source_number + 1) % 50;
        let mut client = Client::connect(o.server, source(source_number), o.over, Arc::clone(&config))?;
        client.finish_handshake()?;
        client.ping()?;
        match client.was_resumed() {
            true => resumed += 1,
            false => full += 1,
        }
        client.close();
        Ok((1, 0))
    })?;
    Ok((measured, format!(",\"full\":{full},\"resumed\":{resumed}")))
}

fn idle(o: &Options) -> Result<(Measured, String)> {
    let config = client_config(false)?;
    let server = tree(o.pid);
    let mut clients = Vec::new();
    let mut text = Vec::new();
    let mut open = |n: usize, clients: &mut Vec<Client>| -> Result<()> {
        // No server has to take more than some hundred connections of one address.
        let mut client = Client::connect(o.server, source(n / 200), o.over, Arc::clone(&config))?;
        client.finish_handshake()?;
        client.put_register(o.first_user + n, &mut text)?;
        while client.response().is_none() {
            client.turn()?;
        }
        clients.push(client);
        Ok(())
    };
    // The first ones pay for tables and pools.
    let first = o.conns / 5;
    for n in 0..first {
        open(n, &mut clients)?;
    }
    std::thread::sleep(Duration::from_secs(2));
    let (before, start) = (pss_kb(&server), Instant::now());
    let (server_0, own_0) = (cpu_ns(&server), cpu_ns(&[std::process::id()]));
    for n in first..o.conns {
        open(n, &mut clients)?;
    }
    // Buffers of handshakes are given back by then.
    std::thread::sleep(Duration::from_secs(3));
    let after = pss_kb(&server);
    let more = (o.conns - first) as u64;
    let measured = Measured {
        done: more,
        failed: 0,
        seconds: start.elapsed().as_secs_f64(),
        server_s: (cpu_ns(&server) - server_0) as f64 / 1e9,
        own_s: (cpu_ns(&[std::process::id()]) - own_0) as f64 / 1e9,
    };
    let each = (after.saturating_sub(before)) * 1024 / more.max(1);
    Ok((measured, format!(",\"pss_before_kb\":{before},\"pss_after_kb\":{after},\"bytes_per_connection\":{each}")))
}

/// An address of loopback.
fn source(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, (n % 250 + 1) as u8))
}

fn main() -> Result<()> {
    let o = options()?;
    let (m, more) = match o.mode.as_str() {
        "register" => register(&o)?,
        "handshakes" => handshakes(&o)?,
        "idle" => idle(&o)?,
        other => return Err(format!("{other}: register, handshakes or idle?").into()),
    };
    let each = if m.done > 0 { m.server_s * 1e6 / m.done as f64 } else { 0.0 };
    println!(
        "{{\"scenario\":\"{}\",\"secs\":{:.3},\"completed\":{},\"ops_per_s\":{:.0},\"failed\":{},\"server_util\":{:.3},\
         \"cpu_us_per_op\":{each:.2},\"gen_util\":{:.2}{more}}}",
        o.name,
        m.seconds,
        m.done,
        m.done as f64 / m.seconds,
        m.failed,
        m.server_s / m.seconds,
        m.own_s / m.seconds,
    );
    Ok(())
}
