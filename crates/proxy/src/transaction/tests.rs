//! The machine in a world of numbers: no socket, no clock.

use trunkline_sip::{Index, Limits, Message, Method};
use trunkline_transaction::timers::{C, Now, T1, T1_64, T2};

use super::*;

mod ways;

/// A target by its name.
type Name = &'static str;

fn target(hop: Name) -> Target<Name> {
    Target {
        reliable: false,
        grown: false,
        trunk: false,
        carrier: false,
        passes_challenges: true,
        has_credentials: false,
        has_addresses: false,
        silence: None,
        patience: 2_000,
        phone: 0,
        cseq_added: 0,
        hop,
    }
}

fn request(method: &str, branch: usize) -> Vec<u8> {
    format!(
        "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK{branch}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\
         From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A machine with its owner, who answers no question unless told what to answer.
struct World {
    machine: ProxyTransaction<Name>,
    work: Work,
    now: Now,
    /// All that was to be done, in words.
    told: Vec<String>,
    /// What takes the place of the next branch that fails.
    instead: Option<Target<Name>>,
    /// What it was asked, each with the method of the text that the branch had then.
    asked: Vec<(Question, String)>,
}

impl World {
    fn new(method: Method) -> World {
        let machine = ProxyTransaction::new(method, false, b"100".to_vec(), Vec::new(), C);
        World { machine, work: Work::default(), now: 0, told: Vec::new(), instead: None, asked: Vec::new() }
    }

    fn method(&self) -> &'static str {
        if self.machine.method() == Method::Invite { "INVITE" } else { "MESSAGE" }
    }

    fn start(&mut self, target: Target<Name>) {
        let request = request(self.method(), self.machine.branches().len());
        self.machine.start(request, target, self.now, &mut self.work);
    }

    fn put_off(&mut self, group: u8, target: Target<Name>, flow: bool) {
        let request = request(self.method(), 0);
        self.machine.put_off(Waiting { request, name_at: 1, dead: None, group, target }, flow);
    }

    /// Does what is to be done; what that was.
    fn carry_out(&mut self, heard: Option<Heard<'_>>) -> Vec<String> {
        let before = self.told.len();
        while let Some(output) = self.work.outputs.pop_front() {
            let hop = |branch: u8| self.machine.branch(branch).map_or("?", |b| b.target.hop);
            self.told.push(match output {
                Output::Request(branch) => format!("request {}", hop(branch)),
                Output::Repeat(branch) => format!("repeat {}", hop(branch)),
                Output::FallBack(branch) => format!("fall back {}", hop(branch)),
                Output::AckAgain(branch) => format!("ack {}", hop(branch)),
                Output::Ack(branch, _) => format!("ack {}", hop(branch)),
                Output::Cancel(branch, text) => {
                    let text = String::from_utf8_lossy(&self.work.bytes[text.range()]);
                    let reason = text.lines().find_map(|line| line.strip_prefix("Reason: "));
                    format!("cancel {}{}", hop(branch), reason.map_or(String::new(), |r| format!(" {r}")))
                }
                Output::Reply => "reply".to_owned(),
                Output::Forward { branch, code, .. } => {
                    self.machine.passed_on(branch, code, b"text", &mut self.work);
                    format!("forward {code}")
                }
                Output::Answer(code) => format!("answer {code}"),
                Output::TimedOut => "timed out".to_owned(),
                Output::Silent(branch) => format!("silent {}", hop(branch)),
                Output::Ask(asked) => {
                    let sent = self.machine.branch(asked.branch).map_or(&[][..], |b| b.sent());
                    let method = sent.split(|b| *b == b' ').next().unwrap_or_default();
                    self.asked.push((asked.what, String::from_utf8_lossy(method).into_owned()));
                    let answer = match self.instead.take() {
                        Some(target) => {
                            let number = self.machine.branches().len();
                            Answer::Instead(request(self.method(), number), target)
                        }
                        None => Answer::Nothing,
                    };
                    self.machine.handle(Input::Answer(asked, answer, heard), self.now, &mut self.work);
                    continue;
                }
            });
        }
        self.told.split_off(before)
    }

    fn begin(&mut self) -> Vec<String> {
        self.carry_out(None)
    }

    fn hear(&mut self, branch: u8, code: u16) -> Vec<String> {
        self.hear_of(branch, code, self.method())
    }

    fn hear_of(&mut self, branch: u8, code: u16, method: &str) -> Vec<String> {
        let text = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK{branch}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\
             From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let message = Message::new(text.as_bytes(), &index);
        let heard = Heard { branch, message: &message, for_us: false, may_stay: true };
        self.machine.handle(Input::Response(heard), self.now, &mut self.work);
        self.carry_out(Some(heard))
    }

    fn tell(&mut self, input: Input<'_, Name>) -> Vec<String> {
        self.machine.handle(input, self.now, &mut self.work);
        self.carry_out(None)
    }

    /// Lets time pass up to `until`; what happened, each with its time.
    fn pass(&mut self, until: Now) -> Vec<(Now, String)> {
        let mut all = Vec::new();
        while let Some(at) = self.machine.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let told = self.tell(Input::Timer);
            all.extend(told.into_iter().map(|text| (at, text)));
        }
        self.now = until;
        all
    }
}

