//! The mark of a dialog leads to that dialog's other side, while it lives, and nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::dialogs::{connect, talking};
use super::{DOMAIN, agents, at, phone, registered};

const METHODS: [&str; 9] =
    ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "OPTIONS", "PUBLISH", "REGISTER", "INFO", "BYE"];
const QUIET: Duration = Duration::from_millis(250);

/// A phone at one of this machine's addresses.
pub fn phone_from(exchange: &Exchange, host: [u8; 4], user: &str) -> Ua {
    let wire = Wire::udp_from(host.into(), exchange.udp());
    Ua::new(wire, user, DOMAIN, &format!("pw-{user}"))
}

/// A carrier, an open number of it that rings 1002, and an agent 1001 that may call +1555 only.
fn with_a_carrier(carrier: SocketAddr) -> Resources {
    let uri = carrier.to_string();
    agents().trunk("carrier", "did.carrier.test", &[(&uri, 1, "udp")], None).number(
        "+15550002222",
        "carrier",
        &at("1002"),
    )
}

/// What a party of a dialog may say, with another Request-URI.
pub fn elsewhere(dialog: &mut Dialog, ua: &Ua, method: &str, uri: &str) -> Message {
    let mut request = dialog.request(ua, method);
    request.start = format!("{method} {uri} SIP/2.0");
    request
}

#[test]
fn a_stranger_with_a_call_reaches_nobody_but_its_callee() {
    let carrier = SocketAddr::from(([127, 0, 0, 50], free_port()));
    let exchange = Exchange::start_with(&with_a_carrier(carrier), "routing: {qualifySeconds: 0}\n", &[]);
    let mut trunk = Ua::new(
        Wire::Udp { socket: std::net::UdpSocket::bind(carrier).expect("a port"), server: exchange.udp() },
        "carrier",
        "did.carrier.test",
        "",
    );
    let mut foreign = phone_from(&exchange, [127, 0, 0, 60], "foreign");
    let mut callee = registered(&exchange, "1002");
    let mut other = registered(&exchange, "1003");
    let mut stranger = phone_from(&exchange, [127, 0, 0, 9], "stranger");
    stranger.domain = "far.test".to_owned();
    let invite = stranger.invite("sip:+15550002222@did.carrier.test");
    stranger.send(&invite);
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    let ok = stranger.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&stranger, "ACK");
    stranger.send(&ack);
    callee.request_of("ACK");

    let premium = format!("sip:+19005551234@{carrier}");
    let targets = [
        premium.clone(),
        premium.replace("sip:", "sip:x@").replacen("x@+19005551234@", "+19005551234@", 1) + ";transport=udp",
        format!("sip:x@{}", foreign.wire.local()),
        format!("sip:x@{};maddr=127.0.0.60", callee.wire.local()),
        other.contact(),
        // The right host with another user: a number that another rule would have to allow.
        callee.contact().replacen("1002@", "+19005551234@", 1),
        callee.contact().replacen("sip:", "sips:", 1),
    ];
    for uri in &targets {
        for method in METHODS {
            let request = elsewhere(&mut dialog, &stranger, method, uri);
            stranger.send(&request);
            assert_eq!(stranger.final_for(&request).status(), 481, "{method} {uri}");
        }
    }
    // Another Route after ours, before ours, and the form of a strict router (RFC 3261 §16.4).
    let ours = dialog.routes.clone();
    let beside = |routes: Vec<String>| {
        let mut other = dialog.clone();
        other.routes = routes;
        other
    };
    for foreign in [format!("<sip:{};lr>", foreign.wire.local()), format!("<sip:{carrier};lr>")] {
        let mut hostile = beside([ours.clone(), vec![foreign.clone()]].concat());
        let request = hostile.request(&stranger, "INFO");
        stranger.send(&request);
        assert_eq!(stranger.final_for(&request).status(), 481, "{foreign}");
    }
    let mark = ours.first().expect("a Route").trim_matches(['<', '>']).to_owned();
    let mut strict = beside(vec![format!("<{premium}>")]);
    let request = elsewhere(&mut strict, &stranger, "INFO", &mark);
    stranger.send(&request);
    assert_eq!(stranger.final_for(&request).status(), 481);
    // Another source with all that stands in it reaches the callee at most.
    let mut third = phone_from(&exchange, [127, 0, 0, 77], "third");
    let request = elsewhere(&mut dialog, &third, "INVITE", &premium);
    third.send(&request);
    assert_eq!(third.final_for(&request).status(), 481);
    // Tags that are none: the request belongs to no dialog.
    for to in [";tag=", ";tag", ";tag=\"\"", ";tag=a;tag=b"] {
        let mut request = elsewhere(&mut dialog, &stranger, "INVITE", &premium);
        request = request.set("To", format!("<{premium}>{to}"));
        stranger.send(&request);
        let refusal = stranger.final_for(&request);
        assert!(refusal.status() >= 400, "{to}: {}", refusal.start);
        stranger.acknowledge_failure(&request, &refusal);
    }
    let request = dialog.request(&stranger, "INFO");
    stranger.send(&request);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    stranger.status_for(&request, 200);
    for ua in [&mut trunk, &mut foreign, &mut other, &mut callee] {
        assert!(ua.silent(QUIET, |m| m.status() == 0 && m.method() != "ACK"), "{}", ua.user);
    }
}

