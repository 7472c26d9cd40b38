//! Through rtpengine: an SDP beside other parts of a body, and what a caller hears meanwhile.

use std::time::Duration;

use trunkline_tests::{Dialog, Message, Rtpengine, Ua, sdp};

use super::media::{body, relayed};
use super::{agents, at, registered};

const KIND: &str = "multipart/mixed; boundary=\"between us\"";
const ISUP: &str = "--between us\r\nContent-Type: application/ISUP;version=itu-t92+\r\n\
                    Content-Disposition: signal;handling=optional\r\n\r\n\u{1}\u{2}--between\r\n";

/// A body with ISUP beside the SDP.
fn in_parts(message: Message, ua: &Ua) -> Message {
    let sdp = sdp(ua.wire.local(), "sendrecv");
    let body =
        format!("{ISUP}--between us\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--between us--\r\n");
    message.body(KIND, body)
}

fn assert_relayed_in_parts(message: &Message) {
    let text = body(message);
    assert_eq!(message.get("Content-Type"), Some(KIND));
    assert_eq!(message.get("Content-Length"), Some(&*message.body.len().to_string()));
    let rest = text.strip_prefix(ISUP).unwrap_or_else(|| panic!("{text}"));
    assert!(rest.ends_with("\r\n\r\n--between us--\r\n"), "{text}");
    let audio = rest.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio");
    let port = audio.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    assert!(Rtpengine::is_media(port), "{text}");
}

#[test]
fn an_sdp_beside_isup_is_relayed_and_the_isup_goes_through() {
    let (_rtpengine, exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = in_parts(caller.request("INVITE", &at("1002")), &caller);
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert_relayed_in_parts(&arrived);
    let sent = in_parts(callee.response(&arrived, 200, "OK"), &callee);
    callee.send(&sent);
    let ok = caller.status_for(&invite, 200);
    assert_relayed_in_parts(&ok);
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let change = in_parts(b.request(&callee, "INVITE"), &callee);
    callee.send(&change);
    assert_relayed_in_parts(&caller.request_of("INVITE"));
}

#[test]
fn who_calls_is_told_once_that_it_is_tried() {
    let (_rtpengine, exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    let trying = |m: &Message| m.status() == 100;
    caller.expect("a 100", trying);
    assert!(caller.wait(Duration::from_millis(300), trying).is_none());
}
