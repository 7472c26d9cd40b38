//! Offers of both sides that cross (RFC 3261 §14.1), and commands to the relay that are lost: what answers one offer never comes after
//! the next offer, every SDP is relayed, and both sides hear each other afterwards.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline_tests::{Exchange, Message, Rtpengine};

use super::media::{assert_relayed, gone};
use super::media_talk::{Call, Phone, bye, change};
use super::{agents, at};

/// Two phones that talk, on several workers.
fn up(exchange: &Exchange) -> Call {
    let (caller, callee) = (Phone::registered(exchange, "1001"), Phone::registered(exchange, "1002"));
    let invite = caller.invite(&at("1002"));
    Call::up(caller, callee, &invite, None)
}

fn exchange(relay: SocketAddr) -> Exchange {
    let relay = relay.to_string();
    Exchange::start_with(&agents(), "workers: 4\n", &[("TRUNKLINE_RTPENGINE", &relay)])
}

/// The other side's re-INVITE, which is not that of this Call-ID and CSeq.
fn other_invite(phone: &mut Phone, than: &Message) -> Message {
    phone.ua.expect("the other side's INVITE", |m| m.method() == "INVITE" && m.branch() != than.branch())
}

#[test]
fn offers_of_both_sides_at_once_are_refused_and_made_again() {
    let rtpengine = Rtpengine::start();
    let exchange = exchange(rtpengine.at());
    let mut call = up(&exchange);
    for round in 0..10 {
        let Call { caller, callee, a, b, .. } = &mut call;
        let one = caller.with_sdp(a.request(&caller.ua, "INVITE"));
        let other = callee.with_sdp(b.request(&callee.ua, "INVITE"));
        caller.ua.send(&one);
        callee.ua.send(&other);
        for (phone, own) in [(&mut *caller, &one), (&mut *callee, &other)] {
            let arrived = other_invite(phone, own);
            assert_relayed(&arrived);
            phone.ua.respond(&arrived, 491, "Request Pending");
        }
        for (phone, own) in [(&mut *caller, &one), (&mut *callee, &other)] {
            let refused = phone.ua.status_for(own, 491);
            phone.ua.acknowledge_failure(own, &refused);
        }
        call.talks("after both have refused");
        let Call { caller, callee, a, b, .. } = &mut call;
        match round % 2 {
            0 => change("INVITE", (callee, b), caller),
            _ => change("INVITE", (caller, a), callee),
        }
        call.talks("after one has offered again");
    }
    call.bye();
    gone(&rtpengine, call.invite.call_id());
}

/// The callee answers an offer and makes one of its own at once.
fn answers_and_offers(call: &mut Call) {
    let Call { caller, callee, a, b, .. } = call;
    let one = caller.with_sdp(a.request(&caller.ua, "INVITE"));
    caller.ua.send(&one);
    let arrived = callee.takes_invite();
    callee.answers(&arrived, 200, None);
    let other = callee.with_sdp(b.request(&callee.ua, "INVITE"));
    callee.ua.send(&other);
    // Whichever comes first: over UDP they may change places on their way.
    let ok = caller.ua.status_for(&one, 200);
    caller.learn(&ok);
    let ack = a.request(&caller.ua, "ACK");
    caller.ua.send(&ack);
    let arrived = other_invite(caller, &one);
    caller.learn(&arrived);
    caller.answers(&arrived, 200, None);
    let ok = callee.ua.status_for(&other, 200);
    callee.learn(&ok);
    callee.ua.request_of("ACK");
    let ack = b.request(&callee.ua, "ACK");
    callee.ua.send(&ack);
    caller.ua.request_of("ACK");
}

#[test]
fn an_answer_and_the_next_offer_are_both_relayed() {
    let rtpengine = Rtpengine::start();
    let exchange = exchange(rtpengine.at());
    let mut call = up(&exchange);
    for _ in 0..20 {
        answers_and_offers(&mut call);
        call.talks("after an answer and an offer of the same side");
    }
    call.bye();
    gone(&rtpengine, call.invite.call_id());
}

/// A command as the relay's way saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Lost(String),
    Sent(String),
    Answered(String),
}

