//! Request kinds: the operations a request can name.

use crate::subject::Class;

macro_rules! kinds {
    ($($name:ident $class:ident $option:literal;)*) => {
        /// What a request asks for. The first 111 are those of ari-proxy 5.3; the others follow its
        /// style for what Asterisk offers beyond them.
        #[allow(missing_docs, clippy::upper_case_acronyms)] // The names are the wire's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($name,)* }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The name on the wire. Case counts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$name => stringify!($name),)* }
            }

            /// The kind of a name on the wire.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Kind> {
                match name { $(stringify!($name) => Some(Kind::$name),)* _ => None }
            }

            /// The class that a client sends it under.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Kind::$name => Class::$class,)* }
            }

            /// The member of the request that carries its options; empty when it has none.
            #[must_use]
            pub const fn option(self) -> &'static str {
                match self { $(Kind::$name => $option,)* }
            }
        }
    };
}

/// How many of [`Kind::ALL`] ari-proxy knows.
pub const UPSTREAM_KINDS: usize = 111;

kinds! {
    ApplicationData Data "";
    ApplicationGet Get "";
    ApplicationList Get "";
    ApplicationSubscribe Command "application_subscribe";
    ApplicationUnsubscribe Command "application_subscribe";
    AsteriskConfigData Data "";
    AsteriskConfigDelete Command "";
    AsteriskConfigUpdate Command "asterisk_config";
    AsteriskInfo Data "";
    AsteriskLoggingCreate Create "asterisk_logging_channel";
    AsteriskLoggingData Data "";
    AsteriskLoggingDelete Command "";
    AsteriskLoggingGet Get "";
    AsteriskLoggingList Get "";
    AsteriskLoggingRotate Command "";
    AsteriskModuleData Data "";
    AsteriskModuleGet Get "";
    AsteriskModuleList Get "";
    AsteriskModuleLoad Command "";
    AsteriskModuleReload Command "";
    AsteriskModuleUnload Command "";
    AsteriskVariableGet Data "";
    AsteriskVariableSet Command "asterisk_variable_set";
    BridgeAddChannel Command "bridge_add_channel";
    BridgeCreate Create "bridge_create";
    BridgeData Data "";
    BridgeDelete Command "";
    BridgeGet Get "";
    BridgeList Get "";
    BridgeMOH Command "bridge_moh";
    BridgePlay Create "bridge_play";
    BridgeRecord Create "bridge_record";
    BridgeRemoveChannel Command "bridge_remove_channel";
    BridgeStageCreate Create "bridge_create";
    BridgeStagePlay Get "bridge_play";
    BridgeStageRecord Get "bridge_record";
    BridgeStopMOH Command "";
    BridgeSubscribe Command "";
    BridgeUnsubscribe Command "";
    BridgeVideoSource Command "bridge_video_source";
    BridgeVideoSourceDelete Command "";
    ChannelAnswer Command "";
    ChannelBusy Command "";
    ChannelCongestion Command "";
    ChannelContinue Command "channel_continue";
    ChannelCreate Create "channel_create";
    ChannelData Data "";
    ChannelDial Command "channel_dial";
    ChannelExternalMedia Create "channel_external_media";
    ChannelGet Get "";
    ChannelHangup Command "channel_hangup";
    ChannelHold Command "";
    ChannelList Get "";
    ChannelMOH Command "channel_moh";
    ChannelMute Command "channel_mute";
    ChannelOriginate Create "channel_originate";
    ChannelPlay Create "channel_play";
    ChannelRecord Create "channel_record";
    ChannelRing Command "";
    ChannelSendDTMF Command "channel_send_dtmf";
    ChannelSilence Command "";
    ChannelSnoop Create "channel_snoop";
    ChannelStageExternalMedia Create "channel_external_media";
    ChannelStageOriginate Create "channel_originate";
    ChannelStagePlay Get "channel_play";
    ChannelStageRecord Get "channel_record";
    ChannelStageSnoop Get "channel_snoop";
    ChannelStopHold Command "";
    ChannelStopMOH Command "";
    ChannelStopRing Command "";
    ChannelStopSilence Command "";
    ChannelSubscribe Command "";
    ChannelUnmute Command "channel_mute";
    ChannelUserEvent Command "channel_user_event";
    ChannelVariableGet Data "channel_variable";
    ChannelVariableSet Command "channel_variable";
    DeviceStateData Data "";
    DeviceStateDelete Command "";
    DeviceStateGet Get "";
    DeviceStateList Get "";
    DeviceStateUpdate Command "device_state_update";
    EndpointData Data "";
    EndpointGet Get "";
    EndpointList Get "";
    EndpointListByTech Get "endpoint_list_by_tech";
    MailboxData Data "";
    MailboxDelete Command "";
    MailboxGet Get "";
    MailboxList Get "";
    MailboxUpdate Command "mailbox_update";
    PlaybackControl Command "playback_control";
    PlaybackData Data "";
    PlaybackGet Get "";
    PlaybackStop Command "";
    PlaybackSubscribe Command "";
    RecordingLiveData Data "";
    RecordingLiveGet Get "";
    RecordingLiveMute Command "";
    RecordingLivePause Command "";
    RecordingLiveResume Command "";
    RecordingLiveScrap Command "";
    RecordingLiveStop Command "";
    RecordingLiveSubscribe Command "";
    RecordingLiveUnmute Command "";
    RecordingStoredCopy Command "recording_stored_copy";
    RecordingStoredData Data "";
    RecordingStoredDelete Command "";
    RecordingStoredGet Get "";
    RecordingStoredList Get "";
    SoundData Data "";
    SoundList Get "sound_list";
    ApplicationFilter Command "application_filter";
    ApplicationUserEvent Command "application_user_event";
    AsteriskPing Data "";
    BridgeVariableGet Data "bridge_variable";
    BridgeVariableSet Command "bridge_variable";
    BridgeVariablesGet Data "bridge_variables";
    BridgeVariablesSet Command "bridge_variables";
    ChannelClaim Command "channel_claim";
    ChannelMove Command "channel_move";
    ChannelProgress Command "";
    ChannelRedirect Command "channel_redirect";
    ChannelRTPStatistics Data "";
    ChannelTransferProgress Command "channel_transfer_progress";
    ChannelVariablesGet Data "channel_variables";
    ChannelVariablesSet Command "channel_variables";
    EndpointRefer Command "endpoint_refer";
    EndpointReferTo Command "endpoint_refer";
    EndpointSendMessage Command "endpoint_message";
    EndpointSendMessageTo Command "endpoint_message";
    RecordingStoredFile Data "";
}

impl Kind {
    /// Whether ari-proxy 5.3 knows the kind.
    #[must_use]
    pub fn is_upstream(self) -> bool {
        (self as usize) < UPSTREAM_KINDS
    }

    /// Whether the answer is a list that a client gathers from several proxies.
    #[must_use]
    pub fn is_list(self) -> bool {
        self.name().ends_with("List") || self == Kind::EndpointListByTech
    }

    /// Whether it only reads, so that a client may ask again when no answer came.
    #[must_use]
    pub fn is_read(self) -> bool {
        match self.class() {
            Class::Get | Class::Data => true,
            Class::Command | Class::Create => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_kinds() {
        assert!(Kind::ALL.iter().all(|k| Kind::from_name(k.name()) == Some(*k)));
        assert_eq!(Kind::from_name("channellist"), None);
        assert_eq!(Kind::ALL.iter().filter(|k| k.is_upstream()).count(), UPSTREAM_KINDS);
        assert_eq!(Kind::ALL.iter().filter(|k| k.is_upstream() && k.is_list()).count(), 11);
    }
}
