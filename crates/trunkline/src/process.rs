//! A process: its roles, built, run and drained.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use trunkline_cli::in_its_words;
use trunkline_config::{Loaded, PassChallenges, Role, Routing};
use trunkline_store::{Store, common_user_passwords};

use crate::base::Base;
use crate::descriptors;
use crate::first_start;
use crate::operations::ProcessOperations;
use crate::roles::{Api, AriProxy, Control, Health, RestV1, RunningSip, Sip, SipConfig, SipView};

/// Calls under way get this long for their final response when the process is stopped.
const DRAIN: Duration = Duration::from_secs(5);

/// The services of operators get this long to end.
const LAST: Duration = Duration::from_secs(5);

/// How often the end of the calls under way is looked for.
const ROUND: Duration = Duration::from_millis(20);

/// Warnings about resources at the start, at most; `trunkline check` prints all.
const MOST_WARNINGS: usize = 20;

/// Unknown keys of resources in the warning at the start, at most.
const MOST_KEYS: usize = 10;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// For good.
    Stop,
    /// To be started again by its parent.
    Restart,
}

impl ProcessEnd {
    /// What the process ends with; 123 asks the parent process to start it again, as with the launcher of Routr v1.
    pub fn code(self) -> i32 {
        match self {
            ProcessEnd::Stop => 0,
            ProcessEnd::Restart => 123,
        }
    }
}

/// The roles of this process, with their listeners open. SIP is not answered yet.
pub struct Process {
    sip: Option<Sip>,
    api: Option<Arc<Api>>,
    health: Option<Health>,
    rest_v1: Option<RestV1>,
    ari_proxy: Option<AriProxy>,
    control: Option<Control>,
    operations: Arc<ProcessOperations>,
}

impl Process {
    /// Builds the roles that the configuration names, and what they share.
    ///
    /// `file` is what the command line says of the configuration's.
    pub fn build(Loaded { config, routr_v1: document, .. }: Loaded, file: Option<&Path>) -> Result<Process> {
        let base = Arc::new(Base::new(config));
        let config = &base.config;
        let (mut sip, mut api) = (None, None);
        if config.runs(Role::Exchange) {
            sip = Some(Sip::build(SipConfig::of(config, document.is_some()), &base)?);
        }
        let view = sip.as_ref().map(|sip| sip.view.clone());
        let operations = Arc::new(ProcessOperations::new(base.clone(), view));
        if config.runs(Role::Api) {
            api = Api::build(&config.grpc, &base, &operations)?.map(Arc::new);
            api.iter().for_each(|api| operations.know_api(api.clone()));
        }
        let (mut health, mut rest_v1, mut ari_proxy, mut control) = (None, None, None, None);
        if config.runs(Role::Health) {
            health = Health::build(&config.http, &operations)?;
        }
        if config.runs(Role::RestV1) {
            rest_v1 = RestV1::build(document.map(|document| (document, file)), &base, &operations)?;
        }
        if config.runs(Role::AriProxy) {
            ari_proxy = Some(AriProxy::build()?);
        }
        // After all listeners: a first start that finds a port in use must not print passwords of an exchange that does
        // not run. Before the control socket: its clients find what the first start makes.
        if let Some(sip) = &sip {
            begin(&base, sip, api.as_deref())?;
        }
        if config.runs(Role::Control) {
            control = Some(Control::build(&base, &operations)?);
        }
        descriptors::announce();
        Ok(Process { sip, api, health, rest_v1, ari_proxy, control, operations })
    }

    /// Runs until SIGTERM or SIGINT, or until its terminal is closed; then drains and ends.
    pub fn run(self) -> Result<ProcessEnd> {
        let mut signals = StopSignals::new()?;
        let sip = self.sip.map(Sip::start).transpose()?;
        let roles: Vec<_> = self.operations.base.config.roles.iter().map(|role| role.as_str()).collect();
        tracing::info!(roles = roles.join(", "), "started");
        signals.wait();
        let stop = self.operations.ended_by();
        self.operations.end();
        if let Some(sip) = sip {
            let patience = if stop.is_some_and(|stop| stop.now) { Duration::ZERO } else { DRAIN };
            drain(&sip, patience, &mut signals);
            sip.stop()?;
        }
        let end = if stop.is_some_and(|stop| stop.restart) { ProcessEnd::Restart } else { ProcessEnd::Stop };
        let limit = end_anyway(signals, end);
        // It has bounds of its own: what it has begun is answered.
        drop(self.ari_proxy);
        let _ = limit.send(Instant::now() + LAST);
        drop((self.control, self.health, self.rest_v1));
        // Nobody changes resources any more while the rest ends.
        drop(self.api);
        drop(self.operations);
        Ok(end)
    }
}

