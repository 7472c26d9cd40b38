//! What an operator does to calls: ends one, has no new ones taken, ends a ban.

use trunkline_tests::{Dialog, Exchange, Message, NameServer, Record, Ua, Wire, free_port};

use super::operator::ok;
use super::trunks::{provider, with_trunk};
use super::{DOMAIN, agents, at, registered};

/// The one call that is up or ringing, as `calls --json` shows it.
fn the_call(exchange: &Exchange) -> serde_json::Value {
    let text = ok(exchange, &["calls", "--json"]);
    let calls: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(calls.len(), 1, "{text}");
    calls[0].clone()
}

/// The record of the call with this Call-ID: cause, status, who ended it, reason code.
fn record(exchange: &Exchange, call_id: &str) -> [String; 4] {
    let text = ok(exchange, &["calls", "show", call_id, "--json"]);
    let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    ["cause", "status", "endedBy", "reason"].map(|key| record[key].to_string().trim_matches('"').to_owned())
}

#[test]
fn an_answered_call_is_ended_for_both_sides() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, b) = super::dialogs::talking(&exchange, "1001", "1002");
    // The caller moves within the dialog: the BYE goes to where it is now.
    let moved = a.request(&caller, "UPDATE");
    let contact = moved.get("Contact").expect("a Contact").replace("1001", "moved");
    let moved = moved.set("Contact", contact);
    caller.send(&moved);
    let arrived = callee.request_of("UPDATE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&moved, 200);
    let call = the_call(&exchange);
    let csv = ok(&exchange, &["calls", "list", "--csv"]);
    let (names, cells) = csv.trim_end().split_once("\r\n").expect("two lines");
    assert!(names.contains(",calleeRef,") && call["direction"] == "agent-to-agent", "{csv} {call}");
    for (name, cell) in names.split(',').zip(cells.split(',')).filter(|(_, cell)| !cell.is_empty()) {
        let is_told = call.get(name).or_else(|| call.get(format!("{name}Ms"))).is_some();
        assert!(is_told, "{name} ({cell}) is not in {call}");
    }
    let id = call["id"].to_string();
    let said = ok(&exchange, &["calls", "hangup", &id]);
    assert!(said.contains("is ended") && said.contains(&a.call_id), "{said}");
    for (ua, dialog, target) in [(&mut callee, &b, "1002"), (&mut caller, &a, "moved")] {
        let bye = ua.request_of("BYE");
        assert_eq!(
            (bye.get("From"), bye.get("To")),
            (Some(&*dialog.remote), Some(&*dialog.local)),
            "{bye:?}"
        );
        assert!(bye.uri().contains(target), "{}", bye.uri());
        assert!(bye.get("Reason").is_some_and(|reason| reason.contains("Ended by operator")), "{bye:?}");
        ua.respond(&bye, 200, "OK");
    }
    assert_eq!(record(&exchange, &a.call_id), ["MANAGER_REQUEST", "200", "us", "call.hung-up"]);
    assert!(ok(&exchange, &["calls", "--json"]).contains("[]"));
    let explained = ok(&exchange, &["explain", &a.call_id]);
    let sent = explained.lines().filter(|line| line.contains("the exchange sends BYE")).collect::<Vec<_>>();
    assert!(sent.len() == 2 && sent.iter().all(|line| line.ends_with(": call.hung-up")), "{explained}");
    assert!(
        !explained.contains("BYE arrived") && !explained.contains("BYE sip:1002@sip.test arrived"),
        "{explained}"
    );
}

/// Both sides of the one call are hung up; where each gets its BYE.
fn hung_up(exchange: &Exchange, phones: [&mut Ua; 2]) -> [String; 2] {
    let id = the_call(exchange)["id"].to_string();
    ok(exchange, &["calls", "hangup", &id]);
    phones.map(|phone| {
        let bye = phone.request_of("BYE");
        phone.respond(&bye, 200, "OK");
        bye.uri().to_owned()
    })
}

