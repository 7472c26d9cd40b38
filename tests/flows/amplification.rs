//! What a source that may be forged gets: no more bytes in a second than it sent, and 4 KB beyond.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, PATIENCE, Resources, Ua, Wire, free_port, sdp};

use super::operator::figure;
use super::{DOMAIN, at, phone};

/// An address of loopback from which nobody is registered.
fn victim(n: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, 9 + n])
}

const ALLOWANCE: usize = 4096;
/// How long requests come, and how long is listened after the last.
const FLOOD: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);
const PER_SECOND: u32 = 200;

/// A domain that strangers may call, with a phone.
fn open() -> (Exchange, Ua) {
    open_with(&[])
}

fn open_with(env: &[(&str, &str)]) -> (Exchange, Ua) {
    let resources =
        Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x");
    let resources = resources.domain("closed.test", "all").agent("closed.test", "2001", "x");
    let exchange = Exchange::start_with(&resources, "", env);
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    (exchange, callee)
}

/// What came and went, by its time.
#[derive(Default)]
struct Traffic {
    sent: Vec<(Instant, usize)>,
    /// With the time at which nothing had come yet: when it really came lies between the two.
    received: Vec<(Instant, Instant, usize)>,
}

impl Traffic {
    fn sent(&self) -> usize {
        self.sent.iter().map(|(_, bytes)| bytes).sum()
    }