/// Waits until the calls under way have got their final response, for so long at most, or until a second signal.
fn drain(sip: &RunningSip, patience: Duration, signals: &mut StopSignals) {
    sip.drain();
    // After the mail to the shards, so that it is true of each message received after this line.
    tracing::info!("draining: no new calls; a second signal ends at once");
    let end = Instant::now() + patience;
    while Instant::now() < end && !sip.is_drained() && !signals.pending() {
        std::thread::sleep(ROUND);
    }
}

/// Ends the process if its services do not end by themselves: at the time that is sent, or at a second signal. A request that
/// waits for a data provider, or takes long, ends no sooner. Calls and registrations are on disk by now.
fn end_anyway(mut signals: StopSignals, end: ProcessEnd) -> Sender<Instant> {
    let (limit, limits) = channel();
    let watching = std::thread::Builder::new().name("end".into()).spawn(move || {
        let mut latest = None;
        while latest.is_none_or(|latest| Instant::now() < latest) && !signals.pending() {
            match limits.recv_timeout(ROUND) {
                Ok(limit) => latest = Some(limit),
                Err(RecvTimeoutError::Timeout) => {}
                // All have ended.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        tracing::warn!("requests of operators are still being answered: the process ends without them");
        std::process::exit(end.code());
    });
    if let Err(error) = watching {
        tracing::warn!(%error, "a request of an operator may hold up the end of the process");
    }
    limit
}

/// The signals that end the process.
struct StopSignals {
    signals: Signals,
    /// At a terminal SIGHUP says that the terminal is closed; to a service it commonly means "read the configuration".
    hangup_ends: bool,
}

impl StopSignals {
    fn new() -> Result<StopSignals> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("cannot listen for signals")?;
        Ok(StopSignals { signals, hangup_ends: std::io::stdin().is_terminal() })
    }

    /// Waits for one.
    fn wait(&mut self) {
        for signal in self.signals.forever() {
            if signal != SIGHUP || self.hangup_ends {
                return;
            }
            tracing::info!(
                "SIGHUP changes nothing: changed resources and certificates are in force already, the configuration is \
                 read at the start only"
            );
        }
    }

    /// Has one arrived since?
    fn pending(&mut self) -> bool {
        let hangup_ends = self.hangup_ends;
        self.signals.pending().any(|signal| signal != SIGHUP || hangup_ends)
    }
}

/// Makes the resources of a first start and prints them; warns of resources that have no effect or allow too much.
fn begin(base: &Base, sip: &Sip, api: Option<&Api>) -> Result<()> {
    let resources = base.resources()?;
    if let Some(made) = resources.store.bootstrap(&base.config.domain)? {
        first_start::announce(&made, &sip.view.listening, api.map(|api| &api.running));
    }
    warn_of(&resources.store, &base.config.routing, &sip.view);
    if base.config.runs(Role::RestV1) && base.config.routr_v1.addr.is_some() || api.is_some() {
        warn_of_passwords(&resources.store);
    }
    Ok(())
}

/// Warns of users whose passwords everybody knows. It takes as long as some logins, which no start waits for.
fn warn_of_passwords(store: &Arc<Store>) {
    let store = store.clone();
    let tried = std::thread::Builder::new().name("passwords".into()).spawn(move || {
        for found in common_user_passwords(&store.live().snapshot()) {
            tracing::warn!("{found}");
        }
    });
    if let Err(error) = tried {
        tracing::warn!(%error, "the passwords of users could not be tried");
    }
}

fn warn_of(store: &Store, routing: &Routing, sip: &SipView) {
    let tables = store.live().load();
    let mut cautions = tables.cautions_where(routing.authenticate.asked());
    if !matches!(store, Store::RoutrV1(_)) {
        let transports: Vec<_> = sip.listening.iter().map(|listener| listener.transport).collect();
        cautions.extend(tables.without_listener(&transports));
    }
    if routing.pass_challenges != PassChallenges::None {
        cautions.extend(tables.passed_challenges());
    }
    if let Store::RoutrV1(v1) = store {
        let keys = v1.documents().unknown_keys();
        let shown = keys.iter().take(MOST_KEYS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = keys.len().checked_sub(MOST_KEYS).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        if !keys.is_empty() {
            tracing::warn!("keys of resources that are not known have no effect: {shown}{more}");
        }
        cautions.extend(v1.documents().adjusted_values());
    }
    if let Store::RoutrV1(_) = store {
        cautions.iter_mut().for_each(|caution| *caution = in_its_words(caution));
    }
    for caution in cautions.iter().take(MOST_WARNINGS) {
        tracing::warn!("{caution}");
    }
    if let Some(more) = cautions.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        tracing::warn!("{more} more warnings of this kind: `trunkline check` prints all");
    }
}
