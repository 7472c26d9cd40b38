//! Channels.

use std::time::Duration;

use serde_json::{Value, json};
use trunkline_ari::{Key, Kind, Purpose, kinds, model};

use super::{Bridge, LiveRecording, Playback, Staged, collection, commands, handle, subscribe};
use crate::client::Client;
use crate::error::Error;
use crate::options::{CreateChannel, Dtmf, ExternalMedia, Originate, Play, Record, Snoop, Variables};
use crate::words::Direction;

handle! {
    /// A channel.
    Channel, kinds::CHANNEL
}

collection! {
    /// The channels of a cluster.
    Channels of Channel, kinds::CHANNEL, model::Channel as "channel", ChannelData, get ChannelGet, list ChannelList
}

subscribe!(Channel, ChannelSubscribe);

impl Channels<'_> {
    /// Calls somebody. `at` says where: an application, a node, a dialog; or a channel on whose
    /// behalf it is.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn originate(&self, at: &Key, mut request: Originate) -> Result<Channel, Error> {
        self.0.name_call(&mut request.channel_id, Purpose::Channel);
        let option = json!({"originate_request": request});
        self.made(at, self.0.call_with(Kind::ChannelOriginate, at, &option).await)
    }

    /// Prepares a call: events can be subscribed to before it is made.
    ///
    /// # Errors
    /// When the proxy refuses.
    pub async fn stage_originate(&self, at: &Key, mut request: Originate) -> Result<Staged<Channel>, Error> {
        self.0.name_call(&mut request.channel_id, Purpose::Channel);
        let option = json!({"originate_request": request});
        let handle = self.made(at, self.0.call_with(Kind::ChannelStageOriginate, at, &option).await)?;
        Ok(self.staged(handle, at, Kind::ChannelOriginate, option))
    }

    /// Makes a channel that is dialled later.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn create(&self, at: &Key, mut request: CreateChannel) -> Result<Channel, Error> {
        self.0.name_call(&mut request.channel_id, Purpose::Channel);
        let option = json!({"channel_create_request": request});
        self.made(at, self.0.call_with(Kind::ChannelCreate, at, &option).await)
    }

    /// Makes a channel whose voice goes to a program.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn external_media(&self, at: &Key, mut media: ExternalMedia) -> Result<Channel, Error> {
        self.0.name_call(&mut media.channel_id, Purpose::Channel);
        let option = json!({"options": media});
        self.made(at, self.0.call_with(Kind::ChannelExternalMedia, at, &option).await)
    }

    /// Prepares a channel whose voice goes to a program.
    ///
    /// # Errors
    /// When the proxy refuses.
    pub async fn stage_external_media(
        &self,
        at: &Key,
        mut media: ExternalMedia,
    ) -> Result<Staged<Channel>, Error> {
        self.0.name_call(&mut media.channel_id, Purpose::Channel);
        let option = json!({"options": media});
        let handle = self.made(at, self.0.call_with(Kind::ChannelStageExternalMedia, at, &option).await)?;
        Ok(self.staged(handle, at, Kind::ChannelExternalMedia, option))
    }

    fn made(&self, at: &Key, response: Result<trunkline_ari::Response, Error>) -> Result<Channel, Error> {
        let key = Client::key_of(response?)?;
        Ok(Channel::new(self.0, key.with_dialog(at.dialog.clone())))
    }

    /// The real request goes to the node that staged it.
    fn staged(&self, handle: Channel, at: &Key, kind: Kind, option: Value) -> Staged<Channel> {
        let (client, key) = (self.0.clone(), at.clone().at(handle.key.app.clone(), handle.key.node.clone()));
        Staged::new(handle, async move { client.call_with(kind, &key, &option).await.map(drop) })
    }
}

