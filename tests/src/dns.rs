//! A name server on loopback with a few records (RFC 1035, RFC 2782, RFC 3403), written apart from the exchange's own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, &'static str),
    /// Order, preference, service (`SIP+D2U`), name of the SRV records.
    Naptr(u16, u16, &'static str, &'static str),
}

/// The server; it answers as long as the process lives.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    speaks: Arc<AtomicBool>,
}

impl NameServer {
    /// One with these records. Names are without a dot at their end.
    pub fn start(records: &[(&str, Record)]) -> NameServer {
        let server = NameServer::start_silent(records);
        server.speak();
        server
    }

    /// The same, but it keeps its answers until [`NameServer::speak`].
    pub fn start_silent(records: &[(&str, Record)]) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
        let address = socket.local_addr().expect("bound");
        let (asked, speaks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a live socket");
        let records: Vec<(String, Record)> =
            records.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
        let server = NameServer { address, asked: asked.clone(), speaks: speaks.clone() };
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            let mut kept = Vec::new();
            loop {
                if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    kept.extend(answer(&buffer[..n], &records).map(|answer| (answer, from)));
                }
                if speaks.load(Ordering::Relaxed) {
                    kept.drain(..).for_each(|(answer, from)| drop(socket.send_to(&answer, from)));
                }
            }
        });
        server
    }

    /// Gives the answers that it kept, and every other from now on.
    pub fn speak(&self) {
        self.speaks.store(true, Ordering::Relaxed);
    }

    /// Answers nothing from now on, as if it was dead.
    pub fn hush(&self) {
        self.speaks.store(false, Ordering::Relaxed);
    }

    /// The lines of `trunkline.yaml` that have it asked; further keys of `dns` follow.
    pub fn config(&self, more: &str) -> String {
        format!("dns: {{servers: [\"{}\"]{more}}}\n", self.address)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The answer to one query; `None` for what is none.
fn answer(query: &[u8], records: &[(String, Record)]) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, String::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let question = query.get(12..at + 4)?;
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let data: Vec<Vec<u8>> =
        records.iter().filter(|(n, _)| *n == name).filter_map(|(_, r)| data(r, kind)).collect();
    let known = records.iter().any(|(n, _)| *n == name);
    let mut out = query.get(..2)?.to_vec();
    // A response, recursion available; NXDOMAIN for a name without any record.
    out.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1]);
    out.extend((data.len() as u16).to_be_bytes());
    out.extend([0; 4]);
    out.extend(question);
    for data in data {
        // The name of the question, its type, class IN, held for five minutes.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 1, 44]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// A record's data where it is of the type that was asked for.
fn data(record: &Record, kind: u16) -> Option<Vec<u8>> {
    let numbers = |list: &[u16]| list.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    match (record, kind) {
        (Record::A(ip), 1) => Some(ip.octets().to_vec()),
        (Record::Aaaa(ip), 28) => Some(ip.octets().to_vec()),
        (Record::Srv(priority, weight, port, target), 33) => {
            Some([numbers(&[*priority, *weight, *port]), labels(target)].concat())
        }
        (Record::Naptr(order, preference, service, target), 35) => {
            let texts = [text("s"), text(service), text("")].concat();
            Some([numbers(&[*order, *preference]), texts, labels(target)].concat())
        }
        _ => None,
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
