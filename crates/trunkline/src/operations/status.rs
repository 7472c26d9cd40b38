//! The state of the process and of the servers it talks to.

use trunkline_api::Endpoint;
use trunkline_edge::Shared;
use trunkline_operations::{Descriptors, Limit, Part, Status, TrunkRegistration};
use trunkline_store::Store;

use super::{ProcessOperations, destinations};
use crate::{descriptors, publishing};

/// The state of the process.
pub fn status(process: &ProcessOperations) -> Status {
    let config = &process.base.config;
    let degraded = parts(process).into_iter().filter(|p| !p.ok);
    let mut status = Status {
        running: true,
        draining: process.is_draining(),
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        descriptors: descriptors::figures().map(|(open, limit)| Descriptors { open, limit }),
        started: process.started,
        roles: config.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        listeners: listeners(process),
        store: config.store_url(),
        degraded: degraded.map(|p| format!("{}: {}", p.name, p.reason.unwrap_or_default())).collect(),
        ..Status::default()
    };
    if let Some(sip) = &process.sip {
        let shared = &sip.shared;
        status.workers = shared.counters.len();
        status.registrations = shared.location.stats().bindings;
        status.calls = shared.calls.stats().live;
        status.trunks = destinations::list(shared);
        status.trunk_registrations =
            shared.trunk_registrations().into_iter().map(trunk_registration).collect();
        status.limits = limits(shared);
        for (name, value) in shared.counters.iter().flat_map(|shard| shard.all()) {
            *status.counters.entry(name.to_owned()).or_insert(0) += value;
        }
    }
    status
}

/// The parts that can fail without ending the process, and their state.
pub fn parts(process: &ProcessOperations) -> Vec<Part> {
    let mut parts = vec![Part::new("descriptors", descriptors::trouble())];
    if let Some(sip) = &process.sip {
        let location = sip.persistence.as_ref().and_then(|p| p.health().failing);
        let calls = sip.records.as_ref().and_then(|r| r.health().failing);
        parts.extend([Part::new("location", location), Part::new("calls", calls)]);
        if let Some(failed) = &sip.failed_calls {
            parts.push(Part::new("failed calls", failed.failing()));
        }
    }
    if let Some(resources) = process.base.open_resources()
        && let Store::RoutrV1(_) | Store::Postgres(_) = &*resources.store
    {
        parts.push(Part::new("resources", resources.store.trouble()));
    }
    if let Some(sip) = &process.sip {
        parts.extend(neighbours(&sip.shared));
        parts.extend(publishing::parts(&sip.sinks));
    }
    parts
}

/// The addresses of all listeners: SIP by transport, gRPC in plaintext as `grpc`, over TLS as `grpcs`.
fn listeners(process: &ProcessOperations) -> Vec<String> {
    let sip = process.sip.iter().flat_map(|sip| &sip.listening);
    let sip = sip.map(|l| format!("{} {}", l.transport, l.address));
    let api =
        process.api.get().into_iter().flat_map(|api| api.running.addresses()).map(|(endpoint, address)| {
            let name = match endpoint {
                Endpoint::Internal => "grpc",
                Endpoint::External => "grpcs",
            };
            format!("{name} {address}")
        });
    sip.chain(api).collect()
}

/// The state of other servers: the media relay, trunks, registrations at carriers.
fn neighbours(shared: &Shared) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some((health, _)) = shared.media() {
        let silent = "does not answer: does it run at the address of the key rtpengine?";
        parts.push(Part::new("rtpengine", (!health.up).then(|| silent.into())));
    }
    parts.extend(destinations::parts(shared));
    parts.extend(shared.unresolved_trunks().into_iter().map(|(trunk, host)| {
        let what = format!(
            "{host} is not resolved, so calls from its addresses are refused: check the resolver (dns)"
        );
        Part::new(format!("name of trunk {trunk}"), Some(what))
    }));
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
fn limits(shared: &Shared) -> Vec<Limit> {
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
        address: r.address,
    }
}

fn seconds_saturating(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}
