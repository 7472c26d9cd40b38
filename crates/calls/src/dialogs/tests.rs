use trunkline_proxy::{Holder, PartyKind, Seen, Way};

use super::*;

const START: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;
/// Who begins the dialogs.
const CALLER: (PartyKind, u32) = (PartyKind::Stranger, 0);
/// What tells this process from others.
const PROCESS: u64 = 7 << COUNTED;

fn mark_of(number: u64, side: Side, born: u64, subscription: bool) -> Mark {
    let holder = Holder { kind: PartyKind::Stranger, party: 0, source: 0, flow: None };
    Mark {
        side,
        dialog: number,
        born,
        subscription,
        renamed: false,
        cseq_added: 0,
        holder,
        way: Way::default(),
    }
}

fn answer(method: Method, status: u16) -> Answered {
    Answered { method, status, cseq: 1, contact: None, expires: None }
}

fn moved(target: u64) -> Moved {
    Moved { target, seen: Seen::Elsewhere, flow: None }
}

impl Dialogs {
    /// A request of somebody who is known to be the mark's holder.
    fn request(&self, place: Place, mark: &Mark, method: Method, now: u64) -> Result<Standing, Ended> {
        let standing = self.look(place, mark, method, now)?;
        self.enter(place, mark, (method, true), now)?;
        Ok(standing)
    }
}

struct World {
    dialogs: Dialogs,
    now: u64,
    number: u64,
}

impl World {
    fn new() -> World {
        let dialogs = Dialogs::new(PROCESS, 86_400, 25);
        let number = dialogs.number(None, CALLER).expect("room");
        World { dialogs, now: START + 10, number }
    }

    fn mark(&self, side: Side) -> Mark {
        mark_of(self.number, side, START + 10, false)
    }

    /// The dialog with the callee of this tag.
    fn with(&self, tag: &[u8]) -> Place {
        self.dialogs.place(&self.mark(Side::Caller), tag)
    }

    fn place(&self) -> Place {
        self.with(b"b")
    }

    fn asks(&mut self, side: Side, method: Method) -> bool {
        self.now += 1;
        let goes_on = self.dialogs.request(self.place(), &self.mark(side), method, self.now).is_ok();
        if goes_on && method == Method::Bye {
            self.dialogs.leaving(self.place(), side, self.now);
        }
        goes_on
    }

    /// A response to the request that begins the dialogs, which a transaction holds.
    fn responds(&self, tag: &[u8], answered: &Answered) -> bool {
        let mark = Mark { subscription: answered.method != Method::Invite, ..self.mark(Side::Callee) };
        self.dialogs.responded(self.with(tag), (&mark, Origin::Branch(0)), 5, answered, self.now)
    }

    /// A response to a request of the caller inside the dialog.
    fn answers(&self, answered: &Answered) -> bool {
        self.dialogs.answered(self.place(), Side::Caller, answered, self.now) == Ends::Call
    }

    fn refreshes(&self, method: Method, cseq: u32, target: u64) {
        let event = Event::default();
        let refresh = Refresh { method, cseq, event, expires: None, moved: Some(moved(target)) };
        self.dialogs.refreshing(self.place(), Side::Caller, refresh, self.now);
    }

    /// A NOTIFY of this side that says how long its subscription lasts is answered.
    fn notifies(&self, side: Side, event: &[u8], expires: Option<u32>, status: u16) {
        let event = Event::of(event);
        let refresh = Refresh { method: Method::Notify, cseq: 1, event, expires, moved: None };
        self.dialogs.refreshing(self.place(), side, refresh, self.now);
        self.dialogs.answered(self.place(), side, &answer(Method::Notify, status), self.now);
    }

    /// A SUBSCRIBE of the caller inside the dialog is accepted.
    fn subscribes(&self, event: &[u8], seconds: u32) {
        let (event, expires) = (Event::of(event), Some(seconds));
        let refresh = Refresh { method: Method::Subscribe, cseq: 1, event, expires, moved: None };
        self.dialogs.refreshing(self.place(), Side::Caller, refresh, self.now);
        self.answers(&Answered { expires, ..answer(Method::Subscribe, 200) });
    }

    fn concludes(&self) {
        self.dialogs.concluded(self.number, self.now);
    }

    fn call(&mut self) {
        assert!(self.responds(b"b", &answer(Method::Invite, 200)));
        self.concludes();
    }
}

