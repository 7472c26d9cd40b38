//! What a response must not have its receiver do, and what it may not say of a digest that its sender never asked for.

use trunkline_tests::{Challenge, Dialog, Exchange, Message, Resources, Ua, free_port};

use super::dialogs::talking;
use super::strangers::carrier;
use super::trunks::NUMBER;
use super::{DOMAIN, agents};

/// Both of RFC 7615, and what a phone might follow.
const LEFT_OUT: [(&str, &str); 8] = [
    ("Authentication-Info", "nextnonce=\"made-up\", qop=auth, rspauth=\"00\", cnonce=\"0\", nc=00000001"),
    ("Proxy-Authentication-Info", "nextnonce=\"made-up\""),
    ("Refer-To", "<sip:+19005551234@sip.test>"),
    ("r", "<sip:+19005551234@sip.test>"),
    ("Replaces", "a;to-tag=b;from-tag=c"),
    ("Join", "a;to-tag=b;from-tag=c"),
    ("Target-Dialog", "a;local-tag=b;remote-tag=c"),
    ("Error-Info", "<sip:+19005551234@sip.test>"),
];
const KEPT: [(&str, &str); 2] = [("Refer-Sub", "false"), ("Alert-Info", "<http://192.0.2.7/ring.wav>")];
const MODES: [&str; 2] = ["", "stateless: on\n"];

fn with_all(answer: Message, lines: &[(&str, &str)]) -> Message {
    lines.iter().fold(answer, |all, (name, value)| all.with(name, *value))
}

#[test]
fn a_phones_answers_command_nobody() {
    for mode in MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
        let said: Vec<_> = LEFT_OUT.iter().chain(&KEPT).copied().collect();
        for (status, reason) in [(200, "OK"), (403, "Forbidden"), (486, "Busy Here")] {
            let invite = caller.call(&caller.invite("sip:1002@sip.test"));
            let arrived = callee.request_of("INVITE");
            callee.send(&with_all(callee.response(&arrived, status, reason), &said));
            let answer = caller.status_for(&invite, status);
            assert_seen(&answer, mode);
            if status == 200 {
                let ack = Dialog::of_caller(&invite, &answer).request(&caller, "ACK");
                caller.send(&ack);
                callee.request_of("ACK");
            } else {
                caller.acknowledge_failure(&invite, &answer);
                callee.request_of("ACK");
            }
        }
        let request = a.request(&caller, "INFO");
        caller.send(&request);
        let arrived = callee.request_of("INFO");
        callee.send(&with_all(callee.response(&arrived, 200, "OK"), &said));
        assert_seen(&caller.status_for(&request, 200), mode);
        let request = b.request(&callee, "REFER").with("Refer-To", "<sip:1003@sip.test>");
        callee.send(&request);
        let arrived = caller.request_of("REFER");
        caller.send(&with_all(caller.response(&arrived, 202, "Accepted"), &said));
        assert_seen(&callee.status_for(&request, 202), mode);
    }
}

fn assert_seen(answer: &Message, mode: &str) {
    for (name, _) in LEFT_OUT {
        assert!(answer.get(name).is_none(), "{mode}{name}: {answer:?}");
    }
    for (name, value) in KEPT {
        assert_eq!(answer.get(name), Some(value), "{mode}{answer:?}");
    }
}

fn resources(port: u16, login: Option<(&str, &str)>) -> Resources {
    Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], login)
        .number(NUMBER, "provider", "sip:1001@sip.test")
}

/// Of a carrier that the phone itself answers to it is the phone's; where the exchange answered, it is the exchange's.
#[test]
fn a_carriers_word_on_a_digest_is_for_who_answered_its_challenge() {
    for login in [None, Some(("account", "secret"))] {
        let port = free_port();
        let exchange = Exchange::start_with(&resources(port, login), "routing: {qualifySeconds: 0}\n", &[]);
        let mut provider = carrier(&exchange, port);
        let mut phone = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
        assert_eq!(phone.register(600).status(), 200);
        let invite = phone.call(&phone.invite("sip:+49301234@sip.test"));
        let mut arrived = provider.request_of("INVITE");
        let challenge = "Digest realm=\"provider.test\", nonce=\"one\", qop=\"auth\"";
        assert!(Challenge::parse(challenge).is_some());
        if login.is_some() {
            let asks = provider.response(&arrived, 407, "Proxy Authentication Required");
            provider.send(&asks.with("Proxy-Authenticate", challenge));
            arrived = provider.expect("the INVITE with credentials", |m| {
                m.method() == "INVITE" && m.get("Proxy-Authorization").is_some()
            });
        }
        let ok = provider.response(&arrived, 200, "OK");
        provider.send(&with_all(ok, &LEFT_OUT[..2]));
        let answer = phone.status_for(&invite, 200);
        for (name, value) in &LEFT_OUT[..2] {
            let wanted = if login.is_some() { None } else { Some(*value) };
            assert_eq!(answer.get(name), wanted, "{login:?}");
        }
    }
}