#[test]
fn a_move_that_was_refused_changes_nothing() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = super::dialogs::talking(&exchange, "1001", "1002");
    for (name, status) in [("first", 200), ("second", 488), ("third", 488)] {
        let moved = a.request(&caller, "UPDATE");
        let contact = moved.get("Contact").expect("a Contact").replace("1001", name);
        let moved = moved.set("Contact", contact);
        caller.send(&moved);
        let arrived = callee.request_of("UPDATE");
        callee.respond(&arrived, status, "Whatever");
        caller.status_for(&moved, status);
    }
    let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
    assert!(at_caller.contains("first@") && at_callee.contains("1002@"), "{at_caller} {at_callee}");
}

#[test]
fn who_moves_by_an_answer_is_hung_up_there() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = super::dialogs::talking(&exchange, "1001", "1002");
    let asked = a.request(&caller, "INVITE");
    caller.send(&asked);
    let arrived = callee.request_of("INVITE");
    let contact = callee.contact().replace("1002", "moved");
    let answer = callee.response(&arrived, 200, "OK").set("Contact", contact);
    callee.send(&answer);
    let answer = caller.status_for(&asked, 200);
    a.target = Ua::target(&answer);
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
    assert!(at_caller.contains("1001@") && at_callee.contains("moved@"), "{at_caller} {at_callee}");
}

/// A callee without a Contact is where the call was sent; long heads are kept in part.
#[test]
fn a_callee_without_a_contact_is_hung_up_too() {
    for long in [false, true] {
        let exchange = Exchange::start(&agents());
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let mut invite = caller.invite(&callee.aor());
        if long {
            for _ in 0..200 {
                invite = invite.with("X-Long", "x".repeat(100));
            }
        }
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        let answer = callee.response(&arrived, 200, "OK").without("Contact");
        callee.send(&answer);
        let answer = caller.status_for(&invite, 200);
        assert!(answer.get("Contact").is_none());
        let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
        assert!(at_caller.contains("1001@") && at_callee.contains("1002@"), "{at_caller} {at_callee}");
    }
}

/// The caller's proxies stay in the way of the call; Contacts have header fields.
#[test]
fn who_calls_through_a_proxy_is_hung_up_too() {
    for forged in [false, true] {
        let exchange = Exchange::start(&agents());
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let invite = caller.invite(&callee.aor());
        let port = invite.get("Contact").and_then(|at| at.rsplit(':').next()).expect("a port");
        let mut proxy = format!("<sip:127.0.0.1:{};lr>", port.trim_end_matches('>'));
        if forged {
            // Who names the exchange before itself cuts its own side off, and no other.
            proxy = format!("<sip:{};lr;n=1>, {proxy}", exchange.udp());
        }
        let contact = invite.get("Contact").expect("a Contact").replace('>', "?X=y>");
        let invite = caller.call(&invite.with("Record-Route", proxy).set("Contact", contact));
        let arrived = callee.request_of("INVITE");
        let contact = format!("<{}?X=y>", callee.contact());
        let answer = callee.response(&arrived, 200, "OK").set("Contact", contact);
        callee.send(&answer);
        caller.status_for(&invite, 200);
        let id = the_call(&exchange)["id"].to_string();
        let mut command = trunkline_tests::exchange_command(&exchange);
        let said = command.args(["calls", "hangup", &id]).output().expect("it runs");
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.success(), !forged, "{text}");
        assert_eq!(text.contains("the caller could not be told"), forged, "{text}");
        let told = if forged { vec![&mut callee] } else { vec![&mut caller, &mut callee] };
        for phone in told {
            let bye = phone.request_of("BYE");
            assert!(!bye.uri().contains('?'), "{}", bye.uri());
            phone.respond(&bye, 200, "OK");
        }
    }
}

