//! `trunkline drain`: no new calls, while current ones go on. `trunkline calls hangup`: one call ends.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::protocol::{Request, Response, Status};
use crate::run::{Failure, Session, ask, unexpected};

/// The examples of the help.
pub(crate) const EXAMPLES: &str = "\
New calls and OPTIONS get 503 with Retry-After, and /readyz answers 503. Current calls and
registrations go on. Draining ends with --undo or a restart.

Examples:
  trunkline drain
  trunkline drain --wait && systemctl stop trunkline
  trunkline drain --wait --timeout 30m
  trunkline drain --undo";

/// `drain`
#[derive(Args, Debug)]
pub struct Drain {
    /// Wait until the last call has ended
    #[arg(long, conflicts_with = "undo")]
    pub wait: bool,
    /// Stop waiting after this time with exit status 1, e.g. 90s, 30m or 2h; new calls remain refused
    #[arg(long, value_parser = crate::time::parse_span, requires = "wait")]
    pub timeout: Option<i64>,
    /// Take new calls again
    #[arg(long)]
    pub undo: bool,
}

/// How often the calls are counted while they are waited for.
const ROUND: Duration = Duration::from_millis(250);

impl Session<'_, '_> {
    pub(crate) fn drain(&mut self, arguments: &Drain) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let mut status = status(ask(&mut connection, Request::Drain { undo: arguments.undo })?)?;
        let end = arguments
            .timeout
            .map(|seconds| Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        if arguments.wait && status.calls > 0 {
            let text = format!("draining: {} calls are up or ringing; Ctrl-C stops waiting", status.calls);
            writeln!(self.terminal.err, "{text}")?;
        }
        while arguments.wait && status.calls > 0 {
            if end.is_some_and(|end| Instant::now() >= end) {
                let message = format!(
                    "{} calls are still up: wait longer, or end them with `trunkline calls hangup`",
                    status.calls
                );
                return Err(Failure::Failed(message));
            }
            std::thread::sleep(ROUND);
            status = self::status(ask(&mut connection, Request::Status)?)?;
            if !status.draining {
                let message = "somebody has ended the draining with `trunkline drain --undo`";
                return Err(Failure::Failed(message.into()));
            }
        }
        self.tell(&json!({"draining": status.draining, "calls": status.calls}), || {
            match (status.draining, status.calls) {
                (false, _) => "new calls are taken again\n".to_owned(),
                (true, 0) => "draining: new calls are refused, no calls are left\n".to_owned(),
                (true, calls) => format!("draining: new calls are refused, {calls} calls go on\n"),
            }
        })
    }

    pub(crate) fn hang_up(&mut self, call: &str) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        match ask(&mut connection, Request::HangUp { call: call.to_owned() })? {
            Response::HungUp(call) => self.tell(&json!(call), || {
                format!(
                    "call {} from {} to {} is ended ({})\n",
                    call.id, call.caller, call.callee, call.call_id
                )
            }),
            other => unexpected(&other),
        }
    }
}

fn status(response: Response) -> Result<Box<Status>, Failure> {
    match response {
        Response::Status(status) => Ok(status),
        other => unexpected(&other),
    }
}
