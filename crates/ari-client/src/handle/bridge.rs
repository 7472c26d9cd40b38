//! Bridges.

use serde_json::{Value, json};
use trunkline_ari::{Key, Kind, Purpose, fresh, kinds, model};

use super::{LiveRecording, Playback, Staged, collection, commands, handle, subscribe};
use crate::client::Client;
use crate::error::Error;
use crate::options::{AddChannel, Play, Record, Variables};
use crate::words::{BridgeType, joined};

handle! {
    /// A bridge.
    Bridge, kinds::BRIDGE
}

collection! {
    /// The bridges of a cluster.
    Bridges of Bridge, kinds::BRIDGE, model::Bridge as "bridge", BridgeData, get BridgeGet, list BridgeList
}

subscribe!(Bridge, BridgeSubscribe);

impl Bridges<'_> {
    /// Makes a bridge, such as `&[BridgeType::Mixing]`. Without an id in `at` one is made up.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn create(&self, at: &Key, types: &[BridgeType], name: &str) -> Result<Bridge, Error> {
        let key = named(at);
        let option = json!({"type": joined(types), "name": name});
        let response = self.0.call_with(Kind::BridgeCreate, &key, &option).await?;
        Ok(Bridge::new(self.0, Client::key_of(response)?))
    }

    /// Prepares a bridge.
    ///
    /// # Errors
    /// When the proxy refuses.
    pub async fn stage_create(
        &self,
        at: &Key,
        types: &[BridgeType],
        name: &str,
    ) -> Result<Staged<Bridge>, Error> {
        let key = named(at);
        let option = json!({"type": joined(types), "name": name});
        let response = self.0.call_with(Kind::BridgeStageCreate, &key, &option).await?;
        let handle = Bridge::new(self.0, Client::key_of(response)?);
        let (client, key) = (self.0.clone(), handle.key.clone());
        Ok(Staged::new(
            handle,
            async move { client.call_with(Kind::BridgeCreate, &key, &option).await.map(drop) },
        ))
    }
}

fn named(at: &Key) -> Key {
    let id = if at.id.is_empty() { fresh(Purpose::Bridge) } else { at.id.clone() };
    at.sibling(kinds::BRIDGE, id)
}

impl Bridge {
    commands! {
        /// Ends it; its channels go on in the application.
        delete => BridgeDelete;
        /// Ends music on hold.
        stop_moh => BridgeStopMOH;
        /// Shows whoever speaks.
        delete_video_source => BridgeVideoSourceDelete;
    }

    async fn with(&self, kind: Kind, option: Value) -> Result<(), Error> {
        self.client.call_with(kind, &self.key, &option).await.map(drop)
    }

    /// Adds a channel.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn add_channel(&self, channel: &str) -> Result<(), Error> {
        self.add_channel_with(AddChannel { channel: channel.to_owned(), ..AddChannel::default() }).await
    }

    /// Adds a channel in a special way.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn add_channel_with(&self, options: AddChannel) -> Result<(), Error> {
        self.client.call_with(Kind::BridgeAddChannel, &self.key, &options).await.map(drop)
    }

    /// Removes a channel.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn remove_channel(&self, channel: &str) -> Result<(), Error> {
        self.with(Kind::BridgeRemoveChannel, json!({"channel": channel})).await
    }

    /// Plays music on hold of a class.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn moh(&self, class: &str) -> Result<(), Error> {
        self.with(Kind::BridgeMOH, json!({"class": class})).await
    }

    /// Shows one channel's video to all.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn video_source(&self, channel: &str) -> Result<(), Error> {
        self.with(Kind::BridgeVideoSource, json!({"channel": channel})).await
    }

    /// The value of a variable (Asterisk 22.10).
    ///
    /// # Errors
    /// When it is not set.
    pub async fn variable(&self, name: &str) -> Result<String, Error> {
        let response =
            self.client.call_with(Kind::BridgeVariableGet, &self.key, &json!({"name": name})).await?;
        Ok(response.data("variable")?.unwrap_or_default())
    }

    /// Sets a variable (Asterisk 22.10).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn set_variable(&self, name: &str, value: &str) -> Result<(), Error> {
        self.with(Kind::BridgeVariableSet, json!({"name": name, "value": value})).await
    }

    /// The values of several variables (Asterisk 22.10).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn variables(&self, names: &[&str]) -> Result<Value, Error> {
        let option = json!({"variables": names});
        let response = self.client.call_with(Kind::BridgeVariablesGet, &self.key, &option).await?;
        let variables: model::Variables = response.data("variables")?.ok_or(Error::Nil("variables"))?;
        Ok(variables.variables)
    }

    /// Sets several variables (Asterisk 22.10).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn set_variables(&self, variables: &Variables) -> Result<(), Error> {
        self.with(Kind::BridgeVariablesSet, json!({"variables": variables})).await
    }

    /// Plays media to all, such as `sound:hello-world`.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn play(&self, media: &str) -> Result<Playback, Error> {
        self.play_with(Play::media(media)).await
    }

    /// Plays media to all in a special way.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn play_with(&self, play: Play) -> Result<Playback, Error> {
        super::media::play(&self.client, &self.key, Kind::BridgePlay, play).await
    }

    /// Prepares a playback.
    ///
    /// # Errors
    /// When the bridge is gone.
    pub async fn stage_play(&self, play: Play) -> Result<Staged<Playback>, Error> {
        super::media::stage_play(&self.client, &self.key, [Kind::BridgeStagePlay, Kind::BridgePlay], play)
            .await
    }

    /// Records it; an empty name is made up.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn record(&self, name: &str, options: Record) -> Result<LiveRecording, Error> {
        super::media::record(&self.client, &self.key, Kind::BridgeRecord, name, options).await
    }

    /// Prepares a recording.
    ///
    /// # Errors
    /// When the bridge is gone.
    pub async fn stage_record(&self, name: &str, options: Record) -> Result<Staged<LiveRecording>, Error> {
        let kinds = [Kind::BridgeStageRecord, Kind::BridgeRecord];
        super::media::stage_record(&self.client, &self.key, kinds, name, options).await
    }
}
