//! `trunkline events`: what happens, as other programs get it.

use clap::Args;
use serde_json::Value;
use trunkline_events::{EventTypes, LOST, TYPES};

use crate::protocol::{EventLines, EventQuery, Request, Response};
use crate::run::{Failure, Session, ask, unexpected};
use crate::show;

/// The examples of the help, and the types there are.
pub(crate) fn examples() -> String {
    let mut text = "\
Without --follow it shows the events that are kept in memory: those of requests (`events.memory`), and others while a file,
a webhook or another command gets them. With --json each event is an object on a line of its own, as in `events.file`.

Examples:
  trunkline events --follow
  trunkline events --follow --types call,registration
  trunkline events --follow --types ban.began,trunk.state --json
  trunkline events --types request.answered
  trunkline events --follow --types call.ended --json | jq -r .cause

Types; what stands before the dot names all of a group:
"
    .to_owned();
    for (name, meaning) in TYPES {
        text.push_str(&format!("  {name:<29} {meaning}\n"));
    }
    text.trim_end().to_owned()
}

/// `events`
#[derive(Args, Debug)]
pub struct Events {
    /// Show events as they happen, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Show only these types or groups, with commas between
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub types: Vec<String>,
    /// End after this many events
    #[arg(long)]
    pub limit: Option<usize>,
}

impl Session<'_, '_> {
    pub(crate) fn events(&mut self, arguments: &Events) -> Result<(), Failure> {
        let names = || arguments.types.iter().map(String::as_str);
        EventTypes::named(names())
            .map_err(|name| Failure::Usage(format!("`{name}` is no type of events; --help lists them")))?;
        let query = EventQuery { types: arguments.types.clone(), follow: arguments.follow };
        let mut connection = self.connect(false)?;
        let mut got = lines(ask(&mut connection, Request::Events(query))?)?;
        if arguments.follow {
            writeln!(self.terminal.err, "events are shown as they happen; Ctrl-C ends this")?;
        }
        let mut left = arguments.limit.unwrap_or(usize::MAX);
        loop {
            got.events.truncate(left);
            left -= got.events.len();
            self.show_events(&got.events)?;
            if got.over || left == 0 {
                return Ok(());
            }
            got = lines(connection.next()?)?;
        }
    }

    fn show_events(&mut self, events: &[String]) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        // JSON escapes what a terminal obeys.
        if self.json {
            let text: String = events.iter().map(|event| format!("{event}\n")).collect();
            return self.terminal.print(&text);
        }
        let text: String = events.iter().map(|event| people(event)).collect();
        self.terminal.print(&show::lines(&text))
    }
}

fn lines(response: Response) -> Result<EventLines, Failure> {
    match response {
        Response::Events(lines) => Ok(lines),
        Response::Failed { message, .. } => Err(Failure::Failed(message)),
        other => unexpected(&other),
    }
}

/// An event as a line for people: time, type, fields.
fn people(event: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(event) else { return format!("{event}\n") };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let time = text("time").replace('T', " ");
    let kind = text("type");
    if kind == LOST {
        let count = fields.get("count").and_then(Value::as_u64).unwrap_or(0);
        return format!(
            "{} {count} events are lost: they were read too slowly\n",
            time.trim_end_matches('Z')
        );
    }
    let mut line = format!("{} {kind:<27}", time.trim_end_matches('Z'));
    for (key, value) in fields.iter().filter(|(key, _)| !["time", "type"].contains(&key.as_str())) {
        match value {
            Value::String(text) if !text.contains([' ', '"']) => line += &format!(" {key}={text}"),
            value => line += &format!(" {key}={value}"),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_for_people() {
        let event = r#"{"time":"2025-11-30T09:41:48.123Z","type":"call.ended","cause":"USER_BUSY","status":486,"x":"a b"}"#;
        assert_eq!(
            people(event),
            "2025-11-30 09:41:48.123 call.ended                  cause=USER_BUSY status=486 x=\"a b\"\n"
        );
        assert!(examples().contains("call.refused"));
    }
}
