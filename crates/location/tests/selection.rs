//! Choosing among bindings, with the faults of the original (spec L1 to L8) left out.

use trunkline_location::{Algorithm, BindingId, ContactChange, Location, Register, Select};
use trunkline_sip::{ConnectionId, Flow, Transport};

const NOW: u64 = 1_700_000_000_000;
const AOR: &[u8] = b"sip:queue@sip.local";

fn add(location: &Location, aor: &[u8], uri: &str, labels: &[u8]) {
    let flow = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.7:5060".parse().unwrap(),
        connection: ConnectionId::NONE,
    };
    let contacts = [ContactChange::new(uri.as_bytes(), 600)];
    let request = Register { labels, ..Register::new(aor, uri.as_bytes(), 1, flow, &contacts) };
    location.register(&request, NOW, |_| {}).unwrap();
}

fn three() -> Location {
    let location = Location::new();
    for uri in ["sip:a@h", "sip:b@h", "sip:c@h"] {
        add(&location, AOR, uri, b"");
    }
    location
}

fn pick(location: &Location, aor: &[u8], by: &Select<'_>) -> Option<String> {
    pick_with(location, aor, by, |_| 0)
}

fn pick_with(
    location: &Location,
    aor: &[u8],
    by: &Select<'_>,
    sessions: impl Fn(BindingId) -> u32,
) -> Option<String> {
    location.select(aor, by, NOW, sessions, |_| true, |b| String::from_utf8(b.uri.to_vec()).unwrap())
}

#[test]
fn in_turn() {
    let location = three();
    let got: Vec<_> = (0..6).map(|_| pick(&location, AOR, &Select::default()).unwrap()).collect();
    assert_eq!(got, ["sip:c@h", "sip:b@h", "sip:a@h", "sip:c@h", "sip:b@h", "sip:a@h"]);
}

#[test]
fn least_sessions_is_honoured() {
    let location = three();
    let by = Select { algorithm: Algorithm::LeastSessions, ..Select::default() };
    let mut ids = std::collections::HashMap::new();
    location.visit(AOR, NOW, |b| {
        ids.insert(b.uri.to_vec(), b.id);
    });
    let b = ids[&b"sip:b@h"[..]];
    for _ in 0..4 {
        assert_eq!(pick_with(&location, AOR, &by, |id| u32::from(id != b) * 3).unwrap(), "sip:b@h");
    }
    // Among equals in turn.
    let got: std::collections::HashSet<_> = (0..3).map(|_| pick(&location, AOR, &by).unwrap()).collect();
    assert_eq!(got.len(), 3);
}

#[test]
fn a_call_keeps_its_binding_until_that_goes() {
    let location = three();
    let by = Select { call_id: b"call-1", ..Select::default() };
    let first = pick(&location, AOR, &by).unwrap();
    for _ in 0..5 {
        assert_eq!(pick(&location, AOR, &by).unwrap(), first);
    }
    location.kick(AOR, Some(first.as_bytes()), NOW);
    assert_ne!(pick(&location, AOR, &by).unwrap(), first);
}

#[test]
fn a_miss_is_a_miss_each_time_and_pins_nothing() {
    let location = Location::new();
    let by = Select { call_id: b"call-1", affinity: b"ref", ..Select::default() };
    assert_eq!(pick(&location, AOR, &by), None);
    assert_eq!(pick(&location, AOR, &by), None);
    add(&location, AOR, "sip:a@h", b"");
    assert_eq!(pick(&location, AOR, &by).unwrap(), "sip:a@h");
}

#[test]
fn affinity_is_scoped_to_the_aor() {
    let location = three();
    add(&location, b"sip:two@sip.local", "sip:z@h", b"");
    let by = |call: &'static [u8]| Select { call_id: call, affinity: b"room-7", ..Select::default() };
    let first = pick(&location, AOR, &by(b"1")).unwrap();
    for call in [b"2", b"3", b"4"] {
        assert_eq!(pick(&location, AOR, &by(call)).unwrap(), first);
    }
    assert_eq!(pick(&location, b"sip:two@sip.local", &by(b"5")).unwrap(), "sip:z@h");
    assert_eq!(pick(&location, AOR, &by(b"6")).unwrap(), first);
}

#[test]
fn labels_are_matched_all_of_them() {
    let location = Location::new();
    add(&location, AOR, "sip:a@h", b"region=eu;tier=1");
    add(&location, AOR, "sip:b@h", b"region=us;tier=1");
    let labels: [(&[u8], &[u8]); 2] = [(b"region", b"eu"), (b"tier", b"1")];
    for _ in 0..3 {
        assert_eq!(
            pick(&location, AOR, &Select { labels: &labels, ..Select::default() }).unwrap(),
            "sip:a@h"
        );
    }
    assert_eq!(pick(&location, AOR, &Select { labels: &[(b"region", b"asia")], ..Select::default() }), None);
}

#[test]
fn who_cannot_be_reached_is_passed_over() {
    let location = three();
    let reached = |gone: &'static [&'static [u8]], by: &Select<'_>| {
        let reachable = |b: &trunkline_location::Binding<'_>| !gone.contains(&b.uri);
        location
            .select(AOR, by, NOW, |_| 0, reachable, |b| String::from_utf8(b.uri.to_vec()).unwrap())
            .unwrap_or_default()
    };
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastSessions] {
        let by = Select { algorithm, ..Select::default() };
        let got: std::collections::HashSet<_> = (0..6).map(|_| reached(&[b"sip:b@h"], &by)).collect();
        assert_eq!(got, ["sip:a@h", "sip:c@h"].map(str::to_owned).into());
        assert_eq!(reached(&[b"sip:a@h", b"sip:b@h", b"sip:c@h"], &by), "");
    }
    // Nor is a call kept to it.
    let by = Select { call_id: b"call-2", ..Select::default() };
    assert_eq!(reached(&[b"sip:b@h", b"sip:c@h"], &by), "sip:a@h");
    assert_eq!(reached(&[b"sip:a@h", b"sip:c@h"], &by), "sip:b@h");
}
