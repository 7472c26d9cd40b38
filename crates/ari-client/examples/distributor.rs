//! Distributes calls: each waits with music until an agent is free, then rings that agent.
//!
//! Start it on several machines with `ARI_DELIVERY=stream`: a call goes to one of them, and to
//! another if that one dies before it took the call.
//!
//! `ARI_APPLICATION=example cargo run -p trunkline-ari-client --example distributor -- PJSIP/1001 PJSIP/1002`

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use trunkline_ari_client::{BridgeType, Client, Error, Event, EventType, Incoming, Key, Originate};

type Agents = Arc<Mutex<mpsc::UnboundedReceiver<String>>>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env().await?;
    let (free, agents) = mpsc::unbounded_channel();
    for agent in std::env::args().skip(1) {
        // The receiver lives as long as the program.
        let _ = free.send(agent);
    }
    let agents: Agents = Arc::new(Mutex::new(agents));
    let shared = client.clone();
    client
        .listen(move |call| {
            let (client, free, agents) = (shared.clone(), free.clone(), Arc::clone(&agents));
            async move {
                if let Err(error) = distribute(&client, call, free, agents).await {
                    eprintln!("call ended: {error}");
                }
            }
        })
        .await
}

async fn distribute(
    client: &Client,
    mut call: Incoming,
    free: mpsc::UnboundedSender<String>,
    agents: Agents,
) -> Result<(), Error> {
    // Channels that we call ourselves enter the application too.
    if call.start.args.first().is_some_and(|a| a == "agent") {
        return call.accept().await;
    }
    call.answer().await?;
    call.channel.moh("default").await?;
    let Some(agent) = agents.lock().await.recv().await else { return Ok(()) };
    let result = connect(client, &call, &agent).await;
    // The agent is free again, however the call went.
    let _ = free.send(agent);
    result
}

async fn connect(client: &Client, call: &Incoming, agent: &str) -> Result<(), Error> {
    let key = call.channel.key();
    let at = Key::default().at(key.app.clone(), key.node.clone()).with_dialog(client.dialog());
    let request = Originate {
        endpoint: agent.to_owned(),
        app: key.app.clone(),
        app_args: "agent".to_owned(),
        timeout: Duration::from_secs(20),
        ..Originate::default()
    };
    let staged = client.channel().stage_originate(&at, request).await?;
    let wanted = [EventType::StasisStart, EventType::StasisEnd, EventType::ChannelDestroyed];
    let mut events = staged.handle.subscribe(&wanted).await?;
    let agent = staged.exec().await?;
    while let Some(received) = events.event().await {
        match received.event {
            Event::StasisStart(_) => {
                let bridge = client.bridge().create(&at, &[BridgeType::Mixing], "agent").await?;
                call.channel.stop_moh().await?;
                bridge.add_channel(call.channel.id()).await?;
                bridge.add_channel(agent.id()).await?;
            }
            Event::StasisEnd(_) | Event::ChannelDestroyed(_) => return call.channel.hangup("normal").await,
            _ => {}
        }
    }
    Ok(())
}
