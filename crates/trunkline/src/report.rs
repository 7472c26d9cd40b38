//! What the running exchange tells about itself: to the command line and over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_api::Door;
use trunkline_calls::{Filter, Records};
use trunkline_cli::ControlBackend;
use trunkline_cli::protocol::{
    CallRecord, LiveCall, Reachability, RecordQuery, Registration, Status, TrunkRegistration,
};
use trunkline_edge::Shared;
use trunkline_http::{
    ApiCalls, Figures, Part, Readiness, Relay, Status as HttpStatus, Transport as Carried, Trunk,
};
use trunkline_location::Persistence;
use trunkline_rest_v1::Stop;
use trunkline_sip::Transport;
use trunkline_store::Store;
use trunkline_transport::{Counters, Listener};

/// Everything there is to tell.
pub struct Report {
    /// First, so that nobody changes anything while the rest ends.
    pub api: Option<trunkline_api::Running>,
    pub shared: Arc<Shared>,
    pub store: Arc<Store>,
    pub store_url: String,
    pub roles: Vec<String>,
    pub persistence: Option<Persistence>,
    pub records: Option<Records>,
    pub transport: Vec<Arc<Counters>>,
    pub listening: Vec<Listener>,
    pub started: i64,
    pub draining: AtomicBool,
    /// How it was told to end, other than by a signal.
    pub told: Mutex<Option<Stop>>,
}

/// Seconds since 1970.
pub fn unix_seconds() -> i64 {
    unix_ms() as i64 / 1000
}

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

fn seconds(ms: u64) -> i64 {
    (ms / 1000) as i64
}

/// Bytes for people.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl Report {
    /// Ends the process as a signal does, which it sends itself.
    pub fn end(&self, stop: Stop) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
            tracing::error!(%error, "cannot end");
        }
    }

    fn parts(&self) -> Vec<Part> {
        let location = self.persistence.as_ref().and_then(|p| p.health().failing);
        let calls = self.records.as_ref().and_then(|r| r.health().failing);
        let mut parts = vec![Part::new("location", location), Part::new("calls", calls)];
        if let Store::RoutrV1(v1) = &*self.store {
            parts.push(Part::new("resources", v1.trouble()));
        }
        if let Some((health, _)) = self.shared.media() {
            let silent = "gives no answer: does it run where the key rtpengine says?";
            parts.push(Part::new("rtpengine", (!health.up).then(|| silent.into())));
        }
        for trunk in self.shared.tables.load().trunks() {
            let down = self.shared.trunk_down(&trunk.reference);
            if !trunk.uris.is_empty() && down.count_ones() as usize >= trunk.uris.len() {
                let name = format!("trunk {}", trunk.reference);
                parts.push(Part::new(name, Some("no destination answers".into())));
            }
        }
        for r in self.shared.trunk_registrations().into_iter().filter(|r| !r.registered) {
            let answer = registration(r.clone()).answer;
            // Before the first answer nothing is wrong yet.
            if !answer.is_empty() {
                parts.push(Part::new(format!("registration at trunk {}", r.trunk), Some(answer)));
            }
        }
        parts
    }

    /// Where it listens: SIP by transport, gRPC in plaintext as `grpc`, over TLS as `grpcs`.
    fn listeners(&self) -> Vec<String> {
        let sip = self.listening.iter().map(|l| format!("{} {}", l.transport, l.address));
        let api = self.api.iter().flat_map(|api| api.addresses()).map(|(door, address)| {
            let name = match door {
                Door::Internal => "grpc",
                Door::External => "grpcs",
            };
            format!("{name} {address}")
        });
        sip.chain(api).collect()
    }

    /// Calls of the resource services.
    fn api_calls(&self) -> Vec<ApiCalls> {
        let counts = self.api.iter().flat_map(|api| api.counts());
        let calls = counts.map(|c| ApiCalls {
            listener: c.listener,
            service: c.service,
            method: c.method,
            code: c.code,
            count: c.count,
        });
        calls.collect()
    }

    /// Trunks and peers.
    fn trunks(&self) -> Vec<Reachability> {
        let tables = self.shared.tables.load();
        let mut list = Vec::new();
        for trunk in tables.trunks() {
            for (place, uri) in trunk.uris.iter().enumerate().take(64) {
                list.push(Reachability {
                    reference: trunk.reference.to_string(),
                    target: uri.to_string(),
                    up: self.shared.trunk_down(&trunk.reference) & 1 << place == 0,
                    since: self.shared.trunk_since(&trunk.reference, place as u8).unwrap_or(self.started),
                });
            }
        }
        list.extend(self.shared.peer_states().into_iter().map(|peer| Reachability {
            reference: peer.reference.to_string(),
            target: peer.target,
            up: !peer.down,
            since: peer.since,
        }));
        list.sort_by(|a, b| (&a.reference, &a.target).cmp(&(&b.reference, &b.target)));
        list
    }
}

