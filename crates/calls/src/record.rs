//! A call record, and which records somebody wants.

use crate::call::CallView;
use crate::cause::Cause;
use crate::ending::Ender;

/// Which records to show. Everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this number.
    pub id: Option<u64>,
    /// Exactly this Call-ID.
    pub call_id: Option<String>,
    /// This text within the URIs of who called and who was called, within To, or a ref.
    pub party: Option<String>,
    /// Exactly this trunk ref.
    pub trunk: Option<String>,
    /// This cause.
    pub cause: Option<Cause>,
    /// Started at or after, ms since the epoch.
    pub since: Option<u64>,
    /// Started before, ms since the epoch.
    pub until: Option<u64>,
    /// Exactly this reason code.
    pub reason: Option<String>,
    /// Only those that failed: refused, busy, unanswered, unreachable; not those that their caller cancelled.
    pub failed: bool,
    /// Only those that have not ended.
    pub open: bool,
}

impl Filter {
    /// May it admit this call? What costs more is asked of its record.
    pub(crate) fn may_admit(&self, call: &CallView<'_>) -> bool {
        let is =
            |wanted: &Option<String>, value: &[u8]| wanted.as_ref().is_none_or(|w| w.as_bytes() == value);
        self.id.is_none_or(|id| id == call.id)
            // What is not UTF-8 is another text in its record.
            && (is(&self.call_id, call.call_id) || std::str::from_utf8(call.call_id).is_err())
            && is(&self.reason, call.reason)
            && self.cause.is_none_or(|cause| call.cause == Some(cause))
            && !(self.failed && call.status < 300)
            && !(self.open && call.ended.is_some())
    }

    /// Does it admit this record? The database is asked the same in SQL.
    pub fn admits(&self, record: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| w == value);
        let party = self.party.as_ref().is_none_or(|party| {
            let parts = [
                &record.from,
                &record.to,
                &record.to_header,
                &record.first_called,
                &record.caller,
                &record.callee,
            ];
            parts.iter().any(|part| part.contains(party))
        });
        party
            && self.id.is_none_or(|id| id == record.id)
            && is(&self.call_id, &record.call_id)
            && is(&self.trunk, &record.trunk)
            && is(&self.reason, &record.reason)
            && self.cause.is_none_or(|cause| record.cause.as_deref() == Some(cause.name()))
            && self.since.is_none_or(|since| record.started >= since)
            && self.until.is_none_or(|until| record.started < until)
            && (!self.failed || record.has_failed())
            && (!self.open || record.ended.is_none())
    }
}

/// A call record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number; greater for calls that started later.
    pub id: u64,
    /// Call-ID.
    pub call_id: String,
    /// The caller's tag.
    pub from_tag: String,
    /// The callee's tag; empty when it was not answered.
    pub to_tag: String,
    /// URI of From.
    pub from: String,
    /// Who was called; of a diverted call whom it went on to.
    pub to: String,
    /// The URI of To, if it named another user than the callee; otherwise empty.
    pub to_header: String,
    /// Of a diverted call: who was called first; else empty.
    pub first_called: String,
    /// Direction, by name.
    pub direction: String,
    /// Ref of the caller.
    pub caller: String,
    /// Ref of the callee.
    pub callee: String,
    /// Ref of the trunk it left by or came in through.
    pub trunk: String,
    /// Source address of the INVITE.
    pub source: String,
    /// Times, ms since the epoch.
    pub started: u64,
    /// When it was answered.
    pub answered: Option<u64>,
    /// When it ended; `None` for one that lives.
    pub ended: Option<u64>,
    /// Final status of the INVITE; 0 before.
    pub status: u16,
    /// Why it ended, by name.
    pub cause: Option<String>,
    /// When it first rang.
    pub rang: Option<u64>,
    /// Who ended it: `caller`, `callee`, `carrier` or `us`; empty when nobody knows.
    pub ended_by: String,
    /// The code of the reason why it failed; else empty.
    pub reason: String,
    /// The `Reason` header of the BYE, CANCEL or response that ended it.
    pub sip_reason: String,
    /// The codec of the answer.
    pub codec: String,
    /// How many refused calls it stands for; else 1.
    pub count: u32,
    /// Who transferred it by a REFER that was accepted, as in `ended_by`; empty when nobody did.
    pub transferred_by: String,
    /// The number of the call that it took the place of (Replaces, RFC 3891).
    pub replaces: Option<u64>,
}

impl CallRecord {
    /// The record as the database would have it.
    pub(crate) fn of(call: &CallView<'_>) -> CallRecord {
        let text = |bytes| text(bytes).into_owned();
        CallRecord {
            id: call.id,
            call_id: text(call.call_id),
            from_tag: text(call.from_tag),
            to_tag: text(call.to_tag),
            from: text(call.from),
            to: text(call.to),
            to_header: text(call.to_header),
            first_called: text(call.first_called),
            direction: call.direction.name().into(),
            caller: text(call.caller_ref),
            callee: text(call.callee_ref),
            trunk: text(call.trunk_ref),
            source: source_text(call),
            started: call.started,
            answered: call.answered,
            ended: call.ended,
            status: call.status,
            cause: call.cause.map(|cause| cause.name().into()),
            rang: call.rang,
            ended_by: call.ended_by.name().into(),
            reason: text(call.reason),
            sip_reason: text(call.sip_reason),
            codec: text(call.codec),
            count: call.count,
            transferred_by: call.transferred_by.name().into(),
            replaces: (call.replaces > 0).then_some(call.replaces),
        }
    }

    /// For how long it rang: until the answer, else until its end.
    pub fn ringing_ms(&self) -> Option<u64> {
        Some(self.answered.or(self.ended)?.saturating_sub(self.rang?))
    }

    /// For how long it was up.
    pub fn talked_ms(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.answered?))
    }

    /// Has it failed? One that its caller cancelled has not.
    pub fn has_failed(&self) -> bool {
        self.ended.is_some()
            && self.status >= 300
            && !(self.status == 487 && self.ended_by == Ender::Caller.name())
    }
}

/// The source of a call; of several summed up the network, IPv6 by /64, and of those of many sources `many`.
pub(crate) fn source_text(call: &CallView<'_>) -> String {
    match call.source {
        _ if call.many_sources => "many".into(),
        source if call.count > 1 && source.is_ipv6() => format!("{source}/64"),
        source => source.to_string(),
    }
}

pub(crate) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    // Checked first: nearly all is ASCII, and the lossy reader is slow on it.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), std::borrow::Cow::Borrowed)
}
