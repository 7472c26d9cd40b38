//! A sampled share of calls as traces: a span for each INVITE that begins one, and one in it for each target.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use trunkline_edge::Shared;
use trunkline_events::{Entry, Event, Requests};
use trunkline_publisher::{Attribute, FinishedSpan, SpanId, SpanKind, SpanQueue, TraceId};

use crate::follower::Follower;

/// How often events are read.
const INTERVAL: Duration = Duration::from_millis(200);
/// INVITEs without a final response that are remembered, at most; further ones are left out.
const MOST_OPEN: usize = 10_000;
/// An INVITE that is older has been forgotten by everybody.
const LONGEST_MS: u64 = 30 * 60_000;

/// Starts the thread that reads events.
pub fn start(shared: &Arc<Shared>, percent: u32, queue: SpanQueue) -> io::Result<Follower> {
    let mut calls = Calls { percent, queue, sampler: RandomState::new(), open: HashMap::new() };
    let mut requests = Requests::from_oldest(&shared.events);
    Follower::start("otlp-calls", INTERVAL, move || {
        requests.entries(|call_id, entry| calls.take(call_id, entry));
    })
}

struct Calls {
    percent: u32,
    queue: SpanQueue,
    sampler: RandomState,
    /// By the number of the request.
    open: HashMap<u64, Open>,
}

/// An INVITE without a final response.
struct Open {
    invite: FinishedSpan,
    began: u64,
    targets: Vec<(u8, FinishedSpan)>,
}

fn nanos(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

impl Calls {
    /// All requests of a call are sampled, or none.
    fn samples(&self, call_id: &str) -> bool {
        self.sampler.hash_one(call_id) % 100 < u64::from(self.percent)
    }

    fn take(&mut self, call_id: &str, entry: &Entry<'_>) {
        let end = nanos(entry.at);
        if let Event::Arrived(arrival) = &entry.event {
            if arrival.method == b"INVITE" && !arrival.inside && self.samples(call_id) {
                let attributes = vec![
                    ("sip.call_id", call_id.into()),
                    ("client.address", arrival.source.ip().to_string().as_str().into()),
                    ("client.port", i64::from(arrival.source.port()).into()),
                    ("network.transport", arrival.transport.param_name().into()),
                    ("sip.credentials", arrival.credentials.into()),
                ];
                self.begin(
                    entry,
                    span(TraceId::of(call_id.as_bytes()), None, "INVITE", entry.at, attributes),
                );
            }
            return;
        }
        let Some(open) = self.open.get_mut(&entry.request) else { return };
        match &entry.event {
            Event::Sent(attempt) => {
                let mut attributes: Vec<(&'static str, Attribute)> = vec![
                    ("server.address", attempt.to.ip().to_string().as_str().into()),
                    ("server.port", i64::from(attempt.to.port()).into()),
                    ("network.transport", attempt.transport.param_name().into()),
                    ("sip.branch", i64::from(attempt.branch).into()),
                ];
                if !attempt.trunk.is_empty() {
                    attributes.push(("trunkline.trunk", attempt.trunk.into()));
                }
                let parent = Some(open.invite.id);
                let mut target = span(open.invite.trace, parent, "INVITE to target", entry.at, attributes);
                target.kind = SpanKind::Client;
                // The same branch may be tried at another address.
                end_target(&self.queue, open, (attempt.branch, end), None);
                open.targets.push((attempt.branch, target));
            }
            Event::Heard(heard) if heard.code >= 200 => {
                end_target(&self.queue, open, (heard.branch, end), Some(Ended::Status(heard.code)));
            }
            Event::Failed { branch, how } => {
                end_target(&self.queue, open, (*branch, end), Some(Ended::Failed(how.name())));
            }
            Event::Answered(answer) if answer.code >= 200 => {
                let Some(Open { mut invite, targets, .. }) = self.open.remove(&entry.request) else { return };
                for (_, target) in targets {
                    self.queue.push(FinishedSpan { end, ..target });
                }
                invite.end = end;
                invite.attributes.push(("sip.status", i64::from(answer.code).into()));
                let reason = answer.reason.map(|reason| reason.code());
                invite.attributes.extend(reason.map(|code| ("trunkline.reason", code.into())));
                let is_challenge = answer.reason.is_some_and(|reason| reason.is_challenge());
                if answer.code >= 300 && !is_challenge {
                    invite.error = Some(reason.unwrap_or("failed").to_owned());
                }
                self.queue.push(invite);
            }
            _ => {}
        }
    }

    fn begin(&mut self, entry: &Entry<'_>, invite: FinishedSpan) {
        if self.open.len() >= MOST_OPEN {
            let now = entry.at;
            self.open.retain(|_, open| now.saturating_sub(open.began) < LONGEST_MS);
        }
        if self.open.len() < MOST_OPEN {
            self.open.insert(entry.request, Open { invite, began: entry.at, targets: Vec::new() });
        } else {
            self.queue.lose(1);
        }
    }
}

/// How a target ended.
enum Ended {
    Status(u16),
    Failed(&'static str),
}

/// The span of a target ends, if it has not.
fn end_target(queue: &SpanQueue, open: &mut Open, (branch, end): (u8, u64), ended: Option<Ended>) {
    let Some(place) = open.targets.iter().position(|(of, _)| *of == branch) else { return };
    let (_, mut target) = open.targets.swap_remove(place);
    target.end = end;
    match ended {
        Some(Ended::Status(code)) => {
            target.attributes.push(("sip.status", i64::from(code).into()));
            if code >= 300 {
                target.error = Some(code.to_string());
            }
        }
        Some(Ended::Failed(how)) => target.error = Some(how.to_owned()),
        None => {}
    }
    queue.push(target);
}

fn span(
    trace: TraceId,
    parent: Option<SpanId>,
    name: &str,
    at: u64,
    attributes: Vec<(&'static str, Attribute)>,
) -> FinishedSpan {
    FinishedSpan {
        trace,
        id: SpanId::fresh(),
        parent,
        name: name.to_owned(),
        kind: SpanKind::Server,
        start: nanos(at),
        end: 0,
        attributes,
        error: None,
    }
}
