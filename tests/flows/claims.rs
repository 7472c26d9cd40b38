//! Callers who write an agent's name into From, where its domain asks for no proof: they call, and command no phone.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire};

use super::commands::{COMMANDS, JOINS};
use super::goes_on::passes;
use super::{DOMAIN, at, registered};

const QUIET: Duration = Duration::from_millis(80);
const STRANGER: [u8; 4] = [127, 0, 0, 9];
const DOMAINS: [&str; 3] = ["egress", "register", "never"];
const RESTART: &str = "check-sync;reboot=true";

fn start(mode: &str, authenticate: &str) -> Exchange {
    let all = ["1001", "1002"].iter().fold(Resources::new().domain(DOMAIN, authenticate), |all, user| {
        all.agent(DOMAIN, user, &format!("pw-{user}"))
    });
    Exchange::start_with(&all, &format!("{mode}routing: {{qualifySeconds: 0}}\n"), &[])
}

fn said(mut m: Message) -> Message {
    for (name, value) in COMMANDS {
        m = m.with(name, value);
    }
    m
}

fn has(m: &Message, (name, value): (&str, &str)) -> bool {
    m.all(name).any(|said| said == value)
}

/// The call of who says that it is 1002, with everything that has a phone act.
fn called(caller: &mut Ua, phone: &mut Ua, heard: bool, what: &str) -> Dialog {
    let invite = said(caller.invite(&at("1001")));
    caller.send(&invite);
    let arrived = phone.request_of("INVITE");
    phone.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    caller.send(&dialog.request(caller, "ACK"));
    phone.request_of("ACK");
    let update = said(dialog.request(caller, "UPDATE"));
    caller.send(&update);
    let inside = phone.request_of("UPDATE");
    phone.respond(&inside, 200, "OK");
    caller.status_for(&update, 200);
    for command in COMMANDS {
        assert_eq!([has(&arrived, command), has(&inside, command)], [heard; 2], "{what}: {command:?}");
    }
    dialog
}

fn notify(m: Message, event: &str) -> Message {
    m.with("Event", event).with("Subscription-State", "active")
}

#[test]
fn who_claims_to_be_an_agent_commands_no_phone() {
    for (mode, authenticate) in super::forged::MODES.iter().flat_map(|mode| DOMAINS.map(|d| (mode, d))) {
        let what = &format!("{mode}{authenticate}");
        let exchange = start(mode, authenticate);
        let mut phone = registered(&exchange, "1001");
        let wire = Wire::udp_from(STRANGER.into(), exchange.udp());
        let mut stranger = Ua::new(wire, "1002", DOMAIN, "no-secret");
        let mut dialog = called(&mut stranger, &mut phone, false, what);
        let inside = [
            notify(dialog.request(&stranger, "NOTIFY"), RESTART),
            notify(dialog.request(&stranger, "NOTIFY"), "talk"),
            dialog.request(&stranger, "NOTIFY"),
        ];
        let outside = [
            notify(stranger.request("NOTIFY", &at("1001")), RESTART),
            notify(stranger.request("NOTIFY", &at("1001")), "refer"),
        ];
        let joining = JOINS.map(|(name, value)| stranger.invite(&at("1001")).with(name, value));
        let refused = inside.iter().map(|m| (m, 403));
        for (request, status) in refused.chain(outside.iter().chain(&joining).map(|m| (m, 401))) {
            stranger.send(request);
            assert_eq!(stranger.final_for(request).status(), status, "{what}: {request:?}");
            let again = |m: &Message| m.method() == request.method();
            assert!(phone.silent(QUIET, again), "{what}: {request:?}");
        }
        // The progress of a transfer that the phone asked for is part of the call; states and texts are open.
        let progress = notify(dialog.request(&stranger, "NOTIFY"), "refer;id=1");
        let state = notify(dialog.request(&stranger, "NOTIFY"), "Presence");
        let text = stranger.request("MESSAGE", &at("1001"));
        for request in [progress, state, text] {
            passes(&mut stranger, &request, &mut phone);
        }
    }
}

