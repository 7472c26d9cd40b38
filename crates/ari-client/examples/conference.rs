//! A conference on each node: whoever calls joins the bridge of the node the call is on.
//!
//! `ARI_APPLICATION=example cargo run -p trunkline-ari-client --example conference`

use trunkline_ari_client::{BridgeType, Client, Error, Incoming};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env().await?;
    let rooms = client.clone();
    client
        .listen(move |call| {
            let rooms = rooms.clone();
            async move {
                if let Err(error) = join(&rooms, call).await {
                    eprintln!("could not join: {error}");
                }
            }
        })
        .await
}

async fn join(client: &Client, mut call: Incoming) -> Result<(), Error> {
    call.answer().await?;
    // A bridge mixes channels of its own Asterisk only.
    let room = call.channel.key().sibling("bridge", "conference");
    let bridge = match client.bridge().get(room.clone()).await {
        Ok(bridge) => bridge,
        Err(error) if error.is_not_found() => {
            client.bridge().create(&room, &[BridgeType::Mixing], "conference").await?
        }
        Err(error) => return Err(error),
    };
    bridge.add_channel(call.channel.id()).await?;
    let there = bridge.data().await?.channels.len();
    println!("{} joined, {there} are there", call.start.channel.name);
    if there == 1 {
        call.channel.play("sound:conf-onlyperson").await?;
    }
    Ok(())
}