impl Channel {
    commands! {
        /// Answers it.
        answer => ChannelAnswer;
        /// Hangs up as busy.
        busy => ChannelBusy;
        /// Hangs up as congested.
        congestion => ChannelCongestion;
        /// Tells it that it rings.
        ring => ChannelRing;
        /// Ends ringing.
        stop_ring => ChannelStopRing;
        /// Tells it that the call progresses (Asterisk 22.6).
        progress => ChannelProgress;
        /// Holds it.
        hold => ChannelHold;
        /// Ends holding.
        stop_hold => ChannelStopHold;
        /// Ends music on hold.
        stop_moh => ChannelStopMOH;
        /// Plays silence.
        silence => ChannelSilence;
        /// Ends silence.
        stop_silence => ChannelStopSilence;
    }

    async fn with(&self, kind: Kind, option: Value) -> Result<(), Error> {
        self.client.call_with(kind, &self.key, &option).await.map(drop)
    }

    /// Hangs up; an empty reason is `normal`.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn hangup(&self, reason: &str) -> Result<(), Error> {
        self.with(Kind::ChannelHangup, json!({"reason": reason})).await
    }

    /// Hangs up with a Q.850 cause code.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn hangup_with_code(&self, code: u16) -> Result<(), Error> {
        self.with(Kind::ChannelHangup, json!({"reason": "", "reason_code": code.to_string()})).await
    }

    /// Lets it go on in the dialplan.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn continue_in(&self, context: &str, extension: &str, priority: i64) -> Result<(), Error> {
        let option = json!({"context": context, "extension": extension, "priority": priority});
        self.with(Kind::ChannelContinue, option).await
    }

    /// Lets it go on in the dialplan at a label.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn continue_at(&self, context: &str, extension: &str, label: &str) -> Result<(), Error> {
        let option = json!({"context": context, "extension": extension, "priority": 0, "label": label});
        self.with(Kind::ChannelContinue, option).await
    }

    /// Moves it to another application.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn move_to(&self, app: &str, args: &str) -> Result<(), Error> {
        self.with(Kind::ChannelMove, json!({"app": app, "appArgs": args})).await
    }

    /// Sends the caller elsewhere.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn redirect(&self, endpoint: &str) -> Result<(), Error> {
        self.with(Kind::ChannelRedirect, json!({"endpoint": endpoint})).await
    }

    /// Claims a call that was offered to several applications (Asterisk 22.7).
    ///
    /// # Errors
    /// When another was first.
    pub async fn claim(&self, application: &str) -> Result<(), Error> {
        self.with(Kind::ChannelClaim, json!({"application": application})).await
    }

    /// Tells the transferer how a transfer goes (Asterisk 22.3).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn transfer_progress(&self, states: &str) -> Result<(), Error> {
        self.with(Kind::ChannelTransferProgress, json!({"states": states})).await
    }

    /// Sends DTMF digits.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn send_dtmf(&self, digits: &str, times: Dtmf) -> Result<(), Error> {
        self.with(Kind::ChannelSendDTMF, json!({"dtmf": digits, "options": times})).await
    }

    /// Mutes it in a direction.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn mute(&self, direction: Direction) -> Result<(), Error> {
        self.with(Kind::ChannelMute, json!({"direction": direction})).await
    }

    /// Ends muting in a direction.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn unmute(&self, direction: Direction) -> Result<(), Error> {
        self.with(Kind::ChannelUnmute, json!({"direction": direction})).await
    }

    /// Plays music on hold of a class; empty is the default class.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn moh(&self, class: &str) -> Result<(), Error> {
        self.with(Kind::ChannelMOH, json!({"music": class})).await
    }

    /// Dials a channel that was created.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn dial(&self, caller: &str, timeout: Duration) -> Result<(), Error> {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.with(Kind::ChannelDial, json!({"caller": caller, "timeout": nanoseconds})).await
    }

    /// The value of a variable or function.
    ///
    /// # Errors
    /// When it is not set.
    pub async fn variable(&self, name: &str) -> Result<String, Error> {
        let response =
            self.client.call_with(Kind::ChannelVariableGet, &self.key, &json!({"name": name})).await?;
        Ok(response.data("variable")?.unwrap_or_default())
    }

    /// Sets a variable or function.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn set_variable(&self, name: &str, value: &str) -> Result<(), Error> {
        self.with(Kind::ChannelVariableSet, json!({"name": name, "value": value})).await
    }

    /// The values of several variables (Asterisk 22.10).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn variables(&self, names: &[&str]) -> Result<Value, Error> {
        let option = json!({"variables": names});
        let response = self.client.call_with(Kind::ChannelVariablesGet, &self.key, &option).await?;
        let variables: model::Variables = response.data("variables")?.ok_or(Error::Nil("variables"))?;
        Ok(variables.variables)
    }

    /// Sets several variables (Asterisk 22.10).
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn set_variables(&self, variables: &Variables) -> Result<(), Error> {
        self.with(Kind::ChannelVariablesSet, json!({"variables": variables})).await
    }

    /// RTP statistics.
    ///
    /// # Errors
    /// When the channel has no RTP.
    pub async fn rtp_statistics(&self) -> Result<model::RtpStatistics, Error> {
        self.client.data(Kind::ChannelRTPStatistics, &self.key, "rtp_statistics").await
    }

    /// Raises an event of one's own on it.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn user_event(&self, name: &str, variables: Value) -> Result<(), Error> {
        let option = json!({"UserEvent": {"eventname": name, "userevent": variables}});
        self.with(Kind::ChannelUserEvent, option).await
    }

    /// Plays media, such as `sound:hello-world`.
    ///
    /// # Errors
    /// When the channel is gone.
    pub async fn play(&self, media: &str) -> Result<Playback, Error> {
        self.play_with(Play::media(media)).await
    }

    /// Plays media in a special way.
    ///
    /// # Errors
    /// When the channel is gone.
    pub async fn play_with(&self, play: Play) -> Result<Playback, Error> {
        super::media::play(&self.client, &self.key, Kind::ChannelPlay, play).await
    }

    /// Prepares a playback: events can be subscribed to before it begins.
    ///
    /// # Errors
    /// When the channel is gone.
    pub async fn stage_play(&self, play: Play) -> Result<Staged<Playback>, Error> {
        super::media::stage_play(&self.client, &self.key, [Kind::ChannelStagePlay, Kind::ChannelPlay], play)
            .await
    }

    /// Records it; an empty name is made up.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn record(&self, name: &str, options: Record) -> Result<LiveRecording, Error> {
        super::media::record(&self.client, &self.key, Kind::ChannelRecord, name, options).await
    }

    /// Prepares a recording.
    ///
    /// # Errors
    /// When the channel is gone.
    pub async fn stage_record(&self, name: &str, options: Record) -> Result<Staged<LiveRecording>, Error> {
        let kinds = [Kind::ChannelStageRecord, Kind::ChannelRecord];
        super::media::stage_record(&self.client, &self.key, kinds, name, options).await
    }

    /// Listens to it or speaks into it, through a channel of its own.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn snoop(&self, id: &str, options: Snoop) -> Result<Channel, Error> {
        let option = self.snooping(id, &options);
        let response = self.client.call_with(Kind::ChannelSnoop, &self.key, &option).await?;
        Ok(Channel::new(&self.client, Client::key_of(response)?))
    }

    /// Prepares a snooping channel.
    ///
    /// # Errors
    /// When the channel is gone.
    pub async fn stage_snoop(&self, id: &str, options: Snoop) -> Result<Staged<Channel>, Error> {
        let option = self.snooping(id, &options);
        let response = self.client.call_with(Kind::ChannelStageSnoop, &self.key, &option).await?;
        let handle = Channel::new(&self.client, Client::key_of(response)?);
        let key = self.key.clone().at(handle.key.app.clone(), handle.key.node.clone());
        let client = self.client.clone();
        Ok(Staged::new(
            handle,
            async move { client.call_with(Kind::ChannelSnoop, &key, &option).await.map(drop) },
        ))
    }

    fn snooping(&self, id: &str, options: &Snoop) -> Value {
        let mut id = id.to_owned();
        self.client.name_call(&mut id, Purpose::Snoop);
        json!({"snoop_id": id, "options": options})
    }

    /// Puts it into a bridge.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn join(&self, bridge: &Bridge) -> Result<(), Error> {
        bridge.add_channel(self.id()).await
    }
}
