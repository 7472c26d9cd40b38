//! An agent that does not take its calls has somebody who does: busy, and nobody answers.

use trunkline_tests::{Exchange, Resources};

use super::{DOMAIN, at, registered};

fn with_voicemail() -> Resources {
    let fallback = format!(
        ", fallback: {{busy: \"sip:1003@{DOMAIN}\", noAnswer: \"sip:1003@{DOMAIN}\", noAnswerSeconds: 1}}"
    );
    Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback)
        .agent(DOMAIN, "1003", "pw-1003")
}

#[test]
fn busy_goes_to_the_fallback() {
    let exchange = Exchange::start(&with_voicemail());
    let mut callee = registered(&exchange, "1002");
    let mut voicemail = registered(&exchange, "1003");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let first = callee.request_of("INVITE");
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
    let exchange = Exchange::start(&with_voicemail());
    let mut callee = registered(&exchange, "1002");
    let mut voicemail = registered(&exchange, "1003");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let first = callee.request_of("INVITE");
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
