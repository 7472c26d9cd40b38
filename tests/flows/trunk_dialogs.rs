//! Dialogs through a trunk that challenges: the carrier counts one higher than the caller from then on.

use std::net::UdpSocket;

use trunkline_tests::{Dialog, Exchange, Message, Ua, Wire, free_port};

use super::trunks::{NUMBER, provider, with_trunk};
use super::{at, registered};

pub(super) fn speaks_to(provider: &mut Ua, exchange: &Exchange) {
    let Wire::Udp { server, .. } = &mut provider.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
}

/// Challenges a request that has arrived; the one that comes with credentials.
fn challenge(provider: &mut Ua, first: &Message, nonce: &str) -> Message {
    let challenge = format!("Digest realm=\"provider.test\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
    let refusal = provider.response(first, 407, "Proxy Authentication Required");
    provider.send(&refusal.with("Proxy-Authenticate", challenge));
    let method = first.method().to_owned();
    if method == "INVITE" {
        let ack = provider.expect("ACK to the 407", |m| m.method() == "ACK" && m.branch() == first.branch());
        assert_eq!(ack.cseq().0, first.cseq().0);
    }
    let nonce = format!("nonce=\"{nonce}\"");
    let given = |m: &Message| m.all("Proxy-Authorization").any(|v| v.contains(&nonce));
    let second = provider.expect("the request again", |m| m.method() == method && given(m));
    assert_eq!(second.all("Proxy-Authorization").count(), 1, "{second:?}");
    assert_eq!(second.cseq().0, first.cseq().0 + 1, "RFC 3261 §22.2");
    second
}

/// A call out through the trunk, which asks for no digest: its two sides, the caller's request and the carrier's.
fn talking(provider: &mut Ua, caller: &mut Ua) -> (Dialog, Dialog) {
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let arrived = provider.request_of("INVITE");
    let sent = provider.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    caller.send(&a.request(caller, "ACK"));
    provider.request_of("ACK");
    (a, Dialog::of_callee(&arrived, &sent))
}

#[test]
fn a_challenge_of_any_request_inside_a_dialog_is_answered() {
    let port = free_port();
    let mut exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = provider(port);
    speaks_to(&mut provider, &exchange);
    let mut caller = registered(&exchange, "1001");
    let (mut a, _) = talking(&mut provider, &mut caller);
    let mut counted = 0;
    for (n, method) in ["UPDATE", "INFO", "REFER", "MESSAGE", "INVITE"].into_iter().enumerate() {
        let request = a.request(&caller, method).with("Refer-To", "<sip:x@provider.test>");
        caller.send(&request);
        let first = provider.request_of(method);
        assert_eq!(first.cseq().0, request.cseq().0 + n as u32, "raised by the challenges before");
        let again = challenge(&mut provider, &first, &format!("n{n}"));
        counted = again.cseq().0;
        if method == "INVITE" {
            provider.accept(&again);
        } else {
            provider.respond(&again, 200, "OK");
        }
        assert_eq!(
            caller.final_for(&request).status(),
            200,
            "the caller sees its own number, and no challenge"
        );
    }
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    let got = provider.expect("ACK", |m| m.method() == "ACK" && m.cseq().0 == counted);
    assert_eq!(got.cseq().0, ack.cseq().0 + 5);
    // After a restart nobody knows how far the carrier has counted; it is certainly not beyond this.
    exchange.kill();
    exchange.restart();
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let first = provider.request_of("BYE");
    assert!(first.cseq().0 > counted, "{} after {counted}", first.cseq().0);
    let again = challenge(&mut provider, &first, "last");
    provider.respond(&again, 200, "OK");
    caller.status_for(&bye, 200);
}

/// The ACK of a call goes out as its INVITE did, though the carrier has challenged something else meanwhile.
#[test]
fn what_went_out_before_a_challenge_keeps_its_number() {
    let port = free_port();
    let exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = provider(port);
    speaks_to(&mut provider, &exchange);
    let mut caller = registered(&exchange, "1001");
    let (mut a, _) = talking(&mut provider, &mut caller);
    let invite = a.request(&caller, "INVITE");
    caller.send(&invite);
    let arrived = provider.expect("INVITE", |m| m.method() == "INVITE" && m.tag("To").is_some());
    let ack = a.request(&caller, "ACK");
    let info = a.request(&caller, "INFO");
    caller.send(&info);
    let first = provider.request_of("INFO");
    let again = challenge(&mut provider, &first, "n");
    provider.respond(&again, 200, "OK");
    caller.status_for(&info, 200);
    provider.accept(&arrived);
    caller.status_for(&invite, 200);
    caller.send(&ack);
    let acked = |m: &Message| m.method() == "ACK" && m.cseq().0 == arrived.cseq().0;
    provider.expect("the ACK with the INVITE's number", acked);
}

/// The carrier calls, and challenges the phone's requests.
#[test]
fn a_challenge_of_the_callees_request_is_answered() {
    let port = free_port();
    let exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = provider(port);
    speaks_to(&mut provider, &exchange);
    let mut phone = registered(&exchange, "1002");
    let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
    provider.send(&invite);
    let arrived = phone.request_of("INVITE");
    let sent = phone.accept(&arrived);
    let ok = provider.status_for(&invite, 200);
    let mut b = Dialog::of_caller(&invite, &ok);
    provider.send(&b.request(&provider, "ACK"));
    phone.request_of("ACK");
    let mut a = Dialog::of_callee(&arrived, &sent);
    for method in ["INFO", "BYE"] {
        let request = a.request(&phone, method);
        phone.send(&request);
        let first = provider.request_of(method);
        let again = challenge(&mut provider, &first, method);
        provider.respond(&again, 200, "OK");
        phone.status_for(&request, 200);
    }
}

#[test]
fn what_the_caller_sends_is_counted_as_the_carrier_counts() {
    let port = free_port();
    let exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = provider(port);
    speaks_to(&mut provider, &exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let first = provider.request_of("INVITE");
    let arrived = challenge(&mut provider, &first, "n0nce");
    let (ours, theirs) = (invite.cseq().0, arrived.cseq().0);
    assert_eq!(theirs, ours + 1);

    let ringing =
        provider.response(&arrived, 183, "Session Progress").with("RSeq", "7").with("Require", "100rel");
    provider.send(&ringing);
    let progress = caller.status_for(&invite, 183);
    let mut early = Dialog::of_caller(&invite, &progress);
    let prack = early.request(&caller, "PRACK").with("RAck", format!("7 {ours} INVITE"));
    caller.send(&prack);
    let acknowledged = provider.request_of("PRACK");
    assert_eq!(acknowledged.get("RAck"), Some(&*format!("7 {theirs} INVITE")));
    assert_eq!(acknowledged.cseq().0, prack.cseq().0 + 1);
    provider.respond(&acknowledged, 200, "OK");
    caller.status_for(&prack, 200);

    let sent = provider.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    assert_eq!(provider.request_of("ACK").cseq().0, theirs, "RFC 3261 §13.2.2.4");
    // A request of the carrier's is counted as the carrier does.
    let mut b = Dialog::of_callee(&arrived, &sent);
    let update = b.request(&provider, "UPDATE");
    provider.send(&update);
    let got = caller.request_of("UPDATE");
    assert_eq!(got.cseq().0, update.cseq().0);
    caller.respond(&got, 200, "OK");
    provider.status_for(&update, 200);
    // §12.2.2: lower than what the carrier has seen would be 500.
    for method in ["INFO", "BYE"] {
        let _ = early.request(&caller, method);
        let request = early.request(&caller, method);
        caller.send(&request);
        let got = provider.request_of(method);
        assert_eq!(got.cseq().0, request.cseq().0 + 1);
        provider.respond(&got, 200, "OK");
        caller.status_for(&request, 200);
    }
}

#[test]
fn each_address_of_a_carrier_may_challenge() {
    const GATEWAY: &str = "sip.provider.test";
    let port = free_port();
    let config =
        format!("dns: {{hosts: {{{GATEWAY}: [127.0.0.1, 127.0.0.2]}}}}\nrouting: {{qualifySeconds: 0}}\n");
    let resources = with_trunk(&[(&format!("{GATEWAY}:{port}"), 1, "udp")]);
    let mut one = provider(port);
    let socket = UdpSocket::bind(("127.0.0.2", port)).expect("a port of another address");
    let server = one.wire.local();
    let mut two = Ua::new(Wire::Udp { socket, server }, "provider", "provider.test", "");
    let exchange = Exchange::start_with(&resources, &config, &[]);
    for provider in [&mut one, &mut two] {
        speaks_to(provider, &exchange);
    }
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let first = one.request_of("INVITE");
    let second = challenge(&mut one, &first, "of-one");
    one.respond(&second, 503, "Service Unavailable");
    let third = two.request_of("INVITE");
    let fourth = challenge(&mut two, &third, "of-two");
    two.accept(&fourth);
    let ok = caller.status_for(&invite, 200);
    let ack = Dialog::of_caller(&invite, &ok).request(&caller, "ACK");
    caller.send(&ack);
    let got = two.expect("ACK", |m| m.method() == "ACK" && m.cseq().0 == fourth.cseq().0);
    assert_eq!(got.cseq().0, invite.cseq().0 + 2);
}
