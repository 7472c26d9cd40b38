//! Addresses that nothing is sent to because somebody says so: our own, a carrier's, a peer's, those of no host. In every
//! spelling, by every header that can name one.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use trunkline_tests::{
    Dialog, Exchange, Message, NameServer, Record, Resources, Ua, Wire, free_port, wait_for,
};

use super::{DOMAIN, agents, at, phone, registered};

const QUIET: Duration = Duration::from_millis(300);
const OUTSIDE: &str = "198.51.100.1";

/// Listens on 127.0.0.1 and ::1, is known outside as [`OUTSIDE`]; some names are given.
fn start(resources: &Resources, more: &str) -> Exchange {
    let port = free_port();
    let both = format!("127.0.0.1:{port},[::1]:{port}");
    let config = format!("externalAddrs: [{OUTSIDE}]\nrouting: {{qualifySeconds: 0}}\n{more}");
    let env = [("TRUNKLINE_LISTEN_UDP", &*both), ("TRUNKLINE_LISTEN_TCP", &*both)];
    Exchange::start_configured_at(port, resources, &config, &env)
}

/// Phones of one user on UDP and TCP, IPv4 and IPv6.
fn phones(exchange: &Exchange, user: &str) -> Vec<Ua> {
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], exchange.udp().port()));
    let ua = |wire| Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
    [Wire::udp(exchange.udp()), Wire::tcp(exchange.tcp()), Wire::udp(v6), Wire::tcp(v6)].map(ua).into()
}

fn register_at(ua: &mut Ua, contact: &str) -> Message {
    let request = ua.register_request(600).set("Contact", format!("<{contact}>"));
    ua.ask(&request).0
}

/// Spellings of an IPv4 address of loopback.
fn spellings(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut all = vec![
        ip.to_string(),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("[::ffff:{ip}]"),
        format!("[::FFFF:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{ip}]"),
        format!("[::{ip}]"),
        format!("[::ffff:0:{ip}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[2002:{high:x}:{low:x}::]"),
    ];
    if ip == Ipv4Addr::LOCALHOST {
        all.extend(["localhost", "LocalHost.", "phone.localhost", "pbx.test", "PBX.TEST."].map(String::from));
    }
    all
}

/// A phone's packets come from the same address, so that its contact is taken at its word.
fn told(answer: &Message, what: &str) {
    assert_eq!(answer.status(), 403, "{what}: {}", answer.start);
}

#[test]
fn contacts_at_our_listeners_are_refused() {
    let exchange = start(&agents(), "dns: {hosts: {pbx.test: [127.0.0.1], six.test: [\"::1\"]}}\n");
    let port = exchange.udp().port();
    let v4 = spellings(Ipv4Addr::LOCALHOST);
    let v6 = ["[::1]", "[0:0:0:0:0:0:0:1]", "six.test", "localhost", "pbx.test"].map(String::from);
    for (n, mut ua) in phones(&exchange, "1001").into_iter().enumerate() {
        let here = ua.wire.local().ip();
        // An address of the other family would be no way to a phone whose packets come from here: its flow is.
        for host in if here.is_ipv4() { &v4[..] } else { &v6[..] }.iter().chain([&OUTSIDE.to_owned()]) {
            for contact in [
                format!("sip:1001@{host}:{port}"),
                format!("sip:{host}:{port};transport=tcp"),
                format!("sip:1001@192.0.2.9:{port};maddr={host}"),
            ] {
                told(&register_at(&mut ua, &contact), &format!("phone {n}, {contact}"));
            }
        }
        told(&register_at(&mut ua, &at("1001")), "the domain is ours");
        told(&register_at(&mut ua, &at("1002").replacen("sip:", "sips:", 1)), "so it is");
        let path = format!("<sip:{here}:{port};lr>").replace("<sip:::1", "<sip:[::1]");
        let request = ua.register_request(600).with("Path", path).with("Supported", "path");
        told(&ua.ask(&request).0, "a Path to ourselves");
        let answer = ua.register(600);
        assert_eq!(answer.status(), 200, "its own address: {}", answer.start);
    }
    // A server on the same machine, at another port.
    let mut beside = phone(&exchange, "1002");
    let contact = format!("sip:1002@127.0.0.1:{}", free_port());
    assert_eq!(register_at(&mut beside, &contact).status(), 200);
}

