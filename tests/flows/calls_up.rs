//! The memory of calls that are up: one account, and one stranger at an open number, hold no more than their part of it.

use trunkline_tests::{Dialog, Exchange, Message, Ua, free_port};

use super::open_numbers::{carrier_at, trunk, ua_on};
use super::operator::figure;
use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

/// 1 MB for calls, a fifth of it for each.
const LIMITS: &str =
    "workers: 1\nrouting: {qualifySeconds: 0}\nlimits: {callBytes: 1048576, accountPercent: 20}\n";
const SHARE: u64 = 1_048_576 / 100 * 20;
/// A call may end up that much larger than was thought when it began.
const SLACK: u64 = 20_000;
/// No share holds so many calls.
const MOST: usize = 400;

/// A call to 1002 with so many bytes more in its headers, answered alike and acknowledged; or its refusal.
fn call(caller: &mut Ua, callee: &mut Ua, to: &str, more: usize) -> Result<[Dialog; 2], Message> {
    let long = "p".repeat(more);
    let invite = caller.call(&caller.invite(to).with("X-Long", &long));
    let first = caller.expect("an answer", |m| {
        m.status() >= 100 && m.cseq() == invite.cseq() && m.call_id() == invite.call_id()
    });
    if first.status() >= 300 {
        caller.acknowledge_failure(&invite, &first);
        return Err(first);
    }
    let arrived = callee.expect("the call", |m| m.call_id() == invite.call_id());
    let answer = callee.response(&arrived, 200, "OK").with("X-Long", &long);
    callee.send(&answer);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    caller.send(&dialog.request(caller, "ACK"));
    callee.expect("the ACK", |m| m.start.starts_with("ACK") && m.call_id() == invite.call_id());
    Ok([dialog, Dialog::of_callee(&arrived, &answer)])
}

/// Calls until one is refused; those that are up, and the refusal.
fn fill(caller: &mut Ua, callee: &mut Ua, to: &str, more: usize) -> (Vec<[Dialog; 2]>, Message) {
    let mut up = Vec::new();
    loop {
        assert!(up.len() < MOST, "no share");
        match call(caller, callee, to, more) {
            Ok(both) => up.push(both),
            Err(refused) => return (up, refused),
        }
    }
}

fn hang_up(caller: &mut Ua, callee: &mut Ua, dialog: &mut Dialog) {
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let arrived = callee.expect("the BYE", |m| m.start.starts_with("BYE") && m.call_id() == bye.call_id());
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

fn warned(refused: &Message, reason: &str) -> bool {
    refused.status() == 503 && refused.get("Warning").is_some_and(|w| w.contains(reason))
}

#[test]
fn an_account_fills_no_more_memory_with_calls_than_its_share() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&agents(), LIMITS, &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let phone = |user| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    };
    let (mut greedy, mut other, mut callee) = (phone("1001"), phone("1003"), phone("1002"));
    let held = || figure(&http, "trunkline_call_bytes");
    let (mut long, refused) = fill(&mut greedy, &mut callee, &at("1002"), 2_600);
    assert!(warned(&refused, "overload.call-share"), "{refused:?}");
    assert!(held() <= SHARE + SLACK, "{} of {SHARE}", held());
    // The others have their calls, and it has those that are up: as usual, but at no long Contact.
    let mut another = call(&mut other, &mut callee, &at("1002"), 0).expect("there is room");
    let own = greedy.contact();
    let mut moves = |call: &mut [Dialog; 2], more: usize| {
        let contact = format!("<{own};x={}>", "c".repeat(more));
        let moved = call[0].request(&greedy, "UPDATE").set("Contact", contact);
        greedy.send(&moved);
        let answer = greedy.expect("an answer", |m| m.status() >= 100 && m.cseq() == moved.cseq());
        if answer.status() >= 300 {
            return Some(answer);
        }
        let arrived = callee.request_of("UPDATE");
        callee.respond(&arrived, 200, "OK");
        greedy.status_for(&moved, 200);
        None
    };
    let refused = long.iter_mut().find_map(|call| moves(call, 3_000));
    let refused = refused.expect("long Contacts without an end");
    assert!(warned(&refused, "overload.contact"), "{refused:?}");
    assert_eq!(moves(&mut long[0], 10), None);
    // What has ended holds nothing. Of small calls there is room for more.
    let count = long.len();
    long.iter_mut().for_each(|[ours, _]| hang_up(&mut greedy, &mut callee, ours));
    hang_up(&mut other, &mut callee, &mut another[0]);
    assert_eq!(held(), 0);
    let (short, _) = fill(&mut greedy, &mut callee, &at("1002"), 0);
    assert!(short.len() > count * 3 / 2, "{} short ones, {count} long ones", short.len());
}

#[test]
fn a_stranger_leaves_room_for_others_at_an_open_number() {
    let exchange = Exchange::start_with(&trunk(agents(), carrier_at(), None), LIMITS, &[]);
    let mut callee = registered(&exchange, "1002");
    let number = format!("sip:{NUMBER}@trunk.test");
    let mut stranger = |host: u8| {
        let mut ua = ua_on(&exchange, [127, 3, 0, host], 0, "stranger");
        fill(&mut ua, &mut callee, &number, 0)
    };
    let (first, refused) = stranger(9);
    assert_eq!(refused.status(), 503);
    assert!(!first.is_empty());
    // Four more fill what strangers have together, of which the last finds less.
    let counts: Vec<usize> = (10..15).map(|host| stranger(host).0.len()).collect();
    assert!(counts[0] >= first.len() / 2, "{} and {counts:?}", first.len());
    // An account has its own.
    let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(caller.register(600).status(), 200);
    assert!(call(&mut caller, &mut callee, &at("1002"), 0).is_ok());
}
