//! The table of calls: once, counted, bounded.

use trunkline_calls::{CallStart, Calls, Cause, Counted, Direction, LimitReached, Refused, SessionKey};
use trunkline_proxy::Side;

fn start<'a>(call_id: &'a [u8], caller: Counted, trunk: Counted) -> CallStart<'a> {
    CallStart {
        number: number(call_id),
        call_id,
        from_tag: b"caller",
        caller,
        trunk,
        ..CallStart::new(Direction::AgentToPstn, [192, 0, 2, 1].into())
    }
}

fn number(call_id: &[u8]) -> u64 {
    call_id.iter().fold(0, |n, b| n * 256 + u64::from(*b))
}

const NOBODY: Counted = Counted { key: None, limit: None, per_minute: None };

#[test]
fn a_call_is_counted_once_and_until_its_bye() {
    let calls = Calls::new();
    let key = SessionKey::reference(b"agent-01");
    let who = Counted { limit: None, ..Counted::of(key) };
    let call = calls.start(&start(b"1", who, NOBODY), 0).unwrap();
    // It goes to another target, as a diversion does.
    assert_eq!(calls.start(&start(b"1", who, NOBODY), 1), Ok(call));
    assert_eq!(calls.sessions(key), 1);
    assert!(calls.answered(call, (b"callee", b""), 2));
    assert!(calls.answered(call, (b"other-branch", b""), 3));
    assert!(!calls.failed(call, 487, 4));
    assert_eq!((calls.sessions(key), calls.stats().live), (1, 1));
    let mut seen = 0;
    assert!(calls.ended_with(number(b"1"), Side::Callee, (b"", 9), |view| {
        seen += 1;
        assert_eq!((view.started, view.answered, view.ended), (0, Some(2), Some(9)));
        assert_eq!((view.to_tag, view.status), (&b"callee"[..], 200));
    }));
    assert_eq!(seen, 1);
    assert!(!calls.ended(number(b"1"), Side::Callee, 9));
    assert!(!calls.answered(call, (b"late", b""), 10));
    assert_eq!((calls.sessions(key), calls.stats().live), (0, 0));
}

/// A dialog is found by its names, of whichever side, while it lives; other calls are not even looked at.
#[test]
fn a_dialog_is_found_among_many() {
    let calls = Calls::new();
    let begin = |n: u64, call_id: &[u8], tag: &[u8]| {
        let call = calls.start(&CallStart { number: n, from_tag: tag, ..start(call_id, NOBODY, NOBODY) }, 0);
        call.unwrap()
    };
    for n in 1..=10_000u64 {
        let call = begin(n, n.to_string().as_bytes(), b"a");
        assert!(calls.answered(call, (b"b", b""), 1));
    }
    let find = |call_id: &[u8], tags: [&[u8]; 2], most: u32| {
        let looked = std::cell::Cell::new(0);
        let found = calls.of_dialog(call_id, tags, |_| {
            looked.set(looked.get() + 1);
            true
        });
        assert!(looked.get() <= most, "{} calls were looked at", looked.get());
        found
    };
    for n in [1, 77, 10_000] {
        let call_id = n.to_string();
        for tags in [[&b"a"[..], b"b"], [b"b", b"a"]] {
            assert_eq!(find(call_id.as_bytes(), tags, 1), Some(n));
        }
        assert_eq!(find(call_id.as_bytes(), [b"a", b"c"], 0), None);
    }
    assert_eq!(find(b"10001", [b"a", b"b"], 0), None);
    // Not before it is answered, nor after its end; a call in its place is another one.
    let ringing = begin(20_000, b"rings", b"a");
    assert_eq!(find(b"rings", [b"a", b""], 0), None);
    assert!(calls.failed(ringing, 486, 2));
    assert!(calls.ended(77, Side::Caller, 3));
    assert_eq!(find(b"77", [b"a", b"b"], 0), None);
    let again = begin(77, b"again", b"x");
    assert!(calls.answered(again, (b"y", b""), 4));
    assert_eq!((find(b"77", [b"a", b"b"], 0), find(b"again", [b"y", b"x"], 1)), (None, Some(77)));
    // Of two with the same names, the one that is meant.
    let twin = begin(30_000, b"again", b"x");
    assert!(calls.answered(twin, (b"y", b""), 5));
    let meant = calls.of_dialog(b"again", [b"x", b"y"], |call| call.answered == Some(5));
    assert_eq!(meant, Some(30_000));
}