/// The way to an rtpengine, on which the first sending of every answer is lost.
struct LossyWay {
    at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl LossyWay {
    fn to(rtpengine: SocketAddr) -> LossyWay {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let back = UdpSocket::bind("127.0.0.1:0").expect("a port");
        back.connect(rtpengine).expect("an address");
        let at = front.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let asker: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let [noted, answers] = [(); 2].map(|()| Arc::clone(&seen));
        let (answered, to) = (front.try_clone().expect("a socket"), back.try_clone().expect("a socket"));
        let known = Arc::clone(&asker);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length) = back.recv(&mut buffer) {
                if let Some(cookie) = cookie(&buffer[..length]) {
                    answers.lock().expect("no panic").push(Seen::Answered(cookie));
                }
                let to = known.lock().expect("no panic").expect("somebody has asked");
                let _ = answered.send_to(&buffer[..length], to);
            }
        });
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok((length, from)) = front.recv_from(&mut buffer) {
                *asker.lock().expect("no panic") = Some(from);
                let datagram = &buffer[..length];
                if let Some(cookie) = cookie(datagram).filter(|_| of_call(datagram)) {
                    let mut seen = noted.lock().expect("no panic");
                    let lost = Seen::Lost(cookie.clone());
                    if is_answer(datagram) && !seen.contains(&lost) {
                        seen.push(lost);
                        continue;
                    }
                    seen.push(Seen::Sent(cookie));
                }
                let _ = to.send(datagram);
            }
        });
        LossyWay { at, seen }
    }

    /// Nothing came while a command before it had no answer.
    fn was_in_order(&self) {
        let seen = self.seen.lock().expect("no panic");
        let mut open: Option<&String> = None;
        for what in seen.iter() {
            match what {
                Seen::Lost(cookie) | Seen::Sent(cookie) => {
                    assert!(
                        open.is_none_or(|open| open == cookie),
                        "{cookie} came before its turn: {seen:#?}"
                    );
                    open = Some(cookie);
                }
                Seen::Answered(cookie) if open == Some(cookie) => open = None,
                Seen::Answered(_) => {}
            }
        }
        assert!(seen.iter().filter(|what| matches!(what, Seen::Lost(_))).count() >= 10, "{seen:#?}");
    }
}

fn cookie(datagram: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(datagram);
    text.split_once(' ').map(|(cookie, _)| cookie.to_owned())
}

fn of_call(datagram: &[u8]) -> bool {
    let text = String::from_utf8_lossy(datagram);
    ["7:command5:offer", "7:command6:answer", "7:command6:delete"]
        .iter()
        .any(|command| text.contains(command))
}

fn is_answer(datagram: &[u8]) -> bool {
    String::from_utf8_lossy(datagram).contains("7:command6:answer")
}

#[test]
fn a_lost_answer_keeps_the_next_offer_behind_it() {
    let rtpengine = Rtpengine::start();
    let way = LossyWay::to(rtpengine.at());
    let exchange = exchange(way.at);
    let mut call = up(&exchange);
    for _ in 0..4 {
        answers_and_offers(&mut call);
        call.talks("after a lost answer");
    }
    call.changes();
    call.talks("after changes");
    call.bye();
    gone(&rtpengine, call.invite.call_id());
    way.was_in_order();
}

/// A re-INVITE moves the caller's media and is refused: both talk where they did before (RFC 3261 §14.1).
#[test]
fn a_refused_offer_moves_no_media() {
    let rtpengine = Rtpengine::start();
    let exchange = exchange(rtpengine.at());
    let mut call = up(&exchange);
    call.talks("at first");
    for status in [488, 491] {
        for by_callee in [false, true] {
            let Call { caller, callee, a, b, .. } = &mut call;
            let (from, dialog, to) = match by_callee {
                false => (caller, a, callee),
                true => (callee, b, caller),
            };
            let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let old = std::mem::replace(&mut from.media, elsewhere);
            let offer = from.with_sdp(dialog.request(&from.ua, "INVITE"));
            from.media = old;
            from.ua.send(&offer);
            let arrived = to.ua.request_of("INVITE");
            to.ua.respond(&arrived, status, "No");
            let refused = from.ua.status_for(&offer, status);
            from.ua.acknowledge_failure(&offer, &refused);
            // Who has said nothing yet is heard first: the relay may learn from packets where somebody is.
            let (to, from) = (&*to, &*from);
            assert!(from.hears(b"to who has moved", to), "{status}: nothing is heard at the old port");
            assert!(to.hears(b"from who moved.."[..16].try_into().expect("16 bytes"), from), "{status}");
        }
    }
    let Call { caller, callee, a, .. } = &mut call;
    bye(caller, a, callee);
    assert!(caller.media.set_read_timeout(Some(Duration::from_millis(50))).is_ok());
}
