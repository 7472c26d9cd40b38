//! Why a call did not come about, and how it ended, as `trunkline calls` tells it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use trunkline_tests::{
    Dialog, Exchange, Message, Resources, Ua, Wire, exchange_command, free_port, fresh, wait_for,
};

use super::dialogs::talking;
use super::forged::{ALLOWED, Scene};
use super::marks::phone_from;
use super::records::{ended, told};
use super::trunks::with_trunk;
use super::{DOMAIN, agents, at, phone, registered};

/// The records, the oldest first, once there are so many that have ended.
fn records(exchange: &Exchange, count: usize) -> Vec<Value> {
    wait_for("the records", || {
        let mut all = told(exchange, &["records", "--limit", "1000"]);
        all.reverse();
        (all.len() >= count && all.iter().all(|r| r["endedMs"].is_u64())).then_some(all)
    })
}

/// Status, reason code and who ended it.
fn why(record: &Value) -> (u64, &str, &str) {
    let text = |key: &str| record[key].as_str().unwrap_or("");
    (record["status"].as_u64().unwrap_or(0), text("reason"), text("endedBy"))
}

fn refused(ua: &mut Ua, invite: &Message, status: u16) {
    let (answer, _) = ua.ask(invite);
    assert_eq!(answer.status(), status, "{}", answer.start);
}

/// Each kind of refusal has its record with its reason; a challenge that is answered has none of its own.
#[test]
fn a_refused_call_has_a_record_that_says_why() {
    let resources = agents()
        .domain_with("closed.test", "all", &[], "    accessControlListRef: closed\n")
        .acl("closed", &["10.0.0.0/8"], &["0.0.0.0/0"]);
    let exchange = Exchange::start(&resources);
    let mut caller = registered(&exchange, "1001");
    let mut guesser = Ua::udp(exchange.udp(), "1001", DOMAIN, "guessed");
    let invite = guesser.invite(&at("1002"));
    let (answer, _) = guesser.ask(&invite);
    assert!([401, 407].contains(&answer.status()), "{}", answer.start);
    let invite = caller.invite(&at("1002"));
    refused(&mut caller, &invite, 480);
    let invite = caller.invite(&at("nobody"));
    refused(&mut caller, &invite, 404);
    let invite = caller.invite(&at("+4930123456"));
    refused(&mut caller, &invite, 404);
    let invite = caller.invite(&at("1002")).set("Max-Forwards", "0");
    refused(&mut caller, &invite, 483);
    let invite = caller.invite(&at("1002")).with("Proxy-Require", "teleport");
    refused(&mut caller, &invite, 420);
    let mut outside = Ua::udp(exchange.udp(), "1001", "closed.test", "x");
    let invite = outside.invite("sip:1002@closed.test");
    refused(&mut outside, &invite, 403);

    let all = records(&exchange, 7);
    let reasons: Vec<_> = all.iter().map(why).collect();
    let expected = [
        (u64::from(answer.status()), "auth.wrong-password", "us"),
        (480, "callee.not-registered", "us"),
        (404, "route.no-policy", "us"),
        (404, "route.no-policy", "us"),
        (483, "loop.max-forwards", "us"),
        (420, "request.extension", "us"),
        (403, "acl.denied", "us"),
    ];
    assert_eq!(reasons, expected, "{all:#?}");
    // Only who has shown who it is stands there as the caller.
    assert!(all[0]["callerRef"].is_null() && all[6]["callerRef"].is_null(), "{all:#?}");
    assert!(all[1]["callerRef"].as_str().is_some_and(|caller| caller.contains("1001")), "{all:#?}");
    for record in &all {
        assert_eq!(record["source"], "127.0.0.1", "{record}");
        assert!(record["caller"].as_str().is_some_and(|uri| uri.contains("1001@")), "{record}");
        assert_eq!((&record["count"], record["startedMs"].is_u64()), (&1.into(), true), "{record}");
    }
    let found = told(&exchange, &["--reason", "callee.not-registered", "--since", "1h"]);
    assert_eq!((found.len(), found[0]["callee"].as_str()), (1, Some(at("1002").as_str())));
    assert_eq!(told(&exchange, &["--failed"]).len(), 7);
    let typo =
        exchange_command(&exchange).args(["calls", "--reason", "callee.gone"]).output().expect("it runs");
    let typo = String::from_utf8_lossy(&typo.stderr).into_owned();
    assert!(typo.contains("`callee.gone` is no reason code"), "{typo}");
    let number = found[0]["id"].to_string();
    let shown = exchange_command(&exchange).args(["calls", "show", &number]).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for line in ["480 Temporarily Unavailable", "this exchange", "callee.not-registered", "what to do"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

/// Over UDP an answer may be lost: the client repeats its INVITE, and the call still is one.
#[test]
fn a_repeated_invite_has_one_record() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("nobody"));
    let invite = caller.call(&invite);
    for _ in 0..3 {
        caller.expect_again("404", |m| m.status() == 404);
        caller.send(&invite);
    }
    let other = caller.invite(&at("nobody"));
    refused(&mut caller, &other, 404);
    assert_eq!(records(&exchange, 2).len(), 2);
}