/// What would keep the exchange from hanging up is refused.
#[test]
fn no_call_begins_that_could_not_be_ended() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let long = format!("\"{}\" ", "x".repeat(3_500));
    for (name, value, status) in [
        ("CSeq", "2147480000 INVITE".to_owned(), 400),
        ("From", format!("{long}<sip:1001@{DOMAIN}>;tag=1"), 513),
        ("To", format!("{long}<sip:1002@{DOMAIN}>"), 513),
        ("Call-ID", "x".repeat(3_500), 513),
        ("Contact", format!("{long}<{}>", caller.contact()), 513),
    ] {
        let invite = caller.invite(&callee.aor()).set(name, value);
        caller.send(&invite);
        let answer = caller.expect(name, |m| m.status() >= 200);
        assert_eq!(answer.status(), status, "{name}");
        caller.acknowledge_failure(&invite, &answer);
    }
    let (mut dialog, _) = super::dialogs::connect(&mut caller, &mut callee);
    let info = dialog.request(&caller, "INFO").set("CSeq", "2147483000 INFO");
    caller.send(&info);
    assert_eq!(caller.final_for(&info).status(), 400);
    hung_up(&exchange, [&mut caller, &mut callee]);
}

fn call_with_a_long_via(caller: &mut Ua, callee: &str, more: usize) -> Message {
    let invite = caller.invite(callee);
    caller.send(&invite);
    let challenge = caller.expect("a challenge", |m| m.status() >= 400 && m.call_id() == invite.call_id());
    caller.acknowledge_failure(&invite, &challenge);
    let invite = caller.authorise(&invite, &challenge, 1).expect("a challenge that can be answered");
    let via = format!("{};x={}", caller.via(), "y".repeat(more));
    let invite = invite.set("Via", via);
    caller.send(&invite);
    invite
}

/// What a BYE does not repeat may be as long as it likes.
#[test]
fn long_vias_and_reason_phrases_keep_nobody_from_hanging_up() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for (via, phrase) in [(2_500, 2), (3_800, 2), (20_000, 2), (10, 4_200), (3_800, 20_000)] {
        let invite = call_with_a_long_via(&mut caller, &callee.aor(), via);
        let arrived = callee.request_of("INVITE");
        let answer = callee.response(&arrived, 200, &"O".repeat(phrase));
        callee.send(&answer);
        let answer = caller.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &answer);
        let ack = dialog.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
        assert!(at_caller.contains("1001@") && at_callee.contains("1002@"), "{at_caller} {at_callee}");
        assert_eq!(record(&exchange, invite.call_id())[3], "call.hung-up", "{via} {phrase}");
    }
}

/// Both sides get a BYE of the exchange, and the record says why.
fn ended_for_long_names(exchange: &Exchange, call_id: &str, phones: [&mut Ua; 2]) {
    for phone in phones {
        let bye = phone.request_of("BYE");
        assert!(bye.get("Reason").is_some_and(|reason| reason.contains("Headers too long")), "{bye:?}");
        phone.respond(&bye, 200, "OK");
    }
    assert!(ok(exchange, &["calls", "--json"]).contains("[]"));
    assert_eq!(record(exchange, call_id), ["UNKNOWN", "200", "us", "call.long-names"]);
}

/// Who answers with more than can be kept has no call that nobody can end.
#[test]
fn an_answer_with_names_that_are_too_long_ends_the_call() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for (name, more) in [("Contact", 4_200), ("Contact", 30_000), ("To", 5_000), ("To", 25_000)] {
        let invite = caller.call(&caller.invite(&callee.aor()));
        let arrived = callee.request_of("INVITE");
        let answer = callee.response(&arrived, 200, "OK");
        let long = "y".repeat(more);
        let value = match name {
            "Contact" => format!("<{};x={long}>", callee.contact()),
            _ => format!("{}{long}", answer.get("To").expect("a To")),
        };
        callee.send(&answer.set(name, value));
        caller.status_for(&invite, 200);
        ended_for_long_names(&exchange, invite.call_id(), [&mut caller, &mut callee]);
    }
}

/// A 2xx that no BYE could repeat is none: the call goes on ringing, and the operator ends it.
#[test]
fn an_answer_that_no_bye_could_repeat_is_no_answer() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let invite = caller.call(&caller.invite(&callee.aor()));
    let arrived = callee.request_of("INVITE");
    let answer = callee.response(&arrived, 200, "OK");
    callee.send(&answer.with("X-Long", "y".repeat(50_000)));
    callee.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    assert_eq!(the_call(&exchange)["state"], "ringing");
    ok(&exchange, &["calls", "hangup", invite.call_id()]);
    let failure = caller.status_for(&invite, 500);
    caller.acknowledge_failure(&invite, &failure);
    callee.request_of("CANCEL");
}

