//! `https` and `wss` to a real Asterisk: with its authority it works, without it the reason is told.

use std::time::Duration;

use trunkline_ari_client::{AriConfig, Client, Event, EventType, Originate};
use trunkline_tests_ari::asterisk::{NODE_A, Pair};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, Scratch, log, until};

const SECOND: Duration = Duration::from_secs(1);

fn by_tls(pair: &Pair) -> AriConfig {
    AriConfig {
        ca: Some(pair.authority()),
        timeout: 20 * SECOND,
        ..AriConfig::new(&pair.https_a(), "ari", "secret")
    }
}

/// Calls, waits for the event, hangs up.
async fn calls(client: &Client) {
    let mut events = client.subscribe(&client.here(), &[EventType::StasisStart]).await.unwrap();
    let app = client.application_name().to_owned();
    let call = Originate { endpoint: "Local/600@phones".to_owned(), app, ..Originate::default() };
    let channel = client.channel().originate(&client.here(), call).await.unwrap();
    let received = tokio::time::timeout(PATIENCE, events.event()).await.unwrap().unwrap();
    assert!(matches!(&received.event, Event::StasisStart(s) if s.channel.id == channel.id()), "{received:?}");
    channel.hangup("").await.unwrap();
}

/// What the client says when it cannot connect.
async fn refused(asterisk: AriConfig) -> String {
    let asterisk = AriConfig { timeout: SECOND, ..asterisk };
    let connected = Client::builder().application("nobody").direct(asterisk).connect().await;
    connected.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk_by_tls() {
    log();
    let pair = Pair::start_certified("secure");
    let direct = Client::builder().application("alone").direct(by_tls(&pair)).connect().await.unwrap();
    calls(&direct).await;
    direct.close().await;

    let server = NatsServer::start(false).await;
    let authority = pair.authority();
    let more = [("ari.ca", authority.to_str().unwrap())];
    let proxy = TestProxy::start(config(&server.url(), &pair.https_a(), "secure", &more));
    let client = Client::builder()
        .application("secure")
        .url(server.url())
        .timeout(20 * SECOND)
        .connect()
        .await
        .unwrap();
    until("the node is there", || async {
        client.ping().await.unwrap();
        client.cluster().iter().any(|m| m.node == NODE_A)
    })
    .await;
    calls(&client).await;
    client.close().await;
    proxy.stop().await;

    let place = pair.https_a().replace("https://", "") + "/events";
    let stranger = refused(AriConfig { ca: None, ..by_tls(&pair) }).await;
    let want = "invalid peer certificate: UnknownIssuer: set ari.ca to the CA that signed the certificate";
    assert!(stranger.starts_with(&format!("{place}: {want}")), "{stranger}");
    let folder = Scratch::new("ca");
    let elsewhere = AriConfig { ca: Some(another_authority(&folder)), ..by_tls(&pair) };
    assert!(refused(elsewhere).await.contains(want));
    let none = AriConfig { ca: Some(folder.path().join("none.pem")), ..by_tls(&pair) };
    assert!(refused(none).await.starts_with("the certificate authorities in "));
    // Plain HTTP where TLS is spoken, and the other way round, end with a reason too.
    let plain = AriConfig::new(&pair.https_a().replace("https", "http"), "ari", "secret");
    assert!(refused(plain).await.starts_with(&place));
    let tls = AriConfig { http_url: pair.url_a(), ..by_tls(&pair) };
    let tls = AriConfig { websocket_url: pair.url_a().replace("http", "wss") + "/events", ..tls };
    assert!(refused(tls).await.contains(":8088/ari/events: "));
}

fn another_authority(folder: &Scratch) -> std::path::PathBuf {
    let file = folder.path().join("ca.pem");
    let other = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    std::fs::write(&file, other.cert.pem()).unwrap();
    file
}
