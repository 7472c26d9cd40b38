//! The operations of Asterisk 22's REST interface and the kinds that carry them.

use crate::kind::Kind;

/// One operation of the REST interface.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The resource group, such as `channels`.
    pub resource: &'static str,
    /// The name Asterisk gives it within the group.
    pub nickname: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path after `/ari`, with `{parameters}`.
    pub path: &'static str,
    /// The parameters besides those in the path.
    pub parameters: &'static [&'static str],
    /// The first 22.x release that has it; empty when 22.0 has it.
    pub since: &'static str,
    /// The kinds that reach it or its form with an id. The event WebSocket has none: it is what
    /// the event subjects carry.
    pub kinds: &'static [Kind],
}

use Kind as K;

macro_rules! operations {
    ($($resource:ident: $nickname:literal $method:ident $path:literal [$($parameter:literal)*] $since:literal => $($kind:ident)*;)*) => {
        /// All 109 of them, in the order of Asterisk's own description.
        pub const OPERATIONS: &[Operation] = &[$(Operation {
            resource: stringify!($resource),
            nickname: $nickname,
            method: stringify!($method),
            path: $path,
            parameters: &[$($parameter),*],
            since: $since,
            kinds: &[$(K::$kind),*],
        },)*];
    };
}

#[rustfmt::skip]
mod table {
use super::*;
operations! {
    applications: "list" GET "/applications" [] "" => ApplicationList;
    applications: "get" GET "/applications/{applicationName}" [] "" => ApplicationData ApplicationGet;
    applications: "subscribe" POST "/applications/{applicationName}/subscription" ["eventSource"] "" => ApplicationSubscribe;
    applications: "unsubscribe" DELETE "/applications/{applicationName}/subscription" ["eventSource"] "" => ApplicationUnsubscribe;
    applications: "filter" PUT "/applications/{applicationName}/eventFilter" ["filter"] "" => ApplicationFilter;
    asterisk: "getObject" GET "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" [] "" => AsteriskConfigData;
    asterisk: "updateObject" PUT "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" ["fields"] "" => AsteriskConfigUpdate;
    asterisk: "deleteObject" DELETE "/asterisk/config/dynamic/{configClass}/{objectType}/{id}" [] "" => AsteriskConfigDelete;
    asterisk: "getInfo" GET "/asterisk/info" ["only"] "" => AsteriskInfo;
    asterisk: "ping" GET "/asterisk/ping" [] "" => AsteriskPing;
    asterisk: "listModules" GET "/asterisk/modules" [] "" => AsteriskModuleList;
    asterisk: "getModule" GET "/asterisk/modules/{moduleName}" [] "" => AsteriskModuleData AsteriskModuleGet;
    asterisk: "loadModule" POST "/asterisk/modules/{moduleName}" [] "" => AsteriskModuleLoad;
    asterisk: "unloadModule" DELETE "/asterisk/modules/{moduleName}" [] "" => AsteriskModuleUnload;
    asterisk: "reloadModule" PUT "/asterisk/modules/{moduleName}" [] "" => AsteriskModuleReload;
    asterisk: "listLogChannels" GET "/asterisk/logging" [] "" => AsteriskLoggingList AsteriskLoggingData AsteriskLoggingGet;
    asterisk: "addLog" POST "/asterisk/logging/{logChannelName}" ["configuration"] "" => AsteriskLoggingCreate;
    asterisk: "deleteLog" DELETE "/asterisk/logging/{logChannelName}" [] "" => AsteriskLoggingDelete;
    asterisk: "rotateLog" PUT "/asterisk/logging/{logChannelName}/rotate" [] "" => AsteriskLoggingRotate;
    asterisk: "getGlobalVar" GET "/asterisk/variable" ["variable"] "" => AsteriskVariableGet;
    asterisk: "setGlobalVar" POST "/asterisk/variable" ["variable" "value"] "" => AsteriskVariableSet;
    bridges: "list" GET "/bridges" [] "" => BridgeList;
    bridges: "create" POST "/bridges" ["type" "bridgeId" "name" "variables"] "" => BridgeCreate;
    bridges: "createWithId" POST "/bridges/{bridgeId}" ["type" "name" "variables"] "" => BridgeCreate;
    bridges: "get" GET "/bridges/{bridgeId}" [] "" => BridgeData BridgeGet BridgeStagePlay BridgeStageRecord;
    bridges: "destroy" DELETE "/bridges/{bridgeId}" [] "" => BridgeDelete;
    bridges: "getBridgeVar" GET "/bridges/{bridgeId}/variable" ["variable"] "22.10" => BridgeVariableGet;
    bridges: "setBridgeVar" POST "/bridges/{bridgeId}/variable" ["variable" "value" "report_events"] "22.10" => BridgeVariableSet;
    bridges: "getBridgeVars" GET "/bridges/{bridgeId}/variables" ["variables"] "22.10" => BridgeVariablesGet;
    bridges: "setBridgeVars" POST "/bridges/{bridgeId}/variables" ["variables"] "22.10" => BridgeVariablesSet;
    bridges: "addChannel" POST "/bridges/{bridgeId}/addChannel" ["channel" "role" "absorbDTMF" "mute" "inhibitConnectedLineUpdates"] "" => BridgeAddChannel;
    bridges: "removeChannel" POST "/bridges/{bridgeId}/removeChannel" ["channel"] "" => BridgeRemoveChannel;
    bridges: "setVideoSource" POST "/bridges/{bridgeId}/videoSource/{channelId}" [] "" => BridgeVideoSource;
    bridges: "clearVideoSource" DELETE "/bridges/{bridgeId}/videoSource" [] "" => BridgeVideoSourceDelete;
    bridges: "startMoh" POST "/bridges/{bridgeId}/moh" ["mohClass"] "" => BridgeMOH;
    bridges: "stopMoh" DELETE "/bridges/{bridgeId}/moh" [] "" => BridgeStopMOH;
    bridges: "play" POST "/bridges/{bridgeId}/play" ["media" "announcer_format" "lang" "offsetms" "skipms" "playbackId"] "" => BridgePlay;
    bridges: "playWithId" POST "/bridges/{bridgeId}/play/{playbackId}" ["media" "announcer_format" "lang" "offsetms" "skipms"] "" => BridgePlay;
    bridges: "record" POST "/bridges/{bridgeId}/record" ["name" "format" "recorder_format" "maxDurationSeconds" "maxSilenceSeconds" "ifExists" "beep" "terminateOn"] "" => BridgeRecord;
    channels: "list" GET "/channels" [] "" => ChannelList;
    channels: "originate" POST "/channels" ["endpoint" "extension" "context" "priority" "label" "app" "appArgs" "callerId" "timeout" "variables" "channelId" "otherChannelId" "originator" "formats"] "" => ChannelOriginate;
    channels: "create" POST "/channels/create" ["endpoint" "app" "appArgs" "channelId" "otherChannelId" "originator" "formats" "variables"] "" => ChannelCreate;
    channels: "get" GET "/channels/{channelId}" [] "" => ChannelData ChannelGet ChannelStagePlay ChannelStageRecord ChannelStageSnoop;
    channels: "originateWithId" POST "/channels/{channelId}" ["endpoint" "extension" "context" "priority" "label" "app" "appArgs" "callerId" "timeout" "variables" "otherChannelId" "originator" "formats"] "" => ChannelOriginate;
    channels: "hangup" DELETE "/channels/{channelId}" ["reason_code" "reason"] "" => ChannelHangup ChannelBusy ChannelCongestion;
    channels: "continueInDialplan" POST "/channels/{channelId}/continue" ["context" "extension" "priority" "label"] "" => ChannelContinue;
    channels: "move" POST "/channels/{channelId}/move" ["app" "appArgs"] "" => ChannelMove;
    channels: "redirect" POST "/channels/{channelId}/redirect" ["endpoint"] "" => ChannelRedirect;
    channels: "answer" POST "/channels/{channelId}/answer" [] "" => ChannelAnswer;
    channels: "ring" POST "/channels/{channelId}/ring" [] "" => ChannelRing;
    channels: "ringStop" DELETE "/channels/{channelId}/ring" [] "" => ChannelStopRing;
    channels: "progress" POST "/channels/{channelId}/progress" [] "22.6" => ChannelProgress;
    channels: "sendDTMF" POST "/channels/{channelId}/dtmf" ["dtmf" "before" "between" "duration" "after"] "" => ChannelSendDTMF;
    channels: "mute" POST "/channels/{channelId}/mute" ["direction"] "" => ChannelMute;
    channels: "unmute" DELETE "/channels/{channelId}/mute" ["direction"] "" => ChannelUnmute;
    channels: "hold" POST "/channels/{channelId}/hold" [] "" => ChannelHold;
    channels: "unhold" DELETE "/channels/{channelId}/hold" [] "" => ChannelStopHold;
    channels: "startMoh" POST "/channels/{channelId}/moh" ["mohClass"] "" => ChannelMOH;
    channels: "stopMoh" DELETE "/channels/{channelId}/moh" [] "" => ChannelStopMOH;
    channels: "startSilence" POST "/channels/{channelId}/silence" [] "" => ChannelSilence;
    channels: "stopSilence" DELETE "/channels/{channelId}/silence" [] "" => ChannelStopSilence;
    channels: "play" POST "/channels/{channelId}/play" ["media" "lang" "offsetms" "skipms" "playbackId"] "" => ChannelPlay;
    channels: "playWithId" POST "/channels/{channelId}/play/{playbackId}" ["media" "lang" "offsetms" "skipms"] "" => ChannelPlay;
    channels: "record" POST "/channels/{channelId}/record" ["name" "format" "maxDurationSeconds" "maxSilenceSeconds" "ifExists" "beep" "terminateOn"] "" => ChannelRecord;
    channels: "getChannelVar" GET "/channels/{channelId}/variable" ["variable"] "" => ChannelVariableGet;
    channels: "setChannelVar" POST "/channels/{channelId}/variable" ["variable" "value" "report_events"] "" => ChannelVariableSet;
    channels: "getChannelVars" GET "/channels/{channelId}/variables" ["variables"] "22.10" => ChannelVariablesGet;
    channels: "setChannelVars" POST "/channels/{channelId}/variables" ["variables"] "22.10" => ChannelVariablesSet;
    channels: "snoopChannel" POST "/channels/{channelId}/snoop" ["spy" "whisper" "app" "appArgs" "snoopId"] "" => ChannelSnoop;
    channels: "snoopChannelWithId" POST "/channels/{channelId}/snoop/{snoopId}" ["spy" "whisper" "app" "appArgs"] "" => ChannelSnoop;
    channels: "dial" POST "/channels/{channelId}/dial" ["caller" "timeout"] "" => ChannelDial;
    channels: "rtpstatistics" GET "/channels/{channelId}/rtp_statistics" [] "" => ChannelRTPStatistics;
    channels: "externalMedia" POST "/channels/externalMedia" ["channelId" "app" "variables" "external_host" "encapsulation" "transport" "connection_type" "format" "direction" "data" "transport_data"] "" => ChannelExternalMedia;
    channels: "transfer_progress" POST "/channels/{channelId}/transfer_progress" ["states"] "22.3" => ChannelTransferProgress;
    deviceStates: "list" GET "/deviceStates" [] "" => DeviceStateList;
    deviceStates: "get" GET "/deviceStates/{deviceName}" [] "" => DeviceStateData DeviceStateGet;
    deviceStates: "update" PUT "/deviceStates/{deviceName}" ["deviceState"] "" => DeviceStateUpdate;
    deviceStates: "delete" DELETE "/deviceStates/{deviceName}" [] "" => DeviceStateDelete;
    endpoints: "list" GET "/endpoints" [] "" => EndpointList;
    endpoints: "sendMessage" PUT "/endpoints/sendMessage" ["to" "from" "body" "variables"] "" => EndpointSendMessage;
    endpoints: "refer" POST "/endpoints/refer" ["to" "from" "refer_to" "to_self" "variables"] "" => EndpointRefer;
    endpoints: "listByTech" GET "/endpoints/{tech}" [] "" => EndpointListByTech;
    endpoints: "get" GET "/endpoints/{tech}/{resource}" [] "" => EndpointData EndpointGet;
    endpoints: "sendMessageToEndpoint" PUT "/endpoints/{tech}/{resource}/sendMessage" ["from" "body" "variables"] "" => EndpointSendMessageTo;
    endpoints: "referToEndpoint" POST "/endpoints/{tech}/{resource}/refer" ["from" "refer_to" "to_self" "variables"] "" => EndpointReferTo;
    events: "eventWebsocket" GET "/events" ["app" "subscribeAll"] "" => ;
    events: "userEvent" POST "/events/user/{eventName}" ["application" "source" "variables"] "" => ChannelUserEvent ApplicationUserEvent;
    events: "claimChannel" POST "/events/claim" ["channelId" "application"] "22.7" => ChannelClaim;
    mailboxes: "list" GET "/mailboxes" [] "" => MailboxList;
    mailboxes: "get" GET "/mailboxes/{mailboxName}" [] "" => MailboxData MailboxGet;
    mailboxes: "update" PUT "/mailboxes/{mailboxName}" ["oldMessages" "newMessages"] "" => MailboxUpdate;
    mailboxes: "delete" DELETE "/mailboxes/{mailboxName}" [] "" => MailboxDelete;
    playbacks: "get" GET "/playbacks/{playbackId}" [] "" => PlaybackData PlaybackGet;
    playbacks: "stop" DELETE "/playbacks/{playbackId}" [] "" => PlaybackStop;
    playbacks: "control" POST "/playbacks/{playbackId}/control" ["operation"] "" => PlaybackControl;
    recordings: "listStored" GET "/recordings/stored" [] "" => RecordingStoredList;
    recordings: "getStored" GET "/recordings/stored/{recordingName}" [] "" => RecordingStoredData RecordingStoredGet;
    recordings: "deleteStored" DELETE "/recordings/stored/{recordingName}" [] "" => RecordingStoredDelete;
    recordings: "getStoredFile" GET "/recordings/stored/{recordingName}/file" [] "" => RecordingStoredFile;
    recordings: "copyStored" POST "/recordings/stored/{recordingName}/copy" ["destinationRecordingName"] "" => RecordingStoredCopy;
    recordings: "getLive" GET "/recordings/live/{recordingName}" [] "" => RecordingLiveData RecordingLiveGet;
    recordings: "cancel" DELETE "/recordings/live/{recordingName}" [] "" => RecordingLiveScrap;
    recordings: "stop" POST "/recordings/live/{recordingName}/stop" [] "" => RecordingLiveStop;
    recordings: "pause" POST "/recordings/live/{recordingName}/pause" [] "" => RecordingLivePause;
    recordings: "unpause" DELETE "/recordings/live/{recordingName}/pause" [] "" => RecordingLiveResume;
    recordings: "mute" POST "/recordings/live/{recordingName}/mute" [] "" => RecordingLiveMute;
    recordings: "unmute" DELETE "/recordings/live/{recordingName}/mute" [] "" => RecordingLiveUnmute;
    sounds: "list" GET "/sounds" ["lang" "format"] "" => SoundList;
    sounds: "get" GET "/sounds/{soundId}" [] "" => SoundData;
}
}
pub use table::OPERATIONS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_kind_and_every_kind_an_operation() {
        assert_eq!(OPERATIONS.len(), 109);
        let without: Vec<_> = OPERATIONS.iter().filter(|o| o.kinds.is_empty()).map(|o| o.nickname).collect();
        assert_eq!(without, ["eventWebsocket"]);
        // These touch nothing in Asterisk: they bind a dialog or stage what a later request does.
        let local = |k: &&Kind| {
            let name = k.name();
            (name.ends_with("Subscribe") && !name.starts_with("Application"))
                || name.contains("Stage")
                || **k == K::BridgeUnsubscribe
        };
        let missing: Vec<_> = Kind::ALL
            .iter()
            .filter(|k| !local(k) && !OPERATIONS.iter().any(|o| o.kinds.contains(k)))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
