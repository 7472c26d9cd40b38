//! The interface.

use std::io;
use std::sync::Arc;

use trunkline_sip::Transport;
use trunkline_store::Store;

use crate::{
    BanEntry, CallRecord, EventLines, EventQuery, ExplainQuery, Explained, Figures, Happened, LiveCall,
    ManualContact, Readiness, RecordQuery, Registration, Status, Stop, TraceQuery, TracedMessages,
};

/// Why an operation was not carried out: the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// No process answers.
    #[error("the exchange is not running: start it with `trunkline serve`")]
    NotRunning,
    /// SIP is served by another process.
    #[error("this process does not run the role `exchange`: ask the process that does")]
    NoExchange,
    /// Any other cause.
    #[error("{0}")]
    Failed(String),
}

/// What an operator can ask and change.
///
/// Faces call it on their own threads, never on a shard's. [`store`](Operations::store), [`status`](Operations::status),
/// [`readiness`](Operations::readiness), [`figures`](Operations::figures) and [`recent_log`](Operations::recent_log) answer from
/// memory; other methods may wait for the database.
pub trait Operations: Send + Sync + 'static {
    /// The resources: all faces read and change them through the one store.
    fn store(&self) -> Result<Arc<Store>, OperationError>;

    /// The state of the process. The counts of resources are left out.
    fn status(&self) -> Status {
        Status { version: env!("CARGO_PKG_VERSION").into(), ..Status::default() }
    }

    /// Does it take calls, and which parts fail?
    fn readiness(&self) -> Readiness {
        Readiness::default()
    }

    /// The numbers of `/metrics`.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// The transports for which the exchange has a listener, if that is known.
    fn transports(&self) -> Option<Vec<Transport>> {
        None
    }

    /// Do challenges of carriers reach the phones of callers (`routing.passChallenges`)?
    fn passes_challenges(&self) -> bool {
        false
    }

    /// The latest lines of the log.
    fn recent_log(&self) -> String {
        String::new()
    }

    /// Ends the process, or has it started again.
    fn stop(&self, stop: Stop) -> Result<(), OperationError> {
        let _ = stop;
        Err(OperationError::NotRunning)
    }

    /// Up to so many registrations; only those whose AOR or contact contains that text, if there is one.
    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, OperationError> {
        let _ = (filter, limit);
        Err(OperationError::NotRunning)
    }

    /// Removes the registrations of an AOR, or one contact of it; returns how many.
    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, OperationError> {
        let _ = (aor, contact);
        Err(OperationError::NotRunning)
    }

    /// Removes all registrations; returns how many.
    fn kick_all(&self) -> Result<usize, OperationError> {
        Err(OperationError::NotRunning)
    }

    /// Adds a contact to an AOR.
    fn add_contact(&self, aor: &str, contact: &ManualContact) -> Result<(), OperationError> {
        let _ = (aor, contact);
        Err(OperationError::NotRunning)
    }

    /// Up to so many of the calls that are up or ringing; only those with that text, if there is one.
    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, OperationError> {
        let _ = (filter, limit);
        Err(OperationError::NotRunning)
    }

    /// Ends a call that is up or ringing: the one whose record has this number, or that has this Call-ID. Both sides of an answered
    /// call get a BYE, the caller of a ringing one a final response.
    fn hang_up(&self, call: &str) -> Result<LiveCall, OperationError> {
        let _ = call;
        Err(OperationError::NotRunning)
    }

    /// Has new calls refused from now on, and readiness fail; or takes new calls again (`undo`).
    fn drain(&self, undo: bool) -> Result<(), OperationError> {
        let _ = undo;
        Err(OperationError::NotRunning)
    }

    /// Sources and users that are banned because of wrong passwords.
    fn bans(&self) -> Result<Vec<BanEntry>, OperationError> {
        Err(OperationError::NotRunning)
    }

    /// Ends the bans of a source (an IP address) or of a user; returns those that it ended.
    fn unban(&self, who: &str) -> Result<Vec<BanEntry>, OperationError> {
        let _ = who;
        Err(OperationError::NotRunning)
    }

    /// Records of calls, the latest first.
    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, OperationError> {
        let _ = query;
        Err(OperationError::NotRunning)
    }

    /// Tells calls as they begin and end, and every few seconds that nothing happened, until `tell` fails.
    fn follow(
        &self,
        query: &RecordQuery,
        tell: &mut dyn FnMut(Happened) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        let _ = (query, tell);
        Err(OperationError::NotRunning)
    }

    /// Tells SIP messages as they come and go, and every second that there were none, until `tell` fails.
    fn trace(
        &self,
        query: &TraceQuery,
        tell: &mut dyn FnMut(TracedMessages) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        let _ = (query, tell);
        Err(OperationError::NotRunning)
    }

    /// Why calls and other requests ended as they did, the latest first.
    fn explain(&self, query: &ExplainQuery) -> Result<Vec<Explained>, OperationError> {
        let _ = query;
        Err(OperationError::NotRunning)
    }

    /// Tells events, until `tell` fails or those that are kept are told; of those that come, every second that there were none. What
    /// the subscriber lost because it did not read is an event, too.
    fn subscribe(
        &self,
        query: &EventQuery,
        tell: &mut dyn FnMut(EventLines) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        let _ = (query, tell);
        Err(OperationError::NotRunning)
    }
}
