//! Calls whose media has stopped: the exchange hangs up for both sides. Through a real rtpengine.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline_tests::{Dialog, Exchange, Message, Resources, Rtpengine, Ua, free_port, sdp};

use super::media::{assert_relayed, audio, gone};
use super::trunks::{provider, with_trunk};
use super::{agents, at, registered};

const TIMEOUT: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(100);

fn relayed(resources: &Resources) -> (Rtpengine, Exchange) {
    let rtpengine = Rtpengine::start();
    let config = format!("rtpengine: {}\nmediaTimeoutSeconds: {}\n", rtpengine.at(), TIMEOUT.as_secs());
    let exchange = Exchange::start_with(resources, &config, &[]);
    (rtpengine, exchange)
}

/// A call that was taken: both sides of its dialog, and the ports where rtpengine waits for the caller and the callee.
fn talk(caller: &mut Ua, callee: &mut Ua, to: &str) -> (Dialog, Dialog, [u16; 2]) {
    let invite = caller.call(&caller.invite(to));
    let arrived = callee.request_of("INVITE");
    assert_relayed(&arrived);
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut ours = Dialog::of_caller(&invite, &ok);
    caller.send(&ours.request(caller, "ACK"));
    callee.request_of("ACK");
    (ours, Dialog::of_callee(&arrived, &sent), [audio(&ok).0, audio(&arrived).0])
}

/// A request that only has to arrive.
fn info(from: &mut Ua, dialog: &mut Dialog, to: &mut Ua) -> u32 {
    let request = dialog.request(from, "INFO");
    from.send(&request);
    let arrived = to.request_of("INFO");
    to.respond(&arrived, 200, "OK");
    from.status_for(&request, 200);
    arrived.cseq().0
}

/// The BYE that this side gets, as the other one would send it.
fn hung_up(ua: &mut Ua, dialog: &Dialog, last: u32) {
    let bye = ua.request_of("BYE");
    assert_eq!((bye.get("From"), bye.get("To")), (Some(&*dialog.remote), Some(&*dialog.local)), "{bye:?}");
    assert_eq!(bye.call_id(), dialog.call_id);
    assert!(bye.cseq().0 > last, "{} after {last}", bye.cseq().0);
    assert!(bye.get("Reason").is_some_and(|reason| reason.contains("Media timeout")), "{bye:?}");
    ua.respond(&bye, 200, "OK");
}

fn is_answer(m: &Message) -> bool {
    m.status() > 0 && m.cseq().1 == "BYE"
}

#[test]
fn a_call_without_media_ends_for_both_sides() {
    let (rtpengine, exchange) = relayed(&agents());
    let [mut caller, mut callee] = ["1001", "1002"].map(|user| registered(&exchange, user));
    let began = Instant::now();
    let (mut ours, mut theirs, _) = talk(&mut caller, &mut callee, &at("1002"));
    let forth = info(&mut caller, &mut ours, &mut callee);
    let back = info(&mut callee, &mut theirs, &mut caller);
    hung_up(&mut callee, &theirs, forth);
    hung_up(&mut caller, &ours, back);
    assert!(began.elapsed() >= TIMEOUT, "{:?}", began.elapsed());
    // Nobody is told of an answer to what it did not send.
    assert!(caller.silent(QUIET, is_answer) && callee.silent(QUIET, is_answer));
    gone(&rtpengine, &ours.call_id);
    let rows = super::records::ended(&exchange, 1);
    assert_eq!(rows[0].last().map(String::as_str), Some("MEDIA_TIMEOUT"), "{rows:?}");
}

/// A carrier's side too, which reads the From that it was shown.
#[test]
fn a_call_to_a_carrier_ends() {
    let port = free_port();
    let (_rtpengine, exchange) = relayed(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut carrier = provider(port);
    super::trunk_dialogs::speaks_to(&mut carrier, &exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")).with("Privacy", "id"));
    let arrived = carrier.request_of("INVITE");
    let sent = carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut ours = Dialog::of_caller(&invite, &ok);
    caller.send(&ours.request(&caller, "ACK"));
    carrier.request_of("ACK");
    let theirs = Dialog::of_callee(&arrived, &sent);
    assert!(theirs.remote.contains("anonymous.invalid"), "{}", theirs.remote);
    hung_up(&mut carrier, &theirs, invite.cseq().0);
    hung_up(&mut caller, &ours, 0);
}

/// Media from one side is enough; once it stops, the call ends. One on hold is silent.
#[test]
fn media_or_a_hold_keeps_a_call() {
    let (_rtpengine, exchange) = relayed(&agents());
    let [mut caller, mut callee] = ["1001", "1002"].map(|user| registered(&exchange, user));
    let (mut ours, theirs, ports) = talk(&mut caller, &mut callee, &at("1002"));
    let rtp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let until = Instant::now() + 2 * TIMEOUT;
    let mut number = 0u16;
    while Instant::now() < until {
        number += 1;
        let mut packet = vec![0x80, 8];
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(&(u32::from(number) * 160).to_be_bytes());
        packet.extend_from_slice(&[1, 2, 3, 4]);
        packet.extend_from_slice(&[0xd5; 160]);
        rtp.send_to(&packet, ("127.0.0.1", ports[0])).expect("sent");
        assert!(callee.silent(QUIET, |m| m.method() == "BYE"));
    }
    let hold = ours.request(&caller, "INVITE").body("application/sdp", sdp(caller.wire.local(), "inactive"));
    caller.send(&hold);
    let arrived = callee.expect("re-INVITE", |m| m.method() == "INVITE" && m.tag("To").is_some());
    callee.send(
        &callee.response(&arrived, 200, "OK").body("application/sdp", sdp(callee.wire.local(), "inactive")),
    );
    caller.status_for(&hold, 200);
    caller.send(&ours.request(&caller, "ACK"));
    callee.request_of("ACK");
    assert!(callee.silent(2 * TIMEOUT, |m| m.method() == "BYE"));
    let back = ours.request(&caller, "INVITE").body("application/sdp", sdp(caller.wire.local(), "sendrecv"));
    caller.send(&back);
    let arrived = callee.expect("re-INVITE", |m| m.method() == "INVITE" && m.tag("To").is_some());
    callee.accept(&arrived);
    caller.status_for(&back, 200);
    caller.send(&ours.request(&caller, "ACK"));
    callee.request_of("ACK");
    hung_up(&mut callee, &theirs, back.cseq().0);
    hung_up(&mut caller, &ours, 0);
}

/// Without the key nothing ends.
#[test]
fn a_silent_call_goes_on_where_nobody_wants_it_ended() {
    let (_rtpengine, exchange) = super::media::relayed(&agents());
    let [mut caller, mut callee] = ["1001", "1002"].map(|user| registered(&exchange, user));
    talk(&mut caller, &mut callee, &at("1002"));
    assert!(callee.silent(2 * TIMEOUT, |m| m.method() == "BYE"));
}
