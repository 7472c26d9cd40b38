//! Questions when things go wrong: a playback that cannot be stopped yet, or at all, a caller who leaves
//! between two attempts, a question that Asterisk cannot play.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use trunkline_ari_client::{AriConfig, Channel, Client, Error, Key, Play, Prompt, PromptEnd, Prompted};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::wait::{PATIENCE, until};

const APP: &str = "ask";

/// What Asterisk answers to the next attempts to stop a playback; then it always does.
type Stops = Arc<Mutex<VecDeque<u16>>>;

/// Asterisk, and one channel of it.
struct Scene {
    fake: Arc<FakeAri>,
    channel: Channel,
    /// The playbacks that were begun.
    played: Arc<Mutex<Vec<String>>>,
    stops: Stops,
    /// Whether the channel is there.
    there: Arc<Mutex<bool>>,
}

impl Scene {
    async fn start(stops: &[u16]) -> Self {
        let stops = Stops::new(Mutex::new(stops.iter().copied().collect()));
        let played = Arc::<Mutex<Vec<String>>>::default();
        let there = Arc::new(Mutex::new(true));
        let (stopping, playing, present) = (Arc::clone(&stops), Arc::clone(&played), Arc::clone(&there));
        let fake = FakeAri::start(move |request| match (request.method.as_str(), request.path.as_str()) {
            (_, "/asterisk/info") => info("n1"),
            ("POST", path) if path.starts_with("/channels/c/play") => {
                if !*present.lock() {
                    return HttpReply::json(404, r#"{"message":"Channel not found"}"#);
                }
                let id = path.strip_prefix("/channels/c/play/").unwrap_or_default();
                let id = id.split('?').next().unwrap_or_default().to_owned();
                playing.lock().push(id.clone());
                HttpReply::json(201, json!({"id": id, "state": "queued"}).to_string())
            }
            ("DELETE", path) if path.starts_with("/playbacks/") => {
                let status = stopping.lock().pop_front().unwrap_or(204);
                HttpReply::json(status, r#"{"message":"no"}"#)
            }
            _ => HttpReply::json(200, r#"{"id":"c"}"#),
        });
        let fake = Arc::new(fake.await);
        let client = Client::builder().application(APP).direct(AriConfig::new(&fake.url(), "ari", "secret"));
        let client = client.connect().await.unwrap();
        client.ready(PATIENCE).await.unwrap();
        fake.connected().await;
        let channel = client.channel().handle(Key::new("channel", "c").at(APP, "n1"));
        Scene { fake, channel, played, stops, there }
    }

    fn tell(&self, event_type: &str, more: &Value) {
        let mut event = json!({"type": event_type, "application": APP, "timestamp": "t"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.fake.emit(event.to_string());
    }

    fn press(&self, digit: &str) {
        self.tell("ChannelDtmfReceived", &json!({"digit": digit, "duration_ms": 1, "channel": {"id": "c"}}));
    }

    /// The end of the `n`th playback.
    fn end(&self, n: usize, state: &str) {
        let id = self.played.lock()[n].clone();
        self.tell(
            "PlaybackFinished",
            &json!({"playback": {"id": id, "target_uri": "channel:c", "state": state}}),
        );
    }

    /// Until so many playbacks were begun.
    async fn plays(&self, count: usize) {
        until("it is played", || async { self.played.lock().len() >= count }).await;
    }

    fn ask(&self, prompt: Prompt) -> tokio::task::JoinHandle<Result<Prompted, Error>> {
        let channel = self.channel.clone();
        tokio::spawn(async move { channel.prompt(prompt).await })
    }
}

fn question() -> Prompt {
    Prompt::new(Play::media("sound:which"), 1).timeouts(PATIENCE, PATIENCE)
}

async fn within<T>(task: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, task).await.expect("in time").expect("no panic")
}

/// Asterisk tells that a playback has begun before it can be stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_stopped_as_soon_as_it_can_be() {
    let scene = Scene::start(&[500, 500, 500]).await;
    let asked = scene.ask(question());
    scene.plays(1).await;
    scene.press("7");
    let answer = within(asked).await.unwrap();
    assert_eq!((answer.digits.as_str(), answer.end), ("7", PromptEnd::Complete));
    assert!(scene.stops.lock().is_empty(), "it was asked until it was stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_has_ended_by_itself_needs_no_stop() {
    for gone in [404, 409] {
        let scene = Scene::start(&[gone]).await;
        let asked = scene.ask(question());
        scene.plays(1).await;
        scene.press("7");
        assert_eq!(within(asked).await.unwrap().end, PromptEnd::Complete);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_cannot_be_stopped_is_an_error() {
    for stops in [vec![403], vec![500; 100_000]] {
        let scene = Scene::start(&stops).await;
        let asked = scene.ask(question());
        scene.plays(1).await;
        scene.press("7");
        let error = within(asked).await.unwrap_err();
        let Error::Refused(refusal) = &error else { panic!("{error}") };
        assert_eq!(refusal.status, Some(stops[0]), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_between_two_attempts_has_hung_up() {
    let wrong = || question().matching(|_| trunkline_ari_client::Match::Invalid).attempts(2);
    // While the remark on the wrong digits is played.
    let scene = Scene::start(&[]).await;
    let asked = scene.ask(wrong().invalid(Play::media("sound:wrong")));
    scene.plays(1).await;
    scene.press("7");
    scene.plays(2).await;
    scene.tell("StasisEnd", &json!({"channel": {"id": "c"}}));
    assert_eq!(within(asked).await.unwrap().end, PromptEnd::HungUp);
    // Before the question is repeated: its event may come after the refusal.
    let scene = Scene::start(&[]).await;
    let asked = scene.ask(wrong());
    scene.plays(1).await;
    *scene.there.lock() = false;
    scene.press("7");
    scene.tell("ChannelDestroyed", &json!({"cause": 16, "cause_txt": "", "channel": {"id": "c"}}));
    assert_eq!(within(asked).await.unwrap().end, PromptEnd::HungUp);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_not_played_is_told() {
    let scene = Scene::start(&[]).await;
    let asked = scene.ask(question().timeouts(Duration::from_millis(50), PATIENCE).attempts(3));
    scene.plays(1).await;
    scene.end(0, "failed");
    assert_eq!(within(asked).await.unwrap().end, PromptEnd::Unplayed);
    assert_eq!(scene.played.lock().len(), 1, "it would not be played the next time either");
    // Who answers all the same is heard.
    let asked = scene.ask(question());
    scene.plays(2).await;
    scene.end(1, "failed");
    scene.press("7");
    assert_eq!(within(asked).await.unwrap().end, PromptEnd::Complete);
}
