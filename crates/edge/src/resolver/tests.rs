//! Against a name server on loopback.

use std::net::UdpSocket;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::*;

fn resolver(hosts: Vec<(String, Vec<SocketAddr>)>, servers: Vec<SocketAddr>) -> Arc<Resolver> {
    Resolver::new(Settings { hosts, servers, avoid: Duration::from_secs(30) })
}

/// Every address of a next hop, in the order in which they are tried.
fn all_of(r: &Resolver, found: Resolved) -> Vec<Egress> {
    let Resolved::To(first, mut spare) = found else { return Vec::new() };
    std::iter::once(first).chain(std::iter::from_fn(|| spare.next(&r.avoided))).collect()
}

#[test]
fn literals_overrides_and_names() {
    let provider = vec!["127.0.0.1:7060".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    let r = resolver(vec![("sip.provider.net".into(), provider)], Vec::new());
    let to = |t, a: &str| Egress::to(t, a.parse().unwrap());
    let first = |uri: &[u8]| all_of(&r, r.resolve_uri(uri)).first().copied();
    assert_eq!(first(b"sip:a@192.0.2.1"), Some(to(Transport::Udp, "192.0.2.1:5060")));
    assert_eq!(first(b"sip:a@[2001:db8::1]:9;transport=tcp"), Some(to(Transport::Tcp, "[2001:db8::1]:9")));
    assert_eq!(first(b"sip:a@SIP.provider.net"), Some(to(Transport::Udp, "127.0.0.1:7060")));
    assert_eq!(first(b"sip:a@sip.provider.net:5080"), Some(to(Transport::Udp, "127.0.0.1:5080")));
    assert_eq!(r.resolve_uri(b"sip:a@255.255.255.255"), Resolved::Nowhere);
    assert_eq!(r.resolve_uri(b"sip:a@x.invalid"), Resolved::Nowhere);
    assert_eq!(r.resolve_uri(b"sip:a@h;transport=sctp"), Resolved::Nowhere);
    assert_eq!(r.resolve_uri(b"sip:a@example.test;transport=ws"), Resolved::Nowhere);
    assert!(matches!(r.resolve_uri(b"sip:a@example.test"), Resolved::Later(_)));
    // A connection over TLS asks for the certificate of the name, not of the address.
    let Resolved::To(egress, _) = r.resolve_uri(b"sips:a@sip.provider.net:5061") else { panic!() };
    assert_eq!(egress.name.text().as_deref(), Some("sip.provider.net"));
    // What failed stands behind the others.
    let [one, two] = [to(Transport::Udp, "127.0.0.1:7060"), to(Transport::Udp, "127.0.0.2:5060")];
    assert_eq!(all_of(&r, r.resolve_uri(b"sip:a@sip.provider.net")), [one, two]);
    r.avoided.note(&Egress::to(Transport::Udp, "127.0.0.1:7060".parse().unwrap()), Duration::ZERO);
    assert_eq!(first(b"sip:a@sip.provider.net"), Some(to(Transport::Udp, "127.0.0.2:5060")));
    assert_eq!(all_of(&r, r.resolve_uri(b"sip:a@sip.provider.net")), [two, one]);
    // When all have failed, they are tried all the same.
    r.avoided.note(&two, Duration::ZERO);
    assert_eq!(all_of(&r, r.resolve_uri(b"sip:a@sip.provider.net")), [one, two]);
    let Resolved::To(_, spare) = r.resolve_uri(b"sip:a@192.0.2.1") else { panic!() };
    assert!(!spare.has_more(), "a literal is all there is");
}

#[test]
fn an_address_is_avoided_as_long_as_it_asks_for() {
    let hosts =
        vec![("h.test".to_owned(), vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.2:2".parse().unwrap()])];
    let r = Resolver::new(Settings { hosts, servers: Vec::new(), avoid: Duration::ZERO });
    let ports = || -> Vec<u16> {
        all_of(&r, r.resolve_uri(b"sip:a@h.test")).iter().map(|e| e.remote.port()).collect()
    };
    let first = Egress::to(Transport::Udp, "127.0.0.1:1".parse().unwrap());
    let Resolved::To(_, spare) = r.resolve_uri(b"sip:a@h.test") else { panic!() };
    spare.note_failure(&r.avoided, &first, Duration::ZERO);
    assert_eq!(ports(), [1, 2], "the operator wants nobody avoided");
    spare.note_failure(&r.avoided, &first, Duration::from_secs(120));
    assert_eq!(ports(), [2, 1]);
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// A name server with a few records; its port.
fn name_server() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let Ok(query) = Message::from_vec(&buffer[..n]) else { continue };
                ASKED.fetch_add(1, Ordering::Relaxed);
                let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
                answer.metadata.recursion_available = true;
                let asked = query.queries[0].clone();
                let data = records(&asked.name.to_utf8().to_ascii_lowercase(), asked.query_type);
                if data.is_empty() {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                data.into_iter().for_each(|d| {
                    answer.add_answer(Record::from_rdata(asked.name.clone(), 300, d));
                });
                answer.add_query(asked);
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        port
    })
}

fn records(name: &str, of: RecordType) -> Vec<RData> {
    let to = |text: &str| Name::from_utf8(text).unwrap();
    let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
    let naptr = |order, service: &str, at: &str| {
        RData::NAPTR(NAPTR::new(order, 1, bytes("s"), bytes(service), bytes(""), to(at)))
    };
    let srv = |priority, port, target: &str| RData::SRV(SRV::new(priority, 1, port, to(target)));
    match (name, of) {
        ("full.test.", RecordType::NAPTR) => {
            vec![naptr(2, "SIP+D2U", "_sip._udp.full.test."), naptr(1, "SIPS+D2T", "_sips._tcp.full.test.")]
        }
        ("_sips._tcp.full.test.", RecordType::SRV) => {
            vec![srv(2, 5071, "b.full.test."), srv(1, 5061, "a.full.test.")]
        }
        ("_sip._udp.full.test." | "_sip._udp.srv.test.", RecordType::SRV) => {
            vec![srv(1, 5080, "a.full.test.")]
        }
        ("_sip._tcp.gone.test.", RecordType::SRV) => vec![srv(0, 0, ".")],
        ("a.full.test." | "plain.test." | "full.test." | "gone.test.", RecordType::A) => {
            vec![RData::A(A::new(192, 0, 2, 1))]
        }
        ("b.full.test.", RecordType::A) => {
            vec![RData::A(A::new(192, 0, 2, 2)), RData::A(A::new(192, 0, 2, 3))]
        }
        _ => Vec::new(),
    }
}

#[test]
fn what_was_known_holds_while_nobody_answers() {
    let r = resolver(Vec::new(), Vec::new());
    let Resolved::Later(question) = r.resolve_uri(b"sip:a@example.test") else { panic!() };
    let located = |addresses: &[&str], failed| Located {
        ways: addresses
            .iter()
            .map(|a| Way { transport: Transport::Udp, address: a.parse().unwrap() })
            .collect(),
        until: Instant::now() + Duration::from_secs(60),
        failed,
    };
    let known = || -> Vec<String> {
        all_of(&r, r.resolve_uri(b"sip:a@example.test")).iter().map(|e| e.remote.to_string()).collect()
    };
    let tell = |located| r.answer(&question, located, &Vec::new().into());
    let [one, two] = ["192.0.2.1:5060", "192.0.2.2:5060"];
    tell(located(&[one], false));
    assert_eq!(known(), [one]);
    tell(located(&[], true));
    assert_eq!(known(), [one], "nobody answers");
    // Who does not know NAPTR may still know addresses.
    tell(located(&[two], true));
    assert_eq!(known(), [two]);
    tell(located(&[], false));
    assert!(known().is_empty(), "it is gone, and they say so");
}

/// Every way to a URI, in order.
fn ways(r: &Resolver, uri: &str) -> Vec<String> {
    let text = |e: &Egress| format!("{} {}", e.transport, e.remote);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match r.resolve_uri(uri.as_bytes()) {
            found @ Resolved::To(..) => return all_of(r, found).iter().map(text).collect(),
            Resolved::Nowhere => return Vec::new(),
            Resolved::Later(question) => r.look_up(question),
        }
        assert!(Instant::now() < until, "{uri} was not looked up");
        std::thread::yield_now();
    }
}

#[test]
fn naptr_then_srv_then_addresses() {
    let r = resolver(Vec::new(), vec![SocketAddr::from(([127, 0, 0, 1], name_server()))]);
    r.start(Vec::new().into());
    let [a, b, c] = ["tls 192.0.2.1:5061", "tls 192.0.2.2:5071", "tls 192.0.2.3:5071"];
    assert_eq!(ways(&r, "sip:1@full.test"), [a, b, c, "udp 192.0.2.1:5080"]);
    assert_eq!(ways(&r, "sips:1@full.test"), [a, b, c]);
    assert_eq!(ways(&r, "sip:1@full.test;transport=udp"), ["udp 192.0.2.1:5080"]);
    assert_eq!(
        ways(&r, "sip:1@full.test;transport=tcp"),
        ["tcp 192.0.2.1:5060"],
        "no SRV: its own addresses"
    );
    assert_eq!(ways(&r, "sip:1@full.test:5090"), ["udp 192.0.2.1:5090"], "a port leaves no choice");
    assert_eq!(ways(&r, "sip:1@srv.test"), ["udp 192.0.2.1:5080"], "SRV without NAPTR");
    assert_eq!(ways(&r, "sip:1@plain.test"), ["udp 192.0.2.1:5060"], "neither");
    assert!(ways(&r, "sip:1@gone.test;transport=tcp").is_empty(), "a target of `.`");
    assert!(ways(&r, "sip:1@nobody.test").is_empty());
    // From the cache, found or not, nobody is asked again, once the questions that were under way have arrived.
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let before = ASKED.load(Ordering::Relaxed);
        for _ in 0..20 {
            assert_eq!(ways(&r, "sip:1@full.test").len(), 4);
            assert!(ways(&r, "sip:1@nobody.test").is_empty());
        }
        if ASKED.load(Ordering::Relaxed) == before {
            break;
        }
        assert!(Instant::now() < until, "somebody is asked each time");
    }
}

#[test]
fn what_waits_for_slow_name_servers_is_bounded() {
    let r = resolver(Vec::new(), Vec::new());
    for host in ["one", "two"] {
        let Resolved::Later(question) = r.resolve_uri(format!("sip:a@{host}.test").as_bytes()) else {
            panic!()
        };
        let taken = (0..MOST as u64).filter(|ticket| r.ask(question.clone(), 0, *ticket)).count();
        assert_eq!(taken, if host == "one" { MOST } else { 0 });
    }
    assert_eq!(r.waiting.lock().values().map(Vec::len).sum::<usize>(), MOST);
}
