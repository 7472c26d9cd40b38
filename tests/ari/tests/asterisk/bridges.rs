//! A phone's call in a bridge.

use serde_json::json;
use trunkline_ari::Kind;
use trunkline_tests_ari::asterisk::Pair;

use crate::bus::{Bus, ENDLESS, NONE, NOT_FOUND, not_had};
use crate::leg::Leg;

pub async fn bridges_and_legs(bus: &mut Bus, pair: &Pair) {
    let mut leg = Leg::start(pair.ip_a());
    let start = bus.event("StasisStart", "").await;
    let channel = start["channel"]["id"].as_str().unwrap().to_owned();
    assert!(start["channel"]["name"].as_str().unwrap().starts_with("PJSIP/1001-"), "{start}");
    assert_eq!(start["channel"]["language"], "en", "nothing of the event is lost: {start}");

    bus.done(Kind::ChannelRing, &channel, NONE).await;
    bus.done(Kind::ChannelStopRing, &channel, NONE).await;
    bus.done(Kind::ChannelProgress, &channel, NONE).await;
    bus.done(Kind::ChannelAnswer, &channel, NONE).await;
    bus.answered(&channel).await;

    let bridge = "test-br";
    bus.made(Kind::BridgeStageCreate, bridge, json!({"type": "mixing", "name": "b"}), "bridge", bridge).await;
    bus.made(Kind::BridgeCreate, bridge, json!({"type": "mixing", "name": "b"}), "bridge", bridge).await;
    bus.ok(Kind::BridgeList, "", NONE, json!({"keys": [{"kind": "bridge", "id": bridge}]})).await;
    bus.made(Kind::BridgeGet, bridge, NONE, "bridge", bridge).await;
    bus.done(Kind::BridgeSubscribe, bridge, NONE).await;
    bus.done(Kind::BridgeUnsubscribe, bridge, NONE).await;
    let joined = json!({"channel": channel, "absorbDTMF": true, "mute": true, "role": "participant"});
    bus.done(Kind::BridgeAddChannel, bridge, joined.clone()).await;
    bus.event("ChannelEnteredBridge", &channel).await;
    bus.ok(
        Kind::BridgeData,
        bridge,
        NONE,
        json!({"data": {"bridge": {"id": bridge, "channels": [channel]}}}),
    )
    .await;
    bus.done(Kind::BridgeVideoSource, bridge, json!({"channel": channel})).await;
    bus.done(Kind::BridgeVideoSourceDelete, bridge, NONE).await;
    bus.done(Kind::BridgeMOH, bridge, json!({"class": "default"})).await;
    bus.done(Kind::BridgeStopMOH, bridge, NONE).await;
    let play = json!({"playback_id": "test-bp", "media_uri": ENDLESS});
    bus.made(Kind::BridgeStagePlay, bridge, play.clone(), "playback", "test-bp").await;
    bus.made(Kind::BridgePlay, bridge, play.clone(), "playback", "test-bp").await;
    bus.plays("test-bp").await;
    bus.done(Kind::PlaybackStop, "test-bp", NONE).await;
    bus.event("PlaybackFinished", "test-bp").await;
    let record = json!({"name": "test-rb", "options": {"Format": "wav", "MaxDuration": 60_000_000_000u64, "MaxSilence": 0, "Exists": "overwrite", "Beep": false, "Terminate": "none"}});
    bus.made(Kind::BridgeStageRecord, bridge, record.clone(), "liverecording", "test-rb").await;
    bus.made(Kind::BridgeRecord, bridge, record.clone(), "liverecording", "test-rb").await;
    bus.records("test-rb").await;
    bus.done(Kind::RecordingLiveScrap, "test-rb", NONE).await;
    bus.done(Kind::BridgeRemoveChannel, bridge, json!({"channel": channel})).await;
    bus.event("ChannelLeftBridge", &channel).await;

    let nope = bus.key("nope");
    bus.fails(
        Kind::BridgeCreate,
        bus.key(bridge),
        json!({"type": "mixing"}),
        "Non-2XX response: 409 Conflict",
    )
    .await;
    for (kind, option) in [
        (Kind::BridgeData, NONE),
        (Kind::BridgeGet, NONE),
        (Kind::BridgeStagePlay, play.clone()),
        (Kind::BridgeStageRecord, record.clone()),
        (Kind::BridgeRecord, record),
    ] {
        bus.fails(kind, nope.clone(), option, &not_had("bridge", "nope")).await;
    }
    for (kind, option) in [
        (Kind::BridgeDelete, NONE),
        (Kind::BridgeAddChannel, joined),
        (Kind::BridgeRemoveChannel, json!({"channel": channel})),
        (Kind::BridgeVideoSource, json!({"channel": channel})),
        (Kind::BridgeVideoSourceDelete, NONE),
        (Kind::BridgeMOH, json!({"class": "default"})),
        (Kind::BridgeStopMOH, NONE),
        (Kind::BridgePlay, play),
    ] {
        bus.fails(kind, nope.clone(), option, NOT_FOUND).await;
    }
    // Of these no failure but a missing key is possible.
    for kind in [Kind::BridgeStageCreate, Kind::BridgeSubscribe] {
        bus.fails(kind, NONE, json!({}), "bridge key not supplied").await;
    }
    bus.done(Kind::BridgeDelete, bridge, NONE).await;

    let statistics =
        bus.ok(Kind::ChannelRTPStatistics, &channel, NONE, json!({"data": {"rtp_statistics": {}}})).await;
    assert!(statistics["data"]["rtp_statistics"]["txcount"].is_number(), "{statistics}");
    bus.done(Kind::ChannelHangup, &channel, json!({"reason": ""})).await;
    bus.event("StasisEnd", &channel).await;
    leg.ended().await;
}
