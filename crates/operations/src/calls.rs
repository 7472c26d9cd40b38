//! Calls and their records.

use serde::{Deserialize, Serialize};

/// Which call records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordQuery {
    /// Only calls that began at or after, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Only calls with this text in caller or callee, or with this Call-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only the call with this number or, if there is none, those with this Call-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Only calls that failed; not those that their caller cancelled.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Only calls with this reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only calls with a smaller number: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A call that is up or ringing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveCall {
    /// Number of its record.
    #[serde(default)]
    pub id: u64,
    /// The Call-ID.
    pub call_id: String,
    /// The caller, e.g. `sip:1001@sip.local`.
    pub caller: String,
    /// The callee: the number or user that was dialled.
    pub callee: String,
    /// The user in To, if it is not the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `ringing` or `up`.
    pub state: String,
    /// When it began, in seconds of Unix time.
    pub started: i64,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<i64>,
    /// The trunk it goes or came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// The address the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Ref of the agent or peer that calls, or of the trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_ref: Option<String>,
    /// Ref of the agent, peer or number that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee_ref: Option<String>,
    /// Which way it goes, e.g. `agent-to-pstn`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub direction: String,
    /// Of a diverted call: who was called first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_called: Option<String>,
    /// When it began, in milliseconds of Unix time.
    #[serde(default)]
    pub started_ms: u64,
    /// When it first rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_ms: Option<u64>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// The codec of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The caller's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_tag: Option<String>,
    /// The callee's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_tag: Option<String>,
}

/// A call, as its record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Its number; greater for calls that began later.
    #[serde(default)]
    pub id: u64,
    /// The Call-ID.
    pub call_id: String,
    /// The caller's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_tag: Option<String>,
    /// The callee's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_tag: Option<String>,
    /// Which way it went, e.g. `agent-to-pstn`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub direction: String,
    /// The caller.
    pub caller: String,
    /// The callee: the number or user that was dialled, or to which the call was diverted.
    pub callee: String,
    /// The user in To, if it is not the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Of a diverted call: who was called first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_called: Option<String>,
    /// When it began, in seconds of Unix time.
    pub started: i64,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<i64>,
    /// When it ended; `None` while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    /// The same in milliseconds of Unix time.
    #[serde(default)]
    pub started_ms: u64,
    /// When it first rang (180 to 199).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_ms: Option<u64>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// For how long it rang, until the answer or its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ringing_ms: Option<u64>,
    /// For how long it was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talked_ms: Option<u64>,
    /// The final SIP status of its INVITE; 0 before.
    #[serde(default)]
    pub status: u16,
    /// Why it ended, e.g. `USER_BUSY`; empty while it lives.
    pub cause: String,
    /// Who ended it: `caller`, `callee`, `carrier` or `us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Why it failed: a code of `docs/reasons.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The `Reason` header of the BYE, CANCEL or response that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_reason: Option<String>,
    /// The codec of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// Who transferred it by a REFER that was accepted: `caller`, `callee` or `carrier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_by: Option<String>,
    /// The number of the call that it took the place of (Replaces, RFC 3891).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u64>,
    /// How many refused calls the record stands for; else 1.
    #[serde(default = "one")]
    pub count: u32,
    /// The trunk it went or came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// The address the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Ref of the agent or peer that called, or of the trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_ref: Option<String>,
    /// Ref of the agent, peer or trunk that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee_ref: Option<String>,
}

fn one() -> u32 {
    1
}

/// Something that a follower is told. Nothing of it: the exchange lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// A call that has begun and goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<CallRecord>,
    /// A call that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<CallRecord>,
    /// So many calls were not told, since this follower reads too slowly.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
