//! Recordings, live and stored.

use serde_json::json;
use trunkline_ari::Kind;

use crate::bus::{Bus, NONE, NOT_FOUND, not_had};

pub async fn recordings(bus: &mut Bus) {
    let record = |name: &str| json!({"name": name, "options": {"Format": "wav", "MaxDuration": 60_000_000_000u64, "MaxSilence": 0, "Exists": "fail", "Beep": false, "Terminate": "none"}});
    bus.made(Kind::ChannelStageRecord, "c1", record("r1"), "liverecording", "r1").await;
    bus.made(Kind::ChannelRecord, "c1", record("r1"), "liverecording", "r1").await;
    bus.event("RecordingStarted", "r1").await;
    bus.ok(
        Kind::RecordingLiveData,
        "r1",
        NONE,
        json!({"data": {"live_recording": {"name": "r1", "format": "wav"}}}),
    )
    .await;
    bus.made(Kind::RecordingLiveGet, "r1", NONE, "liverecording", "r1").await;
    bus.done(Kind::RecordingLiveSubscribe, "r1", NONE).await;
    for kind in [
        Kind::RecordingLivePause,
        Kind::RecordingLiveResume,
        Kind::RecordingLiveMute,
        Kind::RecordingLiveUnmute,
    ] {
        bus.done(kind, "r1", NONE).await;
    }
    bus.done(Kind::RecordingLiveStop, "r1", NONE).await;
    bus.event("RecordingFinished", "r1").await;
    bus.made(Kind::ChannelRecord, "c1", record("r2"), "liverecording", "r2").await;
    bus.records("r2").await;
    bus.done(Kind::RecordingLiveScrap, "r2", NONE).await;
    bus.ok(Kind::RecordingStoredList, "", NONE, json!({"keys": [{"kind": "storedrecording", "id": "r1"}]}))
        .await;
    bus.ok(
        Kind::RecordingStoredData,
        "r1",
        NONE,
        json!({"data": {"stored_recording": {"name": "r1", "format": "wav"}}}),
    )
    .await;
    bus.made(Kind::RecordingStoredGet, "r1", NONE, "storedrecording", "r1").await;
    bus.made(
        Kind::RecordingStoredCopy,
        "r1",
        json!({"destination": "r1-copy"}),
        "storedrecording",
        "r1-copy",
    )
    .await;
    let part = bus
        .ok(Kind::RecordingStoredFile, "r1", NONE, json!({"data": {"file": {"name": "r1", "offset": 0}}}))
        .await;
    let content = trunkline_ari::base64::decode(part["data"]["file"]["content"].as_str().unwrap()).unwrap();
    assert!(content.starts_with(b"RIFF"), "a WAV file");
    bus.done(Kind::RecordingStoredDelete, "r1-copy", NONE).await;

    let nope = bus.key("nope");
    for kind in [Kind::RecordingLiveData, Kind::RecordingLiveGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("liveRecording", "nope")).await;
    }
    for kind in [Kind::RecordingStoredData, Kind::RecordingStoredGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("storedRecording", "nope")).await;
    }
    for kind in [
        Kind::RecordingLivePause,
        Kind::RecordingLiveResume,
        Kind::RecordingLiveMute,
        Kind::RecordingLiveUnmute,
        Kind::RecordingLiveStop,
        Kind::RecordingLiveScrap,
        Kind::RecordingStoredDelete,
        Kind::RecordingStoredFile,
    ] {
        bus.fails(kind, nope.clone(), NONE, NOT_FOUND).await;
    }
    bus.fails(Kind::RecordingStoredCopy, nope, json!({"destination": "x"}), NOT_FOUND).await;
    bus.fails(Kind::RecordingLiveSubscribe, NONE, NONE, "liveRecording key not supplied").await;
}
