//! `trunkline calls`: current calls, their records, and calls as they begin and end.

mod csv;
mod text;

use serde_json::{Value, json};
use trunkline_reasons::Reason;

use crate::command::{CallAction, Calls};
use crate::connection::Connection;
use crate::protocol::{CallRecord, Happened, LiveCall, RecordQuery, Request, Response};
use crate::run::{Failure, Session, ask, unexpected};
use crate::{show, time};

/// Shown where no limit is given.
const MOST_LIVE: usize = 1000;
const MOST_RECORDS: usize = 50;
/// Records that are asked for at once where there may be millions.
const PAGE: usize = 1000;

impl Session<'_, '_> {
    pub(crate) fn calls(&mut self, arguments: &Calls) -> Result<(), Failure> {
        let selects = !arguments.records.is_empty();
        if arguments.csv && self.json {
            return Err(Failure::Usage("--csv and --json exclude each other".into()));
        }
        if arguments.follow && arguments.records.since.is_some() {
            let message = "--follow shows what happens from now on: leave --since out";
            return Err(Failure::Usage(message.into()));
        }
        if let Some(code) =
            arguments.records.reason.as_deref().filter(|code| Reason::from_code(code).is_none())
        {
            return Err(Failure::Usage(format!("`{code}` is no reason code: docs/reasons.md lists them")));
        }
        match &arguments.action {
            Some(CallAction::List | CallAction::Show { .. } | CallAction::Hangup { .. })
                if selects || arguments.follow =>
            {
                let message = "--failed, --reason, --since and --follow are for `trunkline calls records`";
                Err(Failure::Usage(message.into()))
            }
            Some(CallAction::Hangup { id }) => self.hang_up(id),
            Some(CallAction::Show { id }) => self.show_call(arguments, id),
            None if !selects && !arguments.csv && !arguments.follow => self.live_calls(arguments),
            Some(CallAction::List) => self.live_calls(arguments),
            None | Some(CallAction::Records) if arguments.follow => self.follow_calls(arguments),
            None | Some(CallAction::Records) if arguments.csv => self.records_as_csv(arguments),
            None | Some(CallAction::Records) => {
                let items = records(&mut self.connect(false)?, query(arguments, MOST_RECORDS))?;
                self.tell(&json!(items), || text::records(&items))
            }
        }
    }

    fn live_calls(&mut self, arguments: &Calls) -> Result<(), Failure> {
        let limit = arguments.limit.unwrap_or(MOST_LIVE);
        let items = live(&mut self.connect(false)?, arguments.filter.clone(), limit)?;
        if arguments.csv {
            self.terminal.print(&csv::live(&items))?;
        } else {
            self.tell(&json!(items), || text::calls(&items))?;
        }
        self.perhaps_more(items.len(), limit)
    }

    fn show_call(&mut self, arguments: &Calls, id: &str) -> Result<(), Failure> {
        let query = RecordQuery { id: Some(id.to_owned()), ..query(arguments, MOST_RECORDS) };
        let items = records(&mut self.connect(false)?, query)?;
        if items.is_empty() {
            let message =
                format!("no call has the number or Call-ID `{id}`: `trunkline calls records` lists calls");
            return Err(Failure::Failed(message));
        }
        if arguments.csv {
            return self.terminal.print(&(csv::header() + &csv::records(&items)));
        }
        let json = match items.as_slice() {
            [one] => json!(one),
            _ => json!(items),
        };
        self.tell(&json, || text::in_words(&items))
    }

    /// All of them, page by page: nothing is held.
    fn records_as_csv(&mut self, arguments: &Calls) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let mut left = arguments.limit.unwrap_or(usize::MAX);
        let mut query = query(arguments, PAGE);
        self.terminal.print(&csv::header())?;
        while left > 0 {
            query.limit = left.min(PAGE);
            let items = records(&mut connection, query.clone())?;
            self.terminal.print(&csv::records(&items))?;
            left -= items.len().min(left);
            match items.last() {
                Some(last) if items.len() == query.limit => query.before = Some(last.id),
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    fn follow_calls(&mut self, arguments: &Calls) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let mut happened = happened(ask(&mut connection, Request::Follow(query(arguments, 0)))?)?;
        if arguments.csv {
            self.terminal.print(&csv::header())?;
        }
        let mut left = arguments.limit.unwrap_or(usize::MAX);
        writeln!(self.terminal.err, "calls are shown as they begin and end; Ctrl-C ends this")?;
        loop {
            let Happened { began, ended, lost } = happened;
            if lost > 0 {
                writeln!(self.terminal.err, "{lost} calls were not shown: the output is read too slowly")?;
            }
            // CSV has a line for each call, and so none for one that goes on.
            for (event, call) in [("began", began.filter(|_| !arguments.csv)), ("ended", ended)] {
                let Some(call) = call else { continue };
                let line = match (arguments.csv, self.json) {
                    (true, _) => csv::records(std::slice::from_ref(&call)),
                    (false, true) => format!("{}\n", with_event(event, &call)),
                    (false, false) => show::lines(&text::event(event, &call)).into_owned(),
                };
                self.terminal.print(&line)?;
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            happened = self::happened(connection.next()?)?;
        }
    }
}

fn with_event(event: &str, call: &CallRecord) -> Value {
    let mut value = json!(call);
    if let Some(map) = value.as_object_mut() {
        map.insert("event".into(), event.into());
    }
    value
}

fn query(arguments: &Calls, limit: usize) -> RecordQuery {
    let records = &arguments.records;
    RecordQuery {
        since: records.since.map(|seconds| time::now() - seconds),
        filter: arguments.filter.clone(),
        failed: records.failed,
        reason: records.reason.clone(),
        limit: arguments.limit.unwrap_or(limit),
        ..RecordQuery::default()
    }
}

fn live(connection: &mut Connection, filter: Option<String>, limit: usize) -> Result<Vec<LiveCall>, Failure> {
    match ask(connection, Request::Calls { filter, limit })? {
        Response::Calls { items } => Ok(items),
        other => unexpected(&other),
    }
}

fn records(connection: &mut Connection, query: RecordQuery) -> Result<Vec<CallRecord>, Failure> {
    match ask(connection, Request::Records(query))? {
        Response::Records { items } => Ok(items),
        other => unexpected(&other),
    }
}

fn happened(response: Response) -> Result<Happened, Failure> {
    match response {
        Response::Happened(happened) => Ok(*happened),
        Response::Failed { message, .. } => Err(Failure::Failed(message)),
        other => unexpected(&other),
    }
}
