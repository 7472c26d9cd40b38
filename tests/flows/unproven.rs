//! What callers may not do who have shown nothing: ask phones to call somebody else, be in the dialog of another, reach phones
//! by an open number otherwise than by a call.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port, wait_for};

use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(150);
const STRANGER: [u8; 4] = [127, 0, 0, 9];
const CARRIER: [u8; 4] = [127, 0, 0, 8];
const EXPENSIVE: &str = "<sip:+19005551234@sip.test>";

/// In domains that ask little, a transfer still needs the digest of who asks for it, or the connection it registered by.
#[test]
fn a_transfer_needs_a_proof_whatever_the_domain_asks() {
    for authenticate in ["egress", "register", "never"] {
        let all = ["1001", "1002"].iter().fold(Resources::new().domain(DOMAIN, authenticate), |all, user| {
            all.agent(DOMAIN, user, &format!("pw-{user}"))
        });
        let exchange = Exchange::start_with(&all, "routing: {qualifySeconds: 0}\n", &[]);
        let mut phone = registered(&exchange, "1001");
        for (secret, passes) in [("no-secret", false), ("pw-1002", true)] {
            let mut caller = Ua::new(Wire::udp(exchange.udp()), "1002", DOMAIN, secret);
            let invite = caller.invite(&at("1001"));
            caller.send(&invite);
            let arrived = phone.request_of("INVITE");
            phone.accept(&arrived);
            let ok = caller.status_for(&invite, 200);
            let mut dialog = Dialog::of_caller(&invite, &ok);
            caller.send(&dialog.request(&caller, "ACK"));
            phone.request_of("ACK");
            let inside = dialog.request(&caller, "REFER").with("Refer-To", EXPENSIVE);
            let first = caller.request("REFER", &at("1001")).with("Refer-To", EXPENSIVE);
            for refer in [first, inside] {
                transfers(&mut caller, &mut phone, &refer, passes, authenticate);
            }
        }
        let mut wired = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
        assert_eq!(wired.register(600).status(), 200);
        let refer = wired.request("REFER", &at("1001")).with("Refer-To", EXPENSIVE);
        if authenticate == "never" {
            // Anybody could have registered over it.
            transfers(&mut wired, &mut phone, &refer, true, authenticate);
            continue;
        }
        wired.send(&refer);
        let heard = phone.request_of("REFER");
        phone.respond(&heard, 202, "Accepted");
        wired.status_for(&refer, 202);
    }
}

/// A connection that was registered with a secret proves nothing any more once that secret is another one, or none.
#[test]
fn a_secret_that_changes_ends_what_connections_prove() {
    let of = |secret: &str| {
        let all = Resources::new().domain(DOMAIN, "egress").agent(DOMAIN, "1002", "pw-1002");
        all.agent(DOMAIN, "1001", secret)
    };
    let exchange = Exchange::start_with(&of("pw-1001"), "routing: {qualifySeconds: 0}\n", &[]);
    let changes = std::cell::Cell::new(0);
    let rewrite = |name: &str, text: &str| {
        exchange.rewrite(name, text);
        changes.set(changes.get() + 1);
        let told = || exchange.log().matches("resources changed").count() >= changes.get();
        wait_for("the changed resources", || told().then_some(()));
    };
    let mut other = registered(&exchange, "1002");
    let wired = |secret: &str| {
        let mut ua = Ua::tcp(exchange.tcp(), "1001", DOMAIN, secret);
        assert_eq!(ua.register(600).status(), 200);
        ua
    };
    let refers = |ua: &mut Ua, other: &mut Ua, proven: bool, why: &str| {
        let refer = ua.request("REFER", &at("1002")).with("Refer-To", EXPENSIVE);
        ua.send(&refer);
        if !proven {
            return assert_eq!(ua.final_for(&refer).status(), 401, "{why}");
        }
        let heard = other.request_of("REFER");
        other.respond(&heard, 202, "Accepted");
        ua.status_for(&refer, 202);
    };
    let mut thief = wired("pw-1001");
    refers(&mut thief, &mut other, true, "by its own connection");
    rewrite("credentials.yaml", of("pw-other").file("credentials.yaml"));
    refers(&mut thief, &mut other, false, "with a secret of the past");
    // Calls to it go on until its registration ends.
    let invite = other.invite(&at("1001"));
    let invite = other.call(&invite);
    let seen = thief.request_of("INVITE");
    thief.respond(&seen, 486, "Busy Here");
    let answer = other.status_for(&invite, 486);
    other.acknowledge_failure(&invite, &answer);
    let mut owner = wired("pw-other");
    refers(&mut owner, &mut other, true, "with that of today");
    refers(&mut thief, &mut other, false, "by another's registration");
    let without = of("pw-other").file("agents.yaml").replace("credentialsRef: r1001-sip-test, ", "");
    assert!(!without.contains("credentialsRef: r1001"), "{without}");
    rewrite("agents.yaml", &without);
    refers(&mut owner, &mut other, false, "where there is none");
}

