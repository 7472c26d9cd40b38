//! The file of a stored recording, longer than one message of NATS.

use std::time::Duration;

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
    let builder = Client::builder().application(APP).timeout(5 * SECOND);
    let client = builder.clone().url(server.url()).connect().await.unwrap();
    until("the proxy is there", 10 * SECOND, || async {
        client.ping().await.unwrap();
        client.cluster().len() == 1
    })
    .await;
    whole(&client).await;
    let direct = builder.direct(AriConfig::new(&fake.url(), "ari", "secret")).connect().await.unwrap();
    whole(&direct).await;
    proxy.stop().await;
}
