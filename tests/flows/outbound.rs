//! Client-initiated connections (RFC 5626), Path (RFC 3327) and Service-Route (RFC 3608).

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, PATIENCE, Ua, wait_for};

use super::{DOMAIN, agents, at, phone, registered};

/// A silent flow is given up after this. Who is to answer gets the 4 s that ship, or a busy machine makes it silent.
const IMPATIENT: &str = "dns: {failoverMs: 300}\n";
const QUIET: Duration = Duration::from_millis(400);
const INSTANCE: &str = "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";

/// A REGISTER of one of a phone's flows.
fn flow(ua: &Ua, reg_id: u32, contact: &str) -> Message {
    let contact = format!("<{contact}>;+sip.instance=\"{INSTANCE}\";reg-id={reg_id}");
    ua.register_request(600).set("Contact", contact).with("Supported", "path, outbound")
}

fn tcp(exchange: &Exchange, user: &str) -> Ua {
    Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"))
}

/// A phone of 1002 with two flows, each over a connection of its own.
fn two_flows(exchange: &Exchange) -> [Ua; 2] {
    let mut flows = [tcp(exchange, "1002"), tcp(exchange, "1002")];
    for (n, ua) in flows.iter_mut().enumerate() {
        // The same Contact in both, as a phone may write it.
        let request = flow(ua, n as u32 + 1, "sip:1002@phone.invalid;transport=tcp;ob");
        let (answer, _) = ua.ask(&request);
        assert_eq!((answer.status(), answer.list("Contact").len()), (200, n + 1), "{answer:?}");
        assert_eq!(answer.get("Require"), Some("outbound"));
        let timer: u32 = answer.get("Flow-Timer").and_then(|v| v.parse().ok()).expect("Flow-Timer");
        assert!((60..=300).contains(&timer), "{timer}");
    }
    flows
}

