//! What a request other than INVITE is told before its answer (RFC 4320), and requests inside dialogs that are not delivered.

use std::time::{Duration, Instant};

use trunkline_tests::{Dialog, Exchange, Message, PATIENCE, Ua, Wire};

use super::forged::MODES;
use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(300);

fn answers(m: &Message, request: &Message) -> bool {
    m.status() > 0 && m.call_id() == request.call_id() && m.cseq().1 == request.method()
}

/// A MESSAGE to 1002, with its credentials, and as it arrived.
fn message(caller: &mut Ua, callee: &mut Ua) -> (Message, Message) {
    let message = caller.call(&caller.request("MESSAGE", &at("1002")).body("text/plain", "hello"));
    let arrived = callee.expect("MESSAGE", |m| m.method() == "MESSAGE" && m.call_id() == message.call_id());
    (message, arrived)
}

/// Nobody is told anything before timer E has come to T2, and then that the request has arrived.
#[test]
fn a_request_that_takes_long_gets_a_late_100() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let over_tcp = {
        let mut phone = Ua::tcp(exchange.tcp(), "1003", DOMAIN, "pw-1003");
        assert_eq!(phone.register(600).status(), 200);
        phone
    };
    for mut caller in [registered(&exchange, "1001"), over_tcp] {
        let began = Instant::now();
        let (request, arrived) = message(&mut caller, &mut callee);
        let first = caller.expect("a response", |m| answers(m, &request));
        assert_eq!(first.status(), 100, "{first:?}");
        assert!(began.elapsed() >= Duration::from_millis(3_400), "{:?}", began.elapsed());
        assert_eq!((first.get("From"), first.tag("To")), (request.get("From"), None));
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&request, 200);
    }
}

/// No other provisional response, and no 408.
#[test]
fn a_request_other_than_invite_gets_no_180_and_no_408() {
    for config in MODES {
        let exchange = Exchange::start_with(&agents(), config, &[]);
        let [mut caller, mut callee] = ["1001", "1002"].map(|user| registered(&exchange, user));
        let (request, arrived) = message(&mut caller, &mut callee);
        callee.respond(&arrived, 183, "Session Progress");
        if config.is_empty() {
            callee.respond(&arrived, 408, "Request Timeout");
            assert!(caller.silent(QUIET, |m| answers(m, &request)));
        } else {
            callee.respond(&arrived, 200, "OK");
            let only = caller.expect("a response", |m| answers(m, &request));
            assert_eq!(only.status(), 200);
        }
    }
}

/// The network says that nobody listens at the callee's address: a request inside the dialog has its answer at once, and the
/// dialog goes on when somebody does.
#[test]
fn a_request_inside_a_dialog_fails_at_once() {
    let exchange = Exchange::start(&agents());
    let [mut caller, mut callee] = ["1001", "1002"].map(|user| registered(&exchange, user));
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    caller.send(&dialog.request(&caller, "ACK"));
    callee.request_of("ACK");
    let place = callee.wire.local();
    drop(callee);
    for method in ["INFO", "INVITE"] {
        let began = Instant::now();
        let request = dialog.request(&caller, method);
        caller.send(&request);
        let failure = caller.final_for(&request);
        assert_eq!(failure.status(), 480, "{method}");
        assert!(began.elapsed() < PATIENCE / 4, "{method}: {:?}", began.elapsed());
        if method == "INVITE" {
            caller.acknowledge_failure(&request, &failure);
        }
    }
    let mut back = Ua::new(Wire::udp_at(exchange.udp(), place.port()), "1002", DOMAIN, "pw-1002");
    let info = dialog.request(&caller, "INFO");
    caller.send(&info);
    let arrived = back.request_of("INFO");
    back.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
    drop(back);
    // Who hangs up has hung up.
    let bye = dialog.request(&caller, "BYE");
    let began = Instant::now();
    caller.send(&bye);
    caller.final_for(&bye);
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    let again = dialog.request(&caller, "INFO");
    caller.send(&again);
    assert_eq!(caller.final_for(&again).status(), 481);
}
