//! Requests that are none.

use serde_json::{Value, json};
use trunkline_ari::{Kind, Subjects};
use trunkline_tests_ari::asterisk::NODE_A;

use crate::APP;
use crate::bus::Bus;

/// Kinds that Asterisk never refuses fail when the request is no request.
pub async fn malformed(bus: &mut Bus) {
    for kind in [
        Kind::AsteriskInfo,
        Kind::AsteriskLoggingList,
        Kind::AsteriskModuleList,
        Kind::ApplicationList,
        Kind::DeviceStateList,
        Kind::EndpointList,
        Kind::BridgeList,
        Kind::BridgeUnsubscribe,
        Kind::ChannelList,
        Kind::RecordingStoredList,
        Kind::AsteriskPing,
    ] {
        let subject = Subjects::default().request(kind.class(), APP, NODE_A);
        let request = format!(r#"{{"kind":"{}","key":{{"id":5}}}}"#, kind.name());
        let reply = bus.nats.request(subject, request.into()).await.unwrap();
        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
        let text = "the request cannot be read: id must be a string";
        assert_eq!(reply, json!({"error": text}), "{}", kind.name());
        bus.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }
}
