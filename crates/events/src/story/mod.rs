//! What happened to a call, in words: its requests with everything that was found out, from the logs of all shards.

mod hints;
mod sign;
mod words;

use std::collections::{HashMap, HashSet};

use trunkline_reasons::Reason;
use trunkline_sip::reason;

use crate::code::{Entry, Events, kept};
use crate::event::{Answer, Event, Failure};
use crate::log::Log;
use sign::Sign;
pub(crate) use words::of as in_words;
pub use words::{filled, shown};

/// Which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The one with this Call-ID; otherwise the latest.
    pub call_id: Option<String>,
    /// Only those that failed.
    pub failed: bool,
    /// Only those that began at this time or later, in milliseconds since 1970.
    pub since: u64,
    /// How many at most, the latest.
    pub limit: usize,
}

/// The story of one call, registration or other request with all that has its Call-ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The Call-ID.
    pub call_id: String,
    /// The method of the first request.
    pub method: String,
    /// The URI of From.
    pub from: String,
    /// The Request-URI of the first request.
    pub to: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// How its first request, or a repetition of it with credentials, ended.
    pub result: Option<Answer>,
    /// What went wrong and what to do, most important first.
    pub hints: Vec<String>,
    /// The names of the findings among them.
    pub findings: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// In words.
    pub text: String,
    /// It explains the step before it.
    pub detail: bool,
}

impl Story {
    /// Did it fail? A challenge alone is no failure: the phone may just not have answered yet.
    pub fn failed(&self) -> bool {
        self.result.is_some_and(|answer| is_failure(&answer))
    }

    /// The story as text: a ladder with times since its beginning, then what to do.
    pub fn to_text(&self, time: impl Fn(u64) -> String) -> String {
        let mut out = format!("{} {} → {}\n", self.method, self.from, self.to);
        out += &format!("Call-ID {}, {}\n\n", self.call_id, time(self.began));
        for step in &self.steps {
            let passed = step.at.saturating_sub(self.began);
            out += &match step.detail {
                true => format!("             {}\n", step.text),
                false => format!("{:>7}.{:03}  {}\n", passed / 1000, passed % 1000, step.text),
            };
        }
        out.push('\n');
        match &self.result {
            None => out += "It has no final answer yet.\n",
            Some(Answer { code, reason: why, .. }) if why.is_some_and(Reason::is_challenge) => {
                out += &format!("The {} was challenged: {code} {}\n", self.method, reason(*code));
                out +=
                    "  The client has sent no credentials since: it may have no password, or has given up.\n";
            }
            Some(Answer { code, .. }) => {
                let word = if self.failed() { "failed" } else { "ended" };
                out += &format!("The {} {word}: {code} {}\n", self.method, reason(*code));
            }
        }
        for hint in &self.hints {
            out += &format!("  {hint}\n");
        }
        out
    }
}

fn is_failure(answer: &Answer) -> bool {
    answer.code >= 300 && !answer.reason.is_some_and(Reason::is_challenge)
}

/// What is known of a request while it is looked for.
struct Found {
    call_id: Vec<u8>,
    began: u64,
    failed: bool,
}

/// The stories that a query asks for, the latest first.
pub fn stories<'l>(logs: impl IntoIterator<Item = &'l Log> + Clone, query: &Query) -> Vec<Story> {
    let calls = calls(logs.clone(), query);
    told_of(logs, &calls).into_iter().filter_map(tell).collect()
}

/// The stories of these Call-IDs, in their order; `None` where nothing is known. The logs are read once for all of them.
pub fn stories_of<'l>(logs: impl IntoIterator<Item = &'l Log>, call_ids: &[&str]) -> Vec<Option<Story>> {
    let calls: Vec<Vec<u8>> = call_ids.iter().map(|id| kept(id.as_bytes()).to_vec()).collect();
    told_of(logs, &calls).into_iter().map(tell).collect()
}

/// What was told of each of these Call-IDs. A Call-ID that is there twice has it in its last place.
fn told_of<'l>(logs: impl IntoIterator<Item = &'l Log>, calls: &[Vec<u8>]) -> Vec<Vec<(u64, u64, Told)>> {
    let wanted: HashMap<&[u8], usize> = calls.iter().enumerate().map(|(n, id)| (id.as_slice(), n)).collect();
    let mut requests: HashMap<u64, usize> = HashMap::new();
    let mut told: Vec<Vec<(u64, u64, Told)>> = calls.iter().map(|_| Vec::new()).collect();
    for log in logs {
        log.for_each_chunk(|bytes| {
            let mut events = Events::new(bytes);
            // Most events are of other calls: of them the head is enough.
            while let Some(head) = events.head() {
                if !head.is_arrival() && !requests.contains_key(&head.request) {
                    continue;
                }
                let Some(Entry { request, at, event }) = head.entry() else { return };
                if let Event::Arrived(arrival) = &event
                    && let Some(call) = wanted.get(arrival.call_id)
                {
                    requests.insert(request, *call);
                }
                if let Some(list) = requests.get(&request).and_then(|call| told.get_mut(*call)) {
                    list.push((at, request, Told::new(&event)));
                }
            }
        });
    }
    told
}