#[test]
fn who_shows_that_it_is_the_agent_commands_phones() {
    for authenticate in DOMAINS {
        let exchange = start("", authenticate);
        let mut phone = registered(&exchange, "1001");
        let mut other = Ua::new(Wire::udp(exchange.udp()), "1002", DOMAIN, "pw-1002");
        let (name, value) = JOINS[0];
        for request in [
            notify(other.request("NOTIFY", &at("1001")), RESTART),
            other.invite(&at("1001")).with(name, value).with("Answer-Mode", "Auto"),
        ] {
            other.send(&request);
            let asked = other.final_for(&request);
            assert_eq!(asked.status(), 401, "{authenticate}");
            let again = other.authorise(&request, &asked, 1).expect("a challenge");
            let arrived = passes(&mut other, &again, &mut phone);
            if arrived.method() == "INVITE" {
                assert!(has(&arrived, JOINS[0]) && has(&arrived, ("Answer-Mode", "Auto")), "{arrived:?}");
            }
        }
        let mut wired = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
        assert_eq!(wired.register(600).status(), 200);
        // Where nobody proves a registration, anybody could have made it.
        let shown = authenticate != "never";
        let mut dialog = called(&mut wired, &mut phone, shown, authenticate);
        if shown {
            let request = notify(dialog.request(&wired, "NOTIFY"), "talk");
            passes(&mut wired, &request, &mut phone);
        }
    }
}

/// One of two Events would be judged, and the phone could do as the other says.
#[test]
fn two_events_are_none() {
    let exchange = start("", "register");
    let mut phone = registered(&exchange, "1001");
    let mut caller = Ua::new(Wire::udp(exchange.udp()), "1002", DOMAIN, "pw-1002");
    let mut dialog = called(&mut caller, &mut phone, false, "two events");
    for name in ["Event", "event", "o"] {
        for request in [dialog.request(&caller, "NOTIFY"), caller.request("SUBSCRIBE", &at("1001"))] {
            let request = notify(request, "refer").with(name, RESTART);
            caller.send(&request);
            assert_eq!(caller.final_for(&request).status(), 400, "{name}");
            assert!(phone.silent(QUIET, |m| m.method() == request.method()), "{name}");
        }
    }
}

/// The same of every header that a request may have once.
#[test]
fn of_what_may_stand_once_two_are_none() {
    let exchange = start("", "register");
    let mut phone = registered(&exchange, "1001");
    let mut caller = registered(&exchange, "1002");
    for (name, other, value) in [
        ("Content-Type", "c", "application/sdp"),
        ("Expires", "expires", "60"),
        ("Max-Breadth", "MAX-BREADTH", "5"),
        ("Refer-To", "r", "<sip:1003@sip.local>"),
        ("Referred-By", "b", "<sip:1003@sip.local>"),
        ("Replaces", "replaces", "a;to-tag=b;from-tag=c"),
        ("Session-Expires", "x", "1800"),
    ] {
        for method in ["INVITE", "REFER", "MESSAGE"] {
            let request = caller.request(method, &at("1001")).with(name, value).with(other, value);
            caller.send(&request);
            assert_eq!(caller.final_for(&request).status(), 400, "{method} {name}");
            assert!(phone.silent(QUIET, |m| m.method() == method), "{method} {name}");
        }
    }
}