    fn received(&self) -> usize {
        self.received.iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// The most bytes that certainly came within a second, beyond those that were sent in it. Half a second before it counts
    /// too, and as long as the exchange needs for an answer: that need not fall into the second of its request.
    fn beyond(&self, lag: Duration) -> usize {
        let second = Duration::from_secs(1);
        let (mut sent, mut window, mut worst) = (self.sent.iter().peekable(), VecDeque::new(), 0);
        let (mut credit, mut paid): (VecDeque<(Instant, usize)>, usize) = (VecDeque::new(), 0);
        let mut out = 0;
        for (before, at, bytes) in &self.received {
            window.push_back((*before, *bytes));
            out += bytes;
            while window.front().is_some_and(|(t, _)| *at - *t >= second) {
                out -= window.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            while let Some((t, bytes)) = sent.next_if(|(t, _)| t <= at) {
                credit.push_back((*t, *bytes));
                paid += bytes;
            }
            while credit.front().is_some_and(|(t, _)| *at - *t >= second + second / 2 + lag) {
                paid -= credit.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            worst = worst.max(out.saturating_sub(paid));
        }
        worst
    }
}

/// Asks the exchange over a connection until the work is done: what it gives, and how long the slowest answer took. On a
/// busy machine that is how late everything is.
fn with_lag<T>(exchange: &Exchange, work: impl FnOnce(&AtomicU64) -> T) -> T {
    let (done, slowest) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut ua = Ua::tcp(exchange.tcp(), "lag", DOMAIN, "");
            while !done.load(Ordering::Relaxed) {
                let (begun, ask) = (Instant::now(), ua.request("OPTIONS", &format!("sip:{DOMAIN}")));
                ua.send(&ask);
                ua.final_for(&ask);
                std::thread::sleep(Duration::from_millis(10));
                slowest.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
        });
        let result = work(&slowest);
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// Makes the next request, from this address.
type Make<'a> = dyn Fn(SocketAddr, u32) -> Vec<u8> + Sync + 'a;

/// Sends requests from the victim's address, and takes down what comes back.
fn flood(
    (to, lag): (SocketAddr, &AtomicU64),
    from: u8,
    name: &str,
    make: &Make<'_>,
    drive: &mut dyn FnMut(),
) {
    let socket = UdpSocket::bind((victim(from), 0)).expect("a UDP port");
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a live socket");
    let (me, start) = (socket.local_addr().expect("bound"), Instant::now());
    let (mut traffic, mut buffer, mut number) = (Traffic::default(), vec![0; 65_536], 0);
    let mut empty = start;
    while start.elapsed() < FLOOD + AFTER {
        if start.elapsed() < FLOOD
            && f64::from(number) < start.elapsed().as_secs_f64() * f64::from(PER_SECOND)
        {
            let request = make(me, number);
            number += 1;
            traffic.sent.push((Instant::now(), request.len()));
            socket.send_to(&request, to).expect("sent");
        }
        loop {
            let before = Instant::now();
            let Ok(n) = socket.recv(&mut buffer) else {
                // Nothing had come when it was looked at.
                empty = before;
                break;
            };
            traffic.received.push((empty, Instant::now(), n));
        }
        drive();
    }
    let took = start.elapsed().as_secs_f64().ceil() as usize;
    let lag = Duration::from_millis(lag.load(Ordering::Relaxed));
    let (sent, received, beyond) = (traffic.sent(), traffic.received(), traffic.beyond(lag));
    println!(
        "{name:<34} sent {sent:>8}  received {received:>8}  factor {:.2}  at most {:>7} beyond in a second",
        received as f64 / sent as f64,
        beyond
    );
    assert!(received > 0, "{name}: nothing is answered at all");
    assert!(beyond <= ALLOWANCE, "{name}: {beyond} bytes beyond in a second; an answer takes {lag:?}");
    let allowed = sent + ALLOWANCE * took;
    assert!(received <= allowed, "{name}: {received} bytes for {sent}");
}

/// A short request: as little as is answered. From the domain that it goes to.
fn short(method: &str, uri: &str, me: SocketAddr, n: u32, more: &str) -> Vec<u8> {
    let from = if uri.contains("closed") { "2001@closed.test".to_owned() } else { format!("1001@{DOMAIN}") };
    format!(
        "{method} {uri} SIP/2.0\r\nv:SIP/2.0/UDP {me};branch=z9hG4bK{n}x{}\r\nf:<sip:{from}>;tag={n}\r\nt:<{uri}>\r\n\
         i:{n}.{}\r\nCSeq:1 {method}\r\n{more}\r\n",
        me.port(),
        me.port()
    )
    .into_bytes()
}

#[test]
fn short_requests_of_every_kind() {
    let (exchange, _callee) = open();
    let domain = format!("sip:{DOMAIN}");
    let (open, closed) = (at("1001"), "sip:2001@closed.test".to_owned());
    let contact = "m:<sip:a@127.0.0.9>\r\n";
    let vias: String = (0..60).map(|n| format!("v:SIP/2.0/UDP h;branch=z9hG4bK{n}\r\n")).collect();
    let kinds: Vec<(&str, &str, String, String)> = vec![
        ("OPTIONS", "OPTIONS", domain.clone(), String::new()),
        ("REGISTER, challenged", "REGISTER", "sip:closed.test".to_owned(), contact.to_owned()),
        ("REGISTER that asks", "REGISTER", domain.clone(), String::new()),
        ("INVITE, challenged", "INVITE", closed.clone(), contact.to_owned()),
        ("INVITE to who is away", "INVITE", open.clone(), contact.to_owned()),
        ("INVITE to nobody", "INVITE", at("9999"), contact.to_owned()),
        ("SUBSCRIBE", "SUBSCRIBE", open.clone(), "Event:presence\r\n".to_owned()),
        ("MESSAGE", "MESSAGE", closed, String::new()),
        ("an unknown method", "HELLO", domain.clone(), String::new()),
        ("an unknown extension", "OPTIONS", domain.clone(), "Require:a,b,c\r\n".to_owned()),
        ("no CSeq number", "OPTIONS", domain.clone(), "CSeq:x\r\n".to_owned()),
        ("control characters", "OPTIONS", domain.clone(), "Subject:\x0b\r\n".to_owned()),
        ("many Vias", "OPTIONS", domain, vias),
    ];
    let stun = |_: SocketAddr, n: u32| {
        [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &n.to_be_bytes(), &[7; 8]].concat()
    };
    let run = |lag: &AtomicU64| {
        std::thread::scope(|scope| {
            let to = (exchange.udp(), lag);
            for (i, (name, method, uri, more)) in kinds.iter().enumerate() {
                scope.spawn(move || {
                    let make = |me: SocketAddr, n: u32| short(method, uri, me, n, more);
                    flood(to, i as u8, name, &make, &mut || {});
                });
            }
            scope.spawn(move || flood(to, 100, "STUN", &stun, &mut || {}));
            // Again and again the same.
            let same =
                [("the same INVITE, challenged", "sip:2001@closed.test"), ("the same INVITE", &at("1001"))];
            for (i, (name, uri)) in same.into_iter().enumerate() {
                let uri = uri.to_owned();
                scope.spawn(move || {
                    let make =
                        |me: SocketAddr, _: u32| short("INVITE", &uri, me, 7, "m:<sip:a@127.0.0.9>\r\n");
                    flood(to, 101 + i as u8, name, &make, &mut || {});
                });
            }
        })
    };
    with_lag(&exchange, run);
}

#[test]
fn what_a_callee_answers_goes_to_strangers_within_the_same_bounds() {
    let (exchange, mut callee) = open();
    let to = at("1002");
    let invite = |me: SocketAddr, n: u32| {
        short("INVITE", &to, me, n / 20, "m:<sip:a@127.0.0.9>\r\nMax-Forwards:70\r\n")
    };
    // The callee rings, then takes the call with a large body, again and again: no ACK comes. At last it hangs up.
    let body = format!("{}a=x:{}\r\n", sdp(callee.wire.local(), "sendrecv"), "y".repeat(900));
    let mut answers = Vec::new();
    let mut last = Instant::now();
    let at = exchange.udp();
    let mut answer_all = || {
        while let Some(invite) = callee.wait(Duration::from_millis(1), |m| m.method() == "INVITE") {
            callee.respond(&invite, 180, "Ringing");
            let answer = callee.response(&invite, 200, "OK").body("application/sdp", body.clone());
            callee.send(&answer);
            answers.push(answer);
        }
        if last.elapsed() > Duration::from_millis(250) {
            last = Instant::now();
            answers.iter().for_each(|answer| callee.send(answer));
        }
    };
    with_lag(&exchange, |lag| {
        flood((at, lag), 0, "a callee with a large body", &invite, &mut answer_all);
    });
    assert!(!answers.is_empty());
}

/// Somebody forges a caller's address in calls that a phone refuses, and the refusals use up what the address may get. The
/// answer to the caller's own call has its room all the same.
#[test]
fn refused_calls_in_a_callers_name_do_not_hold_back_its_answer() {
    let http = format!("127.0.0.1:{}", free_port());
    let (exchange, mut callee) = open_with(&[("TRUNKLINE_HTTP_ADDR", &http)]);
    let mut other = phone(&exchange, "1001");
    assert_eq!(other.register(600).status(), 200);
    let forged = UdpSocket::bind((victim(70), 0)).unwrap();
    let me = forged.local_addr().unwrap();
    let mut caller = Ua::new(Wire::udp_from(victim(70), exchange.udp()), "1001", DOMAIN, "");
    let long = "a phone that says much of itself whenever it is asked ".repeat(8);
    let held_back = || figure(&http, "trunkline_edge_held_back_total");
    let mut refuse = |n: u32| {
        let contact = format!("m:<sip:a@{me}>\r\nMax-Forwards:70\r\n");
        forged.send_to(&short("INVITE", &at("1001"), me, n, &contact), exchange.udp()).unwrap();
        let invite = other.request_of("INVITE");
        let busy = other.response(&invite, 486, "Busy Here").with("Warning", &long);
        other.send(&busy);
    };
    let before = held_back();
    let mut n = 0;
    while held_back() == before {
        n += 1;
        assert!(n < 100, "the refusals find room for ever");
        refuse(n);
    }
    let invite = caller.invite(&at("1002"));
    caller.send(&invite);
    let rung = callee.request_of("INVITE");
    refuse(n + 1);
    let body = format!("{}a=x:{}\r\n", sdp(callee.wire.local(), "sendrecv"), "y".repeat(300));
    let answer = callee.response(&rung, 200, "OK").body("application/sdp", body);
    callee.send(&answer);
    assert_eq!(caller.final_for(&invite).status(), 200);
}

/// How many of so many OPTIONS get the long answer; who is known gets an answer to each.
fn answered(ua: &mut Ua, n: usize, known: bool) -> usize {
    let requests: Vec<_> = (0..n).map(|_| ua.request("OPTIONS", &format!("sip:{DOMAIN}"))).collect();
    requests.iter().for_each(|r| ua.send(r));
    let (mut full, mut count) = (0, 0);
    let due = |count| count == 0 || known && count < n;
    let bound = |count| if due(count) { PATIENCE } else { Duration::from_millis(300) };
    while let Some(answer) = ua.wait(bound(count), |m| m.status() == 200) {
        full += usize::from(answer.get("Allow").is_some());
        count += 1;
    }
    full
}

#[test]
fn trunks_and_peers_are_known_by_their_addresses() {
    let (carrier, pbx) = (victim(20), victim(21));
    let resources = Resources::new()
        .domain(DOMAIN, "all")
        .trunk("provider", "trunk.test", &[(&format!("{carrier}:5070"), 1, "udp")], None)
        .peer("pbx", "sip:pbx@sip.test", "pw", &format!(", contactAddr: \"{pbx}:5070\""));
    let exchange = Exchange::start(&resources);
    let from = |host: IpAddr| Ua::new(Wire::udp_from(host, exchange.udp()), "a", DOMAIN, "x");
    assert_eq!(answered(&mut from(carrier), 100, true), 100);
    assert_eq!(answered(&mut from(pbx), 100, true), 100);
    // A stranger has one allowance, however many ports it uses and whichever workers they lead to.
    let mut ports: Vec<Ua> = (0..10).map(|_| from(victim(22))).collect();
    let begun = Instant::now();
    let full: usize = ports.iter_mut().map(|ua| answered(ua, 20, false)).sum();
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(full <= seconds * ALLOWANCE / 100, "{full} in {seconds} s");
    assert!(full < 200, "{full}");
}

#[test]
fn who_shows_that_it_is_there_is_not_limited() {
    let (exchange, mut callee) = open();
    let from =
        |user: &str, domain: &str| Ua::new(Wire::udp_from(victim(0), exchange.udp()), user, domain, "x");
    // A stranger gets the long answers as far as the allowance goes.
    let mut stranger = from("1001", DOMAIN);
    let few = answered(&mut stranger, 100, false);
    assert!((1..100).contains(&few), "{few} of 100");
    // Its next call works all the same.
    let invite = stranger.invite(&at("1002"));
    stranger.send(&invite);
    let arrived = callee.request_of("INVITE");
    let answer = callee.accept(&arrived);
    // The callee repeats its answer until the ACK comes (RFC 3261 §13.3.1.4), and so it arrives in the next second.
    let until = Instant::now() + PATIENCE;
    while stranger.wait(Duration::from_millis(500), |m| m.status() == 200 && m.cseq().1 == "INVITE").is_none()
    {
        assert!(Instant::now() < until, "the call is not answered");
        callee.send(&answer);
    }
    // The answer to the call has room of its own; what else goes there has some again a second later.
    let until = Instant::now() + Duration::from_secs(10);
    while answered(&mut stranger, 1, false) == 0 {
        assert!(Instant::now() < until, "nothing is answered any more");
    }
    // A digest proves it. So does a registration: of this address, whatever port it comes from next.
    let mut phone = from("2001", "closed.test");
    assert_eq!(phone.register(600).status(), 200);
    assert_eq!(answered(&mut from("1001", DOMAIN), 100, true), 100);
}