#[test]
fn a_call_lives_from_its_first_response_to_its_bye() {
    let mut w = World::new();
    assert!(!w.asks(Side::Caller, Method::Invite), "nothing has begun");
    assert!(!w.asks(Side::Caller, Method::Update), "nobody has answered");
    assert!(w.responds(b"b", &answer(Method::Invite, 180)));
    assert!(w.asks(Side::Caller, Method::Prack) && w.asks(Side::Callee, Method::Update));
    assert!(w.responds(b"b", &answer(Method::Invite, 200)));
    w.concludes();
    for method in [Method::Ack, Method::Invite, Method::Info, Method::Refer, Method::Message] {
        assert!(w.asks(Side::Caller, method) && w.asks(Side::Callee, method), "{method:?}");
    }
    for method in [Method::Register, Method::Publish] {
        assert!(!w.asks(Side::Caller, method), "{method:?}");
    }
    assert!(w.asks(Side::Caller, Method::Bye));
    assert!(!w.asks(Side::Caller, Method::Invite), "whoever hangs up has hung up");
    assert!(w.asks(Side::Callee, Method::Bye), "both at once");
    w.answers(&answer(Method::Bye, 200));
    assert!(!w.asks(Side::Callee, Method::Bye) && !w.asks(Side::Caller, Method::Invite));
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_call_that_nobody_takes_ends_with_its_failure() {
    let mut w = World::new();
    assert!(w.responds(b"b", &answer(Method::Invite, 180)));
    w.dialogs.failed(w.number);
    assert!(!w.asks(Side::Callee, Method::Update));
    // A 2xx that comes after all is passed on, and its dialog with it.
    assert!(w.responds(b"b", &answer(Method::Invite, 200)));
    assert!(w.asks(Side::Caller, Method::Ack) && w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 200));
    w.concludes();
    assert!(w.dialogs.is_empty());
}

#[test]
fn of_several_callees_each_has_its_dialog() {
    let w = World::new();
    assert!(w.responds(b"x", &answer(Method::Invite, 180)));
    assert!(w.responds(b"b", &answer(Method::Invite, 200)));
    w.concludes();
    let ask = |w: &World, tag| w.dialogs.request(w.with(tag), &w.mark(Side::Callee), Method::Info, w.now);
    assert!(ask(&w, b"b").is_ok());
    assert_eq!(ask(&w, b"x"), Err(Ended));
    // A later 2xx of the other one is a dialog all the same (RFC 3261 §13.2.2.4).
    assert!(w.responds(b"x", &answer(Method::Invite, 200)));
    assert!(ask(&w, b"x").is_ok());
}

#[test]
fn a_challenged_bye_ends_nothing_and_an_unanswered_one_does() {
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 407));
    assert!(w.asks(Side::Callee, Method::Invite));
    assert!(w.asks(Side::Caller, Method::Bye));
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Caller, Method::Bye));
    w.now += LINGER_MS;
    assert_eq!(w.dialogs.sweep(w.now, 100_000), 1);
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_refused_bye_ends_nothing() {
    let mut w = World::new();
    w.call();
    for status in [300, 400, 401, 403, 404, 405, 407, 420, 423, 480, 483, 488, 491, 500, 503, 603] {
        assert!(w.asks(Side::Caller, Method::Bye));
        assert!(!w.answers(&answer(Method::Bye, status)), "{status}");
        for side in [Side::Caller, Side::Callee] {
            assert!(w.asks(side, Method::Invite) && w.asks(side, Method::Info), "{status}");
        }
        w.now += 3 * LINGER_MS;
        assert_eq!(w.dialogs.sweep(w.now, 100_000), 0, "{status}");
    }
    for status in [200, 408, 481] {
        let mut w = World::new();
        w.call();
        assert!(w.asks(Side::Caller, Method::Bye) && w.answers(&answer(Method::Bye, status)), "{status}");
        assert!(w.dialogs.is_empty());
    }
}

#[test]
fn two_that_hang_up_have_hung_up() {
    let mut w = World::new();
    w.call();
    let bye = |w: &mut World, side| {
        w.asks(side, Method::Options);
        w.dialogs.request(w.place(), &w.mark(side), Method::Bye, w.now).expect("it is taken");
        w.dialogs.leaving(w.place(), side, w.now) == Ends::Call
    };
    assert!(!bye(&mut w, Side::Caller) && !w.answers(&answer(Method::Bye, 500)));
    // Entries with other tags remain.
    assert!(w.asks(Side::Caller, Method::Invite));
    assert!(!bye(&mut w, Side::Callee));
    w.dialogs.answered(w.place(), Side::Callee, &answer(Method::Bye, 500), w.now);
    assert!(bye(&mut w, Side::Caller));
    assert!(!w.asks(Side::Callee, Method::Invite));
}