/// A target that is too long to be kept is refused; who moves there by an answer ends the call.
#[test]
fn no_side_moves_to_where_it_could_not_be_told() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = super::dialogs::talking(&exchange, "1001", "1002");
    let far = |contact: &str| contact.replace('>', &format!(";x={}>", "y".repeat(4_500)));
    for method in ["INVITE", "UPDATE"] {
        let moved = a.request(&caller, method);
        let contact = far(moved.get("Contact").expect("a Contact"));
        let moved = moved.set("Contact", contact);
        caller.send(&moved);
        let refused = caller.final_for(&moved);
        assert_eq!(refused.status(), 513, "{method}");
        if method == "INVITE" {
            caller.acknowledge_failure(&moved, &refused);
        }
    }
    let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
    assert!(at_caller.contains("1001@") && at_callee.contains("1002@"), "{at_caller} {at_callee}");
    for method in ["INVITE", "UPDATE"] {
        let (mut dialog, _) = super::dialogs::connect(&mut caller, &mut callee);
        let asked = dialog.request(&caller, method);
        caller.send(&asked);
        let arrived = callee.request_of(method);
        let contact = far(&format!("<{}>", callee.contact()));
        let answer = callee.response(&arrived, 200, "OK").set("Contact", contact);
        callee.send(&answer);
        caller.status_for(&asked, 200);
        ended_for_long_names(&exchange, &dialog.call_id, [&mut caller, &mut callee]);
    }
}

/// Several operators end one call at once: of those who are told that it is ended each has ended it, and where a side could not
/// be told none is.
#[test]
fn of_several_operators_each_learns_how_it_went() {
    for forged in [false, true] {
        let exchange = Exchange::start(&agents());
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let mut invite = caller.invite(&callee.aor());
        if forged {
            // So it has cut itself off.
            let own = format!("<sip:{};lr>", caller.wire.local());
            invite = invite.with("Record-Route", format!("<sip:{};lr;n=1>, {own}", exchange.udp()));
        }
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        callee.accept(&arrived);
        caller.status_for(&invite, 200);
        let id = the_call(&exchange)["id"].to_string();
        let hang_up = || {
            let mut command = trunkline_tests::exchange_command(&exchange);
            let command = command.args(["calls", "hangup", &id]).stdout(std::process::Stdio::null());
            command.stderr(std::process::Stdio::piped()).spawn().expect("it runs")
        };
        let operators = [hang_up(), hang_up(), hang_up()];
        let bye = callee.request_of("BYE");
        let told = operators.map(|operator| operator.wait_with_output().expect("its end"));
        callee.respond(&bye, 200, "OK");
        let text = |said: &std::process::Output| String::from_utf8_lossy(&said.stderr).into_owned();
        let texts: Vec<String> = told.iter().map(text).collect();
        assert_eq!(told.iter().any(|said| said.status.success()), !forged, "{texts:?}");
        let untold = texts.iter().filter(|text| text.contains("the caller could not be told")).count();
        assert_eq!(untold > 0, forged, "{texts:?}");
        if !forged {
            caller.request_of("BYE");
        }
    }
}

#[test]
fn a_bye_that_waits_for_a_name_goes_on() {
    let names = NameServer::start(&[("phone.sip.test", Record::A([127, 0, 0, 1].into()))]);
    let exchange = Exchange::start_with(&agents(), &names.config(""), &[]);
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let contact = caller.contact().replace("127.0.0.1", "phone.sip.test");
    assert!(contact.contains("phone.sip.test"), "{contact}");
    let invite = caller.call(&caller.invite(&callee.aor()).set("Contact", contact));
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    let answer = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &answer);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let asked = names.asked();
    let [at_caller, at_callee] = hung_up(&exchange, [&mut caller, &mut callee]);
    assert!(at_caller.contains("phone.sip.test") && at_callee.contains("1002@"), "{at_caller} {at_callee}");
    assert!(names.asked() > asked, "its name was not known before");
}