#[test]
fn no_host_has_them() {
    let exchange = start(&agents(), "");
    for mut ua in phones(&exchange, "1001").into_iter().take(2) {
        for host in [
            "0.0.0.0",
            "[::]",
            "[::ffff:0.0.0.0]",
            "224.0.1.75",
            "239.255.255.250",
            "[ff02::1]",
            "[::ffff:224.0.1.75]",
            "255.255.255.255",
            "[::ffff:ffff:ffff]",
            "192.0.2.9;maddr=224.0.1.75",
            "192.0.2.9;maddr=0.0.0.0",
            "192.0.2.9:0",
        ] {
            told(&register_at(&mut ua, &format!("sip:1001@{host}")), host);
        }
    }
}

/// A trunk, a peer with an address, and a peer that registers; all on this machine, as the phones are.
struct Neighbours {
    exchange: Exchange,
    carrier: Ua,
    pbx: Ua,
}

impl Neighbours {
    fn start(more: &str) -> Neighbours {
        let [trunk, peer] = [free_port(), free_port()];
        let carrier = format!("127.0.0.1:{trunk}");
        let resources = agents()
            .trunk("provider", "trunk.test", &[(&carrier, 1, "udp")], None)
            .peer("pbx", "sip:pbx@sip.test", "pw-pbx", &format!(", contactAddr: \"127.0.0.1:{peer}\""))
            .peer("voice", "backend:voice", "pw-voice", "");
        let exchange = start(&resources, more);
        let ua = |port, user: &str| {
            Ua::new(Wire::udp_at(exchange.udp(), port), user, DOMAIN, &format!("pw-{user}"))
        };
        let (carrier, pbx) = (ua(trunk, "carrier"), ua(peer, "pbx"));
        Neighbours { exchange, carrier, pbx }
    }

    fn ports(&self) -> [u16; 2] {
        [&self.carrier, &self.pbx].map(|ua| ua.wire.local().port())
    }

    fn are_silent(&mut self) -> bool {
        [&mut self.carrier, &mut self.pbx].into_iter().all(|ua| ua.silent(QUIET, |m| m.method() == "INVITE"))
    }
}

#[test]
fn a_carrier_and_a_peer_are_reached_by_no_word_but_their_own() {
    let mut net = Neighbours::start(
        "dns: {hosts: {pbx.test: [127.0.0.1], two.test: [192.0.2.77, 127.0.0.1], voice.test: [127.0.0.3]}}\n",
    );
    for port in net.ports() {
        let mut hosts = spellings(Ipv4Addr::LOCALHOST);
        hosts.push("two.test".into());
        for (n, mut ua) in phones(&net.exchange, "1001").into_iter().take(2).enumerate() {
            for host in &hosts {
                for contact in
                    [format!("sip:+1900@{host}:{port}"), format!("sip:+1900@192.0.2.9:{port};maddr={host}")]
                {
                    told(&register_at(&mut ua, &contact), &format!("phone {n}, {contact}"));
                }
            }
            let request = ua.register_request(600).with("Path", format!("<sip:127.0.0.1:{port};lr>"));
            told(&ua.ask(&request.with("Supported", "path")).0, "by a Path");
        }
    }
    // The peer itself may say where it is; an instance that registered is a peer's place as well.
    assert_eq!(net.pbx.register(600).status(), 200);
    let away = |user: &str, last| {
        let wire = Wire::udp_from([127, 0, 0, last].into(), net.exchange.udp());
        Ua::new(wire, user, DOMAIN, &format!("pw-{user}"))
    };
    let (mut voice, mut mallory) = (away("voice", 3), away("1001", 9));
    assert_eq!(voice.register(600).status(), 200);
    let instance = format!("sip:+1900@voice.test:{}", voice.wire.local().port());
    wait_for("the instance to be known", || {
        (register_at(&mut mallory, &instance).status() == 403).then_some(())
    });
    assert!(net.are_silent());
}

