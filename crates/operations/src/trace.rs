//! What is said of messages.

use serde::{Deserialize, Serialize};
use trunkline_sip::Transport;
use trunkline_trace::{Direction, Filter, Traced, masked};

/// Which messages a watcher wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceQuery {
    /// Those of calls with this user, `user@host` or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Those with this Call-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Those of calls with a message from or to this address or network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Those of requests with one of these methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Those of what failed.
    #[serde(default)]
    pub failed: bool,
}

impl TraceQuery {
    /// The same as a filter, or what is wrong with it.
    pub fn filter(&self) -> Result<Filter, String> {
        Ok(Filter {
            user: self.user.clone(),
            call_id: self.call_id.clone(),
            source: self.source.as_deref().map(str::parse).transpose()?,
            methods: self.methods.clone(),
            failed: self.failed,
        })
    }
}

/// Messages, as a watcher gets them. None of them: the exchange lives, and watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedMessages {
    /// The messages, by time.
    #[serde(default)]
    pub messages: Vec<TracedMessage>,
    /// So many messages were not looked at, since this watcher reads too slowly.
    #[serde(default)]
    pub lost: u64,
}

/// One message, without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedMessage {
    /// When, in microseconds of Unix time.
    pub at: u64,
    /// The exchange sent it; else it came to the exchange.
    pub sent: bool,
    /// `udp`, `tcp`, …
    pub transport: String,
    /// The address of the exchange.
    pub local: String,
    /// The address of the other side.
    pub remote: String,
    /// The reason code of a response that the exchange made itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The message: each character is a byte of it (ISO 8859-1), as a message need not be UTF-8.
    pub bytes: String,
}

impl From<&Traced> for TracedMessage {
    fn from(message: &Traced) -> TracedMessage {
        TracedMessage {
            at: message.at,
            sent: message.direction == Direction::Sent,
            transport: message.transport.param_name().to_owned(),
            local: message.local.to_string(),
            remote: message.remote.to_string(),
            reason: message.reason.clone(),
            bytes: masked(&message.bytes).into_iter().map(char::from).collect(),
        }
    }
}

impl TracedMessage {
    /// The message as it was, but for its secrets; `None` if that is no message.
    pub fn read(&self) -> Option<Traced> {
        Some(Traced {
            at: self.at,
            direction: if self.sent { Direction::Sent } else { Direction::Received },
            transport: Transport::ALL.into_iter().find(|t| t.param_name() == self.transport)?,
            local: self.local.parse().ok()?,
            remote: self.remote.parse().ok()?,
            reason: self.reason.clone(),
            bytes: self.bytes.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
        })
    }
}
