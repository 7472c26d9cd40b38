//! Every kind against a real Asterisk 22 pair and a real nats-server: once with success, once with
//! a failure of Asterisk's own (or of the request), once with Asterisk down.

mod beyond;
mod bridges;
mod bus;
mod channels;
mod itself;
mod leg;
mod mailboxes;
mod malformed;
mod recordings;
mod states;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trunkline_ari::{Class, Kind, Subjects};
use trunkline_ari_client::Client;
use trunkline_tests_ari::asterisk::{NODE_A, NODE_B, Pair};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{log, until};

use crate::bus::{Bus, Shown};

const APP: &str = "trunkline";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind() {
    log();
    let pair = Pair::start(APP);
    let server = NatsServer::start(false).await;
    let proxies = [
        TestProxy::start(config(&server.url(), &pair.url_a(), APP, &[])),
        TestProxy::start(config(&server.url(), &pair.url_b(), APP, &[])),
    ];
    let nats = async_nats::connect(server.url()).await.unwrap();
    let events = nats.subscribe(format!("ari.event.{APP}.{NODE_A}")).await.unwrap();
    let mut bus = Bus { nats: nats.clone(), events, shown: BTreeMap::new(), node: NODE_A };
    let cluster = Client::builder().application(APP).connection(nats.clone()).connect().await.unwrap();
    until("both nodes announce themselves", || async {
        cluster.ping().await.unwrap();
        let nodes: Vec<_> = cluster.cluster().into_iter().map(|m| m.node).collect();
        nodes == [NODE_A, NODE_B]
    })
    .await;

    itself::asterisk_itself(&mut bus).await;
    states::states_and_endpoints(&mut bus).await;
    bridges::bridges_and_legs(&mut bus, &pair).await;
    channels::channels(&mut bus, &pair).await;
    recordings::recordings(&mut bus).await;
    beyond::beyond(&mut bus, &pair).await;
    mailboxes::mailboxes(&mut bus).await;
    malformed::malformed(&mut bus).await;

    // Node B is there all the time, and has none of A's channels.
    let listing = cluster.channel().list(&cluster.here().at(APP, NODE_B)).await.unwrap();
    assert!(listing.keys.is_empty() && listing.error.is_none());

    pair.kill("A");
    let gone = || async {
        bus.ask(Kind::ChannelList, &json!({}), &Value::Null).await["error"] == "ARI connection is down"
    };
    until("the proxy knows", gone).await;
    for kind in Kind::ALL {
        // The node's create subject is left while Asterisk is down; the others answer.
        let class = if kind.class() == Class::Create { Class::Command } else { kind.class() };
        let subject = Subjects::default().request(class, APP, NODE_A);
        let request = json!({"kind": kind.name(), "key": bus.key("x")}).to_string();
        let reply = nats.request(subject, request.into()).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&reply.payload).unwrap(),
            json!({"error": "ARI connection is down"})
        );
        bus.shown.entry(kind.name()).or_default().down = true;
    }
    let create = Subjects::default().request(Class::Create, APP, NODE_A);
    let nobody = nats.request(create, "{}".into()).await.unwrap_err();
    assert_eq!(nobody.kind(), async_nats::RequestErrorKind::NoResponders);
    // A create for any node goes to the one that lives.
    let option = json!({"type": "mixing", "name": "n"});
    let alive = json!({"kind": "BridgeCreate", "key": {}, "bridge_create": option}).to_string();
    let reply = nats.request(format!("ari.create.{APP}"), alive.into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(reply["key"]["node"], NODE_B, "{reply}");

    pair.revive("A");
    until("node A is back", || async {
        bus.ask(Kind::ChannelList, &json!({}), &Value::Null).await["error"] == ""
    })
    .await;

    let upstream = Kind::ALL.iter().filter(|k| k.is_upstream());
    let lacking: Vec<_> = upstream
        .filter(|k| !bus.shown.get(k.name()).is_some_and(|s| s.ok && s.failed.is_some() && s.down))
        .map(|k| k.name())
        .collect();
    table::write_table(&bus.shown, &version(&pair));
    let shown = |f: fn(&Shown) -> bool| bus.shown.values().filter(|s| f(s)).count();
    println!(
        "kinds shown: {} with success, {} with a failure, {} with Asterisk down, of {}",
        shown(|s| s.ok),
        shown(|s| s.failed.is_some()),
        shown(|s| s.down),
        Kind::ALL.len()
    );
    assert!(lacking.is_empty(), "not shown both ways: {lacking:?}");
    for proxy in proxies {
        proxy.stop().await;
    }
}

fn version(pair: &Pair) -> String {
    let text = pair.cli("B", "core show version");
    let word = text.split_whitespace().nth(1).unwrap_or("22");
    word.split('+').next().unwrap_or(word).to_owned()
}