/// What a name leads to is looked at when something is sent there: it may lead elsewhere than it did.
#[test]
fn a_name_is_judged_when_it_is_called() {
    let names = NameServer::start(&[
        ("one.example.test", Record::A([127, 0, 0, 1].into())),
        ("mapped.example.test", Record::Aaaa("::ffff:127.0.0.1".parse().expect("an address"))),
        ("both.example.test", Record::A([192, 0, 2, 77].into())),
        ("both.example.test", Record::A([127, 0, 0, 1].into())),
        ("many.example.test", Record::A([224, 0, 1, 75].into())),
    ]);
    let mut net = Neighbours::start(&names.config(", failoverMs: 200"));
    let [carrier, pbx] = net.ports();
    let mut caller = registered(&net.exchange, "1002");
    for host in ["one", "mapped", "both", "many"] {
        for port in [carrier, pbx] {
            let mut mallory = phone(&net.exchange, "1001");
            // Unknown now, or known to be a carrier's from the time before.
            let contact = format!("sip:+1900@{host}.example.test:{port}");
            let status = register_at(&mut mallory, &contact).status();
            assert!(matches!(status, 200 | 403), "{contact}: {status}");
            let invite = caller.invite(&at("1001"));
            let status = caller.ask(&invite).0.status();
            assert!(status >= 400, "{contact}: {status}");
            assert!(net.are_silent(), "{contact}");
            let all = mallory.register_request(0).set("Contact", "*");
            assert_eq!(mallory.ask(&all).0.status(), 200);
        }
    }
}

#[test]
fn a_route_that_a_phone_brings_along_chooses_no_way() {
    let mut net = Neighbours::start("");
    let [carrier, pbx] = net.ports();
    let us = net.exchange.udp();
    let mut callee = registered(&net.exchange, "1002");
    let foreign = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let elsewhere = foreign.local_addr().expect("bound");
    for mut ua in phones(&net.exchange, "1001").into_iter().take(2) {
        for route in [
            format!("<sip:127.0.0.1:{carrier};lr>"),
            format!("<sip:127.0.0.1:{pbx};lr>"),
            format!("<sip:{us};lr>, <sip:127.0.0.1:{carrier};lr>"),
            format!("<sip:{us};lr;maddr=127.0.0.1>, <sip:{elsewhere};lr>"),
            format!("<sip:192.0.2.9;lr;maddr={}>", elsewhere.ip()),
            format!("<sip:{elsewhere}>"),
        ] {
            for method in ["INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"] {
                let request = ua.request(method, &at("1002")).with("Route", route.clone());
                ua.send(&request);
                let challenge = ua.final_for(&request);
                ua.acknowledge_failure(&request, &challenge);
                let Some(retry) = ua.authorise(&request, &challenge, 1) else { continue };
                ua.send(&retry);
                let arrived = callee.request_of(method);
                callee.respond(&arrived, 486, "Busy Here");
                let refusal = ua.final_for(&retry);
                ua.acknowledge_failure(&retry, &refusal);
            }
        }
    }
    foreign.set_read_timeout(Some(QUIET)).expect("a live socket");
    assert!(foreign.recv(&mut [0; 2048]).is_err(), "something was sent where a Route said");
    assert!(net.are_silent());
}

/// A response goes to the port in Via (RFC 3261 §18.2.2), but not to ours.
#[test]
fn a_via_that_names_us_is_answered_where_it_came_from() {
    let exchange = start(&agents(), "");
    let mut ua = phone(&exchange, "1001");
    for sent_by in [exchange.udp().to_string(), format!("127.0.0.1:{}", 0)] {
        let via = ua.via().replace(";rport", "").replace(&ua.wire.local().to_string(), &sent_by);
        let request = ua.request("OPTIONS", &format!("sip:{DOMAIN}")).set("Via", via);
        ua.send(&request);
        assert_eq!(ua.final_for(&request).status(), 200);
    }
}

#[test]
fn what_comes_back_with_our_own_via_on_top_is_a_loop() {
    let exchange = Exchange::start(
        &Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x"),
    );
    let mut caller = registered(&exchange, "1001");
    let mut callee = registered(&exchange, "1002");
    let invite = caller.invite(&at("1002"));
    caller.send(&invite);
    let arrived = callee.request_of("INVITE");
    let mut back = arrived.clone();
    back.start = invite.start.clone();
    callee.send(&back);
    // The answer is for whom our Via names, which is us: it is told from that nothing is forwarded.
    assert!(callee.silent(QUIET, |m| m.method() == "INVITE" && m.branch() != arrived.branch()));
}

#[test]
fn breadth_is_no_more_than_what_who_says_nothing_has() {
    let exchange = Exchange::start(&agents());
    let mut forks = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut caller = registered(&exchange, "1001");
    for (given, most) in [("4000000000", 30), ("99999999999999999999", 30), ("61", 30), ("10", 5)] {
        let invite = caller.invite(&at("1002")).with("Max-Breadth", given);
        let invite = caller.call(&invite);
        for fork in &mut forks {
            let arrived = fork.request_of("INVITE");
            let got: u32 = arrived.get("Max-Breadth").and_then(|b| b.parse().ok()).expect("a breadth");
            assert!(got <= most, "{given}: {got}");
            fork.respond(&arrived, 486, "Busy Here");
        }
        let refusal = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &refusal);
    }
}

