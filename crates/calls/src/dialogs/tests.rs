use trunkline_proxy::{PartyKind, Reference, Seen, Way};

use super::*;

const START: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;
const ID: DialogId<'_> = DialogId { call_id: b"c", caller_tag: b"a", callee_tag: b"b" };

fn nobody() -> Holder {
    Holder { kind: PartyKind::Stranger, party: 0, agent: Reference::NONE, source: 0, flow: None }
}

fn mark(side: Side, born: u64, subscription: bool) -> Mark {
    Mark { side, born, subscription, cseq_added: 0, holder: nobody(), way: Way::default() }
}

fn answer(method: Method, status: u16) -> Answered {
    Answered { method, status, contact: None, expires: None }
}

fn moved(target: u64) -> Moved {
    Moved { target, seen: Seen::Elsewhere, flow: None }
}

struct World {
    dialogs: Dialogs,
    now: u64,
}

impl World {
    fn new() -> World {
        World { dialogs: Dialogs::new(START, 86_400), now: START + 10 }
    }

    fn asks(&mut self, side: Side, method: Method) -> bool {
        self.now += 1;
        let goes_on = self.dialogs.request(ID, &mark(side, START + 10, false), method, self.now).is_ok();
        if goes_on && method == Method::Bye {
            self.dialogs.leaving(ID, self.now);
        }
        goes_on
    }

    fn begins(&self, method: Method) -> DialogKey {
        self.dialogs.begin(b"c", b"a", nobody(), method, self.now).expect("room")
    }

    fn call(&mut self) {
        let key = self.begins(Method::Invite);
        assert!(self.dialogs.responded(ID, &answer(Method::Invite, 200), self.now).is_some());
        self.dialogs.concluded(key);
    }
}

