//! `trunkline trace`: the messages, as they come and go.

mod file;
mod text;

use std::time::{Duration, Instant};

use clap::Args;

use crate::protocol::{Request, Response, TraceQuery, TracedMessages};
use crate::run::{Failure, Session, ask, unexpected};
use crate::{show, time};
use file::CaptureFile;

/// The examples of the help.
pub(crate) const EXAMPLES: &str = "\
One line for each message: time (UTC), transport, the other side's address, the direction (→ received, ← sent), the
exchange's address, the message, its Call-ID, and the reason code of a response that the exchange made itself.
--user, --source and --call select whole calls, all legs of them. Messages of TLS and WebSockets are shown as they are inside.
Passwords, digests, tokens and keys of media are replaced by *.

Examples:
  trunkline trace
  trunkline trace --user 1001 --raw
  trunkline trace --call a84b4c76e66710@192.0.2.7 --raw
  trunkline trace --source 192.0.2.0/24 --method REGISTER --failed
  trunkline trace --failed --for 10m --json > failed.json
  trunkline trace --user +17066041487 --write call.pcap --limit 100
  trunkline trace --write - | wireshark -k -i -";

/// `trace`
#[derive(Args, Debug)]
pub struct Trace {
    /// Show only calls of this user, user@host or number: in From, To or the Request-URI
    #[arg(long, short)]
    pub user: Option<String>,
    /// Show only messages with this Call-ID
    #[arg(long, value_name = "CALL-ID")]
    pub call: Option<String>,
    /// Show only calls with a message from or to this address (with or without a port) or network
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<String>,
    /// Show only requests with this method, and their responses; may be given several times
    #[arg(long = "method", value_name = "METHOD")]
    pub methods: Vec<String>,
    /// Show only what fails: its messages are shown when its final response is a failure
    #[arg(long)]
    pub failed: bool,
    /// Show the messages whole
    #[arg(long, conflicts_with = "write")]
    pub raw: bool,
    /// Write the messages to a file for Wireshark instead; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub write: Option<String>,
    /// End after this many messages
    #[arg(long)]
    pub limit: Option<usize>,
    /// End after this time, e.g. 90s or 10m
    #[arg(long = "for", value_name = "TIME", value_parser = time::parse_span)]
    pub span: Option<i64>,
}

impl Session<'_, '_> {
    pub(crate) fn trace(&mut self, arguments: &Trace) -> Result<(), Failure> {
        let query = query(arguments);
        query.filter().map_err(Failure::Usage)?;
        let mut connection = self.connect(false)?;
        let mut got = traced(ask(&mut connection, Request::Trace(query))?)?;
        let mut file = arguments.write.as_deref().map(CaptureFile::create).transpose()?;
        // Written in pieces to standard output, its beginning must come first.
        if let Some(file) = &mut file {
            file.begin(self.terminal)?;
        }
        writeln!(self.terminal.err, "{}", watching(arguments))?;
        let span = arguments.span.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let end = span.map(|span| Instant::now() + span);
        let mut left = arguments.limit.unwrap_or(usize::MAX);
        let (mut shown, mut lost) = (0, 0);
        while left > 0 && end.is_none_or(|end| Instant::now() < end) {
            if got.lost > 0 {
                lost += got.lost;
                writeln!(
                    self.terminal.err,
                    "{} messages were not seen: the output is read too slowly",
                    got.lost
                )?;
            }
            got.messages.truncate(left);
            left -= got.messages.len();
            shown += got.messages.len();
            self.show(&got, arguments.raw, file.as_mut())?;
            if left > 0 {
                got = traced(connection.next()?)?;
            }
        }
        let missing = if lost > 0 { format!(", {lost} not seen") } else { String::new() };
        writeln!(self.terminal.err, "{}{missing}", show::counted(shown, "messages"))?;
        Ok(())
    }

    /// Shows messages, or writes them.
    fn show(
        &mut self,
        got: &TracedMessages,
        raw: bool,
        file: Option<&mut CaptureFile>,
    ) -> Result<(), Failure> {
        let messages: Vec<_> = got.messages.iter().filter_map(|message| message.read()).collect();
        if messages.is_empty() {
            return Ok(());
        }
        if let Some(file) = file {
            return file.put(&messages, self.terminal);
        }
        let text: String = match self.json {
            true => messages.iter().map(|message| format!("{}\n", text::json(message))).collect(),
            false => messages.iter().map(|message| text::people(message, raw)).collect(),
        };
        // JSON escapes what a terminal obeys.
        match self.json {
            true => self.terminal.print(&text),
            false => self.terminal.print(&show::lines(&text)),
        }
    }
}

fn watching(arguments: &Trace) -> &'static str {
    match (arguments.limit, arguments.span) {
        (None, None) => "messages are shown as they come; Ctrl-C ends this",
        _ => "messages are shown as they come",
    }
}

fn query(arguments: &Trace) -> TraceQuery {
    TraceQuery {
        user: arguments.user.clone(),
        call_id: arguments.call.clone(),
        source: arguments.source.clone(),
        methods: arguments.methods.clone(),
        failed: arguments.failed,
    }
}

fn traced(response: Response) -> Result<TracedMessages, Failure> {
    match response {
        Response::Traced(messages) => Ok(messages),
        Response::Failed { message, .. } => Err(Failure::Failed(message)),
        other => unexpected(&other),
    }
}
