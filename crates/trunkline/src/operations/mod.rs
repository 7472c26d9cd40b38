//! The operators' view of this process. The control socket, health and metrics, and the REST API of
//! Routr v1 are three ways to it.

pub mod destinations;
mod explained;
mod records;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use trunkline_api::Endpoint;
use trunkline_cli::protocol::{Limit, Reachability, TrunkRegistration};
use trunkline_edge::Shared;
use trunkline_http::Part;
use trunkline_rest_v1::Stop;
use trunkline_store::Store;

use crate::base::Base;
use crate::descriptors;
use crate::roles::{Api, SipView};
use crate::time::unix_seconds;

pub use explained::explain;
pub use records::{follow_records, read_records};

/// The running process, as operators see it.
pub struct Operations {
    pub base: Arc<Base>,
    pub sip: Option<Arc<SipView>>,
    pub api: Option<Arc<Api>>,
    /// When the process started, in seconds since 1970.
    pub started: i64,
    draining: AtomicBool,
    stop: Mutex<Option<Stop>>,
}

impl Operations {
    pub fn new(base: Arc<Base>, sip: Option<Arc<SipView>>, api: Option<Arc<Api>>) -> Operations {
        Operations {
            base,
            sip,
            api,
            started: unix_seconds(),
            draining: AtomicBool::new(false),
            stop: Mutex::default(),
        }
    }

    /// Ends the process the way a signal does: the process sends it to itself.
    pub fn end(&self, stop: Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
            tracing::error!(%error, "cannot end the process");
        }
    }

    /// How an operator ended the process, if it was not by a signal.
    pub fn stop(&self) -> Option<Stop> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on readiness says that the process ends, and so does the health service of gRPC.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        if let Some(api) = &self.api {
            api.drain();
        }
    }

    /// Is the process about to end?
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The parts that can fail without ending the process, and their state.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::new("descriptors", descriptors::trouble())];
        if let Some(sip) = &self.sip {
            let location = sip.persistence.as_ref().and_then(|p| p.health().failing);
            let calls = sip.records.as_ref().and_then(|r| r.health().failing);
            parts.extend([Part::new("location", location), Part::new("calls", calls)]);
        }
        if let Some(resources) = self.base.open_resources()
            && let Store::RoutrV1(v1) = &*resources.store
        {
            parts.push(Part::new("resources", v1.trouble()));
        }
        if let Some(sip) = &self.sip {
            parts.extend(neighbours(&sip.shared));
        }
        parts
    }

    /// The addresses of all listeners: SIP by transport, gRPC in plaintext as `grpc`, over TLS as `grpcs`.
    pub fn listeners(&self) -> Vec<String> {
        let sip = self.sip.iter().flat_map(|sip| &sip.listening);
        let sip = sip.map(|l| format!("{} {}", l.transport, l.address));
        let api = self.api.iter().flat_map(|api| api.running.addresses()).map(|(endpoint, address)| {
            let name = match endpoint {
                Endpoint::Internal => "grpc",
                Endpoint::External => "grpcs",
            };
            format!("{name} {address}")
        });
        sip.chain(api).collect()
    }

    /// The destinations of trunks and peers, and which of them answer.
    pub fn destinations(&self) -> Vec<Reachability> {
        self.sip.as_ref().map(|sip| destinations::list(&sip.shared)).unwrap_or_default()
    }
}

/// The state of other servers: the media relay, trunks, registrations at carriers.
fn neighbours(shared: &Shared) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some((health, _)) = shared.media() {
        let silent = "does not answer: does it run at the address of the key rtpengine?";
        parts.push(Part::new("rtpengine", (!health.up).then(|| silent.into())));
    }
    parts.extend(destinations::parts(shared));
    for r in shared.trunk_registrations().into_iter().filter(|r| !r.registered) {
        let answer = trunk_registration(r.clone()).answer;
        // Before the first answer nothing has failed yet.
        if !answer.is_empty() {
            parts.push(Part::new(format!("registration at trunk {}", r.trunk), Some(answer)));
        }
    }
    parts
}

/// The parties with a limit of calls, as the command line shows them.
pub fn limits(shared: &Shared) -> Vec<Limit> {
    let limit = |of: trunkline_edge::Limited| Limit {
        kind: of.kind.into(),
        reference: of.reference.to_string(),
        calls: of.calls,
        max_calls: of.limits.at_once,
        max_calls_per_minute: of.limits.per_minute,
    };
    let mut list: Vec<Limit> = shared.limited().into_iter().map(limit).collect();
    list.sort_by(|a, b| (&a.kind, &a.reference).cmp(&(&b.kind, &b.reference)));
    list
}

/// A registration at a carrier, as the command line shows it.
pub fn trunk_registration(r: trunkline_edge::TrunkRegistration) -> TrunkRegistration {
    TrunkRegistration {
        trunk: r.trunk.to_string(),
        aor: r.aor,
        registered: r.registered,
        until: r.until.map(seconds_saturating),
        answer: if r.status == 0 { r.reason } else { format!("{} {}", r.status, r.reason) },
        since: r.since,
    }
}

fn seconds_saturating(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

/// Bytes as text for people.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Empty text as none.
pub fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
