//! A record for every call, once: read from the database as an operator would.

use std::process::Command;

use trunkline_tests::{Dialog, Exchange, Ua, exchange_command, wait_for};

use super::dialogs::talking;
use super::forged::{ALLOWED, Scene};
use super::transports::within;
use super::trunks::{NUMBER, with_trunk};
use super::{DOMAIN, agents, at, registered};

/// One line of the table: caller, callee, status, answered, ended, cause.
fn records(exchange: &Exchange) -> Vec<Vec<String>> {
    let sql = "SELECT caller, callee, status, answered IS NOT NULL, ended IS NOT NULL, coalesce(cause, '') FROM calls ORDER BY id";
    let out = Command::new("sqlite3")
        .arg("-readonly")
        .arg(exchange.folder().join("trunkline.db"))
        .arg(sql)
        .output();
    let out = out.expect("sqlite3 starts: cargo xtask install brings it");
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect()
}

/// Waits until so many calls have ended on disk.
pub fn ended(exchange: &Exchange, count: usize) -> Vec<Vec<String>> {
    wait_for("the records", || {
        let all = records(exchange);
        (all.len() == count && all.iter().all(|row| row[4] == "1")).then_some(all)
    })
}

#[test]
fn answered_busy_and_cancelled_calls_are_recorded_once() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = talking(&exchange, "1001", "1002");
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);

    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);

    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    caller.cancel(&invite);
    let cancel = callee.request_of("CANCEL");
    callee.respond(&cancel, 200, "OK");
    callee.respond(&arrived, 487, "Request Terminated");
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);

    let all = ended(&exchange, 3);
    let column = |n: usize| all.iter().map(|row| row[n].as_str()).collect::<Vec<_>>();
    assert_eq!(column(2), ["200", "486", "487"], "{all:?}");
    assert_eq!(column(3), ["1", "0", "0"], "{all:?}");
    assert!(all.iter().all(|row| row[0].contains("1001") && row[1].contains("1002")), "{all:?}");
}

/// Call-ID and tags are the caller's own words: a second call under those of the first is a call of its own.
#[test]
fn two_calls_under_one_name_have_a_record_each() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut first, mut callee, _) = talking(&exchange, "1001", "1002");
    let mut other = registered(&exchange, "1003");
    let names = first.request(&caller, "INFO");
    let mut again = caller.invite(&at("1003"));
    for name in ["Call-ID", "From"] {
        again = again.set(name, names.get(name).expect("it has one").to_owned());
    }
    caller.forget();
    let invite = caller.call(&again.set("CSeq", "50 INVITE"));
    let arrived = other.request_of("INVITE");
    other.accept(&arrived);
    let ok = caller.expect("the second 200", |m| m.status() == 200 && m.cseq() == invite.cseq());
    let mut second = Dialog::of_caller(&invite, &ok);
    let ack = second.request(&caller, "ACK");
    caller.send(&ack);
    other.request_of("ACK");
    let mut hang_up = |dialog: &mut Dialog, callee: &mut Ua| {
        let bye = dialog.request(&caller, "BYE");
        caller.send(&bye);
        let arrived = callee.request_of("BYE");
        callee.respond(&arrived, 200, "OK");
        caller.expect("200 to BYE", |m| m.status() == 200 && m.cseq() == bye.cseq());
    };
    hang_up(&mut second, &mut other);
    let both = wait_for("both records, one of them ended", || {
        let all = records(&exchange);
        (all.len() == 2 && all.iter().any(|row| row[4] == "1")).then_some(all)
    });
    let open = |user: &str| both.iter().any(|row| row[1].contains(user) && row[4] == "0");
    assert!(open("1002") && !open("1003"), "{both:?}");
    hang_up(&mut first, &mut callee);
    ended(&exchange, 2);
}

/// What `trunkline calls` prints as JSON.
pub fn told(exchange: &Exchange, arguments: &[&str]) -> Vec<serde_json::Value> {
    let out = exchange_command(exchange).arg("calls").args(arguments).arg("--json").output();
    serde_json::from_slice(&out.expect("the command runs").stdout).expect("JSON")
}