#[test]
fn the_first_2xx_goes_back_and_the_others_are_cancelled() {
    let mut w = World::new(Method::Invite);
    for hop in ["x", "y", "z"] {
        w.start(target(hop));
    }
    assert_eq!(w.begin(), ["request x", "request y", "request z"]);
    assert_eq!(w.hear(0, 100), [""; 0]);
    assert_eq!(w.hear(0, 180), ["forward 180"]);
    assert_eq!(w.hear(1, 200), ["forward 200", "cancel x SIP;cause=200;text=\"Call completed elsewhere\""]);
    // Nothing was heard of z: its CANCEL waits for that (RFC 3261 §9.1).
    assert_eq!(w.hear(2, 180), ["cancel z SIP;cause=200;text=\"Call completed elsewhere\""]);
    assert_eq!(w.hear(0, 487), ["ack x"]);
    // A second 2xx goes back as well (§16.7 step 5).
    assert_eq!(w.hear(2, 200), ["forward 200"]);
    w.pass(200_000);
    assert!(w.machine.is_over());
}

#[test]
fn groups_are_tried_one_after_the_other_and_the_best_failure_goes_back() {
    let mut w = World::new(Method::Invite);
    w.start(target("x"));
    w.put_off(1, target("y"), false);
    w.put_off(1, target("z"), false);
    assert_eq!(w.begin(), ["request x"]);
    assert_eq!(w.hear(0, 486), ["ack x", "request y", "request z"]);
    assert_eq!(w.hear(1, 404), ["ack y"]);
    assert_eq!(w.hear(2, 500), ["ack z", "forward 486"]);
    // The failure of a branch that is repeated gets its ACK again, and nothing else.
    assert_eq!(w.hear(1, 404), ["ack y"]);
    assert_eq!(w.tell(Input::Ack), [""; 0]);
    w.pass(T1_64 * 2);
    assert!(w.machine.is_over());
}

#[test]
fn a_6xx_ends_it_when_the_others_have_ended() {
    let mut w = World::new(Method::Invite);
    for hop in ["x", "y"] {
        w.start(target(hop));
    }
    w.put_off(1, target("later"), false);
    w.begin();
    w.hear(1, 180);
    assert_eq!(w.hear(0, 603), ["ack x", "cancel y SIP;cause=603"]);
    assert_eq!(w.hear(1, 487), ["ack y", "forward 603"]);
}

#[test]
fn a_cancel_waits_for_each_branch_to_be_heard_of() {
    let mut w = World::new(Method::Invite);
    for hop in ["x", "y"] {
        w.start(target(hop));
    }
    w.begin();
    w.hear(0, 100);
    let reason = b"Reason: SIP;cause=487;text=\"gone\"\r\n";
    assert_eq!(w.tell(Input::Cancel(reason)), ["cancel x SIP;cause=487;text=\"gone\""]);
    assert_eq!(w.tell(Input::Cancel(b"")), [""; 0]);
    assert_eq!(w.hear_of(0, 200, "CANCEL"), [""; 0]);
    assert_eq!(w.hear(0, 487), ["ack x"]);
    assert_eq!(w.hear(1, 180), ["cancel y SIP;cause=487;text=\"gone\""]);
    // It rings on, which changes nothing.
    w.pass(20_000);
    assert_eq!(w.hear(1, 183), ["forward 183"]);
    // y never answers: 64*T1 after its CANCEL it is over (§9.1).
    let told = w.pass(T1_64 + 1_000);
    let answers = told.iter().filter(|(_, text)| text.starts_with("answer"));
    assert_eq!(answers.collect::<Vec<_>>(), [&(T1_64, "answer 487".to_owned())]);
    w.pass(T1_64 * 3);
    assert!(w.machine.is_over());
}

