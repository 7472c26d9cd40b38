//! Device states, endpoints, sounds.

use serde_json::json;
use trunkline_ari::Kind;

use crate::bus::{Bus, NONE, NOT_FOUND, not_had};

pub async fn states_and_endpoints(bus: &mut Bus) {
    let device = "Stasis:test";
    bus.done(Kind::DeviceStateUpdate, device, json!({"state": "INUSE"})).await;
    bus.ok(Kind::DeviceStateList, "", NONE, json!({"keys": [{"kind": "devicestate", "id": device}]})).await;
    bus.ok(
        Kind::DeviceStateData,
        device,
        NONE,
        json!({"data": {"device_state": {"name": device, "state": "INUSE"}}}),
    )
    .await;
    bus.made(Kind::DeviceStateGet, device, NONE, "devicestate", device).await;
    bus.done(Kind::DeviceStateDelete, device, NONE).await;
    // Escaped, such a name reaches Asterisk, which does not let it be set.
    let conflict = "Non-2XX response: 409 Conflict";
    bus.fails(Kind::DeviceStateUpdate, bus.key("PJSIP/1001"), json!({"state": "INUSE"}), conflict).await;
    bus.fails(Kind::DeviceStateDelete, bus.key("PJSIP/1001"), NONE, conflict).await;
    for kind in [Kind::DeviceStateData, Kind::DeviceStateGet] {
        bus.fails(kind, bus.key(""), NONE, "device key not supplied").await;
    }

    let endpoint = "PJSIP/1001";
    bus.ok(Kind::EndpointList, "", NONE, json!({"keys": [{"kind": "endpoint", "id": endpoint}]})).await;
    bus.ok(Kind::EndpointListByTech, "", json!({"tech": "PJSIP"}), json!({"keys": [{"id": endpoint}]})).await;
    bus.ok(
        Kind::EndpointData,
        endpoint,
        NONE,
        json!({"data": {"endpoint": {"technology": "PJSIP", "resource": "1001"}}}),
    )
    .await;
    bus.made(Kind::EndpointGet, endpoint, NONE, "endpoint", endpoint).await;
    bus.fails(Kind::EndpointListByTech, bus.key(""), json!({"tech": "NOPE"}), NOT_FOUND).await;
    for kind in [Kind::EndpointData, Kind::EndpointGet] {
        for id in ["PJSIP/nope", "NOPE/1001", "nope"] {
            bus.fails(kind, bus.key(id), NONE, &not_had("endpoint", id)).await;
        }
    }

    bus.ok(
        Kind::SoundList,
        "",
        json!({"filters": {"lang": "en", "format": "gsm"}}),
        json!({"keys": [{"kind": "sound", "id": "hello-world"}]}),
    )
    .await;
    // Escaped, a name with a slash is found.
    bus.ok(Kind::SoundData, "digits/1", NONE, json!({"data": {"sound": {"id": "digits/1"}}})).await;
    bus.fails(Kind::SoundList, bus.key(""), json!({"filters": {"lang": "xx"}}), NOT_FOUND).await;
    bus.fails(Kind::SoundData, bus.key("nope"), NONE, &not_had("sound", "nope")).await;
}
