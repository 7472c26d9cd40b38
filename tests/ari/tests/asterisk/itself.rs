//! Asterisk itself: variables, configuration, logging, modules, applications.

use serde_json::json;
use trunkline_ari::Kind;
use trunkline_tests_ari::asterisk::NODE_A;

use crate::APP;
use crate::bus::{Bus, NONE, NOT_FOUND, not_had};

pub async fn asterisk_itself(bus: &mut Bus) {
    bus.ok(Kind::AsteriskInfo, "", NONE, json!({"data": {"asterisk": {"system": {"entity_id": NODE_A}}}}))
        .await;
    bus.ok(Kind::AsteriskPing, "", NONE, json!({"data": {"ping": {"ping": "pong", "asterisk_id": NODE_A}}}))
        .await;
    bus.done(Kind::AsteriskVariableSet, "TEST", json!({"value": "a b"})).await;
    bus.ok(Kind::AsteriskVariableGet, "TEST", NONE, json!({"data": {"variable": "a b"}})).await;
    let key = bus.key("");
    let text = "Error setting asterisk variable '' to 'x': Non-2XX response: 400 Bad Request";
    bus.fails(Kind::AsteriskVariableSet, key.clone(), json!({"value": "x"}), text).await;
    let text = "Error getting asterisk variable '': Non-2XX response: 400 Bad Request";
    bus.fails(Kind::AsteriskVariableGet, key, NONE, text).await;

    let contact = "res_pjsip/contact/testc";
    let tuples = json!({"tuples": [{"attribute": "uri", "value": "sip:test@127.0.0.9:5060"}]});
    bus.done(Kind::AsteriskConfigUpdate, contact, tuples.clone()).await;
    let want = json!({"data": {"config": {"Class": "res_pjsip", "Type": "contact", "Name": "testc",
        "Fields": [{"attribute": "uri", "value": "sip:test@127.0.0.9:5060"}]}}});
    bus.ok(Kind::AsteriskConfigData, contact, NONE, want).await;
    bus.done(Kind::AsteriskConfigDelete, contact, NONE).await;
    let key = bus.key("res_pjsip/nope/x");
    bus.fails(Kind::AsteriskConfigUpdate, key.clone(), tuples, NOT_FOUND).await;
    bus.fails(Kind::AsteriskConfigDelete, key.clone(), NONE, NOT_FOUND).await;
    bus.fails(
        Kind::AsteriskConfigData,
        bus.key("toofew"),
        NONE,
        "failed to parse configuration key: invalid input ID",
    )
    .await;

    bus.made(
        Kind::AsteriskLoggingCreate,
        "testlog",
        json!({"config": "notice,warning"}),
        "logging",
        "testlog",
    )
    .await;
    let list = bus
        .ok(Kind::AsteriskLoggingList, "", NONE, json!({"keys": [{"kind": "logging", "node": NODE_A}]}))
        .await;
    let mut ids = list["keys"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned());
    let listed = ids.find(|id| id.ends_with("/testlog")).expect("the log channel is listed");
    bus.ok(
        Kind::AsteriskLoggingData,
        &listed,
        NONE,
        json!({"data": {"log": {"levels": "NOTICE WARNING ", "types": "File"}}}),
    )
    .await;
    bus.made(Kind::AsteriskLoggingGet, &listed, NONE, "logging", &listed).await;
    bus.done(Kind::AsteriskLoggingDelete, "testlog", NONE).await;
    // Rotating a channel that was made at run time ends it, so that comes last.
    let again = json!({"config": "notice"});
    bus.made(Kind::AsteriskLoggingCreate, "testlog", again, "logging", "testlog").await;
    bus.done(Kind::AsteriskLoggingRotate, "testlog", NONE).await;
    let key = bus.key("nope");
    bus.fails(
        Kind::AsteriskLoggingCreate,
        bus.key("badlog"),
        json!({"config": ""}),
        "Non-2XX response: 400 Bad Request",
    )
    .await;
    bus.fails(Kind::AsteriskLoggingData, key.clone(), NONE, "not found").await;
    bus.fails(Kind::AsteriskLoggingGet, key.clone(), NONE, "not found").await;
    bus.fails(Kind::AsteriskLoggingRotate, key.clone(), NONE, NOT_FOUND).await;
    bus.fails(Kind::AsteriskLoggingDelete, key, NONE, NOT_FOUND).await;

    let module = "app_morsecode.so";
    bus.ok(
        Kind::AsteriskModuleList,
        "",
        NONE,
        json!({"keys": [{"kind": "module", "id": module, "node": NODE_A}]}),
    )
    .await;
    bus.ok(
        Kind::AsteriskModuleData,
        module,
        NONE,
        json!({"data": {"module": {"name": module, "status": "Running"}}}),
    )
    .await;
    bus.made(Kind::AsteriskModuleGet, module, NONE, "module", module).await;
    bus.done(Kind::AsteriskModuleUnload, module, NONE).await;
    bus.done(Kind::AsteriskModuleLoad, module, NONE).await;
    bus.done(Kind::AsteriskModuleReload, "res_musiconhold.so", NONE).await;
    let key = bus.key("nope.so");
    for kind in [Kind::AsteriskModuleData, Kind::AsteriskModuleGet] {
        bus.fails(kind, key.clone(), NONE, &not_had("module", "nope.so")).await;
    }
    for kind in [Kind::AsteriskModuleUnload, Kind::AsteriskModuleReload] {
        bus.fails(kind, key.clone(), NONE, NOT_FOUND).await;
    }
    bus.fails(Kind::AsteriskModuleLoad, bus.key(module), NONE, "Non-2XX response: 409 Conflict").await;

    bus.ok(Kind::ApplicationList, "", NONE, json!({"keys": [{"kind": "application", "id": APP}]})).await;
    bus.ok(
        Kind::ApplicationData,
        APP,
        NONE,
        json!({"data": {"application": {"name": APP, "channel_ids": []}}}),
    )
    .await;
    bus.made(Kind::ApplicationGet, APP, NONE, "application", APP).await;
    let source = json!({"event_source": "endpoint:PJSIP/1001"});
    bus.done(Kind::ApplicationSubscribe, APP, source.clone()).await;
    bus.done(Kind::ApplicationUnsubscribe, APP, source).await;
    let nowhere = json!({"event_source": "channel:nope"});
    let says = |what: &str| {
        format!(
            "Error {what} application '{APP}' for event source 'channel:nope': Non-2XX response: 422 Unprocessable Entity"
        )
    };
    bus.fails(Kind::ApplicationSubscribe, bus.key(APP), nowhere.clone(), &says("subscribing")).await;
    bus.fails(Kind::ApplicationUnsubscribe, bus.key(APP), nowhere, &says("unsubscribing")).await;
    for kind in [Kind::ApplicationData, Kind::ApplicationGet] {
        bus.fails(kind, bus.key("nope"), NONE, &not_had("application", "nope")).await;
    }
}
