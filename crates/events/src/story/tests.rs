use std::sync::Arc;

use trunkline_reasons::Reason;
use trunkline_sip::Transport;

use super::*;
use crate::event::{Arrival, Attempt, Failure, Heard};
use crate::recorder::Recorder;

fn arrival(method: &'static str, call_id: &'static str) -> Arrival<'static> {
    Arrival {
        method: method.as_bytes(),
        uri: b"sip:1002@sip.local",
        from: b"sip:1001:secret@sip.local",
        call_id: call_id.as_bytes(),
        agent: b"",
        contact: b"",
        transport: Transport::Udp,
        source: "192.0.2.7:5060".parse().unwrap(),
        inside: false,
        credentials: false,
        private_media: false,
        rewritten: false,
        own: false,
    }
}

pub(crate) fn arrived(method: &'static str, call_id: &'static str) -> Event<'static> {
    Event::Arrived(arrival(method, call_id))
}

fn answered(code: u16, reason: &str, ours: bool) -> Event<'static> {
    Event::Answered(Answer { code, reason: Reason::from_code(reason), ours })
}

fn heard(code: u16, phrase: &'static [u8], why: &'static [u8]) -> Heard<'static> {
    Heard { branch: 0, code, phrase, why, private_media: false, clock: 0 }
}

fn logs() -> [Arc<Log>; 2] {
    let logs = [Arc::new(Log::new(1 << 20)), Arc::new(Log::new(1 << 20))];
    let mut one = Recorder::new(Arc::clone(&logs[0]), 0);
    let mut two = Recorder::new(Arc::clone(&logs[1]), 1);
    one.begin();
    one.note(1_000, Event::Arrived(arrival("INVITE", "one")));
    one.note(1_000, answered(407, "auth.required", true));
    // The second try came to another shard.
    two.begin();
    two.note(1_040, Event::Arrived(Arrival { credentials: true, ..arrival("INVITE", "one") }));
    two.note(1_040, Event::Fact { words: "{} is agent {}", names: "1002\0agent-02" });
    let to = "198.51.100.1:5060".parse().unwrap();
    let attempt = Attempt {
        branch: 0,
        uri: b"sip:4930@carrier",
        trunk: "trunk-01",
        transport: Transport::Tls,
        to,
        unheard: false,
    };
    two.note(1_041, Event::Sent(attempt));
    one.begin();
    one.note(1_500, Event::Arrived(arrival("INVITE", "two")));
    one.note(1_501, answered(200, "", false));
    two.note(2_000, Event::Heard(heard(404, b"Not Found", b"Q.850;cause=1")));
    two.note(2_000, answered(404, "trunk.rejected", false));
    one.begin();
    one.note(3_000, Event::Arrived(arrival("REGISTER", "three")));
    one.note(3_000, answered(401, "auth.wrong-password", true));
    two.begin();
    two.note(4_000, Event::Arrived(arrival("INVITE", "four")));
    two.note(4_001, Event::Failed { branch: 0, how: Failure::Silent });
    one.commit();
    two.commit();
    logs
}

fn ask(query: Query) -> Vec<Story> {
    let logs = logs();
    stories(logs.iter().map(|log| &**log), &Query { limit: 10, ..query })
}

#[test]
fn a_call_is_told_with_all_its_requests() {
    let found = ask(Query { call_id: Some("one".into()), ..Query::default() });
    let text = found[0].to_text(|at| format!("at {at}"));
    assert_eq!(
        text,
        "INVITE sip:1001:…@sip.local → sip:1002@sip.local\n\
         Call-ID one, at 1000\n\n      \
         0.000  INVITE sip:1002@sip.local arrived from 192.0.2.7:5060 over UDP\n      \
         0.000  the caller gets 407 Proxy Authentication Required: auth.required\n      \
         0.040  INVITE sip:1002@sip.local arrived from 192.0.2.7:5060 over UDP, with credentials\n             \
         1002 is agent agent-02\n      \
         0.041  → sip:4930@carrier at 198.51.100.1:5060 over TLS, trunk trunk-01, branch 0\n      \
         1.000  ← 404 Not Found, branch 0 (Q.850;cause=1)\n      \
         1.000  the caller gets 404 Not Found\n\n\
         The INVITE failed: 404 Not Found\n  \
         Cause (trunk.rejected): The carrier refused the call.\n  \
         To do: See the SIP status and Reason of the carrier: 403 is often the caller's number or the account, 404 the called \
         number.\n  \
         Finding (number.format): The carrier does not know sip:4930@carrier: check whether it wants numbers without a plus, as it \
         was sent (routing.e164), and in the international form.\n"
    );
    assert!(found[0].failed());
}

#[test]
fn the_latest_and_the_failed_are_found() {
    let ids = |stories: Vec<Story>| stories.into_iter().map(|s| s.call_id).collect::<Vec<_>>();
    assert_eq!(ids(ask(Query::default())), ["four", "two", "one"]);
    assert_eq!(ids(ask(Query { failed: true, ..Query::default() })), ["three", "one"]);
    assert_eq!(ids(ask(Query { failed: true, since: 2_500, ..Query::default() })), ["three"]);
    assert!(ask(Query { call_id: Some("none".into()), ..Query::default() }).is_empty());
    let four = ask(Query { call_id: Some("four".into()), ..Query::default() });
    assert_eq!(four[0].result, None);
    assert!(four[0].to_text(|_| String::new()).contains("no answer came in time"));
}

/// A phone without a password is asked for credentials, and falls silent.
#[test]
fn a_challenge_that_nobody_answers_is_told() {
    let log = Arc::new(Log::new(1 << 20));
    let mut recorder = Recorder::new(Arc::clone(&log), 0);
    recorder.begin();
    recorder.note(1_000, arrived("REGISTER", "mute"));
    recorder.note(1_000, answered(401, "auth.required", true));
    recorder.commit();
    let story = stories_of([&*log], &["mute"]).remove(0).expect("a story");
    let text = story.to_text(|at| at.to_string());
    assert!(!story.failed() && text.contains("The REGISTER was challenged: 401 Unauthorized\n"), "{text}");
    assert!(text.contains("has sent no credentials since"), "{text}");
}