#[test]
fn a_call_lives_from_its_first_response_to_its_bye() {
    let mut w = World::new();
    assert!(!w.asks(Side::Caller, Method::Invite), "nothing has begun");
    let key = w.begins(Method::Invite);
    assert!(!w.asks(Side::Caller, Method::Update), "nobody has answered");
    assert!(w.dialogs.responded(ID, &answer(Method::Invite, 180), w.now).is_some());
    assert!(w.asks(Side::Caller, Method::Prack) && w.asks(Side::Callee, Method::Update));
    assert!(w.dialogs.responded(ID, &answer(Method::Invite, 200), w.now).is_some());
    w.dialogs.concluded(key);
    for method in [Method::Ack, Method::Invite, Method::Info, Method::Refer, Method::Message] {
        assert!(w.asks(Side::Caller, method) && w.asks(Side::Callee, method), "{method:?}");
    }
    for method in [Method::Register, Method::Publish] {
        assert!(!w.asks(Side::Caller, method), "{method:?}");
    }
    assert!(w.asks(Side::Caller, Method::Bye));
    assert!(!w.asks(Side::Caller, Method::Invite), "whoever hangs up has hung up");
    assert!(w.asks(Side::Callee, Method::Bye), "both at once");
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    assert!(!w.asks(Side::Callee, Method::Bye) && !w.asks(Side::Caller, Method::Invite));
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_call_that_nobody_takes_ends_with_its_failure() {
    let mut w = World::new();
    let key = w.begins(Method::Invite);
    assert!(w.dialogs.responded(ID, &answer(Method::Invite, 180), w.now).is_some());
    w.dialogs.failed(key);
    assert!(!w.asks(Side::Callee, Method::Update));
    // A 2xx that comes after all is passed on, and its dialog with it.
    assert!(w.dialogs.responded(ID, &answer(Method::Invite, 200), w.now).is_some());
    assert!(w.asks(Side::Caller, Method::Ack) && w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    w.dialogs.concluded(key);
    assert!(w.dialogs.is_empty());
}

#[test]
fn of_several_callees_each_has_its_dialog() {
    let w = World::new();
    let other = DialogId { callee_tag: b"x", ..ID };
    let key = w.begins(Method::Invite);
    assert!(w.dialogs.responded(other, &answer(Method::Invite, 180), w.now).is_some());
    assert!(w.dialogs.responded(ID, &answer(Method::Invite, 200), w.now).is_some());
    w.dialogs.concluded(key);
    let ask = |w: &World, id| w.dialogs.request(id, &mark(Side::Callee, w.now, false), Method::Info, w.now);
    assert!(ask(&w, ID).is_ok());
    assert_eq!(ask(&w, other), Err(Ended));
    // A later 2xx of the other one is a dialog all the same (RFC 3261 §13.2.2.4).
    assert!(w.dialogs.responded(other, &answer(Method::Invite, 200), w.now).is_some());
    assert!(ask(&w, other).is_ok());
}

#[test]
fn a_challenged_bye_ends_nothing_and_an_unanswered_one_does() {
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 407), w.now);
    assert!(w.asks(Side::Callee, Method::Invite));
    assert!(w.asks(Side::Caller, Method::Bye));
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Caller, Method::Bye));
    assert_eq!(w.dialogs.sweep(w.now, 10_000), 1);
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_subscription_ends_by_its_notify_or_its_time_and_is_no_call() {
    let begin = |w: &mut World| {
        let key = w.begins(Method::Subscribe);
        // RFC 6665 §4.1.2.4: a NOTIFY may come before the 2xx.
        assert!(w.dialogs.request(ID, &mark(Side::Callee, w.now, true), Method::Notify, w.now).is_ok());
        let accepted = Answered { expires: Some(600), ..answer(Method::Subscribe, 202) };
        assert!(w.dialogs.responded(ID, &accepted, w.now).is_some());
        w.dialogs.concluded(key);
    };
    let mut w = World::new();
    begin(&mut w);
    assert!(w.asks(Side::Callee, Method::Notify) && w.asks(Side::Caller, Method::Subscribe));
    for method in [Method::Invite, Method::Bye, Method::Update] {
        assert!(!w.asks(Side::Caller, method), "{method:?} in a subscription");
    }
    w.dialogs.notified(ID, Some(0), w.now);
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
    assert_eq!(w.dialogs.sweep(w.now, 10_000), 1);
    begin(&mut w);
    w.now += 599_000;
    assert!(w.asks(Side::Callee, Method::Notify));
    w.now += LINGER_MS + 1_000;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

#[test]
fn a_transfer_is_reported_after_the_bye() {
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Caller, Method::Refer));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Refer, 202), w.now);
    assert!(w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    assert!(w.asks(Side::Callee, Method::Notify));
    assert!(!w.asks(Side::Callee, Method::Invite));
    w.dialogs.notified(ID, Some(0), w.now);
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

#[test]
fn a_notify_begins_and_prolongs_no_subscription() {
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Callee, Method::Notify), "phones send them unasked");
    w.dialogs.notified(ID, Some(600), w.now);
    assert!(w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    assert!(!w.asks(Side::Caller, Method::Refer));
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Caller, Method::Subscribe));
    let accepted = Answered { expires: Some(60), ..answer(Method::Subscribe, 200) };
    w.dialogs.answered(b"c", (b"a", b"b"), &accepted, w.now);
    w.dialogs.notified(ID, Some(u32::MAX), w.now);
    assert!(w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    assert!(w.asks(Side::Callee, Method::Notify));
    w.now += 60_000 + LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

#[test]
fn a_side_has_moved_once_its_request_is_accepted() {
    let mut w = World::new();
    w.call();
    let standing = |w: &World| {
        w.dialogs.request(ID, &mark(Side::Callee, w.now, false), Method::Info, w.now).expect("it lives")
    };
    assert!(w.asks(Side::Caller, Method::Invite));
    w.dialogs.refreshing(ID, Side::Caller, moved(7));
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, Some(moved(7))));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Invite, 488), w.now);
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, None));
    w.dialogs.refreshing(ID, Side::Caller, moved(8));
    let accepted = Answered { contact: Some(moved(9)), ..answer(Method::Invite, 200) };
    w.dialogs.answered(b"c", (b"a", b"b"), &accepted, w.now);
    assert_eq!((standing(&w).moved, standing(&w).moving), (Some(moved(8)), None));
    let by_caller = w.dialogs.request(ID, &mark(Side::Caller, w.now, false), Method::Info, w.now);
    assert_eq!(by_caller.expect("it lives").moved, Some(moved(9)), "the responder's Contact");
    w.dialogs.proven(ID, Side::Callee, 77);
    assert_eq!(standing(&w).source, 77);
}

#[test]
fn a_mark_of_before_the_start_holds_for_a_day_and_ends_once() {
    let mut w = World::new();
    let old = |born| mark(Side::Caller, born, false);
    let ask = |w: &World, mark: &Mark, method| w.dialogs.request(ID, mark, method, w.now).is_ok();
    assert!(!ask(&w, &old(START + 1), Method::Invite), "of this process, and not known");
    assert!(!ask(&w, &old(w.now - DAY - 1), Method::Invite), "too old");
    let (one, other) = (old(START - 5_000), old(START - 1_000));
    assert!(ask(&w, &one, Method::Invite) && ask(&w, &other, Method::Bye));
    w.dialogs.answered(b"c", (b"a", b"b"), &answer(Method::Bye, 200), w.now);
    assert!(!ask(&w, &one, Method::Invite), "its end is remembered");
    w.now += 60_000;
    w.dialogs.sweep(w.now, 10_000);
    assert!(!ask(&w, &one, Method::Invite));
    w.now += DAY;
    assert!(!ask(&w, &one, Method::Invite));
    w.dialogs.sweep(w.now, 10_000);
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_silent_dialog_ends_after_a_day() {
    let mut w = World::new();
    w.call();
    w.now += DAY - 1_000;
    assert!(w.asks(Side::Caller, Method::Invite));
    w.now += DAY + 1_000;
    assert!(!w.asks(Side::Caller, Method::Invite));
    assert_eq!(w.dialogs.sweep(w.now, 10_000), 1);
}
