//! Targets that lead back to the exchange: routed again inside it, with who calls known, and bounded whatever they say.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trunkline_tests::{
    Dialog, Exchange, Message, NameServer, Record, Resources, Ua, Wire, cpu_time, free_port,
};

use super::{DOMAIN, agents, at, phone, registered};

const QUIET: Duration = Duration::from_millis(300);
const US: &str = "pbx.example.test";
const NUMBER: &str = "+17066041487";
const DIALLED: &str = "+19995550123";

/// Names that lead to us, which nobody knows before [`NameServer::speak`]: a contact that is known to lead here is refused.
fn names() -> NameServer {
    let us = || Record::A([127, 0, 0, 1].into());
    NameServer::start_silent(&[
        (US, us()),
        ("1001.example.test", us()),
        ("1002.example.test", us()),
        ("1003.example.test", us()),
    ])
}

/// An address of ours stands for this domain.
fn config(names: &NameServer) -> String {
    format!("{}domain: {DOMAIN}\nrouting: {{qualifySeconds: 0}}\n", names.config(""))
}

/// Registers contacts at hosts that are not known yet: their REGISTER asks for the names.
fn registers_at(exchange: &Exchange, user: &str, contacts: &[String]) {
    let mut ua = phone(exchange, user);
    let mut request = ua.register_request(600).set("Contact", format!("<{}>", contacts[0]));
    for contact in &contacts[1..] {
        request = request.with("Contact", format!("<{contact}>"));
    }
    let answer = ua.ask(&request).0;
    assert_eq!(answer.status(), 200, "{user}: {}", answer.start);
}

/// A call that is taken, with its ACK and BYE.
fn talks(caller: &mut Ua, invite: &Message, arrived: &Message, callee: &mut Ua) {
    let accepted = callee.accept(arrived);
    let ok = caller.status_for(invite, 200);
    let mut dialog = Dialog::of_caller(invite, &ok);
    let ack = dialog.request(caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let mut back = Dialog::of_callee(arrived, &accepted);
    let info = back.request(callee, "INFO");
    callee.send(&info);
    let got = caller.request_of("INFO");
    caller.respond(&got, 200, "OK");
    callee.status_for(&info, 200);
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let got = callee.request_of("BYE");
    callee.respond(&got, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn who_calls_is_known_already_and_nobody_is_asked_again() {
    let names = names();
    let exchange = Exchange::start_with(&agents(), &config(&names), &[]);
    let port = exchange.udp().port();
    registers_at(&exchange, "1001", &[format!("sip:1002@{US}:{port}")]);
    names.speak();
    let mut callee = registered(&exchange, "1002");
    for mut caller in [phone(&exchange, "1003"), Ua::tcp(exchange.tcp(), "1003", DOMAIN, "pw-1003")] {
        let invite = caller.invite(&at("1001"));
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        assert_eq!(arrived.all("Via").count(), 2, "it did not leave: {arrived:?}");
        assert_eq!(arrived.uri(), callee.contact());
        talks(&mut caller, &invite, &arrived, &mut callee);
        let message = caller.request("MESSAGE", &at("1001"));
        caller.send(&message);
        let challenge = caller.final_for(&message);
        let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
        caller.send(&message);
        let arrived = callee.request_of("MESSAGE");
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&message, 200);
    }
    // By now the name is known to lead here.
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600).set("Contact", format!("<sip:1002@{US}:{port}>"));
    assert_eq!(ua.ask(&request).0.status(), 403);
}

#[test]
fn a_phone_beside_it_rings_as_well() {
    let names = names();
    let exchange = Exchange::start_with(&agents(), &config(&names), &[]);
    let port = exchange.udp().port();
    let mut own = registered(&exchange, "1001");
    registers_at(&exchange, "1001", &[format!("sip:1002@{US}:{port}")]);
    names.speak();
    let mut other = registered(&exchange, "1002");
    let mut caller = phone(&exchange, "1003");
    let invite = caller.invite(&at("1001"));
    let invite = caller.call(&invite);
    let (one, two) = (own.request_of("INVITE"), other.request_of("INVITE"));
    own.respond(&one, 180, "Ringing");
    talks(&mut caller, &invite, &two, &mut other);
    let cancel = own.request_of("CANCEL");
    own.respond(&cancel, 200, "OK");
}

/// A domain whose calls out go to one carrier, which has a number that rings 1001.
fn with_carrier(carrier: &str) -> Resources {
    let domain = Resources::new().domain_with(DOMAIN, "all", &[(".*", NUMBER)], "");
    let agents = ["1001", "1002", "1003"]
        .iter()
        .fold(domain, |all, user| all.agent(DOMAIN, user, &format!("pw-{user}")));
    agents.trunk("provider", "trunk.test", &[(carrier, 1, "udp")], None).number(
        NUMBER,
        "provider",
        &at("1001"),
    )
}

fn start(resources: &Resources, names: &NameServer, port: u16) -> Exchange {
    Exchange::start_configured_at(port, resources, &config(names), &[])
}

#[test]
fn a_call_from_a_carrier_reaches_whom_it_leads_to_and_no_carrier() {
    let names = names();
    let (trunk, port) = (free_port(), free_port());
    let exchange = start(&with_carrier(&format!("127.0.0.1:{trunk}")), &names, port);
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), trunk), "+15551234567", "carrier.test", "");
    registers_at(&exchange, "1001", &[format!("sip:1002@{US}:{port}")]);
    // What a phone says of itself never makes a call out, whoever calls it.
    registers_at(&exchange, "1003", &[format!("sip:{DIALLED}@1003.EXAMPLE.test.:{port}")]);
    names.speak();
    let mut callee = registered(&exchange, "1002");
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
    carrier.send(&invite);
    let arrived = callee.request_of("INVITE");
    talks(&mut carrier, &invite, &arrived, &mut callee);

    let mut caller = phone(&exchange, "1002");
    let invite = caller.invite(&at("1003"));
    let status = caller.ask(&invite).0.status();
    assert!(matches!(status, 403 | 404 | 480 | 482), "{status}");
    assert!(carrier.silent(QUIET, |m| m.method() == "INVITE"));
    // Dialled by the caller it is one.
    let invite = caller.invite(&at(DIALLED));
    caller.call(&invite);
    carrier.request_of("INVITE");
}