#[test]
fn a_ringing_call_is_ended_by_its_call_id() {
    let port = free_port();
    let exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut carrier = provider(port);
    super::trunk_dialogs::speaks_to(&mut carrier, &exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let arrived = carrier.request_of("INVITE");
    carrier.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    assert_eq!(the_call(&exchange)["state"], "ringing");
    ok(&exchange, &["calls", "hangup", invite.call_id()]);
    let failure = caller.status_for(&invite, 500);
    caller.acknowledge_failure(&invite, &failure);
    assert!(failure.start.contains("Ended by Operator"), "{}", failure.start);
    let cancel = carrier.request_of("CANCEL");
    assert!(cancel.get("Reason").is_some_and(|reason| reason.contains("Ended by operator")), "{cancel:?}");
    carrier.respond(&cancel, 200, "OK");
    carrier.respond(&arrived, 487, "Request Terminated");
    carrier.request_of("ACK");
    assert_eq!(record(&exchange, invite.call_id()), ["MANAGER_REQUEST", "500", "us", "call.hung-up"]);
}

#[test]
fn what_cannot_be_hung_up_is_said() {
    let exchange = Exchange::start(&agents());
    let output =
        trunkline_tests::exchange_command(&exchange).args(["calls", "hangup", "4711"]).output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("`4711`") && said.contains("trunkline calls"),
        "{said}"
    );
}

#[test]
fn a_drained_exchange_takes_no_new_calls_and_keeps_those_that_are_up() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&agents(), "", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let (mut caller, mut a, mut callee, _) = super::dialogs::talking(&exchange, "1001", "1002");
    let ready = || super::operator::get(&http, "/readyz").0.contains(" 200 ");
    assert!(ready());
    let said = ok(&exchange, &["drain"]);
    assert!(said.contains("1 calls go on"), "{said}");
    assert!(!ready());
    assert!(ok(&exchange, &["status"]).contains("DRAINING"));
    let mut late = registered(&exchange, "1003");
    let refused = late.invite(&at("1002"));
    let refused = late.ask(&refused).0;
    assert_eq!((refused.status(), refused.get("Retry-After")), (503, Some("30")));
    // The call that is up goes on: a re-INVITE, then its end, for which `--wait` waits.
    let info = a.request(&caller, "INFO");
    caller.send(&info);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
    let hasty = trunkline_tests::exchange_command(&exchange)
        .args(["drain", "--wait", "--timeout", "0s"])
        .output()
        .expect("run");
    assert!(!hasty.status.success(), "the call is up");
    let mut waits = trunkline_tests::exchange_command(&exchange)
        .args(["drain", "--wait", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("run");
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    assert!(waits.try_wait().expect("its state").is_none(), "it waits for the call");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    let output = waits.wait_with_output().expect("its end");
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<String>(),
        r#"{"calls":0,"draining":true}"#
    );
    ok(&exchange, &["drain", "--undo"]);
    assert!(ready());
    super::dialogs::connect(&mut late, &mut callee);
}

#[test]
fn a_ban_is_listed_and_ended() {
    let exchange = Exchange::start(&agents());
    let source = std::net::IpAddr::from([127, 1, 20, 9]);
    let mut guesser = Ua::new(Wire::udp_from(source, exchange.udp()), "1001", DOMAIN, "wrong");
    let bans = || -> Vec<serde_json::Value> {
        serde_json::from_str(&ok(&exchange, &["bans", "--json"])).expect("JSON")
    };
    for _ in 0..40 {
        guesser.register(600);
    }
    let all = bans();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0]["source"].as_str(), all[0]["user"].as_str()), (Some("127.1.20.9"), Some("1001")));
    assert!(ok(&exchange, &["bans"]).contains("127.1.20.9"));
    let output =
        trunkline_tests::exchange_command(&exchange).args(["unban", "192.0.2.1"]).output().expect("run");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("trunkline bans"));
    // The right password does not help while the ban holds.
    let mut phone = Ua::new(guesser.wire, "1001", DOMAIN, "pw-1001");
    assert_ne!(phone.register(600).status(), 200);
    assert!(ok(&exchange, &["unban", "127.1.20.9"]).contains("1 bans ended"));
    assert!(bans().is_empty());
    assert_eq!(phone.register(600).status(), 200);
}
