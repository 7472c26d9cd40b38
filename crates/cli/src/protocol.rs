//! The protocol of the Unix socket: one JSON object per line, a [`Request`] from the client, a [`Response`] to it.

mod calls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::explain::{ExplainQuery, Explained, ExplainedStep};
pub use calls::{CallRecord, Happened, LiveCall, RecordQuery};

/// A line may be this long: an import of a hundred thousand agents fits.
pub const MAX_LINE: u64 = 256 << 20;

/// A request of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// A page of a kind; [`Response::Page`].
    List {
        /// The kind, singular or plural.
        kind: String,
        /// Only those with this text in ref, name, user name, number or host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// Only those behind this ref.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// One resource; [`Response::Resource`].
    Get {
        /// The kind.
        kind: String,
        /// Its ref, or what it is called otherwise if that is unique: user name, host, number, name.
        name: String,
    },
    /// New or changed resources, all or none; [`Response::Changed`].
    Apply {
        /// Must they be new, or be there?
        mode: ApplyMode,
        /// Documents of the v2 dialect.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<Text>,
        /// The same where no operator wrote them: errors name fields, not lines, and so show no secrets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        documents: Vec<Value>,
    },
    /// Fewer resources, all or none; [`Response::Changed`].
    Delete {
        /// Which.
        targets: Vec<Target>,
    },
    /// All resources as v2 YAML, secrets included; [`Response::Text`].
    Export,
    /// Resources from v2 documents, all or none; [`Response::Changed`].
    Import {
        /// The documents.
        texts: Vec<Text>,
        /// The treatment of existing resources.
        mode: ImportMode,
    },
    /// How the exchange is; [`Response::Status`].
    Status,
    /// List registrations; [`Response::Registrations`].
    Registrations {
        /// Only AORs and contacts with this text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// How many at most: there may be a million.
        limit: usize,
    },
    /// Removes bindings; [`Response::Kicked`].
    Kick {
        /// The AOR, e.g. `sip:1001@sip.local`.
        aor: String,
        /// One contact only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<String>,
    },
    /// Calls that are up or ringing; [`Response::Calls`].
    Calls {
        /// Only those with this text in caller, callee, trunk or Call-ID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// Records of calls, the latest first; [`Response::Records`].
    Records(RecordQuery),
    /// Calls as they begin and end from now on; many [`Response::Happened`], the first one at once and then at least one every
    /// few seconds, until either side closes the connection.
    Follow(RecordQuery),
    /// Why calls ended as they did; [`Response::Explained`].
    Explain(ExplainQuery),
}

/// Must a resource be new?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApplyMode {
    /// It must be new.
    Create,
    /// It must be there. A secret that the document leaves out stays.
    Update,
}

/// The treatment of existing resources in an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportMode {
    /// Same refs are replaced, the rest stays.
    Merge,
    /// Same refs are an error.
    Add,
    /// Delete resources that the import does not contain.
    Replace,
}

/// A text and what to call it in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Text {
    /// A file name, or what else the operator knows it by.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A resource to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The kind.
    pub kind: String,
    /// As in [`Request::Get`].
    pub name: String,
}

/// An answer to the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Response {
    /// A part of a list.
    Page {
        /// v2 documents without secrets.
        items: Vec<Value>,
        /// How many there are on all pages.
        total: usize,
        /// The `after` of the next page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// One v2 document without secrets.
    Resource {
        /// The document.
        document: Value,
    },
    /// The changes.
    Changed(Changed),
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// How the exchange is.
    Status(Box<Status>),
    /// Registrations.
    Registrations {
        /// The bindings.
        items: Vec<Registration>,
    },
    /// How many bindings were removed.
    Kicked {
        /// How many.
        count: usize,
    },
    /// Calls that are up or ringing.
    Calls {
        /// The calls.
        items: Vec<LiveCall>,
    },
    /// Records of calls.
    Records {
        /// The records, the latest first.
        items: Vec<CallRecord>,
    },
    /// What a follower is told.
    Happened(Box<Happened>),
    /// Explained calls.
    Explained {
        /// The latest first.
        items: Vec<Explained>,
    },
    /// It could not be done.
    Failed {
        /// Why, and the way out.
        message: String,
        /// Is it a mistake in what was asked, rather than a trouble of the exchange?
        usage: bool,
    },
}