#[test]
fn a_phone_with_two_flows_rings_once() {
    let exchange = Exchange::start(&agents());
    let [mut one, mut two] = two_flows(&exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    // The one registered last.
    let arrived = two.request_of("INVITE");
    two.respond(&arrived, 180, "Ringing");
    assert!(one.silent(QUIET, |_| true), "never both");
    two.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    two.request_of("ACK");
}

#[test]
fn when_a_flow_is_silent_the_next_is_tried() {
    let exchange = Exchange::start_with(&agents(), IMPATIENT, &[]);
    let [mut one, mut two] = two_flows(&exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let on_two = two.request_of("INVITE");
    let on_one = one.request_of("INVITE");
    assert_ne!(on_one.branch(), on_two.branch());
    one.accept(&on_one);
    caller.status_for(&invite, 200);
}

#[test]
fn when_a_flow_failed_the_next_is_tried() {
    let exchange = Exchange::start(&agents());
    let [mut one, mut two] = two_flows(&exchange);
    let mut caller = registered(&exchange, "1001");
    // 430 and 408, as an edge proxy says of a flow.
    for status in [430, 408] {
        let message = caller.request("MESSAGE", &at("1002"));
        caller.send(&message);
        let challenge = caller.final_for(&message);
        let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
        caller.send(&message);
        let call = message.call_id().to_owned();
        let first = two.expect("MESSAGE", |m| m.method() == "MESSAGE" && m.call_id() == call);
        two.respond(&first, status, "Flow Failed");
        let second = one.expect("MESSAGE", |m| m.method() == "MESSAGE" && m.call_id() == call);
        one.respond(&second, 200, "OK");
        caller.status_for(&message, 200);
    }
    // A refusal of the phone itself is its word.
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let call = invite.call_id().to_owned();
    let arrived = two.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == call);
    two.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    assert!(one.silent(QUIET, |m| m.call_id() == call));
    // 430 of the last one is 480 to who called (RFC 5626 §11.5).
    let message = caller.request("MESSAGE", &at("1002"));
    caller.send(&message);
    let challenge = caller.final_for(&message);
    let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
    caller.send(&message);
    for ua in [&mut two, &mut one] {
        let call = message.call_id().to_owned();
        let arrived = ua.expect("MESSAGE", |m| m.method() == "MESSAGE" && m.call_id() == call);
        ua.respond(&arrived, 430, "Flow Failed");
    }
    caller.status_for(&message, 480);
}

#[test]
fn a_flow_whose_connection_ended_is_passed_over() {
    let exchange = Exchange::start(&agents());
    let [mut one, two] = two_flows(&exchange);
    drop(two);
    bindings_become(&exchange, 1);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = one.request_of("INVITE");
    one.accept(&arrived);
    caller.status_for(&invite, 200);
    drop(one);
    bindings_become(&exchange, 0);
    let invite = caller.invite(&at("1002"));
    assert_eq!(caller.ask(&invite).0.status(), 480);
}

/// Waits until 1002 has so many bindings.
fn bindings_become(exchange: &Exchange, count: usize) {
    wait_for("the connection's end to be noticed", || {
        let mut ua = phone(exchange, "1002");
        let query = ua.register_request(600).without("Contact").without("Expires");
        (ua.ask(&query).0.list("Contact").len() == count).then_some(())
    });
}

#[test]
fn a_flow_registered_anew_takes_the_old_ones_place() {
    let exchange = Exchange::start(&agents());
    let [_one, mut old] = two_flows(&exchange);
    let mut new = tcp(&exchange, "1002");
    let request = flow(&new, 2, "sip:1002@elsewhere.invalid;transport=tcp;ob");
    let (answer, _) = new.ask(&request);
    assert_eq!(answer.list("Contact").len(), 2, "{answer:?}");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = new.request_of("INVITE");
    new.accept(&arrived);
    caller.status_for(&invite, 200);
    assert!(old.silent(QUIET, |m| m.method() == "INVITE"));
    // The old connection's end changes nothing for the new one.
    drop(old);
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = new.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    new.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn the_flows_of_one_phone_count_as_one_contact() {
    let resources = agents().agent_with(DOMAIN, "1009", "pw-1009", ", maxContacts: 1");
    let exchange = Exchange::start(&resources);
    let _flows = [1, 2].map(|reg_id| {
        let mut ua = tcp(&exchange, "1009");
        let request = flow(&ua, reg_id, "sip:1009@phone.invalid");
        assert_eq!(ua.ask(&request).0.status(), 200);
        ua
    });
    let mut other = phone(&exchange, "1009");
    assert_eq!(other.register(600).status(), 403);
}

#[test]
fn what_outbound_cannot_be() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1002");
    // Two flows in one REGISTER.
    let contact = ua.contact();
    let both = [1, 2].map(|n| format!("<{contact}>;+sip.instance=\"{INSTANCE}\";reg-id={n}")).join(", ");
    let request = flow(&ua, 1, &contact).set("Contact", both);
    assert_eq!(ua.ask(&request).0.status(), 400);
    // A proxy before us that keeps no flows.
    let relayed = |ua: &Ua, path: &str| {
        let mut request = flow(ua, 1, &ua.contact());
        let below = request.headers.iter().position(|(name, _)| name == "Via").map_or(0, |at| at + 1);
        let via = ("Via".to_owned(), "SIP/2.0/TCP 10.9.8.7:5060;branch=z9hG4bKbelow".to_owned());
        request.headers.insert(below, via);
        request.with("Path", path)
    };
    let authorised = |ua: &mut Ua, request: Message, path: &str| {
        ua.send(&request);
        let challenge = ua.final_for(&request);
        let retry = ua.authorise(&request, &challenge, 1).expect("a challenge");
        // `authorise` leaves one Via: the proxy's stands again below it.
        let mut retry = retry.without("Path").with("Path", path);
        let below = retry.headers.iter().position(|(name, _)| name == "Via").map_or(0, |at| at + 1);
        let via = ("Via".to_owned(), "SIP/2.0/TCP 10.9.8.7:5060;branch=z9hG4bKbelow".to_owned());
        retry.headers.insert(below, via);
        ua.send(&retry);
        ua.final_for(&retry)
    };
    let path = format!("<sip:{};lr>", ua.wire.local());
    let request = relayed(&ua, &path);
    assert_eq!(authorised(&mut ua, request, &path).status(), 439);
    let path = format!("<sip:{};lr;ob>", ua.wire.local());
    let request = relayed(&ua, &path);
    let answer = authorised(&mut ua, request, &path);
    assert_eq!((answer.status(), answer.get("Require")), (200, Some("outbound")), "{answer:?}");
    assert_eq!(answer.get("Flow-Timer"), None, "that is for the first hop to say");
    assert_eq!(answer.get("Path"), Some(&*path));
    // Without the extension nothing is required of anybody.
    let mut plain = phone(&exchange, "1003");
    assert_eq!(plain.register(600).get("Require"), None);
}

#[test]
fn a_contact_behind_a_proxy_is_reached_along_its_path() {
    let exchange = Exchange::start(&agents());
    // The proxy is another socket than the one the REGISTER comes from.
    let mut proxy = phone(&exchange, "1002");
    let mut ua = phone(&exchange, "1002");
    let path = format!("<sip:keep@{};lr>", proxy.wire.local());
    let request = ua
        .register_request(600)
        .set("Contact", "<sip:1002@10.99.98.97:5060>")
        .with("Supported", "path")
        .with("Path", &path);
    assert_eq!(ua.ask(&request).0.get("Path"), Some(&*path));
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = proxy.request_of("INVITE");
    assert_eq!(arrived.uri(), "sip:1002@10.99.98.97:5060");
    assert_eq!(arrived.list("Route"), [path]);
    proxy.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn phones_are_told_their_route_and_may_use_it() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = tcp(&exchange, "1001");
    let answer = caller.register(600);
    let route = answer.list("Service-Route");
    assert_eq!(route, [format!("<sip:{};transport=tcp;lr>", exchange.tcp())]);
    let invite = caller.invite(&at("1002")).with("Route", &route[0]);
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert_eq!(arrived.get("Route"), None, "{arrived:?}");
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
    // An operator may not want it.
    let exchange = Exchange::start_with(&agents(), "registrar: {serviceRoute: off}\n", &[]);
    let mut ua = phone(&exchange, "1001");
    assert_eq!(ua.register(600).get("Service-Route"), None);
}

#[test]
fn a_dialog_keeps_to_the_flow_its_contact_asks_for() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    // Nobody is at this address: with `ob` the flow counts.
    let invite = caller.invite(&at("1002")).set("Contact", "<sip:1001@127.0.0.99:5060;ob>");
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    caller.status_for(&invite, 200);
    let mut b = Dialog::of_callee(&arrived, &sent);
    let info = b.request(&callee, "INFO");
    callee.send(&info);
    let arrived = caller.request_of("INFO");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&info, 200);
}

