//! `calls`

use clap::{Args, Subcommand};

pub(super) const EXAMPLES: &str = "\
--failed, --reason and --since select call records, and so do --csv and --follow; without them, and without a subcommand,
current calls are listed.

Examples:
  trunkline calls
  trunkline calls --filter 1001
  trunkline calls records --since 2h --filter 1001
  trunkline calls --failed --since 1h
  trunkline calls --reason callee.not-registered
  trunkline calls show 4711
  trunkline calls hangup 4711
  trunkline calls --csv --since 30d > calls.csv
  trunkline calls --follow";

const HANGUP: &str = "\
The record of the call has the reason code call.hung-up and says that it was ended by us. A call from before a restart of the
exchange cannot be ended.

Examples:
  trunkline calls hangup 4711
  trunkline calls hangup a84b4c76e66710@192.0.2.7
  trunkline calls hangup 4711 --json";

/// `calls`
#[derive(Args, Debug)]
pub struct Calls {
    /// Show only calls with this text in caller, callee, trunk or Call-ID; records: in caller or callee, or with this
    /// Call-ID
    #[arg(long, short, global = true)]
    pub filter: Option<String>,
    /// Show at most this many [default: 1000 calls, 50 records, all records with --csv]
    #[arg(long, global = true)]
    pub limit: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub records: RecordFilter,
    /// Print CSV (RFC 4180) with a header; a cell that a spreadsheet would take for a formula begins with '
    #[arg(long, global = true)]
    pub csv: bool,
    /// Print calls as they begin and end, until Ctrl-C
    #[arg(long, global = true)]
    pub follow: bool,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub action: Option<CallAction>,
}

/// Which records.
#[derive(Args, Clone, Debug, Default)]
pub struct RecordFilter {
    /// Show only records of calls that failed: refused, busy, not answered, not reachable; not those that the caller cancelled
    #[arg(long, global = true)]
    pub failed: bool,
    /// Show only records with this reason code, e.g. callee.not-registered
    #[arg(long, value_name = "CODE", global = true)]
    pub reason: Option<String>,
    /// Show only records of calls that began within this time, e.g. 30m, 2h or 7d
    #[arg(long, value_parser = crate::time::parse_span, global = true)]
    pub since: Option<i64>,
}

impl RecordFilter {
    /// Does it let every record pass?
    pub(crate) fn is_empty(&self) -> bool {
        !self.failed && self.reason.is_none() && self.since.is_none()
    }
}

/// The actions on calls.
#[derive(Subcommand, Debug)]
pub enum CallAction {
    /// List current calls (default)
    List,
    /// List call records, the newest first
    Records,
    /// End a current call: an answered one with a BYE to both sides, a ringing one with 500 to its caller
    #[command(after_help = HANGUP)]
    Hangup {
        /// The number of its record, or its Call-ID
        #[arg(value_name = "ID|CALL-ID")]
        id: String,
    },
    /// Show all that is known of one call, also of one that goes on
    Show {
        /// The number of its record, or its Call-ID
        id: String,
    },
}