#[test]
fn the_same_names_make_no_two_calls_one() {
    let calls = Calls::new();
    let key = SessionKey::reference(b"agent-01");
    let who = Counted { limit: Some(2), ..Counted::of(key) };
    let again = |number| CallStart { number, ..start(b"1", who, NOBODY) };
    let (first, second) = (calls.start(&again(1), 0).unwrap(), calls.start(&again(2), 0).unwrap());
    assert_ne!(first, second);
    assert_eq!(calls.start(&again(3), 0), Err(Refused { who: LimitReached::Caller, wait: None }));
    calls.answered(first, (b"callee", b""), 1);
    calls.answered(second, (b"callee", b""), 1);
    assert!(calls.ended(2, Side::Callee, 2));
    assert_eq!((calls.sessions(key), calls.stats().started, calls.stats().live), (1, 2, 1));
}

#[test]
fn limits_refuse_and_leave_nothing_behind() {
    let calls = Calls::new();
    let (agent, trunk) = (SessionKey::reference(b"agent"), SessionKey::reference(b"trunk"));
    let who = Counted { limit: Some(5), ..Counted::of(agent) };
    let via = Counted { limit: Some(1), ..Counted::of(trunk) };
    let first = calls.start(&start(b"1", who, via), 0).unwrap();
    assert_eq!(calls.start(&start(b"2", who, via), 0), Err(Refused { who: LimitReached::Trunk, wait: None }));
    assert_eq!((calls.sessions(agent), calls.sessions(trunk)), (1, 1));
    assert!(calls.failed(first, 486, 1));
    assert!(calls.start(&start(b"2", who, via), 1).is_ok());
    assert_eq!(calls.stats().refused, 1);
}

#[test]
fn the_next_trunk_takes_the_session_over() {
    let calls = Calls::new();
    let (one, two) = (SessionKey::reference(b"one"), SessionKey::reference(b"two"));
    let via = |key| Counted { limit: None, ..Counted::of(key) };
    let call = calls.start(&CallStart { trunk_ref: b"one", ..start(b"1", NOBODY, via(one)) }, 0).unwrap();
    assert!(calls.assign(call, &CallStart { trunk_ref: b"trunk-two", ..start(b"1", NOBODY, via(two)) }));
    assert_eq!((calls.sessions(one), calls.sessions(two)), (0, 1));
    calls.answered(call, (b"t", b""), 1);
    assert_eq!(
        calls.live(0, 10, |view| assert_eq!((view.trunk_ref, view.to_tag), (&b"trunk-two"[..], &b"t"[..]))),
        None
    );
    assert!(calls.failed(call, 500, 1) || calls.ended(number(b"1"), Side::Callee, 2));
    assert_eq!(calls.sessions(two), 0);
}

#[test]
fn a_session_without_bye_ends_by_the_sweep() {
    let calls = Calls::new();
    calls.set_session_limit(100);
    let kept = calls.start(&start(b"kept", NOBODY, NOBODY), 0).unwrap();
    let lost = calls.start(&start(b"lost", NOBODY, NOBODY), 0).unwrap();
    calls.answered(lost, (b"b", b""), 0);
    calls.answered(kept, (b"a", b""), 50_000);
    assert_eq!(calls.sweep(99_999, usize::MAX), 0);
    assert_eq!(calls.sweep(100_000, usize::MAX), 1);
    let mut live = Vec::new();
    calls.live(0, 10, |view| live.push(view.call_id.to_vec()));
    assert_eq!(live, [b"kept"]);
    let mut ended = 0;
    for _ in 0..64 {
        ended += calls.sweep(10_000_000, 1);
    }
    assert_eq!((ended, calls.stats().expired), (1, 2));
}

