//! The state of the process and of the servers it talks to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How the exchange is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Does a server run?
    pub running: bool,
    /// New calls are refused: the exchange is being stopped, or an operator drains it.
    #[serde(default)]
    pub draining: bool,
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
    /// The address of the carrier, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
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

/// How an operator ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// It is started again.
    pub restart: bool,
    /// Ringing calls are not waited for.
    pub now: bool,
}
