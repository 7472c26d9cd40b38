//! Monitor the channels of a bridge.

use std::collections::BTreeSet;

use trunkline_ari::{Event, EventType, Key, kinds};

use crate::error::Error;
use crate::handle::Bridge;
use crate::subscription::Subscription;

/// An event of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BridgeChange {
    /// This channel entered.
    Entered(String),
    /// This channel left.
    Left(String),
    /// The bridge is no more.
    Destroyed,
}

/// The channels in a bridge, from the start of monitoring.
pub struct BridgeMonitor {
    bridge: String,
    channels: BTreeSet<String>,
    events: Subscription,
    destroyed: bool,
}

impl Bridge {
    /// Watches who enters and leaves. The application follows the bridge from now on, so that
    /// channels of other applications are seen too.
    ///
    /// # Errors
    /// When the bridge does not exist, or its application is not known.
    pub async fn monitor(&self) -> Result<BridgeMonitor, Error> {
        let types = [
            EventType::ChannelEnteredBridge,
            EventType::ChannelLeftBridge,
            EventType::BridgeMerged,
            EventType::BridgeDestroyed,
        ];
        let events = self.subscribe(&types).await?;
        let client = self.client();
        let app = if self.key().app.is_empty() { client.application_name() } else { &self.key().app };
        let application = self.key().sibling(kinds::APPLICATION, app);
        let application = Key { app: app.to_owned(), dialog: String::new(), ..application };
        client.application().handle(application).subscribe_to(&format!("bridge:{}", self.id())).await?;
        // What changes from now on is in the events.
        let data = self.data().await?;
        let channels = data.channels.into_iter().collect();
        Ok(BridgeMonitor { bridge: self.id().to_owned(), channels, events, destroyed: false })
    }
}

impl BridgeMonitor {
    /// The channels in the bridge, as far as events were taken.
    #[must_use]
    pub fn channels(&self) -> &BTreeSet<String> {
        &self.channels
    }

    /// The next change; `None` after the bridge's end, or when the client is closed.
    /// Cancellation-safe.
    pub async fn next(&mut self) -> Option<BridgeChange> {
        while !self.destroyed {
            let received = self.events.event().await?;
            match received.event {
                Event::ChannelEnteredBridge(event) if event.bridge.id == self.bridge => {
                    // It may have been among the first ones.
                    if let Some(channel) = event.channel
                        && self.channels.insert(channel.id.clone())
                    {
                        return Some(BridgeChange::Entered(channel.id));
                    }
                }
                Event::ChannelLeftBridge(event)
                    if event.bridge.id == self.bridge && self.channels.remove(&event.channel.id) =>
                {
                    return Some(BridgeChange::Left(event.channel.id));
                }
                Event::BridgeDestroyed(event) if event.bridge.id == self.bridge => {
                    self.destroyed = true;
                    self.channels.clear();
                    return Some(BridgeChange::Destroyed);
                }
                _ => {}
            }
        }
        None
    }
}
