//! Channels and playbacks.

use serde_json::json;
use trunkline_ari::Kind;
use trunkline_tests_ari::asterisk::Pair;

use crate::APP;
use crate::bus::{Bus, ENDLESS, NONE, NOT_FOUND, not_had};

pub async fn channels(bus: &mut Bus, pair: &Pair) {
    let call = |id: &str| json!({"originate_request": {"endpoint": "Local/600@phones", "app": APP, "channelId": id, "otherChannelId": format!("{id}-2")}});
    bus.made(Kind::ChannelStageOriginate, "", call("c1"), "channel", "c1").await;
    bus.made(Kind::ChannelOriginate, "", call("c1"), "channel", "c1").await;
    bus.event("StasisStart", "c1").await;
    bus.ok(Kind::ChannelList, "", NONE, json!({"keys": [{"kind": "channel", "id": "c1"}, {"id": "c1-2"}]}))
        .await;
    let dialplan = json!({"context": "phones", "exten": "600", "priority": 1});
    bus.ok(Kind::ChannelData, "c1", NONE, json!({"data": {"channel": {"id": "c1", "dialplan": dialplan}}}))
        .await;
    bus.made(Kind::ChannelGet, "c1", NONE, "channel", "c1").await;
    bus.done(Kind::ChannelSubscribe, "c1", NONE).await;
    bus.done(Kind::ChannelVariableSet, "c1", json!({"name": "FOO", "value": "a b"})).await;
    bus.ok(Kind::ChannelVariableGet, "c1", json!({"name": "FOO"}), json!({"data": {"variable": "a b"}}))
        .await;
    bus.done(Kind::ChannelVariablesSet, "c1", json!({"variables": {"ONE": "1", "TWO": "2"}})).await;
    let want = json!({"data": {"variables": {"variables": {"ONE": "1", "TWO": "2"}}}});
    bus.ok(Kind::ChannelVariablesGet, "c1", json!({"variables": ["ONE", "TWO"]}), want).await;
    let times = json!({"Before": 0, "Between": 50_000_000, "Duration": 100_000_000, "After": 0});
    bus.done(Kind::ChannelSendDTMF, "c1", json!({"dtmf": "1", "options": times})).await;
    assert_eq!(bus.event("ChannelDtmfReceived", "c1").await["digit"], "1");
    for direction in ["in", "out", "both", ""] {
        bus.done(Kind::ChannelMute, "c1", json!({"direction": direction})).await;
        bus.done(Kind::ChannelUnmute, "c1", json!({"direction": direction})).await;
    }
    for kind in [Kind::ChannelHold, Kind::ChannelStopHold, Kind::ChannelSilence, Kind::ChannelStopSilence] {
        bus.done(kind, "c1", NONE).await;
    }
    bus.done(Kind::ChannelMOH, "c1", json!({"music": "default"})).await;
    bus.done(Kind::ChannelStopMOH, "c1", NONE).await;
    bus.done(
        Kind::ChannelUserEvent,
        "c1",
        json!({"UserEvent": {"eventname": "mine", "userevent": {"a": 1}}}),
    )
    .await;
    assert_eq!(bus.event("ChannelUserevent", "").await["userevent"]["a"], 1);
    let play = json!({"playback_id": "p1", "media_uri": ENDLESS});
    bus.made(Kind::ChannelStagePlay, "c1", play.clone(), "playback", "p1").await;
    bus.made(Kind::ChannelPlay, "c1", play.clone(), "playback", "p1").await;
    bus.plays("p1").await;
    bus.ok(
        Kind::PlaybackData,
        "p1",
        NONE,
        json!({"data": {"playback": {"id": "p1", "target_uri": "channel:c1"}}}),
    )
    .await;
    bus.made(Kind::PlaybackGet, "p1", NONE, "playback", "p1").await;
    bus.done(Kind::PlaybackSubscribe, "p1", NONE).await;
    for command in ["pause", "unpause", "restart"] {
        bus.done(Kind::PlaybackControl, "p1", json!({"command": command})).await;
    }
    bus.done(Kind::PlaybackStop, "p1", NONE).await;
    bus.event("PlaybackFinished", "p1").await;
    let snoop = |id: &str| json!({"snoop_id": id, "options": {"app": APP, "spy": "both", "appArgs": "s"}});
    bus.made(Kind::ChannelStageSnoop, "c1", snoop("s1"), "channel", "s1").await;
    bus.made(Kind::ChannelSnoop, "c1", snoop("s1"), "channel", "s1").await;
    let media = json!({"options": {"channelId": "em1", "app": "", "external_host": format!("{}:40000", pair.ip_a()), "format": "ulaw"}});
    bus.made(Kind::ChannelStageExternalMedia, "", media.clone(), "channel", "em1").await;
    bus.made(Kind::ChannelExternalMedia, "", media, "channel", "em1").await;
    for id in ["s1", "em1"] {
        bus.done(Kind::ChannelHangup, id, json!({"reason": "normal"})).await;
    }
    let create = |id: &str| json!({"channel_create_request": {"endpoint": "Local/600@phones", "app": APP, "channelId": id}});
    bus.made(Kind::ChannelCreate, "", create("d1"), "channel", "d1").await;
    bus.event("StasisStart", "d1").await;
    bus.done(Kind::ChannelDial, "d1", json!({"caller": "", "timeout": 5_000_000_000u64})).await;
    bus.answered("d1").await;
    bus.done(Kind::ChannelContinue, "d1", json!({"context": "phones", "extension": "600", "priority": 1}))
        .await;
    for (kind, id) in [(Kind::ChannelBusy, "c2"), (Kind::ChannelCongestion, "c3")] {
        bus.made(Kind::ChannelOriginate, "", call(id), "channel", id).await;
        bus.event("StasisStart", id).await;
        bus.done(kind, id, NONE).await;
        bus.event("StasisEnd", id).await;
    }

    let nope = bus.key("nope");
    for (kind, option) in [
        (Kind::ChannelData, NONE),
        (Kind::ChannelGet, NONE),
        (Kind::ChannelPlay, play.clone()),
        (Kind::ChannelStagePlay, play),
        (Kind::ChannelStageSnoop, snoop("x")),
        (Kind::ChannelStageRecord, json!({"name": "x"})),
    ] {
        bus.fails(kind, nope.clone(), option, &not_had("channel", "nope")).await;
    }
    for (kind, option) in [
        (Kind::ChannelAnswer, NONE),
        (Kind::ChannelBusy, NONE),
        (Kind::ChannelCongestion, NONE),
        (Kind::ChannelHangup, json!({"reason": ""})),
        (Kind::ChannelRing, NONE),
        (Kind::ChannelStopRing, NONE),
        (Kind::ChannelHold, NONE),
        (Kind::ChannelStopHold, NONE),
        (Kind::ChannelSilence, NONE),
        (Kind::ChannelStopSilence, NONE),
        (Kind::ChannelMOH, json!({"music": ""})),
        (Kind::ChannelStopMOH, NONE),
        (Kind::ChannelMute, json!({"direction": "in"})),
        (Kind::ChannelUnmute, json!({"direction": "in"})),
        (Kind::ChannelSendDTMF, json!({"dtmf": "1"})),
        (Kind::ChannelContinue, json!({"context": "x", "extension": "s", "priority": 1})),
        (Kind::ChannelDial, json!({"timeout": 1_000_000_000})),
        (Kind::ChannelVariableGet, json!({"name": "FOO"})),
        (Kind::ChannelVariableSet, json!({"name": "FOO", "value": "1"})),
        (Kind::ChannelSnoop, snoop("x")),
        (Kind::ChannelRecord, json!({"name": "x", "options": {"Format": "wav"}})),
        (Kind::ChannelProgress, NONE),
        (Kind::ChannelMove, json!({"app": "other"})),
        (Kind::ChannelRTPStatistics, NONE),
        (Kind::ChannelVariablesGet, json!({"variables": "A"})),
        (Kind::ChannelVariablesSet, json!({"variables": {"A": "1"}})),
    ] {
        bus.fails(kind, nope.clone(), option, NOT_FOUND).await;
    }
    for kind in [Kind::PlaybackData, Kind::PlaybackGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("playback", "nope")).await;
    }
    bus.fails(Kind::PlaybackStop, nope.clone(), NONE, NOT_FOUND).await;
    bus.fails(Kind::PlaybackControl, nope.clone(), json!({"command": "pause"}), NOT_FOUND).await;
    let event = json!({"UserEvent": {"eventname": "mine"}});
    bus.fails(Kind::ChannelUserEvent, nope, event, "Non-2XX response: 422 Unprocessable Entity").await;
    bus.fails(Kind::ChannelOriginate, json!({}), call("c1"), "Non-2XX response: 409 Conflict").await;
    let bad = json!({"channel_create_request": {"endpoint": "", "app": APP}});
    bus.fails(Kind::ChannelCreate, json!({}), bad, "Non-2XX response: 400 Bad Request").await;
    for kind in [Kind::ChannelExternalMedia, Kind::ChannelStageExternalMedia] {
        let hostless = json!({"options": {"format": "ulaw"}});
        bus.fails(kind, json!({}), hostless, "ExternalHost is mandatory").await;
    }
    bus.fails(Kind::ChannelStageOriginate, json!({}), NONE, "OriginateRequest is mandatory").await;
    for (kind, label) in [(Kind::ChannelSubscribe, "channel"), (Kind::PlaybackSubscribe, "playback")] {
        bus.fails(kind, NONE, NONE, &format!("{label} key not supplied")).await;
    }
}
