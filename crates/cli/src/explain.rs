//! `trunkline explain`: why a call or registration ended as it did.

use clap::Args;
use serde_json::{Value, json};

use crate::protocol::{ExplainQuery, Explained, Request, Response};
use crate::run::{Failure, Session, ask, unexpected};
use crate::time;

/// The examples of the help.
pub(crate) const EXAMPLES: &str = "Examples:
  trunkline explain last
  trunkline explain a84b4c76e66710@192.0.2.7
  trunkline explain --failed --since 1h
  trunkline explain --failed --limit 1 --json

Events are kept in memory, the latest ones (events.memory in the configuration). Calls that failed are also kept in the
database (events.failedCalls), so that they are found after a restart.
docs/reasons.md explains all reason codes.";

/// `explain`
#[derive(Args, Debug)]
pub struct Explain {
    /// The Call-ID of a call, registration or other request; `last` is the latest call [default: last]
    #[arg(value_name = "CALL-ID|last", conflicts_with = "failed")]
    pub call: Option<String>,
    /// Explain what failed, the latest first
    #[arg(long)]
    pub failed: bool,
    /// Only what began within this time, e.g. 30m, 2h or 7d
    #[arg(long, value_parser = time::parse_span)]
    pub since: Option<i64>,
    /// Show at most this many [default: 10 with --failed, otherwise 1]
    #[arg(long)]
    pub limit: Option<usize>,
}

impl Session<'_, '_> {
    pub(crate) fn explain(&mut self, arguments: &Explain) -> Result<(), Failure> {
        let query = query(arguments);
        let mut connection = self.connect(false)?;
        match ask(&mut connection, Request::Explain(query.clone()))? {
            Response::Explained { items } if items.is_empty() => Err(Failure::Failed(nothing(&query))),
            Response::Explained { items } => {
                let all: Vec<Value> = items.iter().map(without_text).collect();
                self.tell(&json!(all), || {
                    items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join("\n")
                })
            }
            other => unexpected(&other),
        }
    }
}

fn query(arguments: &Explain) -> ExplainQuery {
    ExplainQuery {
        call_id: arguments.call.clone().filter(|call| call != "last"),
        failed: arguments.failed,
        since: arguments.since.map_or(0, |seconds| time::now() - seconds),
        limit: arguments.limit.unwrap_or(if arguments.failed { 10 } else { 1 }),
    }
}

/// Why nothing was found, and the way out.
fn nothing(query: &ExplainQuery) -> String {
    let kept = "events are kept in memory, the latest ones (events.memory), and after a restart only those of calls that failed \
                (events.failedCalls)";
    match (&query.call_id, query.failed) {
        (Some(call_id), _) => {
            format!("nothing is known of Call-ID `{call_id}`: {kept}; `trunkline calls records` may have it")
        }
        (None, true) => format!("nothing has failed: {kept}"),
        (None, false) => format!("there was no call: {kept}"),
    }
}

/// Programs read the fields.
fn without_text(item: &Explained) -> Value {
    let mut value = json!(item);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("text");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let of = |call: Option<&str>, failed| {
            query(&Explain { call: call.map(str::to_owned), failed, since: None, limit: None })
        };
        assert_eq!(of(None, false), of(Some("last"), false));
        assert_eq!(of(Some("a@b"), false).call_id.as_deref(), Some("a@b"));
        assert_eq!((of(None, true).limit, of(None, false).limit), (10, 1));
        assert!(nothing(&of(Some("a@b"), false)).contains("a@b"));
    }
}
