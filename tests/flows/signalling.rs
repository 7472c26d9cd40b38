//! ISUP in the bodies of phones: carriers take from it who calls whom, so that it goes to no carrier that is not meant to get it.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, free_port, sdp};

use super::strangers::carrier;
use super::trunks::NUMBER;
use super::{DOMAIN, at, registered};

const KIND: &str = "multipart/mixed;boundary=b";

/// The part that is to be cut, or goes on.
fn in_parts(message: Message, ua: &Ua) -> Message {
    let sdp = sdp(ua.wire.local(), "sendrecv");
    let parts = format!(
        "--b\r\nContent-Type: Application/Isup;version=itu-t92+\r\n\r\n\u{1}secret\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
    );
    message.body(KIND, parts)
}

/// What is left of it, or all of it.
fn check(arrived: &Message, passes: bool, what: &str) {
    let text = String::from_utf8_lossy(&arrived.body).into_owned();
    assert_eq!(text.contains("secret"), passes, "{what}: {arrived:?}");
    assert_eq!(arrived.get("Content-Length"), Some(&*arrived.body.len().to_string()), "{what}");
    if !passes {
        let kind = arrived.get("Content-Type");
        assert_eq!(kind, (!text.is_empty()).then_some("application/sdp"), "{what}");
        assert!(text.is_empty() || text.starts_with("v=0"), "{what}: {text}");
    }
}

/// A phone's call out, with signalling in each message that it sends, and its answer to the carrier's call.
fn calls(allowed: &str, passes: bool, stateless: &str) {
    let port = free_port();
    let uri = format!("127.0.0.1:{port}");
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk_with("provider", "trunk.test", &[(&uri, 1, "udp")], None, allowed)
        .number(NUMBER, "provider", &at("1001"));
    let config = format!("{stateless}routing: {{qualifySeconds: 0}}\n");
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let mut provider = carrier(&exchange, port);
    let mut phone = registered(&exchange, "1001");
    let invite = in_parts(phone.invite(&at("+49301234")), &phone);
    let invite = phone.call(&invite);
    let arrived = provider.request_of("INVITE");
    check(&arrived, passes, "INVITE");
    provider.accept(&arrived);
    let ok = phone.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = in_parts(dialog.request(&phone, "ACK"), &phone);
    phone.send(&ack);
    check(&provider.request_of("ACK"), passes, "ACK");
    for (method, kind) in [
        ("INFO", "application/ISUP;base=itu-t92+"),
        ("INFO", "application/QSIG"),
        ("UPDATE", KIND),
        ("MESSAGE", "application/isup"),
        ("BYE", "application/ISUP"),
    ] {
        let request = dialog.request(&phone, method);
        let request = match kind {
            KIND => in_parts(request, &phone),
            kind => request.body(kind, "secret"),
        };
        phone.send(&request);
        let arrived = provider.request_of(method);
        check(&arrived, passes, method);
        provider.respond(&arrived, 200, "OK");
        phone.status_for(&request, 200);
    }
    let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
    provider.send(&invite);
    let arrived = phone.request_of("INVITE");
    let answer = phone.response(&arrived, 200, "OK").with("Contact", format!("<{}>", phone.contact()));
    let answer = in_parts(answer, &phone);
    phone.send(&answer);
    check(&provider.status_for(&invite, 200), passes, "200");
}

#[test]
fn a_phones_signalling_goes_to_no_carrier() {
    calls("sendRegister: false", false, "");
    calls("sendRegister: false", false, "stateless: true\n");
}

#[test]
fn a_trunk_may_take_it() {
    calls("allowedParameters: [isup]", true, "");
}