#[test]
fn a_2xx_that_crosses_the_cancel_goes_back() {
    let mut w = World::new(Method::Invite);
    w.start(target("x"));
    w.begin();
    w.hear(0, 180);
    w.tell(Input::Cancel(b""));
    assert_eq!(w.hear(0, 200), ["forward 200"]);
}

#[test]
fn who_takes_the_call_at_the_last_moment_has_it() {
    for (code, answer) in [(200, "forward 200"), (487, "answer 408"), (503, "answer 408")] {
        let mut w = World::new(Method::Invite);
        w.machine.ring_for(20_000, true);
        w.start(target("x"));
        w.begin();
        w.hear(0, 180);
        assert_eq!(w.pass(20_000), [(20_000, "cancel x".to_owned())]);
        assert_eq!(w.hear(0, code).last().map(String::as_str), Some(answer));
    }
}

#[test]
fn a_carrier_has_timer_c() {
    let mut w = World::new(Method::Invite);
    w.machine.ring_for(20_000, false);
    w.start(Target { carrier: true, ..target("x") });
    w.start(target("y"));
    w.begin();
    w.hear(0, 183);
    w.hear(1, 180);
    assert_eq!(w.pass(20_000), [(20_000, "cancel y".to_owned())]);
    w.hear_of(1, 200, "CANCEL");
    w.hear(1, 487);
    assert_eq!(w.pass(C - 1), []);
    assert_eq!(w.pass(C), [(C, "cancel x".to_owned())]);
}

#[test]
fn timer_c_begins_anew_with_each_provisional_response() {
    let mut w = World::new(Method::Invite);
    w.start(target("x"));
    w.begin();
    w.hear(0, 180);
    assert_eq!(w.pass(C - 1), []);
    w.hear(0, 183);
    assert_eq!(w.pass(2 * C - 2), []);
    let told = w.pass(2 * C + T2);
    // The caller's answer waits for the branch's end, for a moment.
    assert_eq!(told.first(), Some(&(2 * C - 1, "cancel x".to_owned())));
    let answer = told.iter().find(|(_, text)| text.starts_with("answer"));
    assert_eq!(answer, Some(&(2 * C - 1 + T2, "answer 408".to_owned())));
    // A callee's own time does not begin anew.
    let mut w = World::new(Method::Invite);
    w.machine.ring_for(20_000, true);
    w.start(target("x"));
    w.begin();
    w.hear(0, 180);
    w.now = 19_000;
    w.hear(0, 183);
    assert_eq!(w.pass(20_000).first(), Some(&(20_000, "cancel x".to_owned())));
}

#[test]
fn a_challenge_is_answered_once() {
    let mut w = World::new(Method::Invite);
    w.start(Target { has_credentials: true, ..target("carrier") });
    w.begin();
    w.instead = Some(target("carrier again"));
    assert_eq!(w.hear(0, 407), ["ack carrier", "request carrier again"]);
    assert_eq!(w.hear(1, 407), ["ack carrier again", "forward 407"]);
    // One that the caller must not see is our own 403.
    let mut w = World::new(Method::Invite);
    w.start(Target { passes_challenges: false, ..target("x") });
    w.begin();
    assert_eq!(w.hear(0, 401), ["ack x", "answer 403"]);
}

#[test]
fn a_request_other_than_invite_times_out_in_silence() {
    let mut w = World::new(Method::Other);
    w.start(target("x"));
    w.begin();
    assert_eq!(w.tell(Input::Repetition), [""; 0]);
    let told = w.pass(T1_64);
    assert_eq!(told.iter().filter(|(_, text)| text == "repeat x").count(), 10);
    // RFC 4320 §4.1: no 408 to it.
    assert_eq!(told.last(), Some(&(T1_64, "timed out".to_owned())));
    assert!(w.machine.is_over());
    let mut w = World::new(Method::Other);
    for hop in ["x", "y"] {
        w.start(target(hop));
    }
    w.begin();
    assert_eq!(w.hear(1, 200), ["forward 200"]);
    // A later 2xx of another branch is of no use to anybody.
    assert_eq!(w.hear(0, 200), [""; 0]);
    assert_eq!(w.tell(Input::Repetition), ["reply"]);
}

#[test]
fn branches_are_no_more_than_their_names_can_count() {
    let mut w = World::new(Method::Invite);
    for _ in 0..256 {
        w.start(target("x"));
    }
    assert_eq!(w.begin().len(), 256);
    w.put_off(1, target("one too many"), false);
    assert!(!w.machine.has_room(1));
    let mut last = Vec::new();
    for branch in 0..=255 {
        last = w.hear(branch, 486);
    }
    assert_eq!(last, ["ack x", "forward 486"]);
}

