//! The recorded cases of ari-proxy 5.3.1, replayed against a scripted stand-in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, HttpRequest, info};
use trunkline_tests_ari::golden::{Case, Known, Published, Rest, cases, decoded};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, log, until};

const NODE: &str = "02:00:00:00:00:0a";
const SECOND: Duration = Duration::from_secs(1);

/// What the stand-in is to answer next, and what did not fit.
#[derive(Default)]
struct Script {
    expected: VecDeque<Rest>,
    wrong: Vec<String>,
    lenient_body: bool,
    known: Known,
}

impl Script {
    fn answer(&mut self, request: &HttpRequest) -> HttpReply {
        let got_path = decoded(&request.path);
        let is_info = |path: &str| path == "/asterisk/info";
        // Who Asterisk is, the proxy asks between the cases too.
        if is_info(&got_path) && !self.expected.front().is_some_and(|r| is_info(&r.path)) {
            return info(NODE);
        }
        let got = format!("{} {got_path} {}", request.method, String::from_utf8_lossy(&request.body));
        let Some(rest) = self.expected.pop_front() else {
            self.wrong.push(format!("unexpected {got}"));
            return HttpReply::json(500, "{}");
        };
        let path_fits = self.known.text_matches(&decoded(&rest.path), &got_path);
        let body_fits = match (&rest.body, request.body.is_empty()) {
            (None, empty) => empty,
            (Some(_), true) => false,
            (Some(want), false) => match serde_json::from_slice::<Value>(&request.body) {
                Ok(got) if self.lenient_body => want["channel"] == got["channel"],
                Ok(got) => self.known.value_matches(want, &got),
                Err(_) => false,
            },
        };
        if rest.method != request.method || !path_fits || !body_fits {
            self.wrong.push(format!("expected {} {} {:?}, got {got}", rest.method, rest.path, rest.body));
        }
        let body = rest.response.map(|r| self.known.fill(&r.to_string())).unwrap_or_default();
        HttpReply::json(rest.status, body)
    }
}

struct Replay {
    nats: async_nats::Client,
    seen: async_nats::Subscriber,
    fake: FakeAri,
    script: Arc<Mutex<Script>>,
    differ: BTreeMap<String, String>,
}

impl Replay {
    /// The replies to one case, as many as are expected or until nothing more comes.
    async fn request(&mut self, case: &Case, expected: usize) -> Vec<Value> {
        let subject = self.script.lock().known.fill(case.subject.as_deref().unwrap());
        let body = match &case.request {
            Value::String(literal) => literal.clone(),
            other => self.script.lock().known.fill(&other.to_string()),
        };
        if case.no_reply_subject {
            self.nats.publish(subject, body.into()).await.unwrap();
            return Vec::new();
        }
        let inbox = self.nats.new_inbox();
        let mut replies = self.nats.subscribe(inbox.clone()).await.unwrap();
        self.nats.publish_with_reply(subject, inbox, body.into()).await.unwrap();
        let mut got = Vec::new();
        // What nobody takes is waited for in vain.
        let bound = if case.encodes.iter().any(|e| e == "D23") { 2 * SECOND } else { PATIENCE };
        while got.len() < expected {
            match tokio::time::timeout(bound, replies.next()).await {
                Ok(Some(message)) if message.status.is_some() => got.push(json!({"error": "no responders"})),
                Ok(Some(message)) => got.push(serde_json::from_slice(&message.payload).unwrap()),
                _ => break,
            }
        }
        got
    }

    /// What was published on the bus since the last call, up to a mark of our own.
    async fn published(&mut self) -> Vec<Published> {
        let mark = json!({"type": "Mark", "n": trunkline_ari::ulid()});
        self.fake.emit(mark.to_string());
        let mut seen = Vec::new();
        loop {
            let message = tokio::time::timeout(PATIENCE, self.seen.next()).await.expect("the mark").unwrap();
            // The requests are on the bus as well.
            if !["ari.event.", "ari.dialogevent.", "ari.announce"]
                .iter()
                .any(|p| message.subject.starts_with(p))
            {
                continue;
            }
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            if body == mark {
                return seen;
            }
            seen.push(Published { subject: message.subject.to_string(), body });
        }
    }

