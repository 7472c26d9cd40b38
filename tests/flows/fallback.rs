//! An agent that does not take its calls has somebody who does: busy, and nobody answers.

use trunkline_tests::{Exchange, Message, Resources, Rtpengine, Ua, exchange_command, free_port, wait_for};

use super::transports::within;
use super::{DOMAIN, at, registered};

/// The command that prints the records.
const RECORDS: [&str; 3] = ["calls", "records", "--json"];

/// Long enough for a phone that is to answer.
const LONG: u32 = 30;

/// Agent 1002 has a fallback, which takes over after so many seconds.
fn with_voicemail(seconds: u32) -> Resources {
    let fallback = format!(
        ", fallback: {{busy: \"sip:1003@{DOMAIN}\", noAnswer: \"sip:1003@{DOMAIN}\", noAnswerSeconds: {seconds}}}"
    );
    Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback)
        .agent(DOMAIN, "1003", "pw-1003")
}

/// A call that has reached the agent with a fallback.
struct Ringing {
    caller: Ua,
    callee: Ua,
    voicemail: Ua,
    /// As the caller sent it.
    invite: Message,
    /// As the agent got it.
    first: Message,
}

fn ring(exchange: &Exchange) -> Ringing {
    let [mut callee, voicemail, mut caller] = ["1002", "1003", "1001"].map(|user| registered(exchange, user));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let first = callee.request_of("INVITE");
    Ringing { caller, callee, voicemail, invite, first }
}

#[test]
fn busy_goes_to_the_fallback() {
    let exchange = Exchange::start(&with_voicemail(LONG));
    let Ringing { mut caller, mut callee, mut voicemail, invite, first } = ring(&exchange);
    callee.respond(&first, 486, "Busy Here");
    callee.request_of("ACK");
    let second = voicemail.request_of("INVITE");
    let diversion = second.get("Diversion").expect("a Diversion header");
    assert!(diversion.contains("1002") && diversion.contains("user-busy"), "{diversion}");
    assert!(second.get("History-Info").is_some(), "{}", second.start);
    voicemail.accept(&second);
    caller.status_for(&invite, 200);
}

#[test]
fn nobody_answers_and_the_fallback_does() {
    let exchange = Exchange::start(&with_voicemail(1));
    let Ringing { mut caller, mut callee, mut voicemail, invite, first } = ring(&exchange);
    callee.respond(&first, 180, "Ringing");
    let cancel = callee.request_of("CANCEL");
    callee.respond(&cancel, 200, "OK");
    callee.respond(&first, 487, "Request Terminated");
    let second = voicemail.request_of("INVITE");
    let diversion = second.get("Diversion").expect("a Diversion header");
    assert!(diversion.contains("no-answer"), "{diversion}");
    voicemail.accept(&second);
    caller.status_for(&invite, 200);
}

/// The records as `trunkline calls records --json` prints them, once there are so many that have ended.
fn records(exchange: &Exchange, count: usize) -> Vec<serde_json::Value> {
    wait_for("the records", || {
        let out = exchange_command(exchange).args(RECORDS).output().expect("the command runs");
        let all: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let ended = all.iter().filter(|record| record["ended"].is_i64()).count();
        (ended == count && all.len() == count).then_some(all)
    })
}

/// A phone that is unplugged says nothing at all: its agent's time holds all the same.
#[test]
fn a_silent_phone_has_its_fallback_in_time() {
    let exchange = Exchange::start(&with_voicemail(1));
    // Its port stays open: else the network would say that nobody is there.
    let Ringing { mut caller, mut voicemail, invite, callee: _mute, .. } = ring(&exchange);
    let second = voicemail.request_of("INVITE");
    assert!(second.get("Diversion").is_some_and(|d| d.contains("no-answer")), "{second:?}");
    voicemail.accept(&second);
    caller.status_for(&invite, 200);
}

#[test]
fn the_record_says_who_was_called_first_and_who_took_it() {
    let exchange = Exchange::start(&with_voicemail(LONG));
    let Ringing { mut caller, mut callee, mut voicemail, invite, first } = ring(&exchange);
    callee.respond(&first, 486, "Busy Here");
    let second = voicemail.request_of("INVITE");
    voicemail.accept(&second);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = trunkline_tests::Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    within("BYE", &mut caller, &mut dialog, &mut voicemail);
    let all = records(&exchange, 1);
    assert_eq!(all[0]["callee"], at("1003"), "{all:?}");
    assert_eq!(all[0]["firstCalled"], at("1002"), "{all:?}");
    // Who was called first finds the record too.
    let found = exchange_command(&exchange)
        .args(RECORDS)
        .args(["--filter", "1002"])
        .output()
        .expect("the command runs");
    assert!(String::from_utf8_lossy(&found.stdout).contains("1003"), "{found:?}");
}

#[test]
fn without_a_phone_the_fallback_is_called_and_the_record_says_so() {
    let exchange = Exchange::start(&with_voicemail(LONG));
    let mut voicemail = registered(&exchange, "1003");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = voicemail.request_of("INVITE");
    voicemail.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    let all = records(&exchange, 1);
    assert_eq!(
        (&all[0]["callee"], &all[0]["firstCalled"]),
        (&at("1003").into(), &at("1002").into()),
        "{all:?}"
    );
}

#[test]
fn a_browser_that_does_not_answer_has_its_fallback_too() {
    // Its media goes by the relay, the voicemail's does not: a diverted call changes over.
    let rtpengine = Rtpengine::start();
    let (ws, media) = (format!("127.0.0.1:{}", free_port()), rtpengine.at().to_string());
    let env = [("TRUNKLINE_LISTEN_WS", ws.as_str()), ("TRUNKLINE_RTPENGINE", media.as_str())];
    let exchange = Exchange::start_with(&with_voicemail(3), "", &env);
    let ws = ws.parse().expect("an address");
    let mut callee = Ua::ws(ws, "1002", DOMAIN, "pw-1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut voicemail = registered(&exchange, "1003");
    let mut caller = registered(&exchange, "1001");
    // Silence first, then a refusal; both with a phone that is reached over its WebSocket alone.
    for busy in [false, true] {
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let first = callee.request_of("INVITE");
        if busy {
            callee.respond(&first, 486, "Busy Here");
        } else {
            callee.respond(&first, 180, "Ringing");
            let cancel = callee.request_of("CANCEL");
            callee.respond(&cancel, 200, "OK");
            callee.respond(&first, 487, "Request Terminated");
        }
        callee.request_of("ACK");
        let second = voicemail.request_of("INVITE");
        assert!(second.get("Diversion").is_some_and(|d| d.contains("1002")), "{second:?}");
        let sent = voicemail.accept(&second);
        let ok = caller.status_for(&invite, 200);
        let mut a = trunkline_tests::Dialog::of_caller(&invite, &ok);
        let mut b = trunkline_tests::Dialog::of_callee(&second, &sent);
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        voicemail.request_of("ACK");
        within("BYE", &mut voicemail, &mut b, &mut caller);
    }
}