#[test]
fn a_carrier_that_is_ourselves_ends_at_once() {
    let names = names();
    names.speak();
    let port = free_port();
    for carrier in [format!("127.0.0.1:{port}"), format!("{US}:{port}"), format!("localhost:{port}")] {
        let exchange = start(&with_carrier(&carrier), &names, port);
        let mut caller = registered(&exchange, "1002");
        let invite = caller.invite(&at(DIALLED));
        let status = caller.ask(&invite).0.status();
        // `localhost` has another address, where nobody is.
        assert!(matches!(status, 482 | 500), "{carrier}: {status}");
    }
}

/// Contacts that point back to us many times over, at once and one after the other, through each other.
#[test]
fn circles_end_whatever_their_shape() {
    let users = ["1001", "1002", "1003"];
    let resources =
        users.iter().fold(Resources::new().domain(DOMAIN, "never"), |all, user| all.agent(DOMAIN, user, "x"));
    for sequential in [false, true] {
        let names = names();
        let exchange = Exchange::start_with(&resources, &config(&names), &[]);
        let port = exchange.udp().port();
        for user in users {
            let contacts: Vec<String> = (0..10)
                .map(|n| {
                    let q = if sequential { n } else { 0 };
                    format!("sip:{}@{user}.example.test:{port};n={n}>;q=0.{q}", users[n % 3])
                })
                .collect();
            let mut ua = phone(&exchange, user);
            let mut request = ua.register_request(600).set("Contact", format!("<{}", contacts[0]));
            for contact in &contacts[1..] {
                request = request.with("Contact", format!("<{contact}"));
            }
            assert_eq!(ua.ask(&request).0.status(), 200, "{user}");
        }
        names.speak();
        let mut caller = phone(&exchange, "1001");
        let (begun, worked) = (Instant::now(), cpu_time(exchange.pid()));
        let invite = caller.invite(&at("1001"));
        let status = caller.ask(&invite).0.status();
        assert!(matches!(status, 482 | 440), "{status}");
        // Not by the work of a flood, nor by a timer of RFC 3261: B and F take 32 s.
        let (took, worked) = (begun.elapsed(), cpu_time(exchange.pid()) - worked);
        assert!(worked < Duration::from_secs(2) && took < Duration::from_secs(25), "{worked:?} of {took:?}");
    }
}

/// Something that sends back whatever we send, as a router does that knows another address for us.
fn reflector(exchange: &Exchange) -> (u16, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let (port, to) = (socket.local_addr().expect("bound").port(), exchange.udp());
    let invites = Arc::new(AtomicUsize::new(0));
    let count = invites.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(n) = socket.recv(&mut buffer) {
            if buffer.starts_with(b"INVITE ") {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let _ = socket.send_to(&buffer[..n], to);
        }
    });
    (port, invites)
}

#[test]
fn what_is_sent_back_over_the_wire_is_bounded_in_all_attempts_together() {
    let resources =
        Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x");
    for sequential in [true, false] {
        let exchange = Exchange::start_with(&resources, "", &[]);
        let (port, invites) = reflector(&exchange);
        let mut ua = phone(&exchange, "1001");
        let mut request = ua.register_request(600);
        request.headers.retain(|(name, _)| name != "Contact");
        for n in 0..10 {
            let q = if sequential { n } else { 0 };
            let contact = format!("<sip:1001@{DOMAIN}:{port};maddr=127.0.0.1;n={n}>;q=0.{q}");
            request = request.with("Contact", contact);
        }
        assert_eq!(ua.ask(&request).0.status(), 200);
        let mut caller = phone(&exchange, "1002");
        let invite = caller.invite(&at("1001"));
        let status = caller.ask(&invite).0.status();
        assert!(matches!(status, 440 | 482), "{status}");
        let sent = invites.load(Ordering::Relaxed);
        // Its own targets and those of the laps, each repeated once at most.
        assert!((10..=2 * 70).contains(&sent), "{sent} INVITEs");
    }
}
