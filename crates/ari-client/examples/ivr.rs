//! A menu: 1 plays a greeting, 2 records a message, anything else says goodbye.
//!
//! `ARI_APPLICATION=example cargo run -p trunkline-ari-client --example ivr`

use std::time::Duration;

use trunkline_ari_client::{Client, Error, Incoming, Play, Prompt, PromptEnd, Record, RecordUntil, audio};

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
    call.answer().await?;
    let channel = &call.channel;
    loop {
        let question = Prompt::new(Play::media(audio::sound("press-1")), 1);
        let answer = channel.prompt(question.timeouts(Duration::from_secs(10), Duration::ZERO)).await?;
        match (answer.digits.as_str(), answer.end) {
            (_, PromptEnd::HungUp) => return Ok(()),
            ("1", _) => {
                channel.play_and_wait(Play::media(audio::sound("hello-world"))).await?;
            }
            ("2", _) => {
                let options = Record { max_silence: Duration::from_secs(3), beep: true, ..Record::default() };
                let until = RecordUntil { options, digits: "#".to_owned() };
                let recorded = channel.record_until("", until).await?;
                println!("recording {}", recorded.recording.id());
            }
            _ => {
                channel.play_and_wait(Play::media(audio::sound("vm-goodbye"))).await?;
                return channel.hangup("normal").await;
            }
        }
    }
}
