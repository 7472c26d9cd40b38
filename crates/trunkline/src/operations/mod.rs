//! The operations of this process: what its control socket, health, metrics and REST API can ask and change.

pub mod bans;
mod calls;
pub mod destinations;
mod events;
pub mod explained;
mod figures;
mod records;
mod registrations;
pub mod status;
mod traced;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use trunkline_calls::Records;
use trunkline_operations::{
    BanEntry, CallRecord, EventLines, EventQuery, ExplainQuery, Explained, Figures, Happened, LiveCall,
    ManualContact, OperationError, Operations, Readiness, RecordQuery, Registration, Status, Stop,
    TraceQuery, TracedMessages,
};
use trunkline_sip::Transport;
use trunkline_store::Store;

use crate::base::Base;
use crate::roles::{Api, SipView};
use crate::telemetry;
use crate::time::unix_seconds;

pub use records::read_records;

/// When certificates expire: the file, seconds since 1970.
struct Expiries {
    read: Instant,
    all: Vec<(String, u64)>,
}

/// How often the files of certificates are read for metrics.
const EXPIRIES_EVERY: Duration = Duration::from_secs(60);

/// The running process.
pub struct ProcessOperations {
    pub base: Arc<Base>,
    sip: Option<Arc<SipView>>,
    api: OnceLock<Arc<Api>>,
    /// When the process started, in seconds since 1970.
    started: i64,
    ending: AtomicBool,
    stop: Mutex<Option<Stop>>,
    /// When certificates expire, and when that was read.
    expiries: Mutex<Option<Expiries>>,
}

impl ProcessOperations {
    pub fn new(base: Arc<Base>, sip: Option<Arc<SipView>>) -> ProcessOperations {
        ProcessOperations {
            base,
            sip,
            api: OnceLock::new(),
            started: unix_seconds(),
            ending: AtomicBool::new(false),
            stop: Mutex::default(),
            expiries: Mutex::default(),
        }
    }

    /// The resource services, which are one of the faces of this.
    pub fn know_api(&self, api: Arc<Api>) {
        let _ = self.api.set(api);
    }

    /// How an operator ended the process, if it was not by a signal.
    pub fn ended_by(&self) -> Option<Stop> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on readiness says that the process ends, and so does the health service of gRPC.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(api) = self.api.get() {
            api.drain();
        }
    }

    /// Are new calls refused, because the process ends or because an operator drains it?
    fn is_draining(&self) -> bool {
        self.ending.load(Ordering::Relaxed) || self.sip.as_ref().is_some_and(|sip| sip.shared.is_drained())
    }

    /// When the certificates that this process uses expire: the file, seconds since 1970. The files are read once a minute at most.
    fn expiries(&self) -> Vec<(String, u64)> {
        if !self.base.has_certificates() {
            return Vec::new();
        }
        let mut known = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.read.elapsed() < EXPIRIES_EVERY) {
            return known.all.clone();
        }
        let all = trunkline_doctor::expiries(&self.base.config).into_iter();
        let all = all.filter_map(|(file, end)| Some((file.display().to_string(), u64::try_from(end).ok()?)));
        let all: Vec<_> = all.collect();
        *known = Some(Expiries { read: Instant::now(), all: all.clone() });
        all
    }

    fn sip(&self) -> Result<&SipView, OperationError> {
        self.sip.as_deref().ok_or(OperationError::NoExchange)
    }

    fn call_records(&self) -> Result<&Records, OperationError> {
        let off = "call records are off: set calls.records to on";
        self.sip()?.records.as_ref().ok_or_else(|| OperationError::Failed(off.into()))
    }

    /// The SIP role, if it keeps events.
    fn with_events(&self) -> Result<&SipView, OperationError> {
        let sip = self.sip()?;
        if sip.shared.events.iter().all(|log| log.is_off()) {
            let off = "no events are kept: set events.memory in the configuration";
            return Err(OperationError::Failed(off.into()));
        }
        Ok(sip)
    }
}