#[test]
fn a_mark_ends_with_its_call_and_outlives_a_restart() {
    let mut exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
    // URIs that RFC 3261 §19.1.4 takes for the same.
    let target = a.target.clone();
    a.target = target.replacen("sip:1002@", "sip:%31002@", 1) + ";unknown=1";
    let info = a.request(&caller, "INFO");
    caller.send(&info);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
    a.target = target;

    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    let info = b.request(&callee, "INFO");
    callee.send(&info);
    let arrived = caller.request_of("INFO");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&info, 200);
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    for method in ["INVITE", "INFO", "REFER", "BYE"] {
        let request = a.request(&caller, method);
        caller.send(&request);
        let refusal = caller.final_for(&request);
        assert_eq!(refusal.status(), 481, "{method} after the BYE");
        caller.acknowledge_failure(&request, &refusal);
    }
    let request = b.request(&callee, "INVITE");
    callee.send(&request);
    let refusal = callee.final_for(&request);
    assert_eq!(refusal.status(), 481);
    callee.acknowledge_failure(&request, &refusal);
    assert!(callee.silent(QUIET, |m| m.status() == 0) && caller.silent(QUIET, |m| m.status() == 0));

    // A call of this process, in the same way.
    let (mut a, _) = connect(&mut caller, &mut callee);
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    let request = a.request(&caller, "MESSAGE");
    caller.send(&request);
    assert_eq!(caller.final_for(&request).status(), 481);
}

#[test]
fn an_agent_that_writes_from_elsewhere_proves_who_it_is() {
    let exchange = Exchange::start(&agents());
    let (_caller, mut a, mut callee, _) = talking(&exchange, "1001", "1002");
    // A thief has all that is written in the dialog, but no secret.
    let mut thief = phone_from(&exchange, [127, 0, 0, 66], "1001");
    thief.password = "guess".into();
    for method in ["INVITE", "INFO", "BYE", "REFER", "UPDATE"] {
        let request = a.request(&thief, method);
        let (refusal, _) = thief.ask(&request);
        assert!(matches!(refusal.status(), 401 | 403), "{method}: {}", refusal.start);
    }
    assert!(callee.silent(QUIET, |m| m.status() == 0), "neither the requests nor the ACKs to their refusals");
    // The phone itself, at another address.
    let mut moved = phone_from(&exchange, [127, 0, 0, 67], "1001");
    let invite = a.request(&moved, "INVITE").body("application/sdp", "v=0\r\n");
    let invite = moved.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert!(arrived.get("Authorization").is_none() && arrived.get("Proxy-Authorization").is_none());
    callee.accept(&arrived);
    moved.status_for(&invite, 200);
    let ack = a.request(&moved, "ACK");
    moved.send(&ack);
    callee.request_of("ACK");
    let info = a.request(&moved, "INFO");
    moved.send(&info);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    moved.status_for(&info, 200);
    // A phone that has registered from there is not asked at all.
    let mut known = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(known.register(600).status(), 200);
    let bye = a.request(&known, "BYE");
    known.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    known.status_for(&bye, 200);
}

