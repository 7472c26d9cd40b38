//! Notices of calls, registrations and destinations as events.

use trunkline_events::{
    CallNotice, CallStep, DestinationNotice, Notice, RegistrationNotice, RegistrationStep, What, shown,
};

use crate::headers;
use crate::published::Published;

/// The event of a notice.
pub(crate) fn of(notice: &Notice) -> Published {
    match &notice.what {
        What::Call(call) => of_call(notice.at, call),
        What::Registration(registration) => of_registration(notice.at, registration),
        What::Destination(destination) => of_destination(notice.at, destination),
    }
}

/// The type of the event of a notice.
pub(crate) fn kind(what: &What) -> &'static str {
    match what {
        What::Call(call) => kind_of_call(call.step),
        What::Registration(registration) => kind_of_registration(registration.step),
        What::Destination(destination) => kind_of_destination(destination),
    }
}

fn kind_of_destination(destination: &DestinationNotice) -> &'static str {
    if destination.is_of_peer { "peer.state" } else { "trunk.state" }
}

fn of_destination(at: u64, destination: &DestinationNotice) -> Published {
    let mut event = Published::new(at, kind_of_destination(destination));
    event.put("ref", text(&destination.reference));
    event.put("target", text(&destination.target));
    event.put("state", destination.state);
    event.put("before", destination.before);
    event.put("error", text(&destination.error));
    event
}

fn kind_of_call(step: CallStep) -> &'static str {
    match step {
        CallStep::Started => "call.started",
        CallStep::Answered => "call.answered",
        CallStep::Ended => "call.ended",
        CallStep::Refused => "call.refused",
    }
}

fn kind_of_registration(step: RegistrationStep) -> &'static str {
    match step {
        RegistrationStep::Added => "registration.added",
        RegistrationStep::Refreshed => "registration.refreshed",
        RegistrationStep::Removed => "registration.removed",
        RegistrationStep::Kicked => "registration.kicked",
        RegistrationStep::Replaced => "registration.replaced",
        RegistrationStep::Expired => "registration.expired",
        RegistrationStep::ConnectionLost => "registration.connection-lost",
    }
}

fn text(text: &str) -> String {
    shown(text.as_bytes())
}

fn put_headers(event: &mut Published, lines: &str) {
    let map = headers::read(lines);
    if !map.is_empty() {
        event.fields.insert("headers".into(), map.into());
    }
}

fn of_call(at: u64, call: &CallNotice) -> Published {
    let mut event = Published::new(at, kind_of_call(call.step));
    event.put("id", call.id);
    event.put("callId", text(&call.call_id));
    event.put("from", text(&call.from));
    event.put("to", text(&call.to));
    event.put("direction", call.direction);
    event.put("callerRef", text(&call.caller_ref));
    event.put("calleeRef", text(&call.callee_ref));
    event.put("trunk", text(&call.trunk));
    event.put("source", call.source.to_canonical().to_string());
    event.put_time("startedAt", call.started);
    event.put_time("answeredAt", call.answered);
    event.put_time("endedAt", call.ended);
    if let (Some(rang), Some(until)) = (call.rang, call.answered.or(call.ended)) {
        event.put("ringingMs", until.saturating_sub(rang));
    }
    if let (Some(answered), Some(ended)) = (call.answered, call.ended) {
        event.put("talkedMs", ended.saturating_sub(answered));
    }
    if call.status > 0 && call.step != CallStep::Answered {
        event.put("status", call.status);
    }
    event.put("cause", call.cause);
    event.put("endedBy", call.ended_by);
    event.put("reason", text(&call.reason));
    event.put("codec", text(&call.codec));
    put_headers(&mut event, &call.headers);
    event
}

fn of_registration(at: u64, registration: &RegistrationNotice) -> Published {
    let mut event = Published::new(at, kind_of_registration(registration.step));
    event.put("aor", text(&registration.aor));
    event.put("contact", text(&registration.contact));
    event.put("source", registration.source.map(|source| source.to_string()));
    event.put("transport", registration.transport.param_name());
    event.put("userAgent", text(&registration.user_agent));
    event.put("instance", text(&registration.instance));
    event.put("callId", text(&registration.call_id));
    let lasts = matches!(registration.step, RegistrationStep::Added | RegistrationStep::Refreshed);
    if lasts {
        event.put("expires", registration.expires_at.saturating_sub(at).div_ceil(1000));
    }
    event.put_time(if lasts { "expiresAt" } else { "endedAt" }, registration.expires_at);
    put_headers(&mut event, &registration.headers);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_ended_says_how() {
        let call = CallNotice {
            step: CallStep::Ended,
            id: 7,
            call_id: "a84b".into(),
            from: "sip:1001:secret@sip.local".into(),
            to: "sip:1002@sip.local".into(),
            direction: "agent-to-agent",
            caller_ref: "agent-01".into(),
            callee_ref: String::new(),
            trunk: String::new(),
            source: [192, 0, 2, 7].into(),
            started: 1_764_495_700_000,
            rang: Some(1_764_495_700_200),
            answered: Some(1_764_495_701_000),
            ended: Some(1_764_495_708_123),
            status: 200,
            cause: "NORMAL_CLEARING",
            ended_by: "caller",
            reason: String::new(),
            codec: "PCMU".into(),
            headers: "X-Tenant: a\r\n".into(),
        };
        let event = of(&Notice { at: 1_764_495_708_123, what: What::Call(Box::new(call)) });
        assert_eq!(
            event.line(),
            concat!(
                r#"{"time":"2025-11-30T09:41:48.123Z","type":"call.ended","answeredAt":"2025-11-30T09:41:41.000Z","#,
                r#""callId":"a84b","callerRef":"agent-01","cause":"NORMAL_CLEARING","codec":"PCMU","direction":"agent-to-agent","#,
                r#""endedAt":"2025-11-30T09:41:48.123Z","endedBy":"caller","from":"sip:1001:…@sip.local","#,
                r#""headers":{"X-Tenant":"a"},"id":7,"ringingMs":800,"source":"192.0.2.7","#,
                r#""startedAt":"2025-11-30T09:41:40.000Z","status":200,"talkedMs":7123,"to":"sip:1002@sip.local"}"#
            )
        );
    }
}
