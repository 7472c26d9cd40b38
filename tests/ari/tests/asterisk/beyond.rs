//! Operations that ari-proxy has no kind for.

use serde_json::json;
use trunkline_ari::Kind;
use trunkline_ari_client::{AriConfig, Client, EventType};
use trunkline_tests_ari::asterisk::Pair;
use trunkline_tests_ari::wait::PATIENCE;

use crate::APP;
use crate::bus::{Bus, NONE, NOT_FOUND};

/// What ari-proxy has no kind for.
pub async fn beyond(bus: &mut Bus, pair: &Pair) {
    let bridge = "var-br";
    bus.made(
        Kind::BridgeCreate,
        bridge,
        json!({"type": "mixing", "variables": {"START": "0"}}),
        "bridge",
        bridge,
    )
    .await;
    bus.done(Kind::BridgeVariableSet, bridge, json!({"name": "FOO", "value": "1"})).await;
    bus.ok(Kind::BridgeVariableGet, bridge, json!({"name": "FOO"}), json!({"data": {"variable": "1"}})).await;
    bus.done(Kind::BridgeVariablesSet, bridge, json!({"variables": {"A": "x"}})).await;
    let want = json!({"data": {"variables": {"variables": {"A": "x", "FOO": "1"}}}});
    bus.ok(Kind::BridgeVariablesGet, bridge, json!({"variables": ["A", "FOO"]}), want).await;
    for (kind, option) in [
        (Kind::BridgeVariableGet, json!({"name": "FOO"})),
        (Kind::BridgeVariableSet, json!({"name": "FOO", "value": "1"})),
        (Kind::BridgeVariablesGet, json!({"variables": "FOO"})),
        (Kind::BridgeVariablesSet, json!({"variables": {"A": "x"}})),
    ] {
        bus.fails(kind, bus.key("nope"), option, NOT_FOUND).await;
    }
    bus.done(Kind::BridgeDelete, bridge, NONE).await;

    bus.done(Kind::ApplicationFilter, APP, json!({"disallowed": [{"type": "ChannelDialplan"}]})).await;
    bus.done(Kind::ApplicationFilter, APP, json!({"disallowed": []})).await;
    bus.fails(Kind::ApplicationFilter, bus.key("nope"), json!({}), NOT_FOUND).await;
    let event = json!({"eventname": "wide", "userevent": {"a": "b"}});
    bus.done(Kind::ApplicationUserEvent, APP, event.clone()).await;
    assert_eq!(bus.event("ChannelUserevent", "").await["eventname"], "wide");
    bus.fails(Kind::ApplicationUserEvent, bus.key("nope"), event, NOT_FOUND).await;
    let message = json!({"from": "sip:me@example.org", "body": "hello"});
    bus.fails(Kind::EndpointSendMessageTo, bus.key("NOPE/1001"), message, NOT_FOUND).await;
    let refer = json!({"to": "nope", "from": "sip:me@example.org", "refer_to": "sip:600@example.org"});
    for (kind, id, option) in [
        (Kind::EndpointSendMessage, "", json!({"to": "nope", "from": "x"})),
        (Kind::EndpointRefer, "", refer.clone()),
        (Kind::EndpointReferTo, "NOPE/1001", refer),
        (Kind::ChannelClaim, "c1", json!({})),
        (Kind::ChannelRedirect, "nope", json!({"endpoint": "Local/600@phones"})),
    ] {
        bus.refused(kind, id, option).await;
    }

    // Another application of the same Asterisk, without NATS, takes the channel over.
    let other = Client::builder().application("other").direct(AriConfig::new(&pair.url_a(), "ari", "secret"));
    let other = other.connect().await.unwrap();
    let mut arrivals = other.subscribe(&other.here(), &[EventType::StasisStart]).await.unwrap();
    bus.done(Kind::ChannelMove, "c1", json!({"app": "other", "appArgs": "moved"})).await;
    let arrived = tokio::time::timeout(PATIENCE, arrivals.event()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&arrived.raw).contains("\"c1\""));
    other.channel().handle(trunkline_ari::Key::new("channel", "c1")).hangup("normal").await.unwrap();
    other.close().await;
}
