//! More than the exchange can do: strangers are turned away, and those who are known have their calls.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trunkline_tests::{Dialog, Exchange, Message, PATIENCE, Ua, Wire, free_port};

use super::operator::figure;
use super::{DOMAIN, agents, at};

/// A sender of calls that nobody knows; what it was answered.
fn strangers(to: SocketAddr, n: u8, stop: &AtomicBool) -> Vec<Message> {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 7, n], 0))).expect("a port");
    socket.set_nonblocking(true).expect("a live socket");
    let me = socket.local_addr().expect("bound");
    let (mut answers, mut buffer) = (Vec::new(), [0; 2048]);
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!(
            "INVITE sip:1002@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@{DOMAIN}>;tag={n}\r\nTo: <sip:1002@{DOMAIN}>\r\nCall-ID: {n}.{me}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:{me}>\r\nContent-Length: 0\r\n\r\n"
        );
        let _ = socket.send_to(text.as_bytes(), to);
        // Many more than are served; not so many that the kernel loses most.
        std::thread::sleep(Duration::from_micros(100));
        while let Ok(n) = socket.recv(&mut buffer) {
            answers.extend(Message::parse(&buffer[..n]));
        }
    }
    answers
}

/// Ends the senders, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A call from one phone to the other, up and down again.
fn call(caller: &mut Ua, callee: &mut Ua) {
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    callee.accept(&arrived);
    let mut dialog = Dialog::of_caller(&invite, &caller.status_for(&invite, 200));
    caller.send(&dialog.request(caller, "ACK"));
    callee.request_of("ACK");
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

/// Waits until a stranger is served. A request is sent again until it is answered (RFC 3261 §17.1.2.2): a flood may have filled the
/// socket's buffer.
fn until_served(to: SocketAddr, end: Instant) {
    let mut stranger = Ua::udp(to, "stranger", "elsewhere.test", "");
    let options = stranger.request("OPTIONS", &format!("sip:{DOMAIN}"));
    let served = |m: &Message| m.status() == 200 && m.call_id() == options.call_id();
    loop {
        stranger.send(&options);
        if stranger.wait(Duration::from_millis(500), served).is_some() {
            return;
        }
        assert!(Instant::now() < end, "strangers are still turned away");
    }
}

#[test]
fn strangers_are_turned_away_and_phones_have_their_calls() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&agents(), "workers: 1\n", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let phone = |user| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    };
    let (mut caller, mut callee) = (phone("1001"), phone("1002"));
    let stop = AtomicBool::new(false);
    let to = exchange.udp();
    let answers = std::thread::scope(|scope| {
        let senders: Vec<_> = (1..=4)
            .map(|n| {
                scope.spawn({
                    let stop = &stop;
                    move || strangers(to, n, stop)
                })
            })
            .collect();
        let ends = Ends(&stop);
        let end = Instant::now() + PATIENCE;
        while figure(&http, "trunkline_edge_shed_total") == 0 {
            assert!(Instant::now() < end, "four senders are no overload");
        }
        (0..5).for_each(|_| call(&mut caller, &mut callee));
        // Who sends so many is left to the kernel, and stays there while it goes on, though the exchange is well again.
        while figure(&http, "trunkline_sources_flooding") < 4 {
            assert!(Instant::now() < end, "all four flood");
        }
        until_served(to, end);
        assert_eq!(figure(&http, "trunkline_sources_flooding"), 4);
        drop(ends);
        let answers: Vec<Message> = senders.into_iter().flat_map(|s| s.join().expect("a sender")).collect();
        answers
    });
    let told = answers.iter().filter(|m| m.status() == 503);
    for answer in told {
        let seconds = answer.get("Retry-After").and_then(|s| s.parse::<u32>().ok());
        assert!(seconds.is_some_and(|s| (1..=5).contains(&s)), "{}", answer.start);
    }
    // When it is over everybody is served.
    let end = Instant::now() + PATIENCE;
    while figure(&http, "trunkline_sources_flooding") > 0 {
        assert!(Instant::now() < end, "those who have stopped are forgotten");
    }
    until_served(to, end);
}

/// Known phones send more than can be served, so that some of their calls are turned away: those to an emergency number go on, and so do
/// refreshes of registrations and what is part of a call.
#[test]
fn emergency_calls_go_before_those_of_other_known_callers() {
    let http = format!("127.0.0.1:{}", free_port());
    let config = "workers: 1\nrouting: {emergencyNumbers: [\"1002\"]}\n";
    let exchange = Exchange::start_with(&agents(), config, &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let phone = |user| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    };
    let (mut caller, mut callee) = (phone("1001"), phone("1002"));
    let (to, stop) = (exchange.udp(), AtomicBool::new(false));
    for n in 1..=4 {
        let mut ua = Ua::new(Wire::udp_from([127, 0, 7, n].into(), to), "1003", DOMAIN, "pw-1003");
        assert_eq!(ua.register(600).status(), 200);
    }
    std::thread::scope(|scope| {
        for n in 1..=4 {
            let stop = &stop;
            scope.spawn(move || strangers(to, n, stop));
        }
        let _ends = Ends(&stop);
        let end = Instant::now() + PATIENCE;
        let mut turned_away = 0;
        while turned_away < 5 {
            assert!(Instant::now() < end, "four phones are no overload");
            // Nobody answers there: an ordinary call of a known caller.
            let other = caller.invite(&at("1009"));
            caller.send(&other);
            let answer = caller.final_for(&other);
            caller.acknowledge_failure(&other, &answer);
            turned_away += usize::from(answer.status() == 503);
            if turned_away > 0 {
                call(&mut caller, &mut callee);
                assert_eq!(caller.register(600).status(), 200);
            }
        }
    });
}

/// One account that begins more than its part leaves room for the others, over the same connection or another. Each copy of a
/// request counts: one that rings at several phones takes more.
#[test]
fn an_account_takes_no_more_memory_than_its_share() {
    let config = "workers: 1\nlimits: {transactionBytes: 400000, accountPercent: 20}\n";
    let [alone, forked] = [1, 4].map(|phones| {
        let exchange = Exchange::start_with(&agents(), config, &[]);
        let phone = |user| {
            let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
            assert_eq!(ua.register(600).status(), 200);
            ua
        };
        let (mut greedy, mut caller) = (phone("1001"), phone("1003"));
        let mut callees: Vec<Ua> = (0..phones).map(|_| phone("1002")).collect();
        // Calls that ring and ring.
        let mut ringing = 0;
        let refused = loop {
            assert!(ringing < 200, "no share");
            let first = greedy.invite(&at("1002"));
            let invite = greedy.call(&first);
            let answer = greedy.wait(PATIENCE, |m| {
                m.status() > 0 && m.cseq() == invite.cseq() && m.call_id() == invite.call_id()
            });
            let answer = answer.expect("an answer");
            if answer.status() >= 300 {
                break answer;
            }
            ringing += 1;
        };
        assert!(ringing > 5, "{ringing}: {refused:?}");
        assert_eq!(refused.status(), 503);
        assert!(refused.get("Warning").is_some_and(|w| w.contains("overload.share")), "{refused:?}");
        if let [callee] = &mut callees[..] {
            callee.forget();
            call(&mut caller, callee);
        }
        ringing
    });
    assert!(forked * 2 <= alone, "{forked} at four phones each, {alone} at one");
}