#[test]
fn a_bye_in_an_early_dialog_ends_no_call() {
    for status in [200, 420, 481] {
        let mut w = World::new();
        assert!(w.responds(b"b", &answer(Method::Invite, 183)));
        assert!(w.asks(Side::Caller, Method::Bye) && !w.answers(&answer(Method::Bye, status)));
        assert!(w.responds(b"b", &answer(Method::Invite, 200)));
        w.concludes();
        assert!(w.asks(Side::Caller, Method::Ack) && w.asks(Side::Caller, Method::Info), "{status}");
        assert!(w.asks(Side::Caller, Method::Bye) && w.answers(&answer(Method::Bye, 200)), "{status}");
        assert!(w.dialogs.is_empty());
    }
}

#[test]
fn a_call_ends_with_the_last_callee_that_took_it() {
    let w = World::new();
    assert!(w.responds(b"b", &answer(Method::Invite, 200)) && w.responds(b"x", &answer(Method::Invite, 200)));
    w.concludes();
    let ends = |tag| w.dialogs.answered(w.with(tag), Side::Caller, &answer(Method::Bye, 200), w.now);
    assert_eq!((ends(b"b"), ends(b"x")), (Ends::Dialog, Ends::Call));
}

#[test]
fn a_subscription_ends_by_its_notify_or_its_time_and_is_no_call() {
    let begin = |w: &mut World| {
        w.number = w.dialogs.number(None, CALLER).expect("room");
        w.dialogs.subscribing((w.number, CALLER), (Event::of(b"presence"), Some(3_600)), true, w.now);
        // RFC 6665 §4.1.2.4: a NOTIFY may come before the 2xx.
        let mark = Mark { subscription: true, ..w.mark(Side::Callee) };
        assert!(w.dialogs.request(w.place(), &mark, Method::Notify, w.now).is_ok());
        let accepted = Answered { expires: Some(600), ..answer(Method::Subscribe, 202) };
        assert!(w.responds(b"b", &accepted));
        w.concludes();
    };
    let mut w = World::new();
    begin(&mut w);
    assert!(w.asks(Side::Callee, Method::Notify) && w.asks(Side::Caller, Method::Subscribe));
    for method in [Method::Invite, Method::Bye, Method::Update] {
        assert!(!w.asks(Side::Caller, method), "{method:?} in a subscription");
    }
    // Refused, or said by the subscriber, or of another subscription it ends nothing.
    w.notifies(Side::Callee, b"presence", Some(0), 500);
    w.notifies(Side::Caller, b"presence", Some(0), 200);
    w.notifies(Side::Callee, b"dialog", Some(0), 200);
    w.now += LINGER_MS;
    assert!(w.asks(Side::Callee, Method::Notify));
    w.notifies(Side::Callee, b"presence", Some(0), 200);
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
    assert_eq!(w.dialogs.sweep(w.now, 100_000), 1);
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
    w.answers(&answer(Method::Refer, 202));
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 200));
    assert!(w.asks(Side::Callee, Method::Notify));
    assert!(!w.asks(Side::Callee, Method::Invite));
    w.notifies(Side::Callee, b"refer", Some(0), 200);
    w.now += LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

#[test]
fn a_notify_begins_and_prolongs_no_subscription() {
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Callee, Method::Notify), "phones send them unasked");
    w.notifies(Side::Callee, b"presence", Some(600), 200);
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 200));
    assert!(!w.asks(Side::Caller, Method::Refer));
    let mut w = World::new();
    w.call();
    assert!(w.asks(Side::Caller, Method::Subscribe));
    w.subscribes(b"presence", 60);
    w.notifies(Side::Callee, b"presence", Some(u32::MAX), 200);
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 200));
    assert!(w.asks(Side::Callee, Method::Notify));
    w.now += 60_000 + LINGER_MS;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

#[test]
fn subscriptions_of_one_dialog_end_each_for_itself() {
    for ends in [
        |w: &World| w.subscribes(b"dialog", 0),
        |w: &World| {
            w.notifies(Side::Callee, b"dialog", Some(0), 200);
        },
    ] {
        let mut w = World::new();
        w.call();
        w.subscribes(b"presence", 600);
        w.subscribes(b"dialog", 600);
        ends(&w);
        assert!(w.asks(Side::Caller, Method::Bye));
        w.answers(&answer(Method::Bye, 200));
        w.now += 500_000;
        assert!(w.asks(Side::Callee, Method::Notify) && w.asks(Side::Caller, Method::Subscribe));
        w.notifies(Side::Callee, b"presence", Some(0), 481);
        assert!(!w.asks(Side::Callee, Method::Notify));
    }
}