fn registration(r: trunkline_edge::TrunkRegistration) -> TrunkRegistration {
    TrunkRegistration {
        trunk: r.trunk.to_string(),
        aor: r.aor,
        registered: r.registered,
        until: r.until.map(|until| i64::try_from(until / 1000).unwrap_or(i64::MAX)),
        answer: if r.status == 0 { r.reason } else { format!("{} {}", r.status, r.reason) },
        since: r.since,
    }
}

/// The peers with what is asked of them.
fn peers(shared: &Shared) -> Vec<Trunk> {
    let mut peers = std::collections::BTreeMap::new();
    for state in shared.peer_states() {
        let reference = state.reference.to_string();
        let peer = peers.entry(reference).or_insert((0, 0));
        *peer = (peer.0 + 1, peer.1 + u64::from(state.down));
    }
    peers
        .into_iter()
        .map(|(reference, (destinations, down))| Trunk { reference, destinations, down })
        .collect()
}

impl ControlBackend for Report {
    fn store(&self) -> &Store {
        &self.store
    }

    fn status(&self) -> Status {
        let mut counters = std::collections::BTreeMap::new();
        for shard in &self.shared.counters {
            for (name, value) in shard.all() {
                *counters.entry(name.to_owned()).or_insert(0) += value;
            }
        }
        let degraded = self.parts().into_iter().filter(|p| !p.ok);
        Status {
            running: true,
            version: env!("CARGO_PKG_VERSION").into(),
            started: self.started,
            roles: self.roles.clone(),
            workers: self.shared.counters.len(),
            listeners: self.listeners(),
            store: self.store_url.clone(),
            resources: std::collections::BTreeMap::new(),
            registrations: self.shared.location.stats().bindings,
            calls: self.shared.calls.stats().live,
            trunks: self.trunks(),
            trunk_registrations: self.shared.trunk_registrations().into_iter().map(registration).collect(),
            degraded: degraded.map(|p| format!("{}: {}", p.name, p.reason.unwrap_or_default())).collect(),
            counters,
        }
    }

    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, String> {
        let now = unix_ms();
        let filter = filter.map(str::to_lowercase);
        let holds = |text: &str| filter.as_ref().is_none_or(|f| text.to_lowercase().contains(f));
        let mut items = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next.filter(|_| items.len() < limit) {
            next = self.shared.location.list(from, 1_000, now, |aor, b| {
                let (aor, contact) = (text(aor), text(b.uri));
                if items.len() < limit && (holds(&aor) || holds(&contact)) {
                    items.push(Registration {
                        aor,
                        contact,
                        expires: i64::from(b.expires_in(now)),
                        q: Some(f32::from(b.q) / 1000.0),
                        flow: format!("{} {}", b.flow.transport, b.flow.remote),
                        user_agent: some(text(b.user_agent)),
                        instance: some(text(b.instance)),
                    });
                }
            });
        }
        items.sort_by(|a, b| (&a.aor, &a.contact).cmp(&(&b.aor, &b.contact)));
        Ok(items)
    }

    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, String> {
        Ok(self.shared.location.kick(aor.as_bytes(), contact.map(str::as_bytes), unix_ms()))
    }

    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, String> {
        let filter = filter.map(str::to_lowercase);
        let mut items = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next.filter(|_| items.len() < limit) {
            next = self.shared.calls.live(from, 1_000, |c| {
                let holds = |f: &String| {
                    [c.call_id, c.from, c.to, c.to_header, c.first_called, c.trunk_ref]
                        .iter()
                        .any(|part| text(part).to_lowercase().contains(f))
                };
                if items.len() >= limit || !filter.as_ref().is_none_or(holds) {
                    return;
                }
                items.push(LiveCall {
                    call_id: text(c.call_id),
                    caller: text(c.from),
                    callee: text(c.to),
                    to: some(text(c.to_header)),
                    state: if c.answered.is_some() { "up" } else { "ringing" }.into(),
                    started: seconds(c.started),
                    answered: c.answered.map(seconds),
                    trunk: some(text(c.trunk_ref)),
                    source: Some(c.source.to_string()),
                    caller_ref: some(text(c.caller_ref)),
                });
            });
        }
        items.sort_by_key(|c| c.started);
        Ok(items)
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, String> {
        let Some(records) = &self.records else {
            return Err("call records are off: set calls.records to on".into());
        };
        records.flush();
        read_records(query, |filter| records.records(filter, None, query.limit).map_err(|e| e.to_string()))
    }
}

/// Records of a database, as the command line wants them.
pub fn read_records(
    query: &RecordQuery,
    read: impl Fn(&Filter) -> Result<Vec<trunkline_calls::CallRecord>, String>,
) -> Result<Vec<CallRecord>, String> {
    let since = query.since.and_then(|s| u64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
    let by_party = Filter { party: query.filter.clone(), since, ..Filter::default() };
    let mut found = read(&by_party)?;
    if let (true, Some(call_id)) = (found.is_empty(), &query.filter) {
        found = read(&Filter { call_id: Some(call_id.clone()), since, ..Filter::default() })?;
    }
    Ok(found
        .into_iter()
        .map(|r| CallRecord {
            call_id: r.call_id,
            from_tag: some(r.from_tag),
            to_tag: some(r.to_tag),
            direction: r.direction,
            caller: r.from,
            callee: r.to,
            to: some(r.to_header),
            first_called: some(r.first_called),
            started: seconds(r.started),
            answered: r.answered.map(seconds),
            ended: r.ended.map(seconds),
            cause: r.cause.unwrap_or_default(),
            trunk: some(r.trunk),
            source: some(r.source),
            caller_ref: some(r.caller),
            callee_ref: some(r.callee),
        })
        .collect())
}

impl HttpStatus for Report {
    fn readiness(&self) -> Readiness {
        Readiness { listening: true, draining: self.draining.load(Ordering::Relaxed), parts: self.parts() }
    }

    fn figures(&self) -> Figures {
        let sum = |of: &dyn Fn(&Counters) -> u64| self.transport.iter().map(|c| of(c)).sum::<u64>();
        let get = |a: &std::sync::atomic::AtomicU64| a.load(Ordering::Relaxed);
        let carried = |t: Transport| Carried {
            name: t.param_name(),
            received: sum(&|c| c.received.get(t as usize).map_or(0, get)),
            sent: sum(&|c| c.sent.get(t as usize).map_or(0, get)),
        };
        let location = self.shared.location.stats();
        let written = self.persistence.as_ref().map(Persistence::health).unwrap_or_default();
        let calls = self.shared.calls.stats();
        let tables = self.shared.tables.load();
        let trunk = |t: &Arc<trunkline_model::Trunk>| Trunk {
            reference: t.reference.to_string(),
            destinations: t.uris.len() as u64,
            down: u64::from(self.shared.trunk_down(&t.reference).count_ones()),
        };
        Figures {
            shards: self.shared.counters.iter().map(|c| c.all()).collect(),
            transports: Transport::ALL.map(carried).to_vec(),
            datagrams_lost: sum(&|c| get(&c.lost)),
            connections_accepted: sum(&|c| get(&c.accepted)),
            connections_refused: sum(&|c| get(&c.refused)),
            connections_unfinished: sum(&|c| get(&c.unfinished)),
            connections_made: sum(&|c| get(&c.connected)),
            connections_closed: sum(&|c| get(&c.closed)),
            keep_alives: sum(&|c| get(&c.keep_alives)),
            transactions: self.shared.transactions(),
            busy_percent: self.shared.busy(),
            sources_handed_over: self.shared.sources_handed_over(),
            aors: location.aors,
            bindings: location.bindings,
            location_writes: written.written,
            location_write_errors: written.errors,
            calls: calls.live,
            calls_started: calls.started,
            calls_answered: calls.answered,
            calls_ended: calls.ended,
            calls_expired: calls.expired,
            calls_refused: calls.refused,
            relay: self.shared.media().map(|(health, calls)| Relay {
                up: health.up,
                calls: calls as u64,
                answered: health.answered,
                refused: health.refused,
                timeouts: health.timeouts,
            }),
            trunks: tables.trunks().map(trunk).collect(),
            trunk_registrations: self
                .shared
                .trunk_registrations()
                .into_iter()
                .map(|r| (r.trunk.to_string(), r.registered))
                .collect(),
            peers: peers(&self.shared),
            api: self.api_calls(),
        }
    }
}
