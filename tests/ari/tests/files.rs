//! The file of a stored recording, longer than one message of NATS.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use trunkline_ari_client::{AriConfig, Client, kinds};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::until;

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

/// Two and a half mebibytes in which no part is like another.
fn voice() -> Vec<u8> {
    (0..(5u32 << 19) / 4).flat_map(u32::to_be_bytes).collect()
}

async fn whole(client: &Client) {
    let key = client.here().at(APP, "n1").sibling(kinds::STORED_RECORDING, "long");
    let file = client.stored_recording().handle(key.clone()).file().await.unwrap();
    assert_eq!((file.content.len(), file.content_type.as_str()), (voice().len(), "audio/wav"));
    assert!(file.content == voice(), "every byte in its place");
    let mut written = Vec::new();
    let known = client.stored_recording().handle(key.clone()).write_to(&mut written).await.unwrap();
    assert_eq!((known.length, known.content_type.as_str()), (voice().len() as u64, "audio/wav"));
    assert!(written == voice());
    let empty = client.stored_recording().handle(key.sibling(kinds::STORED_RECORDING, "empty")).file().await;
    assert!(empty.unwrap().content.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_recording_comes_whole() {
    let server = NatsServer::start(false).await;
    let fake = FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        "/recordings/stored/long/file" => {
            HttpReply { status: 200, body: voice().into(), content_type: "audio/wav" }
        }
        "/recordings/stored/empty/file" => {
            HttpReply { status: 200, body: Vec::new().into(), content_type: "audio/wav" }
        }
        _ => HttpReply::json(404, r#"{"message":"Recording not found"}"#),
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[]));
    let builder = Client::builder().application(APP).timeout(20 * SECOND);
    let client = builder.clone().url(server.url()).connect().await.unwrap();
    until("the proxy is there", || async {
        client.ping().await.unwrap();
        client.cluster().len() == 1
    })
    .await;
    whole(&client).await;
    let direct = builder.direct(AriConfig::new(&fake.url(), "ari", "secret")).connect().await.unwrap();
    whole(&direct).await;
    proxy.stop().await;
}

/// What comes of a file is passed on before the rest is there: nobody holds it whole. Where it breaks off the
/// client is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_passed_on_as_it_comes() {
    let server = NatsServer::start(false).await;
    let mut fake = FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        // Ten parts of twenty.
        "/recordings/stored/half/file" => {
            HttpReply { status: 3, body: voice().into(), content_type: "audio/wav" }
        }
        _ => HttpReply::json(404, r#"{"message":"Recording not found"}"#),
    })
    .await;
    let more = [("ari.timeout", "2s")];
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &more));
    let builder = Client::builder().application(APP).timeout(20 * SECOND);
    let client = builder.clone().url(server.url()).connect().await.unwrap();
    until("the proxy is there", || async {
        client.ping().await.unwrap();
        client.cluster().len() == 1
    })
    .await;
    let key = client.here().at(APP, "n1").sibling(kinds::STORED_RECORDING, "half");
    let recording = |client: &Client| client.stored_recording().handle(key.clone());
    let mut written = Vec::new();
    let silent = recording(&client).write_to(&mut written).await.unwrap_err().to_string();
    assert!(
        silent.contains("failed to read the file: ") && silent.ends_with("no answer within 2s"),
        "{silent}"
    );
    assert!(written == voice(), "{} bytes", written.len());

    let asterisk = AriConfig { timeout: 2 * SECOND, ..AriConfig::new(&fake.url(), "ari", "secret") };
    let direct = builder.direct(asterisk).connect().await.unwrap();
    let mut written = Vec::new();
    let silent = recording(&direct).write_to(&mut written).await.unwrap_err().to_string();
    assert!(silent.ends_with("no answer within 2s"), "{silent}");
    assert!(written == voice());
    let unknown = direct.stored_recording().handle(key.sibling(kinds::STORED_RECORDING, "x")).file().await;
    let unknown = unknown.unwrap_err();
    assert!(unknown.is_not_found() && unknown.to_string().ends_with(": Recording not found"), "{unknown}");

    // Asterisk dies in the middle.
    let (mut half, mut written) = tokio::io::duplex(1 << 10);
    let handle = recording(&client);
    let reading = tokio::spawn(async move { handle.write_to(&mut half).await });
    let mut first = vec![0; 256 << 10];
    written.read_exact(&mut first).await.unwrap();
    fake.kill().await;
    let mut rest = Vec::new();
    written.read_to_end(&mut rest).await.unwrap();
    assert!([first, rest].concat() == voice());
    let died = reading.await.unwrap().unwrap_err().to_string();
    assert!(died.contains("failed to read the file: "), "{died}");
    proxy.stop().await;
}
