//! Asterisk's own objects: every member of every model of Asterisk 22.
#![allow(missing_docs)] // The members are named and meant as in Asterisk's own description.

mod asterisk;
mod bridge;
mod channel;
mod endpoint;
mod media;

use serde::{Deserialize, Deserializer};

pub use asterisk::{
    Application, AsteriskInfo, AsteriskPing, BuildInfo, ConfigInfo, ConfigTuple, LogChannel, Module, SetId,
    StatusInfo, SystemInfo, Variable, Variables,
};
pub use bridge::{AdditionalParam, Bridge, ReferTo, ReferredBy, RequiredDestination};
pub use channel::{CallerId, Channel, Dialplan, RtpStatistics};
pub use endpoint::{ContactInfo, DeviceState, Endpoint, Mailbox, Peer, TextMessage};
pub use media::{FormatLangPair, LiveRecording, Playback, Sound, StoredRecording};

/// Takes `null` for the default: proxies write it where Asterisk had nothing.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