/// Whoever has seen the mark of a subscription notifies of nothing else by it.
#[test]
fn a_subscription_is_told_what_it_asked_for() {
    for authenticate in DOMAINS {
        let exchange = start("", authenticate);
        let mut notifier = registered(&exchange, "1001");
        let mut watcher = registered(&exchange, "1002");
        let subscribe =
            watcher.request("SUBSCRIBE", &at("1001")).with("Event", "presence").with("Expires", "600");
        let subscribe = watcher.call(&subscribe);
        let arrived = notifier.request_of("SUBSCRIBE");
        let answer = notifier.response(&arrived, 200, "OK").with("Expires", "600");
        let answer = answer.set("Contact", format!("<{}>", notifier.contact().trim_matches(['<', '>'])));
        notifier.send(&answer);
        watcher.status_for(&subscribe, 200);
        let mut dialog = Dialog::of_callee(&arrived, &answer);
        let mut elsewhere =
            Ua::new(Wire::udp_from(STRANGER.into(), exchange.udp()), "1001", DOMAIN, "no-secret");
        for event in [RESTART, "talk", "x-cisco-remotecc", "presencex"] {
            let request = notify(dialog.request(&elsewhere, "NOTIFY"), event);
            elsewhere.send(&request);
            let status = elsewhere.final_for(&request).status();
            assert!([401, 403].contains(&status), "{authenticate} {event}: {status}");
            let request = notify(dialog.request(&notifier, "NOTIFY"), event);
            notifier.send(&request);
            assert_eq!(notifier.final_for(&request).status(), 403, "{authenticate} {event}");
            assert!(watcher.silent(QUIET, |m| m.method() == "NOTIFY"), "{authenticate} {event}");
        }
        let state = notify(dialog.request(&notifier, "NOTIFY"), "presence");
        passes(&mut notifier, &state, &mut watcher);
    }
}

/// Who has seen an agent's mark takes over none of its calls, even where no caller is asked who it is.
#[test]
fn a_seen_mark_is_of_no_use_elsewhere() {
    for authenticate in DOMAINS {
        let exchange = start("", authenticate);
        let mut phone = registered(&exchange, "1001");
        let mut caller = registered(&exchange, "1002");
        let (mut dialog, _) = super::dialogs::connect(&mut caller, &mut phone);
        let wire = Wire::udp_from(STRANGER.into(), exchange.udp());
        let mut stranger = Ua::new(wire, "1002", DOMAIN, "no-secret");
        for method in ["UPDATE", "INVITE", "INFO", "MESSAGE", "REFER", "NOTIFY"] {
            let request = dialog.request(&stranger, method).with("Event", "refer");
            let request = request.with("Subscription-State", "active").with("Refer-To", "<sip:1@h>");
            stranger.send(&request);
            assert_eq!(stranger.final_for(&request).status(), 401, "{authenticate} {method}");
            assert!(phone.silent(QUIET, |m| m.method() == method), "{authenticate} {method}");
        }
        // Its NAT gives a phone another port, and its call ends from anywhere.
        let mut moved = Ua::new(Wire::udp(exchange.udp()), "1002", DOMAIN, "pw-1002");
        let info = dialog.request(&moved, "INFO");
        passes(&mut moved, &info, &mut phone);
        let bye = dialog.request(&stranger, "BYE");
        passes(&mut stranger, &bye, &mut phone);
    }
}

/// Where anybody may register as the agent, who does has not become the agent in its calls.
#[test]
fn who_registers_unasked_takes_no_call_over() {
    let exchange = start("", "never");
    let (mut caller, mut phone) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let (mut dialog, _) = super::dialogs::connect(&mut caller, &mut phone);
    let mut other = super::marks::phone_from(&exchange, STRANGER, "1001");
    for registers in [false, true] {
        if registers {
            assert_eq!(other.register(600).status(), 200);
        }
        for method in ["INVITE", "UPDATE", "INFO", "REFER"] {
            let stolen = dialog.request(&other, method).with("Refer-To", format!("<{}>", at("1002")));
            other.send(&stolen);
            let answer = other.final_for(&stolen);
            assert_eq!(answer.status(), 401, "{method}, registered: {registers}");
            assert!(phone.silent(QUIET, |m| m.method() == method), "{method}, registered: {registers}");
        }
    }
    // Who has the secret is the agent.
    let info = dialog.request(&other, "INFO");
    other.send(&info);
    let challenge = other.final_for(&info);
    let info = other.authorise(&info, &challenge, 1).expect("a challenge");
    other.send(&info);
    let arrived = phone.request_of("INFO");
    phone.respond(&arrived, 200, "OK");
    other.status_for(&info, 200);
}
