//! What became of requests, as events.

use trunkline_events::{Entry, Event, filled, shown};

use crate::published::Published;

/// The type of such an event.
pub(crate) fn kind(event: &Event<'_>) -> &'static str {
    match event {
        Event::Arrived(_) => "request.arrived",
        Event::Fact { .. } => "request.fact",
        Event::Waits(_) => "request.waits",
        Event::GoesOn => "request.resumed",
        Event::Sent(_) => "request.sent",
        Event::Heard(_) => "request.response",
        Event::Failed { .. } => "request.target-failed",
        Event::Media(_) => "request.media",
        Event::Diverted(_) => "request.diverted",
        Event::Cancelled => "request.cancelled",
        Event::Answered(_) => "request.answered",
    }
}

/// The event of this request of this Call-ID.
pub(crate) fn of(call_id: &str, entry: &Entry<'_>) -> Published {
    let mut out = Published::new(entry.at, kind(&entry.event));
    // As text: many programs read numbers of JSON with 53 bits.
    out.put("request", format!("{:016x}", entry.request));
    out.put("callId", call_id);
    match &entry.event {
        Event::Arrived(a) => {
            out.put("method", shown(a.method));
            out.put("uri", shown(a.uri));
            out.put("from", shown(a.from));
            out.put("source", a.source.to_string());
            out.put("transport", a.transport.param_name());
            match a.own {
                true => out.put("sentBecause", shown(a.agent)),
                false => out.put("userAgent", shown(a.agent)),
            }
            out.put("inDialog", a.inside);
            out.put("credentials", a.credentials);
        }
        Event::Fact { words, names } => out.put("fact", filled(words, names)),
        Event::Waits(b"") => out.put("for", "media relay"),
        Event::Waits(name) => {
            out.put("for", "DNS");
            out.put("name", shown(name));
        }
        Event::GoesOn | Event::Cancelled => {}
        Event::Sent(a) => {
            out.put("branch", a.branch);
            out.put("uri", shown(a.uri));
            out.put("to", a.to.to_string());
            out.put("transport", a.transport.param_name());
            out.put("trunk", a.trunk);
        }
        Event::Heard(h) => {
            out.put("branch", h.branch);
            out.put("status", h.code);
            out.put("phrase", shown(h.phrase));
            out.put("sipReason", shown(h.why));
        }
        Event::Failed { branch, how } => {
            out.put("branch", *branch);
            out.put("how", how.name());
        }
        Event::Media(why) => out.put("why", *why),
        Event::Diverted(to) => out.put("to", shown(to)),
        Event::Answered(a) => {
            out.put("status", a.code);
            out.put("reason", a.reason.map(|reason| reason.code()));
            out.put("byExchange", a.ours);
        }
    }
    out
}