/// Asks for it, with the digest it has when it is asked for one.
fn transfers(caller: &mut Ua, phone: &mut Ua, refer: &Message, passes: bool, what: &str) {
    caller.send(refer);
    let asked = caller.final_for(refer);
    assert_eq!(asked.status(), 401, "{what}");
    let again = caller.authorise(refer, &asked, 1).expect("a challenge");
    caller.send(&again);
    if passes {
        let heard = phone.request_of("REFER");
        phone.respond(&heard, 202, "Accepted");
        caller.status_for(&again, 202);
    } else {
        assert_eq!(caller.final_for(&again).status(), 401, "{what}");
        assert!(phone.silent(QUIET, |m| m.method() == "REFER"), "{what}");
    }
}

fn provider(port: u16) -> Resources {
    agents().trunk("provider", "trunk.test", &[(&format!("127.0.0.8:{port}"), 1, "udp")], None).number(
        NUMBER,
        "provider",
        &at("1001"),
    )
}

/// Who has overheard a carrier's dialog is not the carrier.
#[test]
fn a_carriers_dialog_is_the_carriers() {
    for (setting, status) in [("off", 403), ("on", 200)] {
        let config = format!("routing: {{qualifySeconds: 0, dialogsFromAnywhere: {setting}}}\n");
        let exchange = Exchange::start_with(&provider(free_port()), &config, &[]);
        let mut phone = registered(&exchange, "1001");
        let ua =
            |host: [u8; 4]| Ua::new(Wire::udp_from(host.into(), exchange.udp()), "+49301", "trunk.test", "");
        let (mut carrier, mut other) = (ua(CARRIER), ua(STRANGER));
        let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
        carrier.send(&invite);
        let arrived = phone.request_of("INVITE");
        phone.accept(&arrived);
        let ok = carrier.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        carrier.send(&dialog.request(&carrier, "ACK"));
        phone.request_of("ACK");
        for method in ["INFO", "UPDATE", "REFER", "MESSAGE"] {
            let request = dialog.request(&other, method).with("Refer-To", EXPENSIVE);
            other.send(&request);
            if status == 200 {
                let heard = phone.request_of(method);
                phone.respond(&heard, 200, "OK");
            }
            assert_eq!(other.final_for(&request).status(), status, "{method}");
            assert!(phone.silent(QUIET, |m| m.method() == method), "{method}");
        }
        // Another port of the carrier's own, and a BYE from a host of its that nobody knows of.
        let mut beside = ua(CARRIER);
        for (from, method) in [(&mut beside, "INFO"), (&mut other, "BYE")] {
            let request = dialog.request(from, method);
            from.send(&request);
            let heard = phone.request_of(method);
            phone.respond(&heard, 200, "OK");
            from.status_for(&request, 200);
        }
    }
}

/// An open number takes calls. What else phones do as they are told, such as NOTIFY (check-sync), is not for everybody.
#[test]
fn an_open_number_takes_calls() {
    const METHODS: [&str; 6] = ["MESSAGE", "NOTIFY", "OPTIONS", "SUBSCRIBE", "PUBLISH", "INFO"];
    for (open, from, reach) in [
        ("[INVITE]", STRANGER, &[][..]),
        ("[INVITE, MESSAGE]", STRANGER, &["MESSAGE"]),
        ("[INVITE]", CARRIER, &METHODS),
    ] {
        let config = format!("routing: {{qualifySeconds: 0, openMethods: {open}}}\n");
        let exchange = Exchange::start_with(&provider(free_port()), &config, &[]);
        let mut phone = registered(&exchange, "1001");
        let wire = Wire::udp_from(from.into(), exchange.udp());
        let mut outside = Ua::new(wire, "+49301", "trunk.test", "");
        for method in METHODS {
            let request = outside
                .request(method, &format!("sip:{NUMBER}@trunk.test"))
                .with("Event", "check-sync;reboot=true")
                .with("Subscription-State", "active");
            outside.send(&request);
            if reach.contains(&method) {
                let heard = phone.request_of(method);
                phone.respond(&heard, 200, "OK");
                outside.status_for(&request, 200);
            } else {
                assert_eq!(outside.final_for(&request).start, "SIP/2.0 403 Calls Only", "{method}");
                assert!(phone.silent(QUIET, |m| m.method() == method), "{method}");
            }
        }
        let invite = outside.invite(&format!("sip:{NUMBER}@trunk.test"));
        outside.send(&invite);
        let arrived = phone.request_of("INVITE");
        phone.respond(&arrived, 486, "Busy Here");
        outside.status_for(&invite, 486);
    }
}
