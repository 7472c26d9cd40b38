//! What callers who have proven nothing say to a phone that would have it act by itself, or take part in another call.

use std::net::{IpAddr, UdpSocket};

use trunkline_tests::{Dialog, Exchange, Ua, Wire, free_port};

use super::dialogs::talking;
use super::trunks::NUMBER;
use super::{agents, at, registered};

/// What has a call take the place of another's party, or join it.
pub const JOINS: [(&str, &str); 2] =
    [("Replaces", "a;to-tag=b;from-tag=c"), ("Join", "a;to-tag=b;from-tag=c")];
/// What has a phone answer by itself.
pub const COMMANDS: [(&str, &str); 6] = [
    ("Answer-Mode", "Auto"),
    ("Priv-Answer-Mode", "Auto;require"),
    ("Alert-Info", "<http://127.0.0.1/>;info=alert-autoanswer;delay=0"),
    ("Call-Info", "<sip:x>; Answer-After=0"),
    ("P-Auto-Answer", "normal"),
    ("Target-Dialog", "a;local-tag=b;remote-tag=c"),
];
const ICON: (&str, &str) = ("Call-Info", "<http://127.0.0.1/icon.png>;purpose=icon");

#[test]
fn strangers_have_no_phone_answer_by_itself() {
    for mode in super::forged::MODES {
        let port = free_port();
        let carrier_at = format!("127.0.0.8:{port}");
        let all = agents().trunk("provider", "trunk.test", &[(&carrier_at, 1, "udp")], None).number(
            NUMBER,
            "provider",
            &at("1001"),
        );
        let config = format!("{mode}routing: {{qualifySeconds: 0}}\n");
        let exchange = Exchange::start_with(&all, &config, &[]);
        let mut phone = registered(&exchange, "1001");
        for (host, known) in [([127, 0, 0, 9], false), ([127, 0, 0, 8], true)] {
            let socket = UdpSocket::bind((IpAddr::from(host), 0)).expect("a port");
            let mut caller = Ua::new(Wire::udp_on(socket, exchange.udp()), "+4930123456", "trunk.test", "");
            let said = |mut m: trunkline_tests::Message| {
                for (name, value) in JOINS.iter().chain(&COMMANDS).chain([&ICON]) {
                    m = m.with(name, *value);
                }
                m
            };
            let invite = said(caller.invite(&format!("sip:{NUMBER}@trunk.test")));
            caller.send(&invite);
            let arrived = phone.request_of("INVITE");
            let sent = phone.accept(&arrived);
            let ok = caller.status_for(&invite, 200);
            let mut dialog = Dialog::of_caller(&invite, &ok);
            let ack = dialog.request(&caller, "ACK");
            caller.send(&ack);
            phone.request_of("ACK");
            let again = said(dialog.request(&caller, "UPDATE"));
            caller.send(&again);
            let inside = phone.request_of("UPDATE");
            phone.respond(&inside, 200, "OK");
            caller.status_for(&again, 200);
            for got in [&arrived, &inside] {
                assert!(got.all(ICON.0).any(|value| value == ICON.1), "{mode}");
                for (name, value) in JOINS.into_iter().chain(COMMANDS) {
                    let there = got.all(name).any(|said| said == value);
                    assert_eq!(there, known, "{mode}{name} of a carrier: {known}");
                }
            }
            let mut side = Dialog::of_callee(&arrived, &sent);
            let bye = side.request(&phone, "BYE");
            phone.send(&bye);
            let arrived = caller.request_of("BYE");
            caller.respond(&arrived, 200, "OK");
            phone.status_for(&bye, 200);
        }
    }
}

/// Some phones answer a challenge in whatever response it stands.
#[test]
fn a_challenge_in_another_response_goes_no_further() {
    for mode in super::forged::MODES {
        let exchange =
            Exchange::start_with(&agents(), &format!("{mode}routing: {{passChallenges: all}}\n"), &[]);
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        for (status, realm) in
            [(200, "sip.test"), (403, "sip.test"), (488, "elsewhere.test"), (494, "sip.test")]
        {
            let message = caller.request("MESSAGE", &at("1002"));
            let message = caller.call(&message);
            let arrived = callee.request_of("MESSAGE");
            let digest = format!("Digest realm=\"{realm}\", nonce=\"n\", algorithm=MD5");
            let answer = callee.response(&arrived, status, "X");
            let answer = answer.with("WWW-Authenticate", &digest).with("Proxy-Authenticate", &digest);
            callee.send(&answer.with("X-Other", "1"));
            let answer = caller.status_for(&message, status);
            assert_eq!(answer.get("X-Other"), Some("1"), "{mode}{status}");
            for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
                assert_eq!(answer.get(name), None, "{mode}{status}");
            }
        }
    }
}

