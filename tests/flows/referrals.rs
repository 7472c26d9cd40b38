//! What phones ask a carrier to call (REFER): the carrier would do it on the account of the trunk.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::DOMAIN;
use super::strangers::carrier;

const NUMBER: &str = "+17066041487";
const BRANCH: &str = "branch.test";
const APART: &str = "apart.test";

/// Whom the phone may call, however the URI is written.
const ALLOWED: &[&str] = &[
    "<sip:+49301234@sip.test>",
    "<sip:+49301234@carrier.test;user=phone>",
    "sip:+49301234@sip.test",
    "<tel:+49-30-1234>",
    "<sip:%2B49301234@203.0.113.5?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:1002@sip.test>",
    "<sip:1002@sip.test;method=INVITE>",
    "<sip:1002@192.0.2.7:5070>",
    "<sip:2001@branch.test>",
    "<sip:+17066041487@sip.test>",
    "<sip:17066041487@carrier.test>",
    "<sip:alice@192.0.2.7>",
    "<sip:alice@192.0.2.7?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3&Require=replaces>",
    "<sip:u1001@192.0.2.7>",
];

/// Whom it may not.
const REFUSED: &[&str] = &[
    "<sip:+19005551234@sip.test>",
    "<sip:+19005551234@carrier.test>",
    "sip:+19005551234@carrier.test",
    "<sips:+19005551234@carrier.test>",
    "<tel:+1-900-555-1234>",
    "<tel:9005551234;phone-context=+1>",
    "<tel:FLOWERS;phone-context=+1900>",
    "<sip:FLOWERS@carrier.test;user=phone>",
    "<sip:%2B1900%35551234@carrier.test>",
    "<sip:+1(900)5551234@carrier.test>",
    "<sip:+1.900.555.1234;ext=5@carrier.test>",
    "<sip:+19005551234;phone-context=%2B4930@sip.test;user=phone>",
    "<sip:+4930,,,19005551234@carrier.test>",
    "<sip:+4930+19005551234@carrier.test>",
    "<sip:+19005551234@sip.test?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:3001@apart.test>",
    "<sip:1009@sip.test>",
    "<sip:carrier.test>",
    "<cid:list@sip.test>",
    "<http://carrier.test/>",
    "<sip:alice@192.0.2.7?P-Asserted-Identity=%3Csip%3A1%40h%3E>",
    "<sip:alice@192.0.2.7?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3&Diversion=%3Csip%3A1%40h%3E>",
    "<sip:w19005551234@carrier.test;user=dialstring>",
    "<sip:p+19005551234@carrier.test>",
    "<sip:A19005551234@carrier.test>",
    "<sip:tel:+19005551234@carrier.test>",
    "<sip:1002@sip.test;method=NOTIFY>",
    "<sip:+49301234@sip.test;method=MESSAGE>",
    "<sip:alice@192.0.2.7;M%65thod=BYE>",
    "sip:+49301234@sip.test;method=MESSAGE",
    "<sip:+49301234@sip.test;maddr=192.0.2.7>",
    "nonsense",
];

fn resources(port: u16) -> Resources {
    Resources::new()
        .domain_with(DOMAIN, "all", &[(r"^\+4930[0-9]+$", NUMBER)], "")
        .domain(BRANCH, "all")
        .domain_with(APART, "all", &[], "    interDomain: isolated\n")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .agent(BRANCH, "2001", "pw-2001")
        .agent(APART, "3001", "pw-3001")
        .peer("pbx", "sip:pbx@sip.test", "pw-pbx", "")
        .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
        .number(NUMBER, "provider", "sip:1001@sip.test")
}