#[test]
fn a_record_says_who_ended_the_call_with_what_reason() {
    let mut scene = Scene::set("");
    let Scene { exchange, carrier, caller, friend } = &mut scene;
    // The carrier refuses.
    let invite = caller.invite(&at(ALLOWED));
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    let refusal = carrier.response(&arrived, 403, "Forbidden").with("Reason", "Q.850;cause=21");
    carrier.send(&refusal);
    let failure = caller.status_for(&invite, 403);
    caller.acknowledge_failure(&invite, &failure);
    // The callee is busy.
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = friend.request_of("INVITE");
    friend.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    // The caller gives up.
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = friend.request_of("INVITE");
    friend.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    let cancel = Ua::cancel_of(&invite).with("Reason", "SIP;cause=487").with("Reason", "Q.850;cause=31");
    caller.send(&cancel);
    friend.request_of("CANCEL");
    friend.respond(&arrived, 487, "Request Terminated");
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
    // The carrier hangs up.
    let invite = caller.invite(&at(ALLOWED));
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    let sent = carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let ack = Dialog::of_caller(&invite, &ok).request(caller, "ACK");
    caller.send(&ack);
    carrier.request_of("ACK");
    let bye = Dialog::of_callee(&arrived, &sent).request(carrier, "BYE");
    let bye = bye.with("Reason", "Q.850;cause=16;text=\"Normal\"");
    carrier.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    carrier.status_for(&bye, 200);

    let all = records(exchange, 4);
    let reasons: Vec<_> = all.iter().map(why).collect();
    let expected = [
        (403, "trunk.rejected", "carrier"),
        (486, "callee.rejected", "callee"),
        (487, "call.cancelled", "caller"),
        (200, "", "carrier"),
    ];
    assert_eq!(reasons, expected, "{all:#?}");
    let header = |n: usize| all[n]["sipReason"].as_str().unwrap_or("");
    let headers = [header(0), header(1), header(2), header(3)];
    assert_eq!(
        headers,
        ["Q.850;cause=21", "", "SIP;cause=487, Q.850;cause=31", "Q.850;cause=16;text=\"Normal\""]
    );
    let times = |n: usize, key: &str| all[n][key].as_u64();
    assert!(times(2, "rangMs") >= times(2, "startedMs") && times(2, "ringingMs").is_some(), "{all:#?}");
    assert_eq!(times(2, "ringingMs"), times(2, "endedMs").zip(times(2, "rangMs")).map(|(e, r)| e - r));
    assert!(times(0, "ringingMs").is_none() && times(3, "talkedMs").is_some(), "{all:#?}");
    assert_eq!(all[3]["codec"], "PCMA", "{all:#?}");
    assert_eq!(told(exchange, &["--failed"]).len(), 2, "who gives up has not failed");
}