/// Inside its call, too, a caller who has proven nothing sends what is part of a call and nothing else.
#[test]
fn inside_its_call_a_stranger_sends_what_is_part_of_a_call() {
    const TAKEN: [(&str, &str); 6] = [
        ("INFO", ""),
        ("OPTIONS", ""),
        ("UPDATE", ""),
        ("NOTIFY", "refer;id=1"),
        ("NOTIFY", "KPML"),
        ("INVITE", ""),
    ];
    const REFUSED: [(&str, &str); 9] = [
        ("NOTIFY", "check-sync;reboot=true"),
        ("NOTIFY", "talk"),
        ("NOTIFY", "referx"),
        ("NOTIFY", ""),
        ("SUBSCRIBE", "dialog"),
        ("MESSAGE", ""),
        ("PUBLISH", "presence"),
        ("REFER", ""),
        ("FROB", ""),
    ];
    for mode in super::forged::MODES {
        let mut scene = super::forged::Scene::set(mode);
        let mut stranger = super::marks::phone_from(&scene.exchange, [127, 0, 0, 9], "stranger");
        stranger.domain = "far.test".to_owned();
        let phone = &mut scene.friend;
        let invite = stranger.invite(super::forged::OPEN_NUMBER);
        stranger.send(&invite);
        let arrived = phone.request_of("INVITE");
        phone.accept(&arrived);
        let ok = stranger.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let ack = dialog.request(&stranger, "ACK");
        stranger.send(&ack);
        phone.request_of("ACK");
        for (method, event) in REFUSED.into_iter().chain(TAKEN) {
            let mut request = dialog.request(&stranger, method).with("Subscription-State", "active");
            if !event.is_empty() {
                request = request.with("Event", event);
            }
            stranger.send(&request);
            if TAKEN.contains(&(method, event)) {
                let arrived = phone.request_of(method);
                phone.respond(&arrived, 200, "OK");
                stranger.status_for(&request, 200);
            } else {
                let status = stranger.final_for(&request).status();
                assert!([403, 481].contains(&status), "{mode}{method} {event}: {status}");
                let reached = |m: &trunkline_tests::Message| m.method() == method;
                assert!(
                    phone.silent(std::time::Duration::from_millis(50), reached),
                    "{mode}{method} {event}"
                );
            }
        }
    }
}

/// Some PBXs send the other party of a call to whom the `Also` of a BYE names: no rule of transfers would be asked.
#[test]
fn nobody_transfers_by_a_bye() {
    for mode in super::forged::MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        let (mut caller, mut dialog, mut callee, _) = talking(&exchange, "1001", "1002");
        let bye = dialog.request(&caller, "BYE").with("also", "<sip:+19001234567@sip.test>");
        let bye = bye.with("Requested-By", "<sip:1001@sip.test>").with("Also-Not", "kept");
        caller.send(&bye);
        let arrived = callee.request_of("BYE");
        assert_eq!((arrived.get("Also"), arrived.get("Requested-By")), (None, None), "{mode}");
        assert_eq!(arrived.get("Also-Not"), Some("kept"));
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&bye, 200);
    }
}

/// Some phones read a method in any case of its letters, so that one in others would escape what holds for it.
#[test]
fn a_method_in_other_letters_is_none() {
    let mut scene = super::forged::Scene::set("");
    let super::forged::Scene { exchange, carrier, caller, friend } = &mut scene;
    let mut stranger = super::marks::phone_from(exchange, [127, 0, 0, 9], "stranger");
    let (mut dialog, _) = super::dialogs::connect(caller, friend);
    for method in
        ["invite", "Invite", "INVITe", "bye", "ack", "Cancel", "Message", "register", "rEFER", "Notify"]
    {
        let refused = |who: &mut trunkline_tests::Ua, to: &str| {
            let request = who.request(method, to);
            who.send(&request);
            assert_eq!(who.final_for(&request).status(), 400, "{method} {to}");
        };
        refused(&mut stranger, super::forged::OPEN_NUMBER);
        refused(caller, &super::at("1002"));
        refused(caller, &super::at(super::forged::ALLOWED));
        let inside = dialog.request(caller, method);
        caller.send(&inside);
        assert_eq!(caller.final_for(&inside).status(), 400, "{method}");
    }
    let heard = |m: &trunkline_tests::Message| !m.method().is_empty();
    let quiet = std::time::Duration::from_millis(100);
    assert!(friend.silent(quiet, heard) && carrier.silent(quiet, heard));
}
