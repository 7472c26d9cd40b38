//! The destinations of trunks and peers, as the command line, health and metrics show them.

use std::collections::BTreeMap;

use trunkline_edge::{DestinationState, Shared};
use trunkline_operations::{DestinationFigures, Known, Part, Reachability, TrunkFigures};
use trunkline_trunks::State;

/// The destinations for the command line, in order.
pub fn list(shared: &Shared) -> Vec<Reachability> {
    let mut list: Vec<_> = shared.destinations().into_iter().map(reachability).collect();
    list.sort_by(|a, b| (&a.reference, &a.target).cmp(&(&b.reference, &b.target)));
    list
}

fn reachability(known: DestinationState) -> Reachability {
    Reachability {
        reference: known.reference().to_string(),
        kind: kind(&known).into(),
        state: known.state.word().into(),
        since: known.since,
        last_error_at: known.error.as_ref().map(|error| error.at),
        last_error: known.error.map(|error| error.text),
        next: known.next,
        target: known.target,
    }
}

fn kind(known: &DestinationState) -> &'static str {
    if known.is_of_peer() { "peer" } else { "trunk" }
}

/// The destinations of each trunk or peer.
fn grouped(shared: &Shared, of_peers: bool) -> BTreeMap<String, Vec<DestinationState>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for known in shared.destinations().into_iter().filter(|known| known.is_of_peer() == of_peers) {
        all.entry(known.reference().to_string()).or_default().push(known);
    }
    all
}

/// The trunks and peers of which no destination is known to answer. One that is down fails; one that has not been asked or has
/// not answered yet does not.
pub fn parts(shared: &Shared) -> Vec<Part> {
    let mut parts = Vec::new();
    for (name, of_peers) in [("trunk", false), ("peer", true)] {
        for (reference, known) in grouped(shared, of_peers) {
            if known.iter().any(|known| known.state == State::Up) {
                continue;
            }
            let ok = known.iter().any(|known| known.state == State::Unknown);
            let state = if ok { State::Unknown } else { State::Down }.word();
            let since = known.iter().map(|known| known.since).max().unwrap_or(0);
            let next = known.iter().filter_map(|known| known.next).min();
            let reason = match ok {
                true => "unknown: no destination has answered yet".to_owned(),
                false => format!("no destination answers: {}", troubles(&known)),
            };
            let known = Some(Known { state, since, next });
            parts.push(Part { name: format!("{name} {reference}"), ok, reason: Some(reason), known });
        }
    }
    parts
}

/// The last errors; `status` shows them for each destination.
fn troubles(known: &[DestinationState]) -> String {
    let mut errors: Vec<_> =
        known.iter().filter_map(|known| known.error.as_ref()).map(|e| &*e.text).collect();
    errors.sort_unstable();
    errors.dedup();
    errors.truncate(3);
    errors.join(", ")
}

/// Each trunk, or each peer, with the number of its destinations in each state.
pub fn figures(shared: &Shared, of_peers: bool) -> Vec<TrunkFigures> {
    let count = |known: &[DestinationState], state| known.iter().filter(|k| k.state == state).count() as u64;
    grouped(shared, of_peers)
        .into_iter()
        .map(|(reference, known)| TrunkFigures {
            reference,
            up: count(&known, State::Up),
            down: count(&known, State::Down),
            unknown: count(&known, State::Unknown),
        })
        .collect()
}

/// The destinations that the operator configured. Instances come and go, and each would be a time series that is kept.
pub fn each(shared: &Shared) -> Vec<DestinationFigures> {
    let unix = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
    let mut all: Vec<_> = shared
        .destinations()
        .into_iter()
        .filter(|known| !known.is_instance())
        .map(|known| DestinationFigures {
            kind: kind(&known),
            reference: known.reference().to_string(),
            state: known.state.word(),
            since: unix(known.since),
            last_error: known.error.map(|error| unix(error.at)),
            next: known.next.map(unix),
            target: known.target,
        })
        .collect();
    all.sort_by(|a, b| (a.kind, &a.reference, &a.target).cmp(&(b.kind, &b.reference, &b.target)));
    all
}