    async fn run(&mut self, case: &Case) -> Result<(), String> {
        let encodes = |id: &str| case.encodes.iter().any(|e| e == id);
        {
            let mut script = self.script.lock();
            script.expected = case.rest.iter().cloned().collect();
            script.lenient_body = encodes("D21");
        }
        // Where the original answers nothing though it was asked, ours answers an error.
        let answers_instead = !case.no_reply_subject && (case.crash && encodes("D13") || encodes("D11"));
        let expected = if answers_instead { 1 } else { case.replies.len() };
        let replies = if case.subject.is_some() { self.request(case, expected).await } else { Vec::new() };
        self.compare_rest()?;
        self.compare_replies(case, &replies, answers_instead)?;
        self.compare_events(case).await
    }

    fn compare_rest(&mut self) -> Result<(), String> {
        let mut script = self.script.lock();
        if let Some(wrong) = script.wrong.drain(..).next() {
            return Err(wrong);
        }
        match script.expected.drain(..).next() {
            Some(rest) => Err(format!("{} {} was not called", rest.method, rest.path)),
            None => Ok(()),
        }
    }

    fn compare_replies(&mut self, case: &Case, replies: &[Value], instead: bool) -> Result<(), String> {
        let encodes = |id: &str| case.encodes.iter().any(|e| e == id);
        let mut note = |what: &str| {
            self.differ.insert(case.name.clone(), format!("{}: {what}", case.encodes.join(" ")));
        };
        if encodes("D23") {
            // Down: the queue group is left, nobody takes what only one may take.
            note("nobody takes it");
            return if replies.is_empty() { Ok(()) } else { Err(format!("{replies:?}")) };
        }
        let [reply] = replies else {
            return if case.replies.is_empty() && replies.is_empty() && !instead {
                Ok(())
            } else {
                Err(format!("{} replies", replies.len()))
            };
        };
        let error = reply["error"].as_str().ok_or("a reply without error")?;
        let want = case.replies.first();
        if instead || encodes("D47") {
            note(error);
            return if error.is_empty() { Err("an error was expected".to_owned()) } else { Ok(()) };
        }
        if encodes("D37") {
            note("accepted");
            let key = &reply["key"];
            return if error.is_empty() && key["id"] == "gold-em0" { Ok(()) } else { Err(reply.to_string()) };
        }
        if encodes("D20") {
            note("ids, levels and lists are complete");
            let complete = match case.kind.as_str() {
                "SoundList" => reply["keys"].as_array().is_some_and(|k| {
                    k.len() == 3 && k.iter().all(|k| k["id"].as_str().is_some_and(|id| !id.is_empty()))
                }),
                "MailboxList" => reply["keys"][0]["id"] == "1@gold",
                "AsteriskLoggingData" => {
                    reply["data"]["log"]["levels"] == "NOTICE WARNING "
                        && reply["data"]["log"]["types"] == "File"
                }
                _ => self.script.lock().known.value_matches(want.unwrap(), reply),
            };
            return if complete { Ok(()) } else { Err(reply.to_string()) };
        }
        let want = want.ok_or_else(|| format!("a reply nobody expected: {reply}"))?;
        if self.script.lock().known.value_matches(want, reply) {
            Ok(())
        } else {
            Err(format!("\n  want {want}\n  got  {reply}"))
        }
    }