#[test]
fn a_phone_that_moves_is_followed() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
    let mut later = phone_from(&exchange, [127, 0, 0, 68], "1002");
    let refresh = b.request(&later, "UPDATE");
    later.send(&refresh);
    let challenge = later.final_for(&refresh);
    let refresh = later.authorise(&refresh, &challenge, 1).expect("a challenge");
    later.send(&refresh);
    let arrived = caller.request_of("UPDATE");
    assert_eq!(Ua::target(&arrived), later.contact());
    caller.respond(&arrived, 200, "OK");
    later.status_for(&refresh, 200);
    let old = a.request(&caller, "INFO");
    caller.send(&old);
    assert_eq!(caller.final_for(&old).status(), 481, "the recorded remote target is the new one");
    a.target = later.contact();
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = later.request_of("BYE");
    later.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    assert!(callee.silent(QUIET, |m| m.status() == 0));
}

/// A phone with a connection says something as a datagram, its Contact names the connection still: most phones listen on no
/// port of their own, so that nothing else leads to it.
#[test]
fn a_phone_keeps_the_connection_that_its_contact_names() {
    for stateless in ["", "stateless: on\n"] {
        let exchange = Exchange::start_with(&agents(), stateless, &[]);
        let mut callee = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
        assert_eq!(callee.register(600).status(), 200);
        let mut caller = registered(&exchange, "1001");
        let (mut a, mut b) = connect(&mut caller, &mut callee);
        let mut beside = phone_from(&exchange, [127, 0, 0, 69], "1002");
        for method in ["UPDATE", "INFO", "NOTIFY"] {
            let said = b.request(&beside, method).set("Contact", format!("<{}>", callee.contact()));
            beside.send(&said);
            // It proves itself once; then the side is known to be there too.
            let said = if method == "UPDATE" {
                let challenge = beside.final_for(&said);
                let again = beside.authorise(&said, &challenge, 1).expect("a challenge");
                beside.send(&again);
                again
            } else {
                said
            };
            let arrived = caller.request_of(method);
            caller.respond(&arrived, 200, "OK");
            beside.status_for(&said, 200);
        }
        for method in ["INFO", "BYE"] {
            let request = a.request(&caller, method);
            caller.send(&request);
            let arrived = callee.request_of(method);
            callee.respond(&arrived, 200, "OK");
            caller.status_for(&request, 200);
        }
    }
}

#[test]
fn a_subscription_is_no_call() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let subscribe = caller.request("SUBSCRIBE", &at("1002")).with("Event", "dialog").with("Expires", "600");
    let subscribe = caller.call(&subscribe);
    let arrived = callee.request_of("SUBSCRIBE");
    let accepted = callee.response(&arrived, 200, "OK").with("Expires", "600");
    callee.send(&accepted);
    let ok = caller.status_for(&subscribe, 200);
    let mut a = Dialog::of_caller(&subscribe, &ok);
    let mut b = Dialog::of_callee(&arrived, &accepted);
    let notify = b.request(&callee, "NOTIFY").with("Event", "dialog").with("Subscription-State", "active");
    callee.send(&notify);
    let arrived = caller.request_of("NOTIFY");
    let answer = caller.response(&arrived, 200, "OK");
    let routes = arrived.list("Record-Route");
    assert!(!routes.is_empty(), "RFC 6665 §4.3");
    let answer = routes.iter().fold(answer, |answer, route| answer.with("Record-Route", route));
    caller.send(&answer);
    let back = callee.status_for(&notify, 200);
    let marks = |route: &String| route.contains("dlg=") && !route.contains("dlg=>");
    assert!(!back.list("Record-Route").iter().any(marks), "the subscriber's mark is its own: {back:?}");
    let invite = a.request(&caller, "INVITE");
    caller.send(&invite);
    let refusal = caller.final_for(&invite);
    assert_eq!(refusal.status(), 481, "a call begins by the rules and is recorded");
    caller.acknowledge_failure(&invite, &refusal);
    assert!(callee.silent(QUIET, |m| m.method() == "INVITE"));
}

