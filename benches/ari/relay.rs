//! The bare relays: the least a proxy can be. A request in, a call out, the answer back; nothing is read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use trunkline_ari::{Method, RestCall};
use trunkline_ari_rest::{Ari, AriConfig};

use crate::APP;

const PATH: &str = "/channels/c";

/// The usual libraries: async-nats and hyper, with connections that are kept.
pub async fn of_libraries(nats: &str, ari: &str, node: &str) {
    let place =
        ari.strip_prefix("http://").and_then(|a| a.strip_suffix("/ari")).expect("a stand-in").to_owned();
    let kept = Arc::<Mutex<Vec<SendRequest<Full<Bytes>>>>>::default();
    serve(nats, node, move || {
        let (kept, place) = (Arc::clone(&kept), place.clone());
        async move {
            let idle = kept.lock().pop();
            let mut sender = match idle {
                Some(sender) => sender,
                None => {
                    let stream = TcpStream::connect(&place).await.expect("the stand-in");
                    stream.set_nodelay(true).expect("no delay");
                    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
                    tokio::spawn(connection);
                    sender
                }
            };
            sender.ready().await.expect("a connection");
            let request = hyper::Request::get(format!("/ari{PATH}"))
                .header(HOST, &place)
                .header(AUTHORIZATION, "Basic YXJpOnNlY3JldA==")
                .body(Full::new(Bytes::new()))
                .expect("a request");
            let answer = sender.send_request(request).await.expect("an answer");
            let body = answer.into_body().collect().await.expect("its body").to_bytes();
            kept.lock().push(sender);
            body
        }
    })
    .await;
}

/// With the proxy's own HTTP client.
pub async fn of_ours(nats: &str, ari: &str, node: &str) {
    let ari = Arc::new(Ari::new(AriConfig::new(ari, "ari", "secret")).expect("the stand-in"));
    serve(nats, node, move || {
        let ari = Arc::clone(&ari);
        let call = RestCall { method: Method::Get, path: PATH.to_owned(), body: None, file: false };
        async move { ari.call(call).await.expect("an answer").body }
    })
    .await;
}

async fn serve<F: Future<Output = Bytes> + Send + 'static>(nats: &str, node: &str, call: impl Fn() -> F) {
    let nats = async_nats::connect(nats).await.expect("nats");
    let mut requests = nats.subscribe(format!("ari.data.{APP}.{node}")).await.expect("a subscription");
    while let Some(message) = requests.next().await {
        let (nats, body) = (nats.clone(), call());
        tokio::spawn(async move {
            let body = body.await;
            if let Some(subject) = message.reply {
                nats.publish(subject, body).await.expect("published");
            }
        });
    }
}
