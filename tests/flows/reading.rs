//! How messages are read: where they end on a stream, what case and empty headers mean, what cannot be read.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, Wire};

use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// The message without its Content-Length.
fn unmeasured(message: &Message) -> Vec<u8> {
    let text = String::from_utf8(message.bytes()).expect("text");
    let (head, rest) = text.split_once("Content-Length: ").expect("a length");
    let (_, rest) = rest.split_once("\r\n").expect("a line");
    format!("{head}{rest}").into_bytes()
}

/// The other side has ended the connection, and sent nothing any more.
fn assert_ended(wire: &mut Wire, why: &str) {
    match wire.recv(PATIENCE) {
        Err(_) => {}
        Ok(got) => {
            panic!("{why}: still open, with {:?}", got.map(|b| String::from_utf8_lossy(&b).into_owned()))
        }
    }
}

#[test]
fn what_tells_no_length_of_its_body_ends_a_stream() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    for method in ["INVITE", "MESSAGE", "REGISTER", "OPTIONS", "ACK"] {
        let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
        let request = caller.request(method, &at("1002")).body("application/sdp", "v=0\r\n");
        let follows = caller.request("OPTIONS", &format!("sip:{DOMAIN}"));
        caller.wire.send(&[unmeasured(&request), follows.bytes()].concat());
        if method != "ACK" {
            assert_eq!(caller.final_for(&request).status(), 400, "{method}");
        }
        assert_ended(&mut caller.wire, method);
    }
    // Nobody can answer a response.
    let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let request = caller.request("INFO", &at("1001"));
    let response = caller.response(&request, 200, "OK").body("text/plain", "x");
    caller.wire.send(&unmeasured(&response));
    assert_ended(&mut caller.wire, "a response");
    assert!(callee.silent(QUIET, |_| true));
}

#[test]
fn without_length_and_type_there_is_no_body() {
    let exchange = Exchange::start(&agents());
    let mut ua = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let (first, second) =
        (ua.request("OPTIONS", &format!("sip:{DOMAIN}")), ua.request("OPTIONS", &format!("sip:{DOMAIN}")));
    ua.wire.send(&[unmeasured(&first), second.bytes()].concat());
    ua.status_for(&first, 200);
    ua.status_for(&second, 200);
}

#[test]
fn a_websocket_message_ends_where_it_ends() {
    let (exchange, ws) = Exchange::start_ws(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = Ua::ws(ws, "1001", DOMAIN, "pw-1001");
    assert_eq!(caller.register(600).status(), 200);
    let message = caller.request("MESSAGE", &at("1002")).body("text/plain", "hello");
    caller.wire.send(&unmeasured(&message));
    let refused = caller.final_for(&message);
    let again = caller.authorise(&message, &refused, 1).expect("a challenge");
    caller.wire.send(&unmeasured(&again));
    assert_eq!(callee.request_of("MESSAGE").body, b"hello");
}

#[test]
fn junk_ends_a_stream_at_once_and_keep_alives_do_not() {
    let exchange = Exchange::start(&agents());
    for junk in
        [&b"\x16\x03\x01\x00\xf4\x01"[..], b"SSH-2.0-x\r\n", b"\0\0\0\0", b"hello world\r\n", b"{\"a\":1}"]
    {
        let mut wire = Wire::tcp(exchange.tcp());
        wire.send(&[b"\r\n\r\n", junk].concat());
        assert_ended(&mut wire, &format!("{junk:?}"));
    }
    let mut ua = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    for keep_alive in ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n"] {
        ua.wire.send(keep_alive.as_bytes());
        let options = ua.request("OPTIONS", &format!("sip:{DOMAIN}"));
        ua.send(&options);
        ua.status_for(&options, 200);
    }
}

/// The same with the topmost Via's branch in capitals.
fn shouted(message: &Message) -> Message {
    let branch = message.branch().expect("a branch").to_owned();
    let mut message = message.clone();
    let via = message.headers.iter_mut().find(|(name, _)| name == "Via").expect("a Via");
    via.1 = via.1.replace(&branch, &branch.to_uppercase());
    message
}

#[test]
fn case_makes_no_other_branch() {
    for config in ["", "stateless: on\n"] {
        let exchange = Exchange::start_with(&agents(), config, &[]);
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        // A repetition reaches nobody as a call of its own.
        if config.is_empty() {
            caller.send(&shouted(&invite));
        }
        assert!(
            callee.silent(QUIET, |m| m.method() == "INVITE" && m.branch() != arrived.branch()),
            "{config}"
        );
        callee.send(&shouted(&callee.response(&arrived, 180, "Ringing")));
        caller.status_for(&invite, 180);
        let cancel = caller.cancel(&shouted(&invite));
        let cancelled = callee.request_of("CANCEL");
        callee.respond(&cancelled, 200, "OK");
        caller.status_for(&cancel, 200);
        let end = callee.response(&arrived, 487, "Request Terminated");
        callee.send(&shouted(&end));
        let failure = caller.status_for(&invite, 487);
        caller.acknowledge_failure(&shouted(&invite), &failure);
        callee.request_of("ACK");
    }
}