/// The first NOTIFY may come before the 200, and then makes the dialog (RFC 6665 §4.4.1): the subscriber goes on by its
/// Record-Route.
#[test]
fn a_subscriber_may_take_its_route_set_from_the_first_notify() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let subscribe = caller.request("SUBSCRIBE", &at("1002")).with("Event", "dialog").with("Expires", "600");
    let subscribe = caller.call(&subscribe);
    let arrived = callee.request_of("SUBSCRIBE");
    let accepted = callee.response(&arrived, 200, "OK").with("Expires", "600");
    let mut b = Dialog::of_callee(&arrived, &accepted);
    let notify = b.request(&callee, "NOTIFY").with("Event", "dialog").with("Subscription-State", "active");
    callee.send(&notify);
    let first = caller.request_of("NOTIFY");
    caller.respond(&first, 200, "OK");
    callee.status_for(&notify, 200);
    callee.send(&accepted);
    caller.status_for(&subscribe, 200);
    let mut a = Dialog::of_callee(&first, &caller.response(&first, 200, "OK"));
    (a.local, a.remote) = (first.get("To").unwrap().to_owned(), first.get("From").unwrap().to_owned());
    for seconds in ["600", "0"] {
        let refresh = a.request(&caller, "SUBSCRIBE").with("Event", "dialog").with("Expires", seconds);
        caller.send(&refresh);
        let arrived = callee.request_of("SUBSCRIBE");
        callee.send(&callee.response(&arrived, 200, "OK").with("Expires", seconds));
        caller.status_for(&refresh, 200);
    }
    // Nobody else has use of it.
    let mut thief = Ua::udp(exchange.udp(), "thief", "elsewhere.test", "");
    let stolen = a.request(&thief, "INVITE");
    thief.send(&stolen);
    assert_ne!(thief.final_for(&stolen).status(), 200);
    assert!(callee.silent(QUIET, |m| m.method() == "INVITE"));
}

/// Anybody may call the number of a trunk without a list; that makes nobody its carrier.
#[test]
fn a_caller_of_an_open_number_is_no_carrier() {
    let carrier = SocketAddr::from(([127, 0, 0, 50], free_port()));
    let exchange = Exchange::start_with(&with_a_carrier(carrier), "routing: {qualifySeconds: 0}\n", &[]);
    let socket = std::net::UdpSocket::bind(carrier).expect("a port");
    let mut trunk = Ua::new(Wire::Udp { socket, server: exchange.udp() }, "carrier", DOMAIN, "");
    let mut callee = registered(&exchange, "1002");
    let mut stranger = phone_from(&exchange, [127, 0, 0, 9], "stranger");
    stranger.domain = "far.test".to_owned();
    for contact in [format!("sip:+19005551234@{carrier}"), format!("sip:+1@127.0.0.9;maddr={}", carrier.ip())]
    {
        let invite =
            stranger.invite("sip:+15550002222@did.carrier.test").set("Contact", format!("<{contact}>"));
        stranger.send(&invite);
        let arrived = callee.request_of("INVITE");
        let sent = callee.accept(&arrived);
        stranger.status_for(&invite, 200);
        let mut b = Dialog::of_callee(&arrived, &sent);
        for method in ["INFO", "INVITE", "NOTIFY", "BYE"] {
            let request = b.request(&callee, method);
            callee.send(&request);
            let refusal = callee.final_for(&request);
            assert!(refusal.status() >= 400, "{method} {contact}: {}", refusal.start);
            callee.acknowledge_failure(&request, &refusal);
        }
    }
    assert!(trunk.silent(QUIET, |m| m.status() == 0));
}

#[test]
fn nobody_else_cancels_a_call() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = phone(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    let mut thief = phone_from(&exchange, [127, 0, 0, 69], "1001");
    let cancel = thief.cancel(&invite);
    assert!(thief.silent(QUIET, |m| m.status() == 200 && m.call_id() == cancel.call_id()));
    assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
}