#[test]
fn a_side_has_moved_once_its_request_is_accepted() {
    let mut w = World::new();
    w.call();
    let standing = |w: &World| {
        w.dialogs.request(w.place(), &w.mark(Side::Callee), Method::Info, w.now).expect("it lives")
    };
    assert!(w.asks(Side::Caller, Method::Invite));
    w.refreshes(Method::Invite, 1, 7);
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, Some(moved(7))));
    w.answers(&answer(Method::Invite, 488));
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, None));
    // Only the response to that very request is about it, and one that never comes leaves nothing behind.
    w.refreshes(Method::Update, 2, 6);
    w.answers(&Answered { cseq: 1, ..answer(Method::Notify, 200) });
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, Some(moved(6))));
    w.now += LINGER_MS;
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, None), "nobody answered in time");
    w.refreshes(Method::Invite, 3, 8);
    // What the same side says meanwhile has an answer of its own.
    w.refreshes(Method::Notify, 4, 5);
    w.answers(&Answered { cseq: 4, ..answer(Method::Notify, 481) });
    assert_eq!((standing(&w).moved, standing(&w).moving), (None, Some(moved(8))));
    // One that was accepted goes before an older one under way.
    w.refreshes(Method::Update, 4, 5);
    w.answers(&Answered { cseq: 4, ..answer(Method::Update, 200) });
    assert_eq!((standing(&w).moved, standing(&w).moving), (Some(moved(5)), None));
    let accepted = Answered { contact: Some(moved(9)), cseq: 3, ..answer(Method::Invite, 200) };
    w.answers(&accepted);
    assert_eq!((standing(&w).moved, standing(&w).moving), (Some(moved(8)), None));
    let by_caller = w.dialogs.request(w.place(), &w.mark(Side::Caller), Method::Info, w.now);
    assert_eq!(by_caller.expect("it lives").moved, Some(moved(9)), "the responder's Contact");
    w.dialogs.proven(w.place(), Side::Callee, 77);
    assert_eq!(standing(&w).source, 77);
}

#[test]
fn what_is_said_in_one_dialog_changes_no_other_one() {
    let mut w = World::new();
    w.call();
    let first = w.number;
    // The same Call-ID and tags again, with a callee of whoever knows them.
    w.number = w.dialogs.number(None, CALLER).expect("room");
    w.call();
    w.answers(&Answered { contact: Some(moved(9)), ..answer(Method::Update, 200) });
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&answer(Method::Bye, 200));
    w.number = first;
    let standing = w.dialogs.request(w.place(), &w.mark(Side::Caller), Method::Info, w.now);
    assert_eq!(standing, Ok(Standing::default()));
    // Nor does another party under the same tag.
    let stranger = w.mark(Side::Caller);
    let carrier = Mark { way: Way { kind: PartyKind::Trunk, party: 3, ..stranger.way }, ..stranger };
    let other = w.dialogs.place(&carrier, b"b");
    assert_eq!(w.dialogs.request(other, &carrier, Method::Info, w.now), Err(Ended));
}

#[test]
fn a_callee_that_says_something_new_has_moved() {
    let w = World::new();
    let says = |status, target| {
        let contact = Some(moved(target));
        let mark = w.mark(Side::Callee);
        let answered = Answered { contact, ..answer(Method::Invite, status) };
        assert!(w.dialogs.responded(w.place(), (&mark, Origin::Branch(0)), target, &answered, w.now));
        let standing = w.dialogs.request(w.place(), &w.mark(Side::Caller), Method::Update, w.now);
        standing.expect("it lives").moved
    };
    assert_eq!((says(180, 5), says(200, 5)), (None, None));
    assert_eq!(says(200, 6), Some(moved(6)));
}

