//! What Debian's Asterisk lacks, against a stand-in.

use serde_json::json;
use trunkline_ari::Kind;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::until;

use crate::APP;
use crate::bus::{Bus, NONE, NOT_FOUND, not_had};

/// Debian's Asterisk has no mailboxes: a stand-in has.
pub async fn mailboxes(bus: &mut Bus) {
    let missing = bus.ask(Kind::MailboxList, &json!({}), &NONE).await;
    assert_eq!(missing["error"], NOT_FOUND, "this Asterisk has mailboxes: test them there");
    let mailbox = r#"{"name":"1@default","old_messages":2,"new_messages":1}"#;
    let fake = FakeAri::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        (_, "/asterisk/info") => info("mailboxes"),
        ("GET", "/mailboxes") => HttpReply::json(200, format!("[{mailbox}]")),
        ("GET", "/mailboxes/1@default") => HttpReply::json(200, mailbox),
        ("PUT", "/mailboxes/1@default") => {
            assert_eq!(request.body.as_ref(), br#"{"newMessages":"1","oldMessages":"2"}"#);
            HttpReply::json(204, "")
        }
        ("DELETE", "/mailboxes/1@default") => HttpReply::json(204, ""),
        (
            "PUT" | "POST",
            "/endpoints/sendMessage"
            | "/endpoints/refer"
            | "/endpoints/PJSIP/1001/sendMessage"
            | "/endpoints/PJSIP/1001/refer"
            | "/events/claim"
            | "/channels/c/redirect"
            | "/channels/c/transfer_progress",
        ) => HttpReply::json(204, ""),
        _ => HttpReply::json(404, r#"{"message":"Mailbox not found"}"#),
    })
    .await;
    let url = format!(
        "nats://{}",
        bus.nats.server_info().host.clone() + ":" + &bus.nats.server_info().port.to_string()
    );
    let proxy = TestProxy::start(config(&url, &fake.url(), APP, &[]));
    fake.connected().await;
    let nats = bus.nats.clone();
    until("the stand-in's proxy answers", || async {
        let asked =
            nats.request(format!("ari.get.{APP}.mailboxes"), r#"{"kind":"MailboxList","key":{}}"#.into());
        asked.await.is_ok_and(|r| r.payload.windows(9).any(|w| w == b"1@default"))
    })
    .await;
    let node = std::mem::replace(&mut bus.node, "mailboxes");
    bus.ok(Kind::MailboxList, "", NONE, json!({"keys": [{"kind": "mailbox", "id": "1@default"}]})).await;
    bus.ok(
        Kind::MailboxData,
        "1@default",
        NONE,
        json!({"data": {"mailbox": {"new_messages": 1, "old_messages": 2}}}),
    )
    .await;
    bus.made(Kind::MailboxGet, "1@default", NONE, "mailbox", "1@default").await;
    bus.done(Kind::MailboxUpdate, "1@default", json!({"new": 1, "old": 2})).await;
    bus.done(Kind::MailboxDelete, "1@default", NONE).await;
    for kind in [Kind::MailboxData, Kind::MailboxGet] {
        bus.fails(kind, bus.key("nope"), NONE, &not_had("mailbox", "nope")).await;
    }
    bus.fails(Kind::MailboxUpdate, bus.key("nope"), json!({"new": 0, "old": 0}), NOT_FOUND).await;
    bus.fails(Kind::MailboxDelete, bus.key("nope"), NONE, NOT_FOUND).await;
    // These need a registered phone, a transfer or a broadcast call.
    let message = json!({"from": "sip:me@example.org", "body": "hello"});
    bus.done(Kind::EndpointSendMessageTo, "PJSIP/1001", message).await;
    let message = json!({"to": "pjsip:1001", "from": "sip:me@example.org", "body": "hello"});
    bus.done(Kind::EndpointSendMessage, "", message).await;
    let refer = json!({"to": "pjsip:1001", "from": "sip:me@example.org", "refer_to": "sip:600@example.org"});
    bus.done(Kind::EndpointReferTo, "PJSIP/1001", refer.clone()).await;
    bus.done(Kind::EndpointRefer, "", refer).await;
    bus.done(Kind::ChannelClaim, "c", json!({"application": APP})).await;
    bus.done(Kind::ChannelRedirect, "c", json!({"endpoint": "PJSIP/1002"})).await;
    bus.done(Kind::ChannelTransferProgress, "c", json!({"states": "channel_answered"})).await;
    bus.fails(Kind::ChannelTransferProgress, bus.key("nope"), json!({"states": ""}), NOT_FOUND).await;
    bus.node = node;
    // The real one's failure.
    bus.fails(Kind::MailboxList, json!({}), NONE, NOT_FOUND).await;
    proxy.stop().await;
}