    /// Writes the recorded frames (or, where none are recorded, the recorded events) to the
    /// WebSocket and compares what is published.
    async fn compare_events(&mut self, case: &Case) -> Result<(), String> {
        let encodes = |id: &str| case.encodes.iter().any(|e| e == id);
        let Some(recorded) = &case.events else {
            self.published().await;
            return Ok(());
        };
        let (recorded, announced): (Vec<Published>, Vec<Published>) = recorded
            .iter()
            .map(|p| {
                let known = &self.script.lock().known;
                Published { subject: known.fill(&p.subject), body: known.fill_value(&p.body) }
            })
            .partition(|p| p.subject != "ari.announce");
        let groups = group(&recorded);
        let frames: Vec<Value> = match &case.raw {
            Some(raw) => raw.iter().map(|r| self.script.lock().known.fill_value(r)).collect(),
            None => groups.iter().map(|(main, _)| main.clone()).collect(),
        };
        if !announced.is_empty() {
            let got =
                tokio::time::timeout(PATIENCE, self.announcement()).await.map_err(|_| "no announcement")?;
            let mut want = announced[0].body.clone();
            want["asterisk"] = want["node"].clone();
            if got != want {
                return Err(format!("announced {got}"));
            }
        }
        self.published().await;
        for frame in &frames {
            self.fake.emit(frame.to_string());
        }
        let published: Vec<_> =
            self.published().await.into_iter().filter(|p| p.subject != "ari.announce").collect();
        let got = group(&published);
        if got.len() != frames.len() {
            return Err(format!("{} of {} frames were published", got.len(), frames.len()));
        }
        for (frame, (main, _)) in frames.iter().zip(&got) {
            if frame != main {
                return Err(format!("changed on the way:\n  {frame}\n  {main}"));
            }
        }
        // The recorded events and ours belong together by type, from the end.
        let types: std::collections::BTreeSet<_> =
            frames.iter().map(|f| f["type"].as_str().unwrap_or_default().to_owned()).collect();
        for kind in types {
            let of = |groups: &[(Value, Vec<String>)]| -> Vec<Vec<String>> {
                groups
                    .iter()
                    .rev()
                    .filter(|(m, _)| m["type"] == kind.as_str())
                    .map(|(_, d)| d.clone())
                    .collect()
            };
            for (want, got) in of(&groups).iter().zip(of(&got)) {
                let more = encodes("D18") && want.iter().all(|d| got.contains(d));
                if *want != got && !more {
                    return Err(format!("{kind}: copies to {want:?}, ours to {got:?}"));
                }
            }
        }
        Ok(())
    }

    async fn announcement(&mut self) -> Value {
        loop {
            let message = self.seen.next().await.unwrap();
            if message.subject.as_str() == "ari.announce" {
                return serde_json::from_slice(&message.payload).unwrap();
            }
        }
    }
}