#[test]
fn without_a_transaction_a_repeated_response_begins_nothing_again() {
    let mut w = World::new();
    let responds = |w: &World| {
        let answered = answer(Method::Invite, 200);
        w.dialogs.responded(w.place(), (&w.mark(Side::Callee), Origin::Stateless), 5, &answered, w.now)
    };
    assert!(responds(&w) && w.asks(Side::Caller, Method::Bye));
    w.dialogs.answered_by_tag(w.number, Side::Caller, b"b", &answer(Method::Bye, 200), w.now);
    for _ in 0..200 {
        w.now += 1_000;
        w.dialogs.sweep(w.now, 100_000);
        responds(&w);
        assert!(!w.asks(Side::Caller, Method::Invite) && !w.asks(Side::Callee, Method::Invite));
    }
    assert!(w.dialogs.is_empty() && !responds(&w));
}

#[test]
fn a_mark_of_before_the_start_holds_for_a_day_and_ends_once() {
    let mut w = World::new();
    let old = |born| mark_of(8 << COUNTED, Side::Caller, born, false);
    let ask = |w: &World, mark: &Mark, tag: &[u8], method| {
        w.dialogs.request(w.dialogs.place(mark, tag), mark, method, w.now).is_ok()
    };
    assert!(!ask(&w, &w.mark(Side::Caller), b"b", Method::Invite), "of this process, and not known");
    assert!(!ask(&w, &old(w.now - DAY - 1), b"b", Method::Invite), "too old");
    let one = old(START - 5_000);
    assert!(ask(&w, &one, b"b", Method::Invite) && ask(&w, &one, b"b", Method::Bye));
    // A callee's mark says nothing of its tag, so that the first one holds.
    let callee = Mark { side: Side::Callee, ..one };
    assert!(ask(&w, &callee, b"b", Method::Info) && !ask(&w, &callee, b"x", Method::Info));
    let place = w.dialogs.place(&one, b"b");
    w.dialogs.answered(place, Side::Caller, &answer(Method::Bye, 200), w.now);
    for ahead in [0, 60_000, DAY] {
        w.now += ahead;
        w.dialogs.sweep(w.now, 100_000);
        assert!(!ask(&w, &one, b"b", Method::Invite) && !ask(&w, &callee, b"x", Method::Info));
    }
    w.dialogs.sweep(w.now, 100_000);
    assert!(w.dialogs.is_empty());
}

#[test]
fn a_phone_may_ring_as_long_as_its_transaction_lasts() {
    let mut w = World::new();
    assert!(w.responds(b"b", &answer(Method::Invite, 180)));
    w.now += 3_600_000;
    w.dialogs.sweep(w.now, 100_000);
    assert!(w.responds(b"b", &answer(Method::Invite, 200)));
    w.concludes();
    assert!(w.asks(Side::Caller, Method::Ack) && w.asks(Side::Caller, Method::Bye));
}

#[test]
fn a_silent_dialog_ends_after_a_day() {
    let mut w = World::new();
    w.call();
    w.now += DAY - 1_000;
    assert!(w.asks(Side::Caller, Method::Invite));
    w.now += DAY + 1_000;
    assert!(!w.asks(Side::Caller, Method::Invite));
    assert_eq!(w.dialogs.sweep(w.now, 100_000), 1);
}

/// RFC 6665 §4.2.1.1: a notifier grants no longer a subscription than was asked for, whatever it says, and however often.
#[test]
fn a_notifier_grants_no_more_than_was_asked_for() {
    let grant = |method, seconds| Answered { expires: seconds, ..answer(method, 200) };
    for (asked, granted, lives) in [
        (Some(1), Some(u32::MAX), 1),
        (Some(600), Some(60), 60),
        (Some(600), None, 600),
        (Some(0), Some(3_600), 0),
        (None, Some(u32::MAX), 3_761),
        (None, Some(90), 90),
    ] {
        for held in [true, false] {
            let mut w = World::new();
            w.dialogs.subscribing((w.number, CALLER), (Event::default(), asked), held, w.now);
            let origin = if held { Origin::Branch(0) } else { Origin::Stateless };
            let mark = Mark { subscription: true, ..w.mark(Side::Callee) };
            let says = |w: &World| {
                let answered = grant(Method::Subscribe, granted);
                w.dialogs.responded(w.place(), (&mark, origin), 5, &answered, w.now)
            };
            assert!(says(&w));
            w.now += lives * 1_000;
            assert!(w.asks(Side::Callee, Method::Notify), "{asked:?} {granted:?}");
            says(&w);
            w.now += LINGER_MS;
            assert!(!w.asks(Side::Callee, Method::Notify), "{asked:?} {granted:?}");
        }
    }
    // The same of a refresh inside the dialog, of which each answer counts once.
    let mut w = World::new();
    w.call();
    let asks = |w: &World, cseq, expires| {
        let event = Event::default();
        let refresh = Refresh { method: Method::Subscribe, cseq, event, expires, moved: None };
        w.dialogs.refreshing(w.place(), Side::Caller, refresh, w.now);
    };
    asks(&w, 7, Some(10));
    let lie = |cseq| Answered { cseq, ..grant(Method::Subscribe, Some(u32::MAX)) };
    w.answers(&lie(6));
    assert!(w.asks(Side::Caller, Method::Bye));
    w.answers(&lie(7));
    w.answers(&answer(Method::Bye, 200));
    assert!(w.asks(Side::Callee, Method::Notify));
    w.now += 9_000;
    w.answers(&lie(7));
    w.now += LINGER_MS + 1_000;
    assert!(!w.asks(Side::Callee, Method::Notify));
}

