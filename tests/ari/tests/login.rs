//! Ways to reach NATS: user and password, a token, TLS with an authority of one's own, several
//! servers of which the first is away, a connection name.

use std::time::Duration;

use trunkline_ari_client::{Client, Key, NatsConfig};
use trunkline_tests_ari::fake::{FakeAri, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{Scratch, free_port, until};

const SECOND: Duration = Duration::from_secs(1);

/// A proxy and a client with these settings find each other.
async fn works(url: &str, more: &[(&str, &str)], nats: NatsConfig) {
    let fake = FakeAri::start(|_| info("n1")).await;
    let proxy = TestProxy::start(config(url, &fake.url(), "app", more));
    let client = Client::builder().application("app").nats(nats).timeout(SECOND).connect().await.unwrap();
    until("the proxy is found", 20 * SECOND, || async {
        client.asterisk(Key::default().at("app", "n1")).info().await.is_ok()
    })
    .await;
    client.close().await;
    proxy.stop().await;
}

fn servers(url: &str) -> NatsConfig {
    NatsConfig { servers: vec![url.to_owned()], ..NatsConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_password_and_token() {
    let server = NatsServer::start_with(false, &["--user", "u", "--pass", "p"]).await;
    let nats = NatsConfig { user: Some("u".into()), password: Some("p".into()), ..servers(&server.url()) };
    works(&server.url(), &[("nats.user", "u"), ("nats.password", "p"), ("nats.name", "named")], nats).await;
    let refused = Client::builder().url(server.url()).connect().await;
    assert!(refused.is_err(), "without a login nobody gets in");

    let server = NatsServer::start_with(false, &["--auth", "t0ken"]).await;
    let nats = NatsConfig { token: Some("t0ken".into()), ..servers(&server.url()) };
    works(&server.url(), &[("nats.token", "t0ken")], nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_of_two_servers() {
    let server = NatsServer::start(false).await;
    let both = format!("nats://127.0.0.1:{},{}", free_port(), server.url());
    works(&both, &[], servers(&both)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_an_authority_of_ones_own() {
    let folder = Scratch::new("tls");
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    let server = NatsServer::start_with(false, &["--tls", "--tlscert", &certificate, "--tlskey", &key]).await;
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    let nats = NatsConfig { ca: Some(certificate.clone().into()), ..servers(&url) };
    works(&url, &[("nats.ca", &certificate)], nats).await;
}