/// Events with the dialogs that got a copy, each dialog once.
fn group(published: &[Published]) -> Vec<(Value, Vec<String>)> {
    let mut groups: Vec<(Value, Vec<String>)> = Vec::new();
    for p in published {
        match p.subject.strip_prefix("ari.dialogevent.") {
            None => groups.push((p.body.clone(), Vec::new())),
            Some(dialog) => {
                let (main, dialogs) = groups.last_mut().expect("a copy follows its event");
                let mut copy = p.body.clone();
                assert_eq!(copy.as_object_mut().unwrap().remove("dialog"), Some(json!(dialog)));
                assert_eq!(*main, copy, "a copy is the event and its dialog");
                if !dialogs.contains(&dialog.to_owned()) {
                    dialogs.push(dialog.to_owned());
                }
            }
        }
    }
    groups.iter_mut().for_each(|(_, d)| d.sort());
    groups
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_recorded_cases() {
    log();
    let server = NatsServer::start(false).await;
    let script = Arc::new(Mutex::new(Script { known: Known::new(NODE), ..Script::default() }));
    let answering = Arc::clone(&script);
    let fake = FakeAri::start(move |request| answering.lock().answer(request)).await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "trunkline", &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    let seen = nats.subscribe("ari.>").await.unwrap();
    fake.connected().await;
    let mut replay = Replay { nats: nats.clone(), seen, fake, script, differ: BTreeMap::new() };
    let ready = || async { asked(&nats).await.contains("Not implemented") };
    until("the proxy answers", ready).await;

    let (mut down, mut failed, mut counts) = (false, Vec::new(), BTreeMap::<String, u32>::new());
    let cases = cases();
    assert_eq!(cases.len(), 340);
    for case in &cases {
        if case.name.starts_with("down-") != down {
            down = !down;
            if down {
                replay.fake.kill().await;
                let gone = || async { asked(&nats).await.contains("down") };
                until("the proxy knows that Asterisk is gone", gone).await;
            } else {
                replay.fake.revive().await;
                replay.fake.connected().await;
                until("the proxy is back", ready).await;
            }
        }
        for (kind, id, dialog, _) in BOUND_BEFORE.iter().filter(|(.., name)| *name == case.name) {
            let request = json!({"kind": kind, "key": {"id": id, "dialog": dialog}}).to_string();
            nats.request("ari.command.trunkline", request.into()).await.unwrap();
        }
        let result = if case.name == "announce-periodic" {
            announces_unasked(&server).await
        } else if down {
            replay_down(&mut replay, case).await
        } else {
            replay.run(case).await
        };
        if let Err(why) = result {
            failed.push(format!("{} {}: {why}", case.order, case.name));
        }
        *counts.entry(case.outcome.clone()).or_default() += 1;
        assert!(proxy.runs(), "{} ended the proxy", case.name);
    }
    println!("{} cases: {counts:?}", cases.len());
    println!("{} answered otherwise than the original, as the specification asks:", replay.differ.len());
    for (name, what) in &replay.differ {
        println!("  {name}: {what}");
    }
    assert!(failed.is_empty(), "{} of 340 differ:\n{}", failed.len(), failed.join("\n"));
    proxy.stop().await;
}

/// Bindings that the recording made in cases which are not in the file: kind, id, dialog, and the
/// case that shows them.
const BOUND_BEFORE: [(&str, &str, &str, &str); 1] =
    [("ChannelSubscribe", "gold-d", "dlg7", "channel-continue-ok")];

/// Without Asterisk there is no WebSocket to mark the end of a case.
async fn replay_down(replay: &mut Replay, case: &Case) -> Result<(), String> {
    let replies = replay.request(case, case.replies.len()).await;
    replay.compare_rest()?;
    replay.compare_replies(case, &replies, false)
}

/// What the proxy answers to a request that no kind has; empty when nothing comes.
async fn asked(nats: &async_nats::Client) -> String {
    let reply = tokio::time::timeout(SECOND, nats.request("ari.get.trunkline", "{}".into())).await;
    reply
        .ok()
        .and_then(Result::ok)
        .map(|m| String::from_utf8_lossy(&m.payload).into_owned())
        .unwrap_or_default()
}

/// A proxy with a short interval announces itself without any ping.
async fn announces_unasked(server: &NatsServer) -> Result<(), String> {
    let fake = FakeAri::start(|_| info(NODE)).await;
    let more = [("ari.prefix", "often."), ("announce_interval", "200ms")];
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "trunkline", &more));
    let nats = async_nats::connect(server.url()).await.map_err(|e| e.to_string())?;
    let mut announced = nats.subscribe("often.announce").await.map_err(|e| e.to_string())?;
    for _ in 0..3 {
        let next = tokio::time::timeout(PATIENCE, announced.next()).await.ok().flatten();
        let body: Value =
            next.and_then(|m| serde_json::from_slice(&m.payload).ok()).ok_or("no announcement")?;
        if body != json!({"node": NODE, "asterisk": NODE, "application": "trunkline"}) {
            return Err(body.to_string());
        }
    }
    proxy.stop().await;
    Ok(())
}