/// RFC 4320 §4.1: a 100 when timer E has come to T2 and nothing was said before, and no 408.
#[test]
fn a_request_other_than_invite_has_its_100_late() {
    let late = |told: &[(u64, String)]| {
        told.iter().filter(|(_, text)| text == "reply").map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let mut w = World::new(Method::Other);
    w.start(target("x"));
    w.begin();
    assert_eq!(w.tell(Input::Repetition), [""; 0], "nothing is said before");
    assert_eq!(late(&w.pass(T1_64 / 2)), [7 * T1]);
    assert_eq!(w.tell(Input::Repetition), ["reply"]);
    assert_eq!(w.hear(0, 200), ["forward 200"]);
    let mut w = World::new(Method::Other);
    w.start(target("x"));
    w.begin();
    assert_eq!(w.hear(0, 200), ["forward 200"]);
    assert_eq!(late(&w.pass(T1_64)), [0; 0]);
    for method in [Method::Other, Method::Invite] {
        let mut w = World::new(method);
        w.start(target("x"));
        w.begin();
        let told = w.hear(0, 408);
        assert_eq!(told.iter().any(|text| text == "timed out"), method == Method::Other, "{told:?}");
        assert_eq!(told.iter().any(|text| text == "forward 408"), method == Method::Invite, "{told:?}");
    }
}

/// What nothing shows brings the next address forward, and no failure.
#[test]
fn a_doubt_fails_nothing() {
    for method in [Method::Other, Method::Invite] {
        let mut w = World::new(method);
        w.start(target("x"));
        w.begin();
        assert_eq!(w.tell(Input::Doubtful(0)), [""; 0], "there is no other address");
        assert_eq!(w.hear(0, 200), ["forward 200"]);
        let mut w = World::new(method);
        w.start(Target { has_addresses: true, ..target("x") });
        w.begin();
        assert_eq!(w.tell(Input::Doubtful(0)), [""; 0], "nor is one found");
        w.instead = Some(target("y"));
        assert_eq!(w.tell(Input::Doubtful(0)), ["request y"]);
        assert_eq!(w.hear(1, 200), ["forward 200"]);
        let mut w = World::new(method);
        w.start(Target { has_addresses: true, ..target("x") });
        w.begin();
        w.hear(0, 100);
        w.instead = Some(target("y"));
        assert_eq!(w.tell(Input::Doubtful(0)), [""; 0], "something was heard");
    }
}

/// Of many failures the best one is kept, and what a challenge says.
#[test]
fn no_more_failures_are_kept_than_may_go_back() {
    let mut w = World::new(Method::Invite);
    for hop in ["w", "x", "y", "z", "rings"] {
        w.start(Target { passes_challenges: true, ..target(hop) });
    }
    w.begin();
    let kept = |w: &World| -> Vec<usize> {
        let branches = w.machine.branches().iter().enumerate();
        branches.filter(|(_, b)| !b.response().is_empty()).map(|(n, _)| n).collect()
    };
    w.hear(0, 500);
    assert_eq!(kept(&w), [0]);
    w.hear(1, 486);
    w.hear(2, 480);
    assert_eq!(kept(&w), [1], "486 goes before 480");
    w.hear(3, 401);
    assert_eq!(kept(&w), [3]);
    assert_eq!(w.hear(4, 407), ["ack rings", "forward 401"]);
}

/// Proceeding, accepted, answered; the response that a repetition gets.
fn stands(w: &World) -> (bool, bool, bool, &[u8]) {
    (w.machine.is_proceeding(), w.machine.is_accepted(), w.machine.is_answered(), w.machine.reply())
}

#[test]
fn a_transaction_says_where_it_stands() {
    let mut w = World::new(Method::Invite);
    w.start(target("x"));
    w.begin();
    assert_eq!(stands(&w), (true, false, false, &b"100"[..]));
    w.hear(0, 180);
    assert_eq!(stands(&w), (true, false, false, &b"text"[..]), "a repetition gets the 180");
    assert_eq!(w.tell(Input::Repetition), ["reply"]);
    w.hear(0, 200);
    // Another 2xx may come; the callee repeats its own.
    assert_eq!(stands(&w), (false, true, false, &b""[..]));
    assert_eq!(w.tell(Input::Repetition), [""; 0]);
    assert!(w.machine.branch(0).is_some_and(|branch| branch.sent().is_empty() && branch.code() == 200));

    let mut w = World::new(Method::Message);
    w.start(target("x"));
    w.start(target("y"));
    w.begin();
    assert_eq!(stands(&w), (true, false, false, &b"100"[..]));
    w.hear(0, 202);
    assert_eq!(stands(&w), (false, false, false, &b"text"[..]), "one branch has not said anything");
    assert_eq!(w.tell(Input::Repetition), ["reply"]);
    w.hear(1, 200);
    assert_eq!(stands(&w), (false, false, true, &b"text"[..]));
    assert_eq!(w.machine.take_branches(&mut w.work.buffers).len(), 0, "an empty list comes back");
    assert!(w.machine.branches().is_empty() && !w.machine.is_over());
    w.pass(100_000);
    assert!(w.machine.is_over());
}

#[test]
fn a_challenge_is_answered_from_the_request_itself() {
    let mut w = World::new(Method::Invite);
    w.start(Target { has_credentials: true, ..target("carrier") });
    w.begin();
    w.instead = Some(Target { has_credentials: true, ..target("again") });
    w.hear(0, 401);
    assert_eq!(w.asked, [(Question::Credentials, "INVITE".to_owned())]);
    assert!(w.machine.branch(0).is_some_and(|branch| branch.sent().starts_with(b"ACK ")));
    w.asked.clear();
    // Nobody is asked for credentials because of anything else, nor once the call is cancelled.
    w.hear(1, 180);
    w.tell(Input::Cancel(b""));
    assert_eq!(w.hear(1, 407), ["ack again", "answer 487"]);
    let mut other = World::new(Method::Invite);
    other.start(Target { has_credentials: true, ..target("x") });
    other.begin();
    assert_eq!(other.hear(0, 486), ["ack x", "forward 486"]);
    assert_eq!((w.asked, other.asked), (vec![], vec![]));
}

#[test]
fn a_callee_that_was_silent_has_timer_c_once_it_rings() {
    let mut w = World::new(Method::Invite);
    w.start(Target { has_addresses: true, ..target("x") });
    w.begin();
    w.now = 1_000;
    w.hear(0, 180);
    assert_eq!(w.pass(1_000 + C - 1), []);
    assert_eq!(w.pass(1_000 + C), [(1_000 + C, "cancel x".to_owned())]);
}

#[test]
fn who_takes_the_call_after_its_caller_has_given_up_is_told_on() {
    let mut w = World::new(Method::Invite);
    w.machine.ring_for(20_000, true);
    w.start(target("x"));
    w.begin();
    w.hear(0, 180);
    let told = w.pass(20_000 + T2);
    assert!(told.contains(&(20_000 + T2, "answer 408".to_owned())), "{told:?}");
    assert_eq!(w.hear(0, 200), ["forward 200"], "RFC 3261 §16.7 step 5");
}

#[test]
fn a_failure_is_told_in_words_for_the_caller() {
    let mut w = World::new(Method::Invite);
    for hop in ["x", "y"] {
        w.start(Target { passes_challenges: true, ..target(hop) });
    }
    w.begin();
    let text = |challenge: &str| {
        format!(
            "SIP/2.0 401 X\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nWWW-Authenticate: Digest realm=\"{challenge}\"\r\n\r\n"
        )
    };
    for (branch, realm) in [(0, "one"), (1, "two")] {
        let text = text(realm);
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let message = Message::new(text.as_bytes(), &index);
        let heard = Heard { branch, message: &message, for_us: false, may_stay: true };
        w.machine.handle(Input::Response(heard), 0, &mut w.work);
        w.carry_out(Some(heard));
    }
    let finished = |code: u16| {
        let mut out = format!("SIP/2.0 {code} X\r\nCall-ID: c\r\n\r\n").into_bytes();
        w.machine.finish_failure(code, &mut out);
        String::from_utf8(out).unwrap()
    };
    let both = "SIP/2.0 401 X\r\nCall-ID: c\r\nWWW-Authenticate: Digest realm=\"two\"\r\n\r\n";
    assert_eq!(finished(401), both, "the challenge of the other branch goes with it");
    assert_eq!(finished(430), "SIP/2.0 480 Temporarily Unavailable\r\nCall-ID: c\r\n\r\n");
    assert_eq!(finished(503), "SIP/2.0 500 Server Internal Error\r\nCall-ID: c\r\n\r\n");
    assert_eq!(finished(486), "SIP/2.0 486 X\r\nCall-ID: c\r\n\r\n");
}
