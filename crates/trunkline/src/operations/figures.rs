//! The numbers of the process.

use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_calls::{DURATION_MS, Histogram, SETUP_MS};
use trunkline_location::Persistence;
use trunkline_operations::{ApiCalls, Figures, HistogramFigures, RelayFigures, TransportFigures};
use trunkline_sip::Transport;
use trunkline_transport::Counters;

use super::{ProcessOperations, destinations};
use crate::descriptors;
use crate::publishing;
use crate::roles::{Api, SipView};
use crate::time::unix_ms;

/// All of them.
pub fn figures(process: &ProcessOperations) -> Figures {
    let mut figures = Figures {
        api: process.api.get().into_iter().flat_map(|api| calls_of(api)).collect(),
        descriptors: descriptors::figures(),
        version: env!("CARGO_PKG_VERSION"),
        process: crate::procfs::figures(process.started),
        certificates: process.expiries(),
        ..Figures::default()
    };
    if let Some(sip) = &process.sip {
        write_sip(sip, &mut figures);
    }
    figures
}

/// The counters of the resource services.
fn calls_of(api: &Api) -> impl Iterator<Item = ApiCalls> {
    api.running.counts().into_iter().map(|c| ApiCalls {
        listener: c.listener,
        service: c.service,
        method: c.method,
        code: c.code,
        count: c.count,
    })
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The figures of SIP, registrations and calls.
fn write_sip(sip: &SipView, figures: &mut Figures) {
    let shared = &sip.shared;
    let location = shared.location.stats();
    let written = sip.persistence.as_ref().map(Persistence::health).unwrap_or_default();
    let calls = shared.calls.stats();
    figures.shards = shared.counters.iter().map(|c| c.all()).collect();
    for (reason, count) in shared.counters.iter().flat_map(|c| c.reasons()) {
        match figures.reasons.iter_mut().find(|(code, _)| *code == reason.code()) {
            Some((_, sum)) => *sum += count,
            None => figures.reasons.push((reason.code(), count)),
        }
    }
    for (code, count) in shared.counters.iter().flat_map(|c| c.codes()) {
        match figures.codes.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(place) => figures.codes[place].1 += count,
            Err(place) => figures.codes.insert(place, (code, count)),
        }
    }
    figures.bans = shared.bans(unix_ms()).len() as u64;
    figures.ring_delay = histogram(&calls.ring_delay, &SETUP_MS);
    figures.setup = histogram(&calls.setup, &SETUP_MS);
    figures.duration = histogram(&calls.duration, &DURATION_MS);
    let names = figures.shards.first().into_iter().flatten();
    figures.shard_help = names.map(|(name, _)| (*name, trunkline_edge::Counters::help(name))).collect();
    write_transports(sip, figures);
    figures.transactions = shared.transactions();
    figures.flooding = shared.flooding();
    figures.busy_percent = shared.busy();
    figures.sources_handed_over = shared.sources_handed_over();
    figures.aors = location.aors;
    figures.bindings = location.bindings;
    figures.location_writes = written.written;
    figures.location_write_errors = written.errors;
    figures.calls = calls.live;
    figures.call_bytes = shared.calls.memory();
    figures.calls_started = calls.started;
    figures.calls_answered = calls.answered;
    figures.calls_ended = calls.ended;
    figures.calls_expired = calls.expired;
    figures.calls_refused = calls.refused;
    figures.relay = shared.media().map(|(health, calls)| RelayFigures {
        up: health.up,
        calls: calls as u64,
        answered: health.answered,
        refused: health.refused,
        timeouts: health.timeouts,
    });
    figures.sinks = publishing::figures(&sip.sinks);
    figures.hep = sip.hep.as_ref().map(|hep| (get(&hep.sent), get(&hep.lost)));
    figures.trunks = destinations::figures(shared, false);
    let registrations = shared.trunk_registrations().into_iter();
    figures.trunk_registrations = registrations.map(|r| (r.trunk.to_string(), r.registered)).collect();
    figures.peers = destinations::figures(shared, true);
    figures.destinations = destinations::each(shared);
}

fn histogram(of: &Histogram, bounds: &[u64]) -> HistogramFigures {
    let bounds = bounds.iter().copied().map(Some).chain([None]);
    HistogramFigures { buckets: bounds.zip(of.counts().iter().copied()).collect(), sum_ms: of.sum_ms() }
}

/// The figures of sockets and connections.
fn write_transports(sip: &SipView, figures: &mut Figures) {
    let sum = |of: &dyn Fn(&Counters) -> u64| sip.transport.iter().map(|c| of(c)).sum::<u64>();
    let carried = |t: Transport| TransportFigures {
        name: t.param_name(),
        received: sum(&|c| c.received.get(t as usize).map_or(0, get)),
        sent: sum(&|c| c.sent.get(t as usize).map_or(0, get)),
    };
    figures.transports = Transport::ALL.map(carried).to_vec();
    figures.datagrams_lost = sum(&|c| get(&c.lost));
    figures.connections_accepted = sum(&|c| get(&c.accepted));
    figures.connections_refused = sum(&|c| get(&c.refused));
    figures.connections_unfinished = sum(&|c| get(&c.unfinished));
    figures.connections_made = sum(&|c| get(&c.connected));
    figures.connections_closed = sum(&|c| get(&c.closed));
    figures.keep_alives = sum(&|c| get(&c.keep_alives));
}