/// The exchange, its carrier, and 1001 in a call that it made, or that the carrier did.
fn talking(out: bool) -> (Exchange, Ua, Ua, Dialog) {
    let port = free_port();
    let exchange = Exchange::start_with(&resources(port), "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = carrier(&exchange, port);
    let mut phone = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(phone.register(600).status(), 200);
    let dialog = if out {
        let invite = phone.invite("sip:+49301234@sip.test");
        let invite = phone.call(&invite);
        let arrived = provider.request_of("INVITE");
        provider.accept(&arrived);
        let ok = phone.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let ack = dialog.request(&phone, "ACK");
        phone.send(&ack);
        provider.request_of("ACK");
        dialog
    } else {
        let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
        provider.send(&invite);
        let arrived = phone.request_of("INVITE");
        let sent = phone.accept(&arrived);
        let ok = provider.status_for(&invite, 200);
        let ack = Dialog::of_caller(&invite, &ok).request(&provider, "ACK");
        provider.send(&ack);
        phone.request_of("ACK");
        Dialog::of_callee(&arrived, &sent)
    };
    (exchange, provider, phone, dialog)
}

#[test]
fn a_carrier_is_asked_to_call_whom_the_phone_may_call() {
    for out in [true, false] {
        let (_exchange, mut provider, mut phone, mut dialog) = talking(out);
        for to in ALLOWED {
            let refer = dialog.request(&phone, "REFER").with("Refer-To", *to);
            phone.send(&refer);
            let arrived = provider.request_of("REFER");
            provider.respond(&arrived, 202, "Accepted");
            phone.status_for(&refer, 202);
        }
        for to in REFUSED {
            let refer = dialog.request(&phone, "REFER").with("Refer-To", *to);
            phone.send(&refer);
            let answer = phone.final_for(&refer);
            assert_eq!(answer.start, "SIP/2.0 403 Transfer Not Allowed", "{to}");
        }
        let two = dialog.request(&phone, "REFER").with("Refer-To", ALLOWED[0]).with("r", REFUSED[0]);
        phone.send(&two);
        assert_eq!(phone.final_for(&two).status(), 400, "one of two could be followed");
        let two = dialog.request(&phone, "REFER").with("Refer-To", format!("{}, {}", ALLOWED[0], ALLOWED[1]));
        phone.send(&two);
        assert_eq!(phone.final_for(&two).start, "SIP/2.0 400 One Refer-To Only");
        // What was refused has not arrived, for this comes after it.
        let bye = dialog.request(&phone, "BYE");
        phone.send(&bye);
        let next = provider.expect("what comes next", |m| matches!(m.method(), "REFER" | "BYE"));
        assert_eq!(next.method(), "BYE", "{next:?}");
    }
}

/// The same outside a dialog.
#[test]
fn a_first_refer_to_a_carrier_is_judged() {
    let (_exchange, mut provider, mut phone, _) = talking(true);
    for (to, status) in [("<tel:+49-30-1234>", 202), ("<sip:+19005551234@carrier.test>", 403)] {
        let refer = phone.request("REFER", "sip:+49301234@sip.test").with("Refer-To", to);
        assert_eq!(answer_to(&mut phone, &mut provider, &refer, status), status, "{to}");
    }
}

/// Sends it with the digest that is asked for; who is to get it answers.
fn answer_to(phone: &mut Ua, provider: &mut Ua, request: &Message, status: u16) -> u16 {
    phone.send(request);
    let challenge = phone.final_for(request);
    let again = phone.authorise(request, &challenge, 1).expect("a challenge");
    phone.send(&again);
    if status == 202 {
        let arrived = provider.request_of("REFER");
        provider.respond(&arrived, 202, "Accepted");
    }
    phone.final_for(&again).status()
}

/// Two phones may tell each other whatever they like: who follows calls with its own account.
#[test]
fn between_phones_nothing_is_judged() {
    let exchange = Exchange::start_with(&resources(free_port()), "routing: {qualifySeconds: 0}\n", &[]);
    let [mut one, mut other] = ["1001", "1002"].map(|user| {
        let mut phone = Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(phone.register(600).status(), 200);
        phone
    });
    let (mut dialog, _) = super::dialogs::connect(&mut one, &mut other);
    let refer = dialog.request(&one, "REFER").with("Refer-To", "<sip:+19005551234@sip.test>");
    one.send(&refer);
    let arrived = other.request_of("REFER");
    other.respond(&arrived, 202, "Accepted");
    one.status_for(&refer, 202);
}

/// A phone connects two of its calls by the carrier, whatever their far ends are called.
#[test]
fn two_calls_of_a_phone_are_connected_by_their_carrier() {
    for (contact, out) in [("sip:+33612345678@127.0.0.1", true), ("sip:0033-1@127.0.0.1", false)] {
        let (_exchange, mut provider, mut phone, mut dialog) = talking(out);
        // The second call comes in: its far end is nobody whom the phone could call.
        let port = contact_port(&provider);
        let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
        let invite = invite.set("Contact", format!("<{contact}:{port}>"));
        provider.send(&invite);
        let arrived = phone.request_of("INVITE");
        let sent = phone.accept(&arrived);
        let ok = provider.status_for(&invite, 200);
        let ack = Dialog::of_caller(&invite, &ok).request(&provider, "ACK");
        provider.send(&ack);
        phone.request_of("ACK");
        let second = Dialog::of_callee(&arrived, &sent);
        let tag = |value: &str| value.split("tag=").nth(1).expect("a tag").to_owned();
        let replaces = |call_id: &str| {
            let call_id = call_id.replace('@', "%40");
            format!(
                "Replaces={call_id}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
                tag(&second.remote),
                tag(&second.local)
            )
        };
        let good = format!("<{contact}:{port}?{}>", replaces(&second.call_id));
        let others = [
            format!("<{contact}:{port}?{}>", replaces("another")),
            format!("<{contact}:{port}>"),
            format!("<sip:+19005551234@127.0.0.1:{port}?{}>", replaces(&second.call_id)),
            format!("<{contact}:{port}?{}&Diversion=%3Csip%3A1%40h%3E>", replaces(&second.call_id)),
        ];
        for to in &others {
            let refer = dialog.request(&phone, "REFER").with("Refer-To", to.as_str());
            phone.send(&refer);
            assert_eq!(phone.final_for(&refer).status(), 403, "{to}");
        }
        let refer = dialog.request(&phone, "REFER").with("Refer-To", good);
        phone.send(&refer);
        let arrived = provider.request_of("REFER");
        provider.respond(&arrived, 202, "Accepted");
        phone.status_for(&refer, 202);
    }
}

fn contact_port(ua: &Ua) -> u16 {
    let Wire::Udp { socket, .. } = &ua.wire else { unreachable!("made on UDP") };
    socket.local_addr().expect("bound").port()
}