impl Operations for ProcessOperations {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        let none =
            "this process has no role that works on resources: ask the process with the role `control`";
        let open = self.base.open_resources().ok_or_else(|| OperationError::Failed(none.into()))?;
        Ok(open.store.clone())
    }

    fn status(&self) -> Status {
        status::status(self)
    }

    fn readiness(&self) -> Readiness {
        // A process without SIP is ready as soon as it answers.
        Readiness { listening: true, draining: self.is_draining(), parts: status::parts(self) }
    }

    fn figures(&self) -> Figures {
        figures::figures(self)
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        let sip = self.sip.as_ref()?;
        Some(sip.listening.iter().map(|listener| listener.transport).collect())
    }

    fn passes_challenges(&self) -> bool {
        self.sip.is_some()
            && self.base.config.routing.pass_challenges != trunkline_config::PassChallenges::None
    }

    fn recent_log(&self) -> String {
        telemetry::recent()
    }

    /// Ends the process the way a signal does: the process sends it to itself.
    fn stop(&self, stop: Stop) -> Result<(), OperationError> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        signal_hook::low_level::raise(signal_hook::consts::SIGTERM).map_err(|error| {
            tracing::error!(%error, "cannot end the process");
            OperationError::Failed(format!("cannot end the process: {error}"))
        })
    }

    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, OperationError> {
        Ok(registrations::list(self.sip()?, filter, limit))
    }

    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, OperationError> {
        Ok(registrations::kick(self.sip()?, aor, contact))
    }

    fn kick_all(&self) -> Result<usize, OperationError> {
        Ok(registrations::kick_all(self.sip()?))
    }

    fn add_contact(&self, aor: &str, contact: &ManualContact) -> Result<(), OperationError> {
        registrations::add(self.sip()?, aor, contact)
    }

    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, OperationError> {
        Ok(calls::list(self.sip()?, filter, limit))
    }

    fn hang_up(&self, call: &str) -> Result<LiveCall, OperationError> {
        calls::hang_up(self.sip()?, call)
    }

    fn drain(&self, undo: bool) -> Result<(), OperationError> {
        if undo && self.ending.load(Ordering::Relaxed) {
            let ends = "the exchange is being stopped, which cannot be undone: start it again";
            return Err(OperationError::Failed(ends.into()));
        }
        self.sip()?.shared.set_drained(!undo);
        match undo {
            false => tracing::info!("an operator drains the exchange: new calls are refused"),
            true => tracing::info!("an operator has ended the draining: new calls are taken again"),
        }
        Ok(())
    }

    fn bans(&self) -> Result<Vec<BanEntry>, OperationError> {
        Ok(bans::list(self.sip()?))
    }

    fn unban(&self, who: &str) -> Result<Vec<BanEntry>, OperationError> {
        Ok(bans::end(self.sip()?, who))
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, OperationError> {
        let records = self.call_records()?;
        if query.before.is_none() {
            records.flush();
        }
        let read = |filter: &_, before| records.records(filter, before, query.limit);
        read_records(query, |filter, before| read(filter, before).map_err(|e| e.to_string()))
            .map_err(OperationError::Failed)
    }

    fn follow(
        &self,
        query: &RecordQuery,
        tell: &mut dyn FnMut(Happened) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        records::follow_records(self.call_records()?, query, tell);
        Ok(())
    }

    fn trace(
        &self,
        query: &TraceQuery,
        tell: &mut dyn FnMut(TracedMessages) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        let filter = query.filter().map_err(OperationError::Failed)?;
        traced::follow_messages(&self.sip()?.taps, filter, tell);
        Ok(())
    }

    fn explain(&self, query: &ExplainQuery) -> Result<Vec<Explained>, OperationError> {
        let sip = self.with_events()?;
        explained::explain(&sip.shared, sip.failed_calls.as_ref(), query).map_err(OperationError::Failed)
    }

    fn subscribe(
        &self,
        query: &EventQuery,
        tell: &mut dyn FnMut(EventLines) -> io::Result<()>,
    ) -> Result<(), OperationError> {
        events::subscribe(&self.sip()?.inputs, query, tell)
    }
}

/// Bytes as text for people.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Empty text as none.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