/// The Call-IDs that a query asks for, the latest first.
fn calls<'l>(logs: impl IntoIterator<Item = &'l Log>, query: &Query) -> Vec<Vec<u8>> {
    if let Some(call_id) = &query.call_id {
        return vec![kept(call_id.as_bytes()).to_vec()];
    }
    let mut found: HashMap<u64, Found> = HashMap::new();
    for log in logs {
        log.for_each_chunk(|bytes| {
            let mut events = Events::new(bytes);
            while let Some(head) = events.head() {
                if !head.is_arrival() && !head.is_answer() {
                    continue;
                }
                let Some(Entry { request, at, event }) = head.entry() else { return };
                match event {
                    Event::Arrived(a) if !a.inside && (query.failed || a.method == b"INVITE") => {
                        let call_id = a.call_id.to_vec();
                        found.insert(request, Found { call_id, began: at, failed: false });
                    }
                    Event::Answered(answer) => {
                        if let Some(found) = found.get_mut(&request) {
                            found.failed |= is_failure(&answer);
                        }
                    }
                    _ => {}
                }
            }
        });
    }
    let mut list: Vec<Found> = found.into_values().collect();
    list.retain(|found| found.began >= query.since && (found.failed || !query.failed));
    list.sort_by_key(|found| std::cmp::Reverse(found.began));
    let mut seen = HashSet::new();
    list.retain(|found| seen.insert(found.call_id.clone()));
    list.into_iter().take(query.limit).map(|found| found.call_id).collect()
}

/// An event that was kept for the story.
pub(crate) struct Told {
    text: String,
    detail: bool,
    /// What the hints go by.
    pub(crate) sign: Sign,
}

impl Told {
    fn new(event: &Event<'_>) -> Told {
        let (text, detail) = words::of(event);
        Told { text, detail, sign: words::sign(event) }
    }
}

/// That nothing came back is no news of a branch whose connection failed.
fn drop_repeated_failures(told: &mut Vec<(u64, u64, Told)>) {
    let mut failed = HashSet::new();
    told.retain(|(_, request, told)| match told.sign {
        Sign::Sent { branch, .. } => {
            failed.remove(&(*request, branch));
            true
        }
        Sign::Failed { branch, how } => failed.insert((*request, branch)) || how != Failure::Silent,
        _ => true,
    });
}

/// Puts a story together.
fn tell(mut told: Vec<(u64, u64, Told)>) -> Option<Story> {
    // Requests of one call may be on several shards.
    told.sort_by_key(|(at, ..)| *at);
    drop_repeated_failures(&mut told);
    let first = told.iter().find_map(|(at, _, told)| match &told.sign {
        Sign::Arrived { method, from, uri, call_id, .. } => Some((*at, method, from, uri, call_id)),
        _ => None,
    })?;
    let (began, method, from, to, call_id) = first;
    let own: HashSet<u64> = told
        .iter()
        .filter_map(|(_, request, told)| match &told.sign {
            Sign::Arrived { method: m, inside: false, .. } if m == method => Some(*request),
            _ => None,
        })
        .collect();
    let result = told.iter().rev().find_map(|(_, request, told)| match told.sign {
        Sign::Answered(answer) if answer.code >= 200 && own.contains(request) => Some(answer),
        _ => None,
    });
    let mut story = Story {
        call_id: call_id.clone(),
        method: method.clone(),
        from: from.clone(),
        to: to.clone(),
        began,
        steps: Vec::new(),
        result,
        hints: Vec::new(),
        findings: Vec::new(),
    };
    let signs = told.iter().map(|(_, _, told)| &told.sign);
    let (hints, findings) = hints::of((story.result, story.failed()), signs);
    story.hints = hints;
    story.findings = findings.into_iter().map(str::to_owned).collect();
    story.steps =
        told.into_iter().map(|(at, _, Told { text, detail, .. })| Step { at, text, detail }).collect();
    Some(story)
}

#[cfg(test)]
pub(crate) mod tests;
