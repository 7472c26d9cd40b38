//! What programs do all the time, on a real Asterisk, over NATS and directly: play and wait, ask for digits,
//! record until something ends it, watch a bridge.

use std::time::Duration;

use trunkline_ari_client::{
    AriConfig, BridgeChange, BridgeType, Channel, Client, Dtmf, Event, EventType, Match, Originate, Play,
    PlayEnd, Prompt, PromptEnd, RecordEnd, RecordUntil, audio,
};
use trunkline_tests_ari::asterisk::Pair;
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::PATIENCE;

const APP: &str = "ext";
const SECOND: Duration = Duration::from_secs(1);

/// A call, both sides of which are in the application: what is sent to the other arrives at the one.
struct Call {
    one: Channel,
    other: Channel,
}

async fn call(client: &Client) -> Call {
    let mut events = client.subscribe(&client.here(), &[EventType::StasisStart]).await.unwrap();
    let call = Originate {
        endpoint: "Local/700@federation".to_owned(),
        app: APP.to_owned(),
        ..Originate::default()
    };
    let one = client.channel().originate(&client.here(), call).await.unwrap();
    let (mut started, mut other) = (false, None);
    while !started || other.is_none() {
        let start = tokio::time::timeout(PATIENCE, events.event()).await.expect("in time").expect("a start");
        let Event::StasisStart(start) = start.event else { continue };
        if start.channel.id == one.id() {
            started = true;
        } else {
            other = Some(client.channel().handle(one.key().sibling("channel", start.channel.id.clone())));
        }
    }
    Call { one, other: other.expect("the other side") }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// Does one thing, and another once an event tells that the first has begun. The event is subscribed to
/// before, so that it cannot come too early.
async fn once_begun<T>(
    channel: &Channel,
    begins: EventType,
    first: impl Future<Output = T>,
    second: impl Future<Output = ()>,
) -> T {
    let mut events = channel.subscribe(&[begins]).await.unwrap();
    let then = async {
        within("the beginning", events.event()).await.expect("an event of the channel");
        second.await;
    };
    tokio::join!(within("what has begun", first), then).0
}

async fn press(call: &Call, digits: &str) {
    let times = Dtmf { between: SECOND / 10, duration: SECOND / 10, ..Dtmf::default() };
    call.other.send_dtmf(digits, times).await.unwrap();
}

async fn playing(channel: &Channel) {
    // The channel's own subscription has its playbacks.
    let mut events =
        channel.subscribe(&[EventType::PlaybackStarted, EventType::PlaybackFinished]).await.unwrap();
    let end =
        within("a sound", channel.play_and_wait(Play::all([audio::digits("1"), audio::sound("beep")]))).await;
    assert_eq!(end.unwrap(), PlayEnd::Done);
    // Asterisk tells the beginning of each of several media.
    let mut told = Vec::new();
    while told.last() != Some(&EventType::PlaybackFinished) {
        let event = within("its events", events.event()).await.expect("an event");
        told.extend(event.event.event_type());
    }
    assert_eq!(told.first(), Some(&EventType::PlaybackStarted));
    let end = within("no sound", channel.play_and_wait(Play::media("sound:there-is-none"))).await;
    assert_eq!(end.unwrap(), PlayEnd::Failed);
}

async fn asking(call: &Call) {
    // Where nothing is to time out, nothing does on a busy machine.
    let question = || Prompt::new(Play::media(audio::tone("ring")), 3).timeouts(PATIENCE, PATIENCE);
    let ask = async |prompt: Prompt, digits: &str| {
        let pressing = async {
            if !digits.is_empty() {
                press(call, digits).await;
            }
        };
        let asked = call.one.prompt(prompt);
        let answer = once_begun(&call.one, EventType::PlaybackStarted, asked, pressing).await.unwrap();
        (answer.digits, answer.end)
    };
    assert_eq!(ask(question(), "123").await, ("123".to_owned(), PromptEnd::Complete));
    assert_eq!(ask(question(), "4#").await, ("4".to_owned(), PromptEnd::Terminated('#')));
    let short = question().timeouts(PATIENCE, SECOND);
    assert_eq!(ask(short, "5").await, ("5".to_owned(), PromptEnd::TimedOut));
    let silent = Prompt::new(Play::media(audio::sound("beep")), 1).timeouts(SECOND / 5, SECOND).attempts(2);
    assert_eq!(ask(silent, "").await, (String::new(), PromptEnd::TimedOut));
    let judged = question().matching(|digits| match digits {
        "42" => Match::Complete,
        "4" => Match::Incomplete,
        _ => Match::Invalid,
    });
    assert_eq!(ask(judged.clone(), "42").await, ("42".to_owned(), PromptEnd::Complete));
    assert_eq!(ask(judged, "9").await, ("9".to_owned(), PromptEnd::Invalid));
}

async fn recording(call: &Call) {
    let until = RecordUntil { digits: "*#".to_owned(), ..RecordUntil::default() };
    let recorded = call.one.record_until("", until);
    let recorded =
        once_begun(&call.one, EventType::RecordingStarted, recorded, press(call, "1*")).await.unwrap();
    assert_eq!(recorded.end, RecordEnd::Digit('*'));
    assert!(recorded.recording.stored().file().await.unwrap().content.starts_with(b"RIFF"));
    recorded.recording.stored().delete().await.unwrap();
    let mut until = RecordUntil::default();
    until.options.max_duration = SECOND;
    let recorded = within("a second", call.one.record_until("", until)).await.unwrap();
    assert_eq!(recorded.end, RecordEnd::Finished);
    recorded.recording.stored().delete().await.unwrap();
}

async fn watching(client: &Client, channel: &Channel, other: &Channel) {
    let bridge = client.bridge().create(&client.here(), &[BridgeType::Mixing], "watched").await.unwrap();
    bridge.add_channel(channel.id()).await.unwrap();
    let mut monitor = bridge.monitor().await.unwrap();
    assert!(monitor.channels().contains(channel.id()));
    let mut next = async || within("a change", monitor.next()).await;
    bridge.add_channel(other.id()).await.unwrap();
    assert_eq!(next().await, Some(BridgeChange::Entered(other.id().to_owned())));
    bridge.remove_channel(channel.id()).await.unwrap();
    assert_eq!(next().await, Some(BridgeChange::Left(channel.id().to_owned())));
    other.hangup("normal").await.unwrap();
    assert_eq!(next().await, Some(BridgeChange::Left(other.id().to_owned())));
    bridge.delete().await.unwrap();
    assert_eq!(next().await, Some(BridgeChange::Destroyed));
    assert_eq!(next().await, None);
}

/// Whoever hangs up ends what is waited for.
async fn hanging_up(client: &Client) {
    let [one, two, three] = [call(client).await.one, call(client).await.one, call(client).await.one];
    let hang_up = async |channel: &Channel| channel.hangup("normal").await.unwrap();
    let tone = Play::media(audio::tone("ring"));
    let played = one.play_and_wait(tone.clone());
    let end = once_begun(&one, EventType::PlaybackStarted, played, hang_up(&one)).await;
    // Which event comes first is Asterisk's choice.
    assert!(matches!(end.unwrap(), PlayEnd::HungUp | PlayEnd::Done | PlayEnd::Failed));
    let asked = two.prompt(Prompt::new(tone, 1));
    let end = once_begun(&two, EventType::PlaybackStarted, asked, hang_up(&two)).await;
    assert_eq!(end.unwrap().end, PromptEnd::HungUp);
    let recorded = three.record_until("", RecordUntil::default());
    let end = once_begun(&three, EventType::RecordingStarted, recorded, hang_up(&three)).await;
    let end = end.unwrap().end;
    assert!(matches!(end, RecordEnd::HungUp | RecordEnd::Finished | RecordEnd::Failed(_)), "{end:?}");
    assert!(one.play_and_wait(Play::media("sound:beep")).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_nats_and_directly() {
    let pair = Pair::start(APP);
    let server = NatsServer::start(false).await;
    let proxy = TestProxy::start(config(&server.url(), &pair.url_a(), APP, &[]));
    for direct in [false, true] {
        let builder = Client::builder().application(APP).timeout(20 * SECOND);
        let builder = match direct {
            true => builder.direct(AriConfig::new(&pair.url_b(), "ari", "secret")),
            false => builder.url(server.url()),
        };
        let client = builder.connect().await.unwrap();
        client.ready(PATIENCE).await.unwrap();
        let pair = call(&client).await;
        playing(&pair.one).await;
        asking(&pair).await;
        recording(&pair).await;
        watching(&client, &pair.one, &call(&client).await.one).await;
        hanging_up(&client).await;
        // In a dialog all of it comes by the dialog's copies.
        let mut pair = call(&client).await;
        pair.one = pair.one.in_dialog(client.dialog());
        playing(&pair.one).await;
        asking(&pair).await;
        client.close().await;
    }
    proxy.stop().await;
}