#[test]
fn pages_of_live_calls_show_each_once() {
    let calls = Calls::new();
    for n in 0..500u32 {
        calls.start(&start(n.to_string().as_bytes(), NOBODY, NOBODY), 0).unwrap();
    }
    let (mut from, mut seen) = (Some(0), std::collections::HashSet::new());
    while let Some(at) = from {
        from = calls.live(at, 7, |view| assert!(seen.insert(view.id)));
    }
    assert_eq!(seen.len(), 500);
}

#[test]
fn causes_follow_the_status() {
    for (status, name) in [(487, "NORMAL_CLEARING"), (486, "USER_BUSY"), (480, "NO_ANSWER"), (500, "UNKNOWN")]
    {
        assert_eq!(Cause::from_status(status).name(), name);
        assert_eq!(Cause::from_name(name), Some(Cause::from_status(status)));
    }
}

#[test]
fn every_party_has_its_limits() {
    let calls = Calls::new();
    let key = |name: &str| SessionKey::reference(name.as_bytes());
    let once = |name| Counted { limit: Some(1), ..Counted::of(key(name)) };
    let domains = [once("one"), once("two")];
    let first = CallStart { called: once("callee"), domains, ..start(b"1", once("caller"), once("trunk")) };
    let call = calls.start(&first, 0).unwrap();
    let refused = |other: CallStart<'_>| calls.start(&other, 0).unwrap_err().who;
    let other = start(b"2", NOBODY, NOBODY);
    assert_eq!(refused(CallStart { caller: once("caller"), ..other }), LimitReached::Caller);
    assert_eq!(refused(CallStart { called: once("callee"), ..other }), LimitReached::Callee);
    assert_eq!(refused(CallStart { trunk: once("trunk"), ..other }), LimitReached::Trunk);
    assert_eq!(refused(CallStart { domains: [once("two"), NOBODY], ..other }), LimitReached::CallerDomain);
    assert_eq!(refused(CallStart { domains: [NOBODY, once("one")], ..other }), LimitReached::CalleeDomain);
    assert!(calls.start(&CallStart { caller: once("caller").unlimited(), ..other }, 0).is_ok());
    // Another callee gets the call: the first one is free.
    assert_eq!(calls.recount(call, [once("third"), NOBODY], 0), Ok(()));
    assert_eq!((calls.sessions(key("callee")), calls.sessions(key("two"))), (0, 0));
    assert!(calls.recount(call, [once("third"), NOBODY], 0).is_err(), "it has this one");
    assert!(calls.failed(call, 486, 1));
    let left = ["caller", "trunk", "third", "one"].map(|name| calls.sessions(key(name)));
    assert_eq!(left, [1, 0, 0, 0]);
}

#[test]
fn calls_in_a_minute() {
    let calls = Calls::new();
    let key = SessionKey::reference(b"trunk");
    let via = Counted { per_minute: Some(2), ..Counted::of(key) };
    let caller = Counted { per_minute: Some(2), ..Counted::of(SessionKey::reference(b"caller")) };
    for id in [b"1", b"2"] {
        let call = calls.start(&start(id, NOBODY, via), 1_000).unwrap();
        assert!(calls.failed(call, 486, 1_001));
    }
    let wait = Refused { who: LimitReached::Trunk, wait: Some(30) };
    for _ in 0..3 {
        assert_eq!(calls.start(&start(b"3", caller, via), 1_000), Err(wait));
    }
    assert_eq!(calls.sessions(key), 0);
    assert!(
        calls.start(&start(b"3", caller, via), 31_000).is_ok(),
        "the caller was not charged for the others"
    );
}