/// A party's Contact in a dialog leads to its own places, whatever the other side then sends there in good faith.
#[test]
fn inside_a_dialog_a_contact_leads_to_its_own_party() {
    let mut net = Neighbours::start("dns: {hosts: {pbx.test: [127.0.0.1]}}\n");
    let [carrier, pbx] = net.ports();
    let us = net.exchange.udp().port();
    let mut callee = registered(&net.exchange, "1002");
    let mut caller = phone(&net.exchange, "1001");
    let mut targets = Vec::new();
    for port in [carrier, pbx, us] {
        targets.extend(spellings(Ipv4Addr::LOCALHOST).iter().map(|host| format!("sip:+1900@{host}:{port}")));
        targets.push(format!("sip:+1900@127.0.0.1:{port};transport=tcp"));
        targets.push(format!("sip:+1900@192.0.2.9:{port};maddr=127.0.0.1"));
    }
    targets.extend(["sip:x@224.0.1.75", "sip:x@0.0.0.0:5060", "sip:x@[ff02::1]"].map(String::from));
    for target in targets {
        // The callee's, in its 200; then the caller's, in its INVITE.
        for by_callee in [true, false] {
            let contact = format!("<{target}>");
            let mut invite = caller.invite(&at("1002"));
            if !by_callee {
                invite = invite.set("Contact", contact.clone());
            }
            let invite = caller.call(&invite);
            let arrived = callee.request_of("INVITE");
            let mut ok = callee.response(&arrived, 200, "OK");
            if by_callee {
                ok = ok.set("Contact", contact);
            }
            callee.send(&ok);
            let got = caller.status_for(&invite, 200);
            let (mut a, mut b) = (Dialog::of_caller(&invite, &got), Dialog::of_callee(&arrived, &ok));
            let (ua, dialog) = if by_callee { (&mut caller, &mut a) } else { (&mut callee, &mut b) };
            if by_callee {
                let ack = dialog.request(ua, "ACK");
                ua.send(&ack);
            }
            for method in ["INFO", "MESSAGE", "BYE"] {
                let request = dialog.request(ua, method);
                ua.send(&request);
                let status = ua.final_for(&request).status();
                assert!(status >= 400, "{target}: {status} to {method}");
            }
        }
    }
    assert!(net.are_silent());
    assert!(net.carrier.silent(QUIET, |_| true) && net.pbx.silent(QUIET, |_| true));
}

/// Doors of this process that are not for SIP.
#[test]
fn what_listens_for_something_else_hears_no_sip() {
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let env = [("TRUNKLINE_HTTP_ADDR", &*http.to_string())];
    let exchange = Exchange::start_with(&agents(), "", &env);
    let mut ua = phone(&exchange, "1001");
    told(&register_at(&mut ua, &format!("sip:x@{http};transport=tcp")), "the health page");
    told(&register_at(&mut ua, &format!("sip:x@localhost:{};transport=tcp", http.port())), "by its name");
}

#[test]
fn our_addresses_stay_ours_when_descriptors_run_out() {
    let port = free_port();
    let everywhere = format!("0.0.0.0:{port}");
    let env = [("TRUNKLINE_LISTEN_UDP", &*everywhere), ("TRUNKLINE_LISTEN_TCP", &*everywhere)];
    let exchange = Exchange::start_at(port, &agents(), &env);
    let mut ua = phone(&exchange, "1001");
    let limit = |files: &str| {
        let pid = exchange.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit");
    };
    limit("3");
    for host in ["127.0.0.77", "[::ffff:127.0.0.78]"] {
        let request = ua.request("OPTIONS", &format!("sip:{host}:{port}"));
        ua.send(&request);
        assert_eq!(ua.final_for(&request).status(), 200, "{host} without descriptors");
        told(&register_at(&mut ua, &format!("sip:1001@192.0.2.9:{port};maddr={host}")), host);
    }
    limit("1024");
    for host in ["127.0.0.77", "127.0.0.79"] {
        let request = ua.request("OPTIONS", &format!("sip:{host}:{port}"));
        ua.send(&request);
        assert_eq!(ua.final_for(&request).status(), 200, "{host}");
    }
}
