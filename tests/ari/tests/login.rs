//! Ways to reach NATS: user and password, a token, a credentials file, TLS with an authority of
//! one's own, several servers of which the first is away, a connection name.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
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
    until("the proxy is found", || async {
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

/// A JSON web token as NATS signs them: `issuer` says `nats` of `subject`.
fn token(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({"jti": trunkline_ari::ulid(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": "test", "sub": subject.public_key(), "nats": nats});
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A credentials file: the user's token and seed.
fn credentials(user: &KeyPair, token: &str) -> String {
    let seed = user.seed().unwrap();
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// An operator, an account and a user, each vouched for by the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file() {
    let folder = Scratch::new("creds");
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let of_operator = token(&operator, &operator, json!({"type": "operator", "version": 2}));
    let unlimited = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1});
    let of_account =
        token(&operator, &account, json!({"type": "account", "version": 2, "limits": unlimited}));
    let limits = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let of_user = token(&account, &user, limits.clone());
    let server = folder.path().join("server.conf");
    let preload = format!("{{ {}: \"{of_account}\" }}", account.public_key());
    let text = format!("operator: \"{of_operator}\"\nresolver: MEMORY\nresolver_preload: {preload}\n");
    std::fs::write(&server, text).unwrap();
    let file = folder.path().join("user.creds");
    std::fs::write(&file, credentials(&user, &of_user)).unwrap();

    let server = NatsServer::start_with(false, &["-c", &server.to_string_lossy()]).await;
    let nats = NatsConfig { credentials: Some(file.clone()), ..servers(&server.url()) };
    works(&server.url(), &[("nats.credentials", &file.to_string_lossy())], nats).await;

    // A user whom another account vouches for is nobody here, and a file that is none says so.
    let stranger = token(&KeyPair::new_account(), &user, limits);
    std::fs::write(&file, credentials(&user, &stranger)).unwrap();
    let nats = NatsConfig { credentials: Some(file.clone()), ..servers(&server.url()) };
    let refused = Client::builder().nats(nats).connect().await.unwrap_err().to_string();
    assert!(refused.contains("authorization violation"), "{refused}");
    let nats = NatsConfig { credentials: Some(folder.path().join("none")), ..servers(&server.url()) };
    let unread = Client::builder().nats(nats).connect().await.unwrap_err().to_string();
    assert!(unread.starts_with("NATS credentials file") && unread.contains("No such file"), "{unread}");
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
    let stranger = Client::builder().url(&url).connect().await.unwrap_err().to_string();
    assert!(stranger.contains("invalid peer certificate: UnknownIssuer"), "{stranger}");
}
