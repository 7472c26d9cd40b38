//! Media through a real rtpengine, as the SDP of both sides shows it; and calls that cannot have any.

use std::net::UdpSocket;
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Rtpengine, Ua, sdp, wait_for};

use super::dialogs::connect;
use super::{DOMAIN, agents, at, registered};

/// An offer as browsers make it.
pub const BROWSER: &str = include_str!("../../crates/media/samples/browser.sdp");

pub fn relayed(resources: &Resources) -> (Rtpengine, Exchange) {
    let rtpengine = Rtpengine::start();
    let at = rtpengine.at().to_string();
    let exchange = Exchange::start_with(resources, "", &[("TRUNKLINE_RTPENGINE", &at)]);
    (rtpengine, exchange)
}

pub fn body(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

/// Port and profile of the first media section.
pub fn audio(message: &Message) -> (u16, String) {
    let body = body(message);
    let line = body.lines().find_map(|l| l.strip_prefix("m=audio ")).unwrap_or_else(|| panic!("{body}"));
    let mut words = line.split(' ');
    let port = words.next().and_then(|w| w.parse().ok()).expect("a port");
    (port, words.next().expect("a profile").to_owned())
}

pub fn assert_relayed(message: &Message) {
    assert!(Rtpengine::is_media(audio(message).0), "{}", body(message));
    let length: usize = message.get("Content-Length").and_then(|l| l.parse().ok()).expect("a length");
    assert_eq!(length, message.body.len());
}

fn with_sdp(message: Message, ua: &Ua, direction: &str) -> Message {
    message.body("application/sdp", sdp(ua.wire.local(), direction))
}

/// rtpengine has given the call's ports back.
pub fn gone(rtpengine: &Rtpengine, call_id: &str) {
    wait_for("the relay to forget the call", || (!rtpengine.knows(call_id)).then_some(()));
}

/// A re-INVITE or UPDATE with an offer from one side; the other answers with SDP.
fn change(method: &str, from: &mut Ua, dialog: &mut Dialog, to: &mut Ua) {
    let request = with_sdp(dialog.request(from, method), from, "sendonly");
    from.send(&request);
    let arrived = to.request_of(method);
    assert_relayed(&arrived);
    assert!(body(&arrived).contains("a=sendonly"), "{}", body(&arrived));
    to.send(&with_sdp(to.response(&arrived, 200, "OK"), to, "recvonly"));
    let answer = from.status_for(&request, 200);
    assert_relayed(&answer);
    if method == "INVITE" {
        let ack = dialog.request(from, "ACK");
        from.send(&ack);
        to.request_of("ACK");
    }
}

fn hang_up(from: &mut Ua, dialog: &mut Dialog, to: &mut Ua) {
    let bye = dialog.request(from, "BYE");
    from.send(&bye);
    let arrived = to.request_of("BYE");
    to.respond(&arrived, 200, "OK");
    from.status_for(&bye, 200);
}

#[test]
fn offer_answer_and_changes_from_both_sides_go_through_the_relay() {
    let (rtpengine, exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert_relayed(&arrived);
    callee.send(&with_sdp(callee.response(&arrived, 183, "Session Progress"), &callee, "sendrecv"));
    let early = caller.status_for(&invite, 183);
    assert_relayed(&early);
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    assert_relayed(&ok);
    assert_ne!(audio(&arrived).0, audio(&ok).0, "each side has a port of its own");
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    assert!(rtpengine.knows(a.call_id.as_str()));
    for method in ["INVITE", "UPDATE"] {
        change(method, &mut caller, &mut a, &mut callee);
        change(method, &mut callee, &mut b, &mut caller);
    }
    hang_up(&mut callee, &mut b, &mut caller);
    gone(&rtpengine, &a.call_id);
}

#[test]
fn a_late_offer_is_relayed_the_other_way_round() {
    let (rtpengine, exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.request("INVITE", &at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert!(arrived.body.is_empty());
    callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    assert_relayed(&ok);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = with_sdp(a.request(&caller, "ACK"), &caller, "sendrecv");
    caller.send(&ack);
    assert_relayed(&callee.request_of("ACK"));
    hang_up(&mut caller, &mut a, &mut callee);
    gone(&rtpengine, &a.call_id);
}

#[test]
fn a_call_that_comes_to_nothing_gives_its_ports_back() {
    let (rtpengine, exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert!(rtpengine.knows(invite.call_id()));
    callee.respond(&arrived, 486, "Busy Here");
    let busy = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &busy);
    gone(&rtpengine, invite.call_id());
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    caller.cancel(&invite);
    callee.request_of("CANCEL");
    callee.respond(&arrived, 487, "Request Terminated");
    caller.status_for(&invite, 487);
    gone(&rtpengine, invite.call_id());
}

/// What is refused before it goes anywhere takes no ports: a phone could use them up.
#[test]
fn a_refused_call_takes_no_ports() {
    let (rtpengine, exchange) = relayed(&agents());
    let _callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002")).with("Max-Breadth", "0");
    assert_eq!(caller.ask(&invite).0.status(), 440);
    assert!(!rtpengine.knows(invite.call_id()));
}

#[test]
fn a_fork_to_a_browser_and_a_phone_offers_each_what_it_understands() {
    let rtpengine = Rtpengine::start();
    let media = rtpengine.at().to_string();
    let ws = format!("127.0.0.1:{}", trunkline_tests::free_port());
    let env = [("TRUNKLINE_RTPENGINE", media.as_str()), ("TRUNKLINE_LISTEN_WS", &ws)];
    let exchange = Exchange::start_with(&agents(), "", &env);
    let mut phone = registered(&exchange, "1002");
    let mut browser = Ua::ws(ws.parse().expect("an address"), "1002", DOMAIN, "pw-1002");
    assert_eq!(browser.register(600).status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let (at_phone, at_browser) = (phone.request_of("INVITE"), browser.request_of("INVITE"));
    assert_relayed(&at_phone);
    assert_relayed(&at_browser);
    assert_eq!(audio(&at_phone).1, "RTP/AVP");
    assert_eq!(audio(&at_browser).1, "UDP/TLS/RTP/SAVPF");
    assert!(body(&at_browser).contains("a=fingerprint:") && !body(&at_phone).contains("a=fingerprint:"));
    phone.respond(&at_phone, 180, "Ringing");
    browser.send(&browser.response(&at_browser, 200, "OK").body("application/sdp", BROWSER));
    let ok = caller.status_for(&invite, 200);
    assert_relayed(&ok);
    assert_eq!(audio(&ok).1, "RTP/AVP");
    phone.request_of("CANCEL");
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    browser.request_of("ACK");
    hang_up(&mut caller, &mut a, &mut browser);
    gone(&rtpengine, &a.call_id);
}

#[test]
fn a_diverted_call_is_relayed_too() {
    let fallback = format!(", fallback: {{busy: \"sip:1003@{DOMAIN}\"}}");
    let resources = Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback)
        .agent(DOMAIN, "1003", "pw-1003");
    let (_rtpengine, exchange) = relayed(&resources);
    let mut callee = registered(&exchange, "1002");
    let mut voicemail = registered(&exchange, "1003");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let first = callee.request_of("INVITE");
    callee.respond(&first, 486, "Busy Here");
    let second = voicemail.request_of("INVITE");
    assert_relayed(&second);
    voicemail.accept(&second);
    assert_relayed(&caller.status_for(&invite, 200));
}

#[test]
fn a_relayed_call_goes_on_after_a_kill_and_a_restart() {
    let (rtpengine, mut exchange) = relayed(&agents());
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let (mut a, mut b) = connect(&mut caller, &mut callee);
    exchange.kill();
    exchange.restart();
    change("INVITE", &mut callee, &mut b, &mut caller);
    change("INVITE", &mut caller, &mut a, &mut callee);
    hang_up(&mut caller, &mut a, &mut callee);
    gone(&rtpengine, &a.call_id);
}

/// Takes rtpengine's place and says nothing.
pub fn mute() -> (UdpSocket, Exchange) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = socket.local_addr().expect("bound").to_string();
    (socket, Exchange::start_with(&agents(), "", &[("TRUNKLINE_RTPENGINE", &at)]))
}

#[test]
fn a_relay_that_says_nothing_makes_503() {
    let (_mute, exchange) = mute();
    let (_callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    caller.status_for(&invite, 100);
    let answer = caller.final_for(&invite);
    assert_eq!(answer.status(), 503, "{}", answer.start);
    assert!(answer.get("Retry-After").is_some());
}

#[test]
fn a_caller_that_gives_up_while_the_relay_is_asked_gets_487() {
    let (_mute, exchange) = mute();
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    caller.status_for(&invite, 100);
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    caller.status_for(&invite, 487);
    assert!(callee.silent(Duration::from_millis(300), |m| m.method() == "INVITE"));
}

#[test]
fn without_a_relay_browser_and_phone_get_488_with_the_remedy() {
    let (exchange, ws) = Exchange::start_ws(&agents());
    let mut browser = Ua::ws(ws, "1001", DOMAIN, "pw-1001");
    assert_eq!(browser.register(600).status(), 200);
    let mut phone = registered(&exchange, "1002");
    let offer = browser.request("INVITE", &at("1002")).body("application/sdp", BROWSER);
    let offer = browser.call(&offer);
    let refused = browser.status_for(&offer, 488);
    let warning = refused.get("Warning").expect("a Warning");
    assert!(warning.starts_with("399 ") && warning.contains("rtpengine:"), "{warning}");
    let invite = phone.invite(&at("1001"));
    let invite = phone.call(&invite);
    let refused = phone.status_for(&invite, 488);
    assert!(refused.get("Warning").is_some());
}

#[test]
fn what_the_relay_says_writes_no_lines_of_its_own_into_the_log() {
    const SAYS: &str = "no\r\n2026-01-01T00:00:00Z  INFO forged\x1b[2J\u{9b}31m\x07 end";
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let relay = socket.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            let cookie = text.split(' ').next().unwrap_or_default();
            let answer = match text.contains("7:command4:ping") {
                true => format!("{cookie} d6:result4:ponge"),
                false => format!("{cookie} d12:error-reason{}:{SAYS}6:result5:errore", SAYS.len()),
            };
            let _ = socket.send_to(answer.as_bytes(), from);
        }
    });
    for format in ["text", "json"] {
        let env = [("TRUNKLINE_RTPENGINE", &*relay), ("TRUNKLINE_LOG_FORMAT", format)];
        let exchange = Exchange::start_with(&agents(), "", &env);
        let _callee = registered(&exchange, "1002");
        let mut caller = registered(&exchange, "1001");
        let invite = caller.invite(&at("1002"));
        assert_eq!(caller.ask(&invite).0.status(), 488);
        let log = wait_for("the refusal in the log", || {
            Some(exchange.log()).filter(|log| log.contains("cannot be relayed"))
        });
        assert!(log.contains("forged") && log.contains(" end"), "{log}");
        assert!(!log.contains(|c: char| c != '\n' && c.is_control()), "{log:?}");
        assert!(log.lines().all(|line| !line.trim_start().starts_with("2026-01-01")), "{log}");
    }
}