/// After a restart whoever has overheard a callee's mark begins no dialog in its place: the callee itself goes on.
#[test]
fn an_overheard_mark_locks_nobody_out_after_a_restart() {
    let carrier = SocketAddr::from(([127, 0, 0, 51], free_port()));
    let mut exchange = Exchange::start_with(&with_a_carrier(carrier), "routing: {qualifySeconds: 0}\n", &[]);
    let socket = std::net::UdpSocket::bind(carrier).expect("a port");
    let mut trunk = Ua::new(Wire::udp_on(socket, exchange.udp()), "carrier", "did.carrier.test", "");
    let mut callee = registered(&exchange, "1002");
    let invite = trunk.invite("sip:+15550002222@did.carrier.test");
    trunk.send(&invite);
    let arrived = callee.request_of("INVITE");
    let accepted = callee.accept(&arrived);
    let ok = trunk.status_for(&invite, 200);
    let mut theirs = Dialog::of_caller(&invite, &ok);
    let ack = theirs.request(&trunk, "ACK");
    trunk.send(&ack);
    callee.request_of("ACK");
    let mut own = Dialog::of_callee(&arrived, &accepted);
    exchange.kill();
    exchange.restart();
    // Another tag, and the Request-URI that the mark is for, or another one.
    let mut third = phone_from(&exchange, [127, 0, 0, 77], "third");
    for (method, target) in
        [("INFO", "sip:x@10.0.0.1".to_owned()), ("INFO", own.target.clone()), ("ACK", own.target.clone())]
    {
        let mut other = own.clone();
        other.local = other.local.replace(";tag=", ";tag=x");
        let request = elsewhere(&mut other, &third, method, &target);
        third.send(&request);
        if method != "ACK" {
            assert!(matches!(third.final_for(&request).status(), 401 | 481), "{target}");
        }
    }
    let info = own.request(&callee, "INFO");
    callee.send(&info);
    let got = trunk.request_of("INFO");
    trunk.respond(&got, 200, "OK");
    callee.status_for(&info, 200);
}

/// The same of a carrier that is called: nobody ever asks it who it is.
#[test]
fn an_overheard_mark_of_a_carrier_locks_it_out_of_nothing() {
    let carrier = SocketAddr::from(([127, 0, 0, 52], free_port()));
    let all = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", "+15550002222")], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("carrier", "did.carrier.test", &[(&carrier.to_string(), 1, "udp")], None)
        .number("+15550002222", "carrier", &at("1001"));
    let mut exchange = Exchange::start_with(&all, "routing: {qualifySeconds: 0}\n", &[]);
    let socket = std::net::UdpSocket::bind(carrier).expect("a port");
    let mut trunk = Ua::new(Wire::udp_on(socket, exchange.udp()), "carrier", "did.carrier.test", "");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+1555")));
    let arrived = trunk.request_of("INVITE");
    let accepted = trunk.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let ack = Dialog::of_caller(&invite, &ok).request(&caller, "ACK");
    caller.send(&ack);
    trunk.request_of("ACK");
    let mut own = Dialog::of_callee(&arrived, &accepted);
    exchange.kill();
    exchange.restart();
    let mut third = phone_from(&exchange, [127, 0, 0, 77], "third");
    let mut other = own.clone();
    other.local = other.local.replace(";tag=", ";tag=x");
    let request = other.request(&third, "INFO");
    third.send(&request);
    let bye = own.request(&trunk, "BYE");
    trunk.send(&bye);
    let got = caller.expect("the carrier's BYE", |m| m.method() == "BYE");
    caller.respond(&got, 200, "OK");
    trunk.status_for(&bye, 200);
    // Its end is remembered, whoever sends what.
    for ua in [&mut trunk, &mut third] {
        for dialog in [&mut own, &mut other] {
            let request = dialog.request(ua, "INFO");
            ua.send(&request);
            assert_eq!(ua.final_for(&request).status(), 481);
        }
    }
}