/// When the table is full, the oldest early dialog of the callee with most of them is removed; a 2xx always gets a place.
#[test]
fn a_callee_of_many_tags_takes_no_room_of_others() {
    let w = World::new();
    let of = |party: u32, tag: &str| {
        let holder = Holder { party, ..w.mark(Side::Callee).holder };
        let mark = Mark { holder, ..w.mark(Side::Callee) };
        (mark, w.dialogs.place(&mark, tag.as_bytes()))
    };
    let says = |party: u32, tag: &str, branch: u8, status| {
        let (mark, place) = of(party, tag);
        let answered = answer(Method::Invite, status);
        w.dialogs.responded(place, (&mark, Origin::Branch(branch)), 5, &answered, w.now)
    };
    let lives = |party: u32, tag: &str| {
        let (mark, place) = of(party, tag);
        w.dialogs.request(place, &mark, Method::Info, w.now).is_ok()
    };
    assert!(says(2, "honest", 1, 180));
    for n in 0..100 {
        assert!(says(1, &n.to_string(), 0, 183), "{n}");
        assert!(lives(1, &n.to_string()) && lives(2, "honest"), "{n}");
    }
    assert!(!lives(1, "0"), "the oldest gave way");
    assert!(says(2, "another", 1, 180) && lives(2, "honest") && lives(2, "another"));
    w.dialogs.branch_failed(w.number, 0);
    assert!(!lives(1, "99") && lives(2, "honest"));
    // All that one party accepts takes no room of the next one's 2xx.
    let taken = (0..100).filter(|n| says(1, &n.to_string(), 0, 200)).count();
    assert!(taken <= 2 * MOST_LEGS, "{taken}");
    assert!(says(3, "third", 2, 200) && lives(3, "third"));
    w.concludes();
    assert!(lives(3, "third") && !lives(2, "honest"));
}

#[test]
fn nobody_takes_the_room_of_others() {
    let dialogs = Dialogs::new(PROCESS, 86_400, 1);
    let most = MOST as u64 / 100;
    let agent = |n| (PartyKind::Agent, n);
    let (busy, other) = (agent(1), agent(2));
    let begin = |number, (kind, party)| {
        let mark = Mark {
            way: Way { kind, party, ..Way::default() },
            ..mark_of(number, Side::Callee, START, false)
        };
        let place = dialogs.place(&mark, b"b");
        let origin = Origin::Branch(0);
        let begun = dialogs.responded(place, (&mark, origin), 5, &answer(Method::Invite, 200), START);
        dialogs.concluded(number, START);
        (begun, place)
    };
    let places: Vec<Place> = (0..most)
        .map(|_| {
            let (begun, place) = begin(dialogs.number(None, busy).expect("room"), busy);
            assert!(begun);
            place
        })
        .collect();
    assert_eq!(dialogs.number(None, busy), Err(NoRoom::Share));
    assert!(!begin(dialogs.unique(), busy).0, "taken by another thread meanwhile");
    assert!(dialogs.number(None, other).is_ok() && dialogs.number(None, CALLER).is_ok());
    // One ends by a BYE, the others since nobody says anything.
    dialogs.answered(places[0], Side::Caller, &answer(Method::Bye, 200), START);
    assert_eq!(dialogs.len() as u64, most - 1);
    assert!(begin(dialogs.number(None, busy).expect("its room is free"), busy).0);
    assert_eq!(dialogs.sweep(START + 2 * DAY, 1 << 20) as u64, most);
    assert!((0..most).all(|_| begin(dialogs.number(None, busy).expect("room"), busy).0));
    assert_eq!(dialogs.number(None, busy), Err(NoRoom::Share));
}