#[test]
fn a_cancel_of_another_request_is_answered_and_changes_nothing() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for method in ["MESSAGE", "SUBSCRIBE", "FOO"] {
        let request = caller.request(method, &at("1002"));
        let request = caller.call(&request);
        let arrived = callee.request_of(method);
        let mut stranger = Ua::new(Wire::udp_from([127, 0, 0, 9].into(), exchange.udp()), "1001", DOMAIN, "");
        let cancel = Message { start: request.start.replace(method, "CANCEL"), ..request.clone() };
        let cancel = cancel
            .without("Authorization")
            .set("CSeq", request.get("CSeq").unwrap_or_default().replace(method, "CANCEL"));
        stranger.send(&cancel);
        assert_eq!(stranger.final_for(&cancel).status(), 481, "{method} of somebody else");
        caller.send(&cancel);
        assert_eq!(caller.final_for(&cancel).status(), 200, "{method}");
        assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&request, 200);
    }
    let unknown = caller.request("CANCEL", &at("1002"));
    caller.send(&unknown);
    assert_eq!(caller.final_for(&unknown).status(), 481);
}

#[test]
fn headers_without_a_value_are_as_if_they_were_not_there() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for name in ["Require", "Proxy-Require", "Route", "Supported", "Record-Route", "Path"] {
        let options = caller.request("OPTIONS", &format!("sip:{DOMAIN}")).with(name, "");
        caller.send(&options);
        assert_eq!(caller.final_for(&options).status(), 200, "{name}");
        let register = caller.register_request(600).with(name, "");
        assert_eq!(caller.ask(&register).0.status(), 200, "{name}");
        let invite = caller.invite(&at("1002")).with(name, "");
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        let sent = callee.accept(&arrived);
        let ok = caller.status_for(&invite, 200);
        let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        let bye = b.request(&callee, "BYE");
        callee.send(&bye);
        let arrived = caller.request_of("BYE");
        caller.respond(&arrived, 200, "OK");
        callee.status_for(&bye, 200);
    }
}

#[test]
fn a_final_response_that_cannot_be_read_ends_its_branch() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for (code, told) in [(486, 486), (500, 500), (603, 603), (200, 502)] {
        for missing in ["From", "To", "Call-ID", "CSeq"] {
            let invite = caller.invite(&at("1002"));
            let invite = caller.call(&invite);
            let arrived = callee.request_of("INVITE");
            let garbled = callee.response(&arrived, code, "So").without(missing);
            callee.send(&garbled);
            let failure = caller.final_for(&invite);
            assert_eq!(failure.status(), told, "{code} without {missing}");
            caller.acknowledge_failure(&invite, &failure);
            let ack = callee.request_of("ACK");
            assert_eq!(ack.branch(), arrived.branch(), "{code} without {missing}");
        }
    }
    let message = caller.request("MESSAGE", &at("1002"));
    let message = caller.call(&message);
    let arrived = callee.request_of("MESSAGE");
    callee.send(&callee.response(&arrived, 404, "Not Found").without("From"));
    assert_eq!(caller.final_for(&message).status(), 404);
}

#[test]
fn the_answer_to_a_registration_tells_the_time() {
    let exchange = Exchange::start(&agents());
    let mut ua = registered(&exchange, "1001");
    let query = ua.register_request(600).without("Contact").without("Expires");
    for request in [ua.register_request(600), query, ua.register_request(0)] {
        let ok = ua.ask(&request).0;
        let date = ok.get("Date").expect("a Date");
        let words: Vec<&str> = date.split(' ').collect();
        let [day, of_month, month, year, time, "GMT"] = words[..] else { panic!("{date}") };
        assert_eq!(
            (day.len(), of_month.len(), month.len(), year.len(), time.len()),
            (4, 2, 3, 4, 8),
            "{date}"
        );
    }
}

#[test]
fn the_ack_of_a_client_without_routes_reaches_the_callee() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let mut other = Ua::new(Wire::udp_from([127, 0, 0, 9].into(), exchange.udp()), "1001", DOMAIN, "");
    let mut beside = Ua::new(Wire::udp(exchange.udp()), "1001", DOMAIN, "");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(&caller, "ACK").without("Route");
    let wrong_tag = ack.clone().set("To", format!("<{}>;tag=other", at("1002")));
    let wrong_from = ack.clone().set("From", format!("<{}>;tag=other", at("1001")));
    let wrong_call = ack.clone().set("Call-ID", "other@flow");
    let wrong_cseq = ack.clone().set("CSeq", "77 ACK");
    for wrong in [wrong_tag, wrong_from, wrong_call, wrong_cseq] {
        caller.send(&wrong);
    }
    other.send(&ack);
    beside.send(&ack);
    assert!(callee.silent(QUIET, |m| m.method() == "ACK"), "a stranger's");
    caller.send(&ack);
    let got = callee.request_of("ACK");
    assert_eq!(got.tag("To"), sent.tag("To"));
    // Nothing else goes that way.
    for method in ["BYE", "INFO"] {
        let request = a.request(&caller, method).without("Route");
        caller.send(&request);
        assert!(caller.final_for(&request).status() >= 400, "{method}");
    }
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    caller.send(&ack.set("Via", caller.via()));
    assert!(callee.silent(QUIET, |m| m.method() == "ACK"), "the call is over");
}