#[test]
fn a_call_from_a_carrier_is_shown_with_its_trunk_and_source() {
    let exchange = Exchange::start(&with_trunk(&[("127.0.0.1:9", 1, "udp")]));
    let mut callee = registered(&exchange, "1002");
    let mut carrier = Ua::udp(exchange.udp(), "+4930123456", "carrier.test", "");
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
    carrier.send(&invite);
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    let ok = carrier.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&carrier, "ACK");
    carrier.send(&ack);
    callee.request_of("ACK");
    let shown = |calls: &[serde_json::Value]| {
        let [call] = calls else { panic!("one call: {calls:?}") };
        let texts = ["trunk", "source", "callerRef"].map(|key| call[key].as_str().unwrap_or("").to_owned());
        texts.join(" ")
    };
    let live = told(&exchange, &[]);
    let trunk = live[0]["trunk"].as_str().expect("a trunk").to_owned();
    assert!(trunk.contains("provider"), "{live:?}");
    let expected = format!("{trunk} 127.0.0.1 {trunk}");
    assert_eq!(shown(&live), expected);
    within("BYE", &mut carrier, &mut dialog, &mut callee);
    ended(&exchange, 1);
    assert_eq!(shown(&told(&exchange, &["records"])), expected);
    let table = exchange_command(&exchange).args(["calls", "records"]).output().expect("the command runs");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("SOURCE") && table.contains("127.0.0.1"), "{table}");
}

#[test]
fn a_call_that_is_up_at_a_stop_ends_with_a_cause_of_its_own() {
    let mut exchange = Exchange::start(&agents());
    let _call = talking(&exchange, "1001", "1002");
    assert_eq!(exchange.stop(), Some(0));
    let all = records(&exchange);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0][2..], ["200", "1", "1", "SHUTDOWN"], "{all:?}");
    exchange.restart();
    assert_eq!(records(&exchange), all, "the next start finds nothing half open");
}

#[test]
fn a_call_that_was_up_at_a_crash_is_closed_at_the_next_start() {
    let mut exchange = Exchange::start(&agents());
    let _call = talking(&exchange, "1001", "1002");
    wait_for("the open record", || (records(&exchange).len() == 1).then_some(()));
    exchange.kill();
    exchange.restart();
    let all = ended(&exchange, 1);
    assert_eq!(all[0][5], "CRASH", "{all:?}");
    registered(&exchange, "1003");
}

/// A call that 1001 may make through a carrier, written so, with this To: what the list and the record show of it.
fn dialled(uri: &str, to: &str) -> [serde_json::Value; 2] {
    let mut scene = Scene::set("");
    let Scene { exchange, carrier, caller, .. } = &mut scene;
    let invite = caller.invite(uri).set("To", to);
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(caller, "ACK");
    caller.send(&ack);
    carrier.request_of("ACK");
    let live = told(exchange, &["--filter", ALLOWED]);
    within("BYE", caller, &mut a, carrier);
    ended(exchange, 1);
    let found = told(exchange, &["records", "--filter", ALLOWED]);
    let by_to = told(exchange, &["records", "--filter", "nobody-in-particular"]);
    assert_eq!(by_to.len(), usize::from(to.contains("nobody-in-particular")), "{by_to:?}");
    let one = |mut calls: Vec<serde_json::Value>| {
        assert_eq!(calls.len(), 1, "{uri}, {to}: {calls:?}");
        calls.remove(0)
    };
    [one(live), one(found)]
}

/// To decides nothing. What shows afterwards is who was called, in the form that a rule sees, however it was written.
#[test]
fn a_record_has_who_was_called_and_not_what_to_says() {
    let callee = format!("sip:{ALLOWED}@{DOMAIN}");
    let spelled = ["+1555-123-4567", "+1%35551234567", "+1.555.123.4567", "+15551234567;npdi"];
    let plain = [format!("<{callee}>"), format!("\"1002\" <sips:{ALLOWED}@{DOMAIN}>")];
    let others = [
        format!("<sip:1002@{DOMAIN}>"),
        format!("<sip:nobody-in-particular@{DOMAIN}>"),
        "<sip:+15551234567@elsewhere.test>".into(),
        "<tel:+4930123456>".into(),
        "\"+15551234567\" <urn:service:sos>".into(),
    ];
    for to in plain.iter().chain(&others) {
        for call in dialled(&at(ALLOWED), to) {
            assert_eq!(call["callee"].as_str(), Some(callee.as_str()), "{to}: {call}");
            assert_eq!(call["to"].is_null(), plain.contains(to), "{to}: {call}");
        }
    }
    for user in spelled {
        for call in dialled(&at(user), &others[0]) {
            assert_eq!(call["callee"].as_str(), Some(callee.as_str()), "{user}: {call}");
            assert_eq!(call["to"].as_str(), Some(at("1002").as_str()), "{user}: {call}");
        }
    }
}