#[test]
fn a_phone_on_a_connection_that_ended_is_480_and_never_dialled() {
    let mut exchange = Exchange::start(&agents());
    let mut callee = tcp(&exchange, "1002");
    // An ordinary phone: its Contact names the port its connection came from.
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = registered(&exchange, "1001");
    let (mut dialog, _) = super::dialogs::connect(&mut caller, &mut callee);
    drop(callee);
    bindings_become(&exchange, 0);
    // Whoever tried that port would be refused, and say 503 of it.
    let invite = caller.invite(&at("1002"));
    assert_eq!(caller.ask(&invite).0.status(), 480);
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    caller.status_for(&bye, 480);
    // That of the call, and that of the one that was refused.
    super::records::ended(&exchange, 2);
    // The same after a restart, which ends every connection but leaves the binding.
    let mut callee = tcp(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    let invite = caller.invite(&at("1002"));
    assert_eq!(caller.ask(&invite).0.status(), 480);
}

#[test]
fn whoever_waits_for_a_phone_whose_connection_ends_is_told_at_once() {
    let exchange = Exchange::start_with(&agents(), "workers: 4\n", &[]);
    let mut callee = tcp(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    // Calls of many sockets: the kernel spreads them over the shards, and one shard has the connection.
    let mut calls: Vec<(Ua, Message)> = Vec::new();
    for _ in 0..8 {
        let mut caller = phone(&exchange, "1001");
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = callee.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        callee.respond(&arrived, 180, "Ringing");
        caller.expect("180", |m| m.status() == 180 && m.call_id() == invite.call_id());
        calls.push((caller, invite));
    }
    drop(callee);
    for (mut caller, invite) in calls {
        let failure = caller.final_for(&invite);
        assert!([480, 500, 503].contains(&failure.status()), "{}", failure.start);
        caller.acknowledge_failure(&invite, &failure);
    }
}

#[test]
fn a_phone_comes_back_after_a_restart_though_it_may_have_one_contact() {
    let resources = agents().agent_with(DOMAIN, "1009", "pw-1009", ", maxContacts: 1");
    let mut exchange = Exchange::start(&resources);
    let mut before = tcp(&exchange, "1009");
    assert_eq!(before.register(600).status(), 200);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    // Another connection, so another port in its Contact: the old one leads nowhere and does not count.
    let mut after = tcp(&exchange, "1009");
    assert_eq!(after.register(600).status(), 200);
    let mut caller = registered(&exchange, "1001");
    super::dialogs::connect(&mut caller, &mut after);
    let mut second = phone(&exchange, "1009");
    assert_eq!(second.register(600).status(), 403);
}

#[test]
fn keep_alives_are_answered() {
    let exchange = Exchange::start(&agents());
    // CRLF CRLF on a stream (RFC 5626 §4.4.1).
    let mut stream = std::net::TcpStream::connect(exchange.tcp()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a live socket");
    std::io::Write::write_all(&mut stream, b"\r\n\r\n").expect("sent");
    let mut pong = [0; 2];
    std::io::Read::read_exact(&mut stream, &mut pong).expect("a pong");
    assert_eq!(&pong, b"\r\n");
    // STUN on UDP (RFC 5626 §4.4.2): the answer says where the question came from.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a live socket");
    let mut ask = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    ask.extend(1..=12);
    socket.send_to(&ask, exchange.udp()).expect("sent");
    let mut answer = [0; 128];
    let n = socket.recv(&mut answer).expect("an answer");
    assert_eq!((&answer[..2], &answer[4..20]), (&[1, 1][..], &ask[4..20]));
    assert_eq!(answer[20..26], [0, 0x20, 0, 8, 0, 1]);
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    let ip = [answer[28] ^ 0x21, answer[29] ^ 0x12, answer[30] ^ 0xa4, answer[31] ^ 0x42];
    assert_eq!((n, SocketAddr::from((ip, port))), (32, socket.local_addr().expect("bound")));
}
