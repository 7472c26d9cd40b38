//! Lists of several nodes: a fresh client's first one is whole or says what is missing. On a real Asterisk
//! pair, shared by as many proxies as there shall be nodes.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use trunkline_ari_client::{BridgeType, Client, Key};
use trunkline_tests_ari::asterisk::Pair;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, until};

const SECOND: Duration = Duration::from_secs(1);

/// Fresh clients for each number of nodes: `TRUNKLINE_ARI_LISTS`, else 100.
fn clients() -> usize {
    std::env::var("TRUNKLINE_ARI_LISTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100)
}

/// A client that has asked nothing, which waits so long for an answer.
async fn fresh(url: &str, timeout: Duration) -> Client {
    Client::builder().application("app0").url(url).timeout(timeout).connect().await.expect("a client")
}

/// What a fresh client's first list lacks of `nodes`, and what it says that it lacks.
async fn first_list(url: &str, nodes: usize) -> (Vec<String>, Vec<String>) {
    // Longer than what ships: eight at once ask a pair of Asterisks, beside whatever else the machine does.
    let client = fresh(url, 5 * SECOND).await;
    let listing = client.bridge().list(&Key::default()).await;
    client.close().await;
    let all = (0..nodes).map(|n| format!("n{n}"));
    // Nobody answered in time, as on a machine that is busy beyond measure: that is said, too.
    let Ok(listing) = listing else { return (all.clone().collect(), all.collect()) };
    let lacks = all.filter(|node| !listing.keys.iter().any(|k| k.node == *node)).collect();
    let mut said: Vec<_> = listing.missing.iter().map(|m| m.node.clone()).collect();
    said.sort();
    (lacks, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_list_is_whole_or_says_what_is_missing() {
    let pair = Pair::start("app0");
    let server = NatsServer::start(false).await;
    let (url, mut proxies) = (server.url(), Vec::new());
    for nodes in [2, 4, 16] {
        for n in proxies.len()..nodes {
            let (app, node) = (format!("app{n}"), format!("n{n}"));
            let asterisk = if n % 2 == 0 { pair.url_a() } else { pair.url_b() };
            proxies.push(TestProxy::start(config(&url, &asterisk, &app, &[("ari.node", &node)])));
        }
        let client = fresh(&server.url(), 5 * SECOND).await;
        until("every node announces itself", || async {
            client.ping().await.unwrap();
            client.cluster().len() == nodes
        })
        .await;
        if nodes == 2 {
            for node in ["n0", "n1"] {
                client
                    .bridge()
                    .create(
                        &Key::default().at(format!("app{}", &node[1..]), node),
                        &[BridgeType::Mixing],
                        "b",
                    )
                    .await
                    .unwrap();
            }
        }
        let started = Instant::now();
        let lists = stream::iter(0..clients()).map(|_| first_list(&url, nodes)).buffer_unordered(8);
        let lists: Vec<_> = lists.collect().await;
        let whole = lists.iter().filter(|(lacks, _)| lacks.is_empty()).count();
        let took = started.elapsed();
        println!("{nodes} nodes: {whole} of {} first lists are whole; {took:?}", lists.len());
        for (lacks, said) in &lists {
            let (mut lacks, mut said) = (lacks.clone(), said.clone());
            lacks.sort();
            said.sort();
            assert_eq!(lacks, said, "silently short");
        }
        // A machine that is busy beyond measure makes a list that says what it lacks; more than one in fifty
        // would be our fault.
        assert!(whole * 50 >= lists.len() * 49, "{whole} of {}", lists.len());
        // A client that waits for the cluster first has its list at once.
        let ready = fresh(&server.url(), 5 * SECOND).await;
        assert_eq!(ready.ready(PATIENCE).await.unwrap().len(), nodes);
        let listing = ready.bridge().list(&Key::default()).await.unwrap();
        assert!(listing.is_complete() && listing.keys.len() == nodes, "{listing:?}");
    }
    for proxy in proxies {
        proxy.stop().await;
    }
}

/// A stand-in of an Asterisk with one bridge and one channel, both named as it is; a silent one never lists its bridges.
async fn stand_in(node: &'static str, silent: bool) -> FakeAri {
    FakeAri::start(move |request| match request.path.as_str() {
        "/asterisk/info" => info(node),
        "/bridges" if silent => HttpReply::json(1, ""),
        "/bridges" => HttpReply::json(200, json!([{"id": node}]).to_string()),
        path if path == format!("/channels/{node}") => HttpReply::json(200, json!({"id": node}).to_string()),
        _ => HttpReply::json(404, r#"{"message":"Not here"}"#),
    })
    .await
}

/// Who answers at all answers within this time; a list of one who does not takes as long.
const PATIENT: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn what_is_missing_is_named() {
    let mut server = NatsServer::start(false).await;
    let quick = stand_in("quick", false).await;
    let slow = stand_in("slow", true).await;
    let mut dies = stand_in("dies", false).await;
    let [one, two, three] =
        [&quick, &slow, &dies].map(|fake| TestProxy::start(config(&server.url(), &fake.url(), "app", &[])));
    let client = fresh(&server.url(), PATIENT).await;
    until("all announce themselves", || async {
        client.ping().await.unwrap();
        client.cluster().len() == 3
    })
    .await;
    let listed = |listing: &trunkline_ari_client::Listing| {
        let mut keys: Vec<_> = listing.keys.iter().map(|k| k.id.clone()).collect();
        let mut missing: Vec<_> = listing.missing.iter().map(|m| m.node.clone()).collect();
        keys.sort();
        missing.sort();
        (keys.join(" "), missing.join(" "))
    };
    let at = |app: &str, node: &str| Key::default().at(app, node);
    let list = client.bridge().list(&Key::default()).await.unwrap();
    assert_eq!(listed(&list), ("dies quick".to_owned(), "slow".to_owned()));
    assert!(!list.is_complete());

    // A fresh client's first question finds the one that knows the thing, whoever answers first.
    for node in ["quick", "slow", "dies"] {
        let client = fresh(&server.url(), PATIENT).await;
        let data = client.channel().handle(Key::new("channel", node)).data().await.unwrap();
        assert_eq!(data.id, node);
    }
    let nowhere = client.channel().handle(Key::new("channel", "x")).data().await.unwrap_err();
    assert!(nowhere.is_not_found(), "{nowhere}");
    assert!(nowhere.to_string().ends_with("404 Not Found: Not here"), "{nowhere}");

    // A node without an application is that node, for lists, questions and operations alike.
    let list = client.bridge().list(&at("", "dies")).await.unwrap();
    assert_eq!(listed(&list), ("dies".to_owned(), String::new()));
    let asked = (quick.requests(), slow.requests());
    client.channel().handle(Key::new("channel", "dies").at("", "dies")).answer().await.unwrap_err();
    assert_eq!((quick.requests(), slow.requests()), asked, "nobody else is asked");
    let unknown = client.bridge().list(&at("", "nowhere")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "no proxy serves the node nowhere");

    // An Asterisk that is gone: its proxy said goodbye and answers with an error.
    dies.kill().await;
    until("the proxy says goodbye", || async { client.cluster().len() == 2 }).await;
    let list = client.bridge().list(&Key::default()).await.unwrap();
    assert_eq!(listed(&list), ("quick".to_owned(), "dies slow".to_owned()));
    assert_eq!(list.error.expect("why").to_string(), "ARI connection is down");
    dies.revive().await;
    until("the proxy is back", || async { client.cluster().len() == 3 }).await;

    // A proxy that died without a word is missing for as long as it may come back.
    // What of it had a question already may still answer that one.
    three.kill().await;
    until("the dead proxy is missing", || async {
        let list = client.bridge().list(&Key::default()).await.unwrap();
        listed(&list) == ("quick".to_owned(), "dies slow".to_owned())
    })
    .await;
    let three = TestProxy::start(config(&server.url(), &dies.url(), "app", &[]));

    // After NATS was gone the client asks again who is there.
    server.kill();
    server.revive().await;
    until("a list after NATS was gone", || async {
        client.bridge().list(&Key::default()).await.is_ok_and(|l| l.keys.len() == 2)
    })
    .await;
    for proxy in [one, two, three] {
        proxy.stop().await;
    }
}