/// The carrier's no, our wrong password there and a carrier that is not there look different; so does a number that is not ours.
#[test]
fn what_goes_wrong_at_a_carrier_is_told_apart() {
    let port = free_port();
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "provider.test", "");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+4930123456"));
    let invite = caller.call(&invite);
    for _ in 0..2 {
        let arrived = carrier.request_of("INVITE");
        let challenge =
            format!("Digest realm=\"carrier\", nonce=\"{}\", algorithm=MD5, qop=\"auth\"", fresh());
        let refusal = carrier.response(&arrived, 407, "Proxy Authentication Required");
        carrier.send(&refusal.with("Proxy-Authenticate", challenge));
    }
    let failure = caller.status_for(&invite, 403);
    caller.acknowledge_failure(&invite, &failure);
    drop(carrier);
    let invite = caller.invite(&at("+4930123456"));
    refused(&mut caller, &invite, 500);
    let mut inbound = Ua::udp(exchange.udp(), "+4930999", "carrier.test", "");
    let invite = inbound.invite("sip:+4940999999@trunk.test");
    refused(&mut inbound, &invite, 404);

    let all = records(&exchange, 3);
    let reasons: Vec<_> = all.iter().map(why).collect();
    let expected = [
        (403, "trunk.rejected-our-credentials", "carrier"),
        (500, "trunk.unreachable", "us"),
        (404, "number.unknown", "us"),
    ];
    assert_eq!(reasons, expected, "{all:#?}");
    for record in &all {
        assert!(record["trunk"].as_str().is_some_and(|trunk| trunk.contains("provider")), "{record}");
    }
    assert_eq!(all[2]["direction"], "from-pstn");
}

/// What strangers do past the bound is summed up; what a phone does that shows who it is is not.
#[test]
fn refused_calls_of_strangers_are_summed_up() {
    let config = "calls: {refusedPerMinute: 3}\n";
    let exchange = Exchange::start_with(&agents(), config, &[]);
    let mut stranger = phone_from(&exchange, [127, 0, 0, 9], "mallory");
    let mut caller = registered(&exchange, "1001");
    for _ in 0..60 {
        let invite = stranger.invite(&at("nobody")).set("Max-Forwards", "0");
        refused(&mut stranger, &invite, 483);
    }
    for _ in 0..10 {
        let invite = caller.invite(&at("nobody"));
        refused(&mut caller, &invite, 404);
    }
    let all = records(&exchange, 14);
    let known: Vec<_> = all.iter().filter(|r| r["callerRef"].is_string()).collect();
    assert_eq!(known.len(), 10, "{all:#?}");
    let strangers: Vec<_> = all.iter().filter(|r| r["callerRef"].is_null()).collect();
    let calls: u64 = strangers.iter().filter_map(|r| r["count"].as_u64()).sum();
    // A minute may have ended in between.
    assert!(calls == 60 && strangers.len() <= 8, "{strangers:#?}");
    let sum = strangers.iter().find(|r| r["count"] != 1).expect("a sum");
    assert_eq!((why(sum), sum["source"].as_str()), ((483, "loop.max-forwards", "us"), Some("127.0.0.9")));
}

/// A flood fills no disk, and the phones' calls have their records meanwhile.
#[test]
fn a_flood_of_refused_calls_leaves_room_for_the_records_of_phones() {
    let exchange = Exchange::start(&agents());
    // Over TCP nothing is lost on the way.
    let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(caller.register(600).status(), 200);
    let stranger = phone_from(&exchange, [127, 0, 0, 9], "mallory");
    let size = || -> u64 {
        let files = std::fs::read_dir(exchange.folder()).expect("a folder").filter_map(Result::ok);
        let database = files.filter(|file| file.file_name().to_string_lossy().starts_with("trunkline.db"));
        database.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    };
    let before = size();
    let to = exchange.udp();
    let flood = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.9:0").expect("a socket");
        let invite = stranger.invite(&at("nobody")).set("Max-Forwards", "0");
        for n in 0..FLOOD {
            let one = invite.clone().set("Call-ID", format!("flood-{n}"));
            let _ = socket.send_to(&one.bytes(), to);
        }
    });
    let mut calls = Vec::new();
    while !flood.is_finished() || calls.len() < 10 {
        let invite = caller.invite(&at("nobody"));
        // 404, or 503 under overload.
        let (answer, _) = caller.ask(&invite);
        assert!(answer.status() >= 404, "{}", answer.start);
        calls.push(invite.call_id().to_owned());
    }
    flood.join().expect("the flood ends");
    let all = told(&exchange, &["records", "--limit", "1000000"]);
    let recorded = |call: &String| all.iter().any(|r| r["callId"] == call.as_str());
    assert!(calls.iter().all(recorded), "{} calls of the phone, {} records", calls.len(), all.len());
    let of_stranger = all.iter().filter(|r| r["source"] == "127.0.0.9");
    assert!(of_stranger.count() <= 3 * 101, "100 records and a sum in each minute");
    let grown = size() - before;
    assert!(grown < 2_000_000, "the database grew by {grown} bytes");
}

