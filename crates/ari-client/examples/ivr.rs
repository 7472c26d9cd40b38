//! A menu: 1 plays a greeting, 2 records a message, anything else says goodbye.
//!
//! `ARI_APPLICATION=example cargo run -p trunkline-ari-client --example ivr`

use std::time::Duration;

use trunkline_ari_client::{Client, Error, Event, EventType, Incoming, Record};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env().await?;
    client
        .listen(|call| async move {
            if let Err(error) = menu(call).await {
                eprintln!("call ended: {error}");
            }
        })
        .await
}

async fn menu(mut call: Incoming) -> Result<(), Error> {
    let mut events = call.channel.subscribe(&[EventType::ChannelDtmfReceived, EventType::StasisEnd]).await?;
    call.answer().await?;
    call.channel.play("sound:press-1").await?;
    loop {
        let waited = tokio::time::timeout(Duration::from_secs(10), events.event()).await;
        let digit = match waited.ok().flatten().map(|received| received.event) {
            Some(Event::ChannelDtmfReceived(dtmf)) => dtmf.digit,
            // The caller hung up.
            Some(Event::StasisEnd(_)) => return Ok(()),
            // Nothing pressed for a while.
            _ => String::new(),
        };
        match digit.as_str() {
            "1" => {
                call.channel.play("sound:hello-world").await?;
            }
            "2" => {
                let options = Record { max_silence: Duration::from_secs(3), beep: true, ..Record::default() };
                let recording = call.channel.record("", options).await?;
                println!("recording {}", recording.id());
            }
            _ => {
                call.channel.play("sound:vm-goodbye").await?;
                return call.channel.hangup("normal").await;
            }
        }
    }
}
