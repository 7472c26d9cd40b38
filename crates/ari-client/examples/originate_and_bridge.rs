//! Calls two endpoints and bridges them when both have answered.
//!
//! `cargo run -p trunkline-ari-client --example originate_and_bridge -- PJSIP/1001 PJSIP/1002`

use trunkline_ari_client::{
    BridgeType, Channel, Client, Error, Event, EventType, Key, Originate, Subscription,
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(one), Some(two)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: originate_and_bridge ENDPOINT ENDPOINT");
        return Ok(());
    };
    let client = Client::from_env().await?;
    // Everything below happens in one dialog, so that one subscription sees all of it.
    let here = client.here().with_dialog(client.dialog());
    let bridge = client.bridge().create(&here, &[BridgeType::Mixing], "call").await?;
    let at = bridge.key().clone();
    let mut events = bridge.subscribe(&[EventType::StasisStart, EventType::StasisEnd]).await?;

    let first = call(&client, &at, one).await?;
    let second = call(&client, &at, two).await?;
    for _ in 0..2 {
        entered(&mut events).await?;
    }
    bridge.add_channel(first.id()).await?;
    bridge.add_channel(second.id()).await?;
    println!("{} and {} talk", first.id(), second.id());

    // Whoever hangs up first ends the call for both.
    while let Some(received) = events.event().await {
        if let Event::StasisEnd(end) = received.event {
            let other = if end.channel.id == first.id() { &second } else { &first };
            // The other may have hung up at the same moment.
            let _ = other.hangup("normal").await;
            break;
        }
    }
    bridge.delete().await?;
    client.close().await;
    Ok(())
}

async fn call(client: &Client, at: &Key, endpoint: String) -> Result<Channel, Error> {
    let app = client.application_name().to_owned();
    let at = Key { kind: String::new(), id: String::new(), ..at.clone() };
    client.channel().originate(&at, Originate { endpoint, app, ..Originate::default() }).await
}

async fn entered(events: &mut Subscription) -> Result<(), Error> {
    while let Some(received) = events.event().await {
        match received.event {
            Event::StasisStart(_) => return Ok(()),
            Event::StasisEnd(_) => return Err(Error::Setting("one of them did not answer")),
            _ => {}
        }
    }
    Err(Error::Closed)
}