/// INVITEs, as fast as they can be sent.
const FLOOD: usize = 20_000;

#[test]
fn csv_is_safe_to_open_and_follow_tells_calls_as_they_happen() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let mut following = exchange_command(&exchange)
        .args(["calls", "--follow", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut errors = BufReader::new(following.stderr.take().expect("errors"));
    let mut said = String::new();
    errors.read_line(&mut said).expect("it says that it follows");
    assert!(said.contains("Ctrl-C"), "{said}");
    let mut lines = BufReader::new(following.stdout.take().expect("output")).lines();
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("read")).expect("JSON") };

    let invite = caller.invite(&at("nobody"));
    let invite = invite.set("Call-ID", "=HYPERLINK(1),\"x\"");
    refused(&mut caller, &invite, 404);
    let event = next();
    assert_eq!((&event["event"], &event["status"]), (&"ended".into(), &404.into()), "{event}");
    let _call = talking(&exchange, "1002", "1003");
    let event = next();
    assert_eq!((&event["event"], &event["endedMs"]), (&"began".into(), &Value::Null), "{event}");
    let call_id = event["callId"].as_str().expect("a Call-ID");
    let shown =
        exchange_command(&exchange).args(["calls", "show", call_id]).output().expect("it runs").stdout;
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.contains(call_id) && shown.contains("the call is "), "{shown}");
    let pid = following.id().to_string();
    // It takes this one as it takes Ctrl-C, which is switched off for tests that were started in the background.
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    following.wait().expect("it ends");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("read");
    assert!(!rest.contains("error"), "{rest}");

    let csv = exchange_command(&exchange).args(["calls", "--csv"]).output().expect("it runs").stdout;
    let csv = String::from_utf8(csv).expect("text");
    assert!(csv.starts_with("id,callId,started,") && csv.ends_with("\r\n"), "{csv}");
    assert!(csv.contains(",\"'=HYPERLINK(1),\"\"x\"\"\","), "{csv}");
}

#[test]
fn a_crash_leaves_how_long_calls_were_up() {
    let mut exchange = Exchange::start(&agents());
    let _call = talking(&exchange, "1001", "1002");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis() as u64;
    let answered = now();
    let alive = wait_for("the exchange to say that it lives", || {
        let database = exchange.folder().join("trunkline.db");
        let out =
            Command::new("sqlite3").arg("-readonly").arg(database).arg("SELECT at FROM calls_alive").output();
        let out = out.expect("sqlite3 starts: cargo xtask install brings it").stdout;
        let at: u64 = String::from_utf8_lossy(&out).trim().parse().ok()?;
        (at >= answered + 1_000).then_some(at)
    });
    exchange.kill();
    exchange.restart();
    assert_eq!(ended(&exchange, 1)[0][5], "CRASH");
    let all = records(&exchange, 1);
    assert!(all[0]["endedMs"].as_u64() >= Some(alive), "{all:#?}");
    assert!(all[0]["talkedMs"].as_u64() >= Some(Duration::from_millis(900).as_millis() as u64), "{all:#?}");
    assert_eq!(why(&all[0]), (200, "", "us"));
}

#[test]
fn an_address_list_of_the_exchange_refuses_with_a_record() {
    let config = "accessControl: {deny: [127.0.0.0/8]}\n";
    let exchange = Exchange::start_with(&Resources::new().domain(DOMAIN, "all"), config, &[]);
    let mut outside = phone(&exchange, "1001");
    let invite = outside.invite(&at("1002"));
    refused(&mut outside, &invite, 403);
    assert_eq!(why(&records(&exchange, 1)[0]), (403, "acl.source", "us"));
}
