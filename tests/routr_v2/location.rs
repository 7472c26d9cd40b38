//! `trunkline location`: who may add a route, and which one a call gets.

use std::collections::BTreeMap;

use trunkline_tests::{Grpc, wait_for};
use trunkline_wire::location::find_routes_request::Backend;
use trunkline_wire::location::{FindRoutesRequest, Route};

use super::{
    INVALID_ARGUMENT, NOT_FOUND, add, asked, find, location, location_file, now_ms, refused, remove, route,
};

const AOR: &str = "sip:1001@sip.local";
const LEAST_SESSIONS: i32 = 1;

/// Adds these hosts, in this order.
pub(super) fn fill(grpc: &Grpc, aor: &str, hosts: &[&str]) {
    hosts.iter().for_each(|host| add(grpc, aor, route(host), -1).expect("added"));
}

fn of_backend(call: &str, backend: Backend, affinity: &str) -> FindRoutesRequest {
    FindRoutesRequest { backend: Some(backend), session_affinity_ref: affinity.into(), ..asked(AOR, call) }
}

/// Each of the rules that all stores have in common.
pub(super) fn rules(grpc: &Grpc) {
    fill(grpc, AOR, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    // All, the newest first; the same call gets the first one alone.
    let all = ["10.0.0.3", "10.0.0.2", "10.0.0.1"];
    assert_eq!(find(grpc, &asked(AOR, "a")).expect("found"), all);
    assert_eq!(find(grpc, &asked(AOR, "a")).expect("found"), ["10.0.0.3"]);
    // Without a Call-ID it is of no call.
    assert_eq!(
        (find(grpc, &asked(AOR, "")), find(grpc, &asked(AOR, ""))),
        (Ok(all.map(str::to_owned).to_vec()), Ok(all.map(str::to_owned).to_vec()))
    );
    // A refresh makes it the newest and no second one.
    fill(grpc, AOR, &["10.0.0.1"]);
    assert_eq!(find(grpc, &asked(AOR, "b")).expect("found"), ["10.0.0.1", "10.0.0.3", "10.0.0.2"]);
    // What a call has been given and is gone is not given again.
    let gone = Route { expires: 0, ..route("10.0.0.3") };
    add(grpc, AOR, gone, -1).expect("removed");
    assert_eq!(find(grpc, &asked(AOR, "a")).expect("found"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(find(grpc, &asked(AOR, "a")).expect("found"), ["10.0.0.1"]);
    // One that had ended before it was added is none, and removes the older one.
    let ended = Route { registered_on: now_ms() - 601_000, ..route("10.0.0.2") };
    add(grpc, AOR, ended, -1).expect("removed");
    assert_eq!(find(grpc, &asked(AOR, "c")).expect("found"), ["10.0.0.1"]);
    // Other addresses of record that begin alike have nothing to do with it.
    assert_eq!(refused(find(grpc, &asked("sip:1001@sip", "a"))).0, NOT_FOUND);
    assert_eq!(refused(find(grpc, &asked("sip:*", "a"))).0, NOT_FOUND);
    remove(grpc, AOR).expect("removed");
    for call in ["a", "new"] {
        let none = (NOT_FOUND, format!("no routes found for aor: {AOR}"));
        assert_eq!(refused(find(grpc, &asked(AOR, call))), none);
        assert_eq!(refused(find(grpc, &asked(AOR, call))), none, "asked again");
    }
    contacts(grpc);
    balancing(grpc);
    labels(grpc);
}

fn contacts(grpc: &Grpc) {
    let aor = "sip:limited@sip.local";
    add(grpc, aor, route("10.0.0.1"), 2).expect("the first");
    add(grpc, aor, route("10.0.0.2"), 2).expect("the second");
    let too_many = (INVALID_ARGUMENT, "exceeds maximum of 2 allowed contacts".to_owned());
    assert_eq!(refused(add(grpc, aor, route("10.0.0.3"), 2)), too_many);
    add(grpc, aor, route("10.0.0.1"), 2).expect("a refresh");
    add(grpc, aor, Route { expires: 0, ..route("10.0.0.2") }, 2).expect("one less");
    add(grpc, aor, route("10.0.0.3"), 2).expect("room again");
    // Unlimited is -1; 0, which a client sends that says nothing, allows none.
    let none = (INVALID_ARGUMENT, "exceeds maximum of 0 allowed contacts".to_owned());
    assert_eq!(refused(add(grpc, "sip:none@sip.local", route("10.0.0.1"), 0)), none);
    for aor in ["tel:+1", "1001", ""] {
        let (code, said) = refused(add(grpc, aor, route("10.0.0.1"), -1));
        assert_eq!(code, INVALID_ARGUMENT);
        assert_eq!(
            said,
            format!(r#"aor {aor} has an invalid schema, only "sip:" or "backend:" are allowed"#)
        );
    }
    for aor in ["sips:1001@sip.local", "backend:voice"] {
        add(grpc, aor, route("10.0.0.1"), -1).expect(aor);
        assert_eq!(find(grpc, &asked(aor, "a")).expect("found"), ["10.0.0.1"]);
    }
}

fn balancing(grpc: &Grpc) {
    for (host, session_count) in [("10.0.0.1", 7), ("10.0.0.2", 3), ("10.0.0.3", 5)] {
        add(grpc, AOR, Route { session_count, ..route(host) }, -1).expect("added");
    }
    let backend = || Backend { r#ref: "voice".into(), ..Backend::default() };
    let one = |asked: &FindRoutesRequest| {
        let found = find(grpc, asked).expect("found");
        assert_eq!(found.len(), 1, "{found:?}");
        found.concat()
    };
    // In turn, for each call; a call stays where it is.
    let turns: Vec<String> = (0..6).map(|n| one(&of_backend(&format!("rr{n}"), backend(), ""))).collect();
    let mut each: Vec<&String> = turns.iter().take(3).collect();
    each.sort();
    assert_eq!(each, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(turns.get(..3), turns.get(3..));
    assert_eq!(one(&of_backend("rr0", backend(), "")), turns[0]);
    // A refresh does not disturb the turns.
    add(grpc, AOR, Route { session_count: 3, ..route("10.0.0.2") }, -1).expect("refreshed");
    assert_eq!(one(&of_backend("rr6", backend(), "")), turns[0]);
    // The algorithm that is asked for is the one that is used.
    let least = || Backend { algorithm: LEAST_SESSIONS, ..backend() };
    assert_eq!(one(&of_backend("ls0", least(), "")), "10.0.0.2");
    assert_eq!(one(&of_backend("ls1", least(), "")), "10.0.0.2");
    // Affinity: calls of one room reach one server, whatever is less busy by then.
    let sticky = || Backend { with_session_affinity: true, ..backend() };
    assert_eq!(one(&of_backend("af0", sticky(), "room-1")), "10.0.0.2");
    add(grpc, AOR, Route { session_count: 9, ..route("10.0.0.2") }, -1).expect("busier");
    assert_eq!(one(&of_backend("af1", sticky(), "room-1")), "10.0.0.2");
    assert_eq!(one(&of_backend("af2", sticky(), "room-2")), "10.0.0.3");
    // Within an address of record only.
    let other = "sip:other@sip.local";
    fill(grpc, other, &["10.0.9.9"]);
    let elsewhere = FindRoutesRequest { aor: other.into(), ..of_backend("af3", sticky(), "room-1") };
    assert_eq!(one(&elsewhere), "10.0.9.9");
    // Its server is gone: another one from now on.
    add(grpc, AOR, Route { expires: 0, ..route("10.0.0.2") }, -1).expect("removed");
    assert_eq!(one(&of_backend("af4", sticky(), "room-1")), "10.0.0.3");
    assert_eq!(one(&of_backend("af1", sticky(), "room-1")), "10.0.0.3");
    remove(grpc, AOR).expect("removed");
}

fn labels(grpc: &Grpc) {
    let marked = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    add(grpc, AOR, Route { labels: marked(&[("region", "eu"), ("tier", "a")]), ..route("10.0.0.1") }, -1)
        .expect("added");
    add(grpc, AOR, Route { labels: marked(&[("region", "us")]), ..route("10.0.0.2") }, -1).expect("added");
    let with =
        |call: &str, pairs: &[(&str, &str)]| FindRoutesRequest { labels: marked(pairs), ..asked(AOR, call) };
    assert_eq!(find(grpc, &with("l", &[("region", "eu")])).expect("found"), ["10.0.0.1"]);
    // The same call with other labels is asked anew.
    assert_eq!(find(grpc, &with("l", &[("region", "us")])).expect("found"), ["10.0.0.2"]);
    assert_eq!(refused(find(grpc, &with("l", &[("region", "us"), ("tier", "a")]))).0, NOT_FOUND);
    assert_eq!(find(grpc, &with("l", &[])).expect("found"), ["10.0.0.2", "10.0.0.1"]);
    remove(grpc, AOR).expect("removed");
}

#[test]
fn routes_in_memory() {
    let role = location();
    rules(&role.grpc());
}

#[test]
fn a_route_ends_when_its_time_is_over() {
    let role = location();
    let grpc = role.grpc();
    let registered_on = now_ms() - 598_000;
    add(&grpc, AOR, Route { registered_on, ..route("10.0.0.1") }, -1).expect("added");
    assert_eq!(find(&grpc, &asked(AOR, "a")).expect("found"), ["10.0.0.1"]);
    wait_for("the route to end", || find(&grpc, &asked(AOR, "a")).err());
    assert!(now_ms() >= registered_on + 600_000, "not before");
    // Of two that were allowed, one has ended.
    add(&grpc, AOR, route("10.0.0.2"), 1).expect("room");
}

#[test]
fn what_callers_send_is_bounded() {
    let role = location();
    let grpc = role.grpc();
    let long = format!("sip:{}@a", "x".repeat(2_000));
    assert_eq!(refused(add(&grpc, &long, route("10.0.0.1"), -1)).0, INVALID_ARGUMENT);
    let large = Route { localnets: vec!["x".repeat(9_000)], ..route("10.0.0.1") };
    assert_eq!(refused(add(&grpc, AOR, large, -1)).0, INVALID_ARGUMENT);
    let nothing =
        trunkline_wire::location::AddRouteRequest { aor: AOR.into(), route: None, max_contacts: -1 };
    assert_eq!(refused(grpc.call::<()>(super::ADD, &nothing)).0, INVALID_ARGUMENT);
    for n in 0..1_000 {
        add(&grpc, AOR, Route { port: n.to_string(), ..route("10.0.0.1") }, -1).expect("added");
    }
    assert_eq!(refused(add(&grpc, AOR, route("10.0.0.2"), -1)).0, 8, "RESOURCE_EXHAUSTED");
    // A Call-ID that is too long to be kept is served all the same.
    let endless = asked(AOR, &"c".repeat(100_000));
    assert_eq!(find(&grpc, &endless).expect("found").len(), 1_000);
    assert!(refused(find(&grpc, &asked(&long.repeat(3), "a"))).1.len() < 2_000);
    // A number of times that no clock reaches.
    add(&grpc, "sip:x@a", Route { registered_on: i64::MAX, ..route("10.0.0.1") }, -1).expect("no route");
    assert_eq!(refused(find(&grpc, &asked("sip:x@a", "a"))).0, NOT_FOUND);
}

#[test]
fn sips_is_refused_where_the_file_says_so() {
    let at = super::free();
    let file = location_file(at, "  acceptSips: false\n");
    let role =
        trunkline_tests::Role::start("location", at, &[("l.yaml", &file)], &[("CONFIG_PATH", "l.yaml")]);
    assert_eq!(refused(add(&role.grpc(), "sips:1@a", route("10.0.0.1"), -1)).0, INVALID_ARGUMENT);
}