/// The effect of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// New resources.
    pub created: usize,
    /// Changed ones.
    pub updated: usize,
    /// Ones that were so already.
    pub unchanged: usize,
    /// Ones that went.
    pub deleted: usize,
    /// Warnings about resources that have no effect or allow more than may be intended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How the exchange is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Does a server run?
    pub running: bool,
    /// The program's version.
    pub version: String,
    /// When it was started, in seconds of Unix time.
    pub started: i64,
    /// The number of the process; 0 if none runs.
    #[serde(default)]
    pub pid: u32,
    /// Its file descriptors, where the kernel says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<Descriptors>,
    /// The roles of the process.
    pub roles: Vec<String>,
    /// Threads for SIP.
    pub workers: usize,
    /// Where it listens, e.g. `udp 0.0.0.0:5060`.
    pub listeners: Vec<String>,
    /// The URL of the resource store.
    pub store: String,
    /// How many resources of each kind there are.
    pub resources: BTreeMap<String, usize>,
    /// Bindings in the location service.
    pub registrations: u64,
    /// Calls that are up or ringing.
    pub calls: u64,
    /// Trunks and peers that are asked how they are.
    pub trunks: Vec<Reachability>,
    /// Our registrations at trunks that want one.
    #[serde(default)]
    pub trunk_registrations: Vec<TrunkRegistration>,
    /// Trunks, agents, peers and domains with a limit of calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// The parts that fail, with the reason.
    pub degraded: Vec<String>,
    /// Counters since the start.
    pub counters: BTreeMap<String, u64>,
}

/// The file descriptors of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptors {
    /// Open ones.
    pub open: u64,
    /// How many it may have.
    pub limit: u64,
}

/// A party with a limit of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// `trunk`, `agent`, `peer` or `domain`.
    pub kind: String,
    /// Its ref.
    pub reference: String,
    /// Its calls now.
    pub calls: u32,
    /// The most calls at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u32>,
    /// The most new calls in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_calls_per_minute: Option<u32>,
}

/// A registration of ours at a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkRegistration {
    /// The ref of the trunk.
    pub trunk: String,
    /// As whom and where, e.g. `pbx-1@sip.provider.net`.
    pub aor: String,
    /// Does the carrier have us?
    pub registered: bool,
    /// Until when, in seconds of Unix time.
    pub until: Option<i64>,
    /// The carrier's last answer, e.g. `200 OK`, or what is wrong on our side; empty before the first.
    pub answer: String,
    /// Since when it is so, in seconds of Unix time.
    pub since: i64,
}

/// A trunk or peer that answers OPTIONS or does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reachability {
    /// The ref of the trunk or peer.
    pub reference: String,
    /// `trunk` or `peer`.
    pub kind: String,
    /// The destination, e.g. `udp sip.provider.net:5060`.
    pub target: String,
    /// `up`, `down` or, before the first answer, `unknown`.
    pub state: String,
    /// Since when, in seconds of Unix time.
    pub since: i64,
    /// The last error: a SIP status, or what happened to the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it happened, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<i64>,
    /// When it is asked next, in seconds of Unix time; absent if it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The AOR, e.g. `sip:1001@sip.local`.
    pub aor: String,
    /// The contact's URI.
    pub contact: String,
    /// In how many seconds it ends.
    pub expires: i64,
    /// The preference, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f32>,
    /// Transport and source address, e.g. `udp 192.0.2.7:5060`.
    pub flow: String,
    /// The User-Agent of the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// RFC 5626 `+sip.instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Response {
    /// A trouble of the exchange.
    pub fn failed(message: impl Into<String>) -> Response {
        Response::Failed { message: message.into(), usage: false }
    }

    /// A mistake in what was asked.
    pub fn refused(message: impl Into<String>) -> Response {
        Response::Failed { message: message.into(), usage: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_line() {
        let request = Request::Get { kind: "agents".into(), name: "1001".into() };
        let line = serde_json::to_string(&request).expect("json");
        assert_eq!(line, r#"{"do":"get","kind":"agents","name":"1001"}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).expect("read"), request);
        let records = Request::Records(RecordQuery { limit: 5, ..RecordQuery::default() });
        let line = serde_json::to_string(&records).expect("json");
        assert_eq!(line, r#"{"do":"records","limit":5}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).expect("read"), records);
        let failed = serde_json::to_string(&Response::failed("no")).expect("json");
        assert_eq!(failed, r#"{"is":"failed","message":"no","usage":false}"#);
    }
}
