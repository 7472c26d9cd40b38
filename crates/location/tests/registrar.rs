//! What a REGISTER does, RFC 3261 §10.3 and RFC 5626 §6.

use trunkline_location::{
    BindingId, ContactChange, Contacts, Location, Outcome, Overflow, Register, RegisterError,
};
use trunkline_sip::{ConnectionId, Flow, Transport};

const NOW: u64 = 1_700_000_000_000;
const AOR: &[u8] = b"sip:1001@sip.local";

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "[2001:db8::7]:5066".parse().unwrap(),
        connection: ConnectionId::NONE,
    }
}

fn on_connection(number: u64, transport: Transport) -> Flow {
    Flow {
        transport,
        connection: ConnectionId(number),
        remote: "198.51.100.9:40000".parse().unwrap(),
        ..flow()
    }
}

fn register(
    location: &Location,
    call: &str,
    cseq: u32,
    contacts: &[ContactChange<'_>],
    now: u64,
) -> Result<Outcome, RegisterError> {
    location.register(&Register::new(AOR, call.as_bytes(), cseq, flow(), contacts), now, |_| {})
}

fn uris(location: &Location, now: u64) -> Vec<String> {
    let mut all = Vec::new();
    location.visit(AOR, now, |b| all.push(String::from_utf8(b.uri.to_vec()).unwrap()));
    all
}

fn change(uri: &str, expires: u32) -> ContactChange<'_> {
    ContactChange::new(uri.as_bytes(), expires)
}

#[test]
fn everything_given_comes_back() {
    let location = Location::new();
    let contacts = [ContactChange {
        uri: b"sip:a@b;x",
        expires: 60,
        q: 500,
        instance: b"<urn:uuid:1>",
        reg_id: 2,
        params: b";methods=\"INVITE\"",
        behind_nat: true,
    }];
    let request = Register {
        path: b"<sip:p;lr>",
        user_agent: b"phone/1",
        labels: b"region=eu;gpu=no",
        ..Register::new(AOR, b"call", 7, flow(), &contacts)
    };
    let outcome = location.register(&request, NOW, |_| {}).unwrap();
    assert_eq!(outcome, Outcome { added: 1, ..Outcome::default() });
    let mut seen = 0;
    location.visit(AOR, NOW + 1, |b| {
        seen += 1;
        assert_eq!((b.uri, b.q, b.instance, b.reg_id), (&b"sip:a@b;x"[..], 500, &b"<urn:uuid:1>"[..], 2));
        assert_eq!(
            (b.path, b.user_agent, b.call_id, b.cseq),
            (&b"<sip:p;lr>"[..], &b"phone/1"[..], &b"call"[..], 7)
        );
        assert_eq!((b.flow, b.behind_nat, b.expires_in(NOW + 1)), (flow(), true, 60));
        assert_eq!(b.params, b";methods=\"INVITE\"");
        assert!(b.has_label(b"region", b"eu") && b.has_label(b"gpu", b"no") && !b.has_label(b"region", b"e"));
    });
    assert_eq!(seen, 1);
    assert_eq!(location.visit(AOR, NOW + 60_000, |_| {}), 0);
    assert_eq!(location.visit(b"sip:other@sip.local", NOW, |_| {}), 0);
}

#[test]
fn q_first_then_the_newest() {
    let location = Location::new();
    let low = ContactChange { q: 100, ..change("sip:low@h", 60) };
    register(&location, "c", 1, &[change("sip:old@h", 60), low, change("sip:new@h", 60)], NOW).unwrap();
    assert_eq!(uris(&location, NOW), ["sip:new@h", "sip:old@h", "sip:low@h"]);
    register(&location, "c", 2, &[change("sip:old@h", 60)], NOW).unwrap();
    assert_eq!(uris(&location, NOW), ["sip:new@h", "sip:old@h", "sip:low@h"]);
    register(&location, "c", 3, &[ContactChange { q: 1000, ..low }], NOW).unwrap();
    assert_eq!(uris(&location, NOW), ["sip:new@h", "sip:low@h", "sip:old@h"]);
}

#[test]
fn refresh_keeps_the_number_whatever_changes_its_length() {
    let location = Location::new();
    let id = |location: &Location| {
        let mut id = BindingId(0);
        location.visit(AOR, NOW, |b| id = b.id);
        id
    };
    register(&location, "call", 1, &[change("sip:a@h", 60)], NOW).unwrap();
    let first = id(&location);
    for (call, cseq) in [("call", 2), ("llac", 1), ("a-longer-call-id", 1)] {
        let outcome = register(&location, call, cseq, &[change("sip:a@h", 60)], NOW).unwrap();
        assert_eq!(outcome, Outcome { refreshed: 1, ..Outcome::default() }, "{call}");
        assert_eq!(id(&location), first);
    }
}

#[test]
fn an_equal_request_changes_nothing_and_an_older_one_is_refused() {
    let location = Location::new();
    register(&location, "c", 5, &[change("sip:a@h", 60)], NOW).unwrap();
    let again = register(&location, "c", 5, &[change("sip:a@h", 60)], NOW + 500).unwrap();
    assert!(again.retransmission);
    location.visit(AOR, NOW + 500, |b| assert_eq!(b.expires_at, NOW + 60_000));
    let refused = |cseq, contacts: &[ContactChange<'_>]| register(&location, "c", cseq, contacts, NOW);
    assert_eq!(refused(4, &[change("sip:a@h", 60)]), Err(RegisterError::OutOfOrder { got: 4, had: 5 }));
    assert_eq!(refused(5, &[change("sip:a@h", 61)]), Err(RegisterError::OutOfOrder { got: 5, had: 5 }));
    assert_eq!(refused(5, &[change("sip:a@h", 0)]), Err(RegisterError::OutOfOrder { got: 5, had: 5 }));
    // All or nothing: the new contact beside the refused one is not added.
    assert!(refused(4, &[change("sip:b@h", 60), change("sip:a@h", 60)]).is_err());
    assert_eq!(uris(&location, NOW), ["sip:a@h"]);
    assert_eq!(location.stats().refused, 4);
    // Another Call-ID starts anew (a phone that was restarted).
    assert_eq!(register(&location, "d", 1, &[change("sip:a@h", 60)], NOW).unwrap().refreshed, 1);
}

#[test]
fn a_late_copy_does_not_bring_a_removed_binding_back() {
    let location = Location::new();
    register(&location, "c", 1, &[change("sip:a@h", 60)], NOW).unwrap();
    let removed = register(&location, "c", 2, &[change("sip:a@h", 0)], NOW).unwrap();
    assert_eq!(removed.removed, 1);
    assert!(register(&location, "c", 2, &[change("sip:a@h", 0)], NOW).unwrap().retransmission);
    assert!(matches!(
        register(&location, "c", 1, &[change("sip:a@h", 60)], NOW),
        Err(RegisterError::OutOfOrder { .. })
    ));
    assert!(uris(&location, NOW).is_empty());
    assert_eq!(register(&location, "c", 3, &[change("sip:a@h", 60)], NOW).unwrap().added, 1);
    assert_eq!(uris(&location, NOW), ["sip:a@h"]);
}

#[test]
fn the_wildcard_removes_all_of_them_in_order() {
    let location = Location::new();
    register(&location, "c", 3, &[change("sip:a@h", 60), change("sip:b@h", 60)], NOW).unwrap();
    let wildcard = |call: &'static [u8], cseq| {
        let request =
            Register { contacts: Contacts::Wildcard, ..Register::new(AOR, call, cseq, flow(), &[]) };
        location.register(&request, NOW, |_| {})
    };
    assert!(wildcard(b"c", 3).is_err());
    assert_eq!(wildcard(b"c", 4).unwrap().removed, 2);
    assert!(wildcard(b"c", 4).unwrap().retransmission);
    assert!(uris(&location, NOW).is_empty());
}

#[test]
fn contact_limit_fails_or_replaces_the_oldest() {
    let location = Location::new();
    let ask = |call: &'static [u8], cseq, uri: &'static str, overflow, now| {
        let contacts = [change(uri, 600)];
        let request =
            Register { max_contacts: Some(2), overflow, ..Register::new(AOR, call, cseq, flow(), &contacts) };
        location.register(&request, now, |_| {})
    };
    ask(b"1", 1, "sip:a@h", Overflow::Fail, NOW).unwrap();
    ask(b"2", 1, "sip:b@h", Overflow::Fail, NOW + 1).unwrap();
    assert_eq!(ask(b"3", 1, "sip:c@h", Overflow::Fail, NOW + 2), Err(RegisterError::TooMany { max: 2 }));
    ask(b"1", 2, "sip:a@h", Overflow::Fail, NOW + 3).unwrap();
    let outcome = ask(b"3", 1, "sip:c@h", Overflow::ReplaceOldest, NOW + 4).unwrap();
    assert_eq!((outcome.added, outcome.removed), (1, 1));
    assert_eq!(uris(&location, NOW + 4), ["sip:c@h", "sip:a@h"]);
    // What has expired takes no room.
    ask(b"4", 1, "sip:d@h", Overflow::Fail, NOW + 700_000).unwrap();
}

#[test]
fn while_nothing_may_be_added_known_bindings_are_refreshed_and_removed() {
    let location = Location::new();
    let ask = |cseq, uri: &'static str, expires, add_nothing| {
        let contacts = [change(uri, expires)];
        let request = Register { add_nothing, ..Register::new(AOR, b"c", cseq, flow(), &contacts) };
        location.register(&request, NOW, |_| {})
    };
    ask(1, "sip:a@h", 600, false).unwrap();
    assert_eq!(ask(2, "sip:b@h", 600, true), Err(RegisterError::Unavailable));
    assert_eq!(uris(&location, NOW), ["sip:a@h"], "nothing is changed then");
    assert_eq!(ask(3, "sip:a@h", 300, true).unwrap().refreshed, 1);
    assert_eq!(ask(4, "sip:a@h", 0, true).unwrap().removed, 1);
    assert_eq!(ask(5, "sip:a@h", 600, true), Err(RegisterError::Unavailable), "what is gone would be added");
}

#[test]
fn an_instance_that_begins_anew_leaves_its_binding_of_the_same_transport_and_family() {
    let location = Location::new();
    let at = |uri, call_id: &'static [u8], flow: Flow, instance: &'static [u8]| {
        let contacts = [ContactChange { instance, ..change(uri, 600) }];
        location.register(&Register::new(AOR, call_id, 1, flow, &contacts), NOW, |_| {}).unwrap();
    };
    let udp = |remote: &str| Flow { remote: remote.parse().unwrap(), ..flow() };
    let (four, six) = (udp("192.0.2.1:5060"), udp("[2001:db8::1]:5060"));
    at("sip:a@192.0.2.1:5060", b"one", four, b"<urn:uuid:1>");
    at("sip:a@[2001:db8::1]:5060", b"one", six, b"<urn:uuid:1>");
    at("sip:a@192.0.2.1:5060;transport=tcp", b"one", on_connection(9, Transport::Tcp), b"<urn:uuid:1>");
    at("sip:b@192.0.2.2:5060", b"one", four, b"<urn:uuid:2>");
    at("sip:c@192.0.2.3:5060", b"one", four, b"");
    assert_eq!(uris(&location, NOW).len(), 5);
    // Another port, another Call-ID: it was switched off and on.
    at("sip:a@192.0.2.1:6060", b"two", udp("192.0.2.1:6060"), b"<urn:uuid:1>");
    let now = uris(&location, NOW);
    assert!(now.len() == 5 && !now.contains(&"sip:a@192.0.2.1:5060".to_owned()), "{now:?}");
    assert!(now.contains(&"sip:a@192.0.2.1:6060".to_owned()), "{now:?}");
    // In one registration it may name several places of its own.
    at("sip:a@192.0.2.1:7070", b"two", udp("192.0.2.1:6060"), b"<urn:uuid:1>");
    assert_eq!(uris(&location, NOW).len(), 6);
    // Nobody takes away what another instance registered.
    at("sip:x@192.0.2.9:5060", b"three", four, b"<urn:uuid:3>");
    assert_eq!(uris(&location, NOW).len(), 7);
}

#[test]
fn an_instance_with_reg_id_replaces_its_own_flow_only() {
    let location = Location::new();
    let with =
        |uri: &'static str, reg_id| ContactChange { instance: b"<urn:uuid:1>", reg_id, ..change(uri, 60) };
    register(&location, "c", 1, &[with("sip:a@1.1.1.1", 1)], NOW).unwrap();
    register(&location, "c", 2, &[with("sip:a@2.2.2.2", 2)], NOW).unwrap();
    let outcome = register(&location, "c", 3, &[with("sip:a@3.3.3.3", 1)], NOW).unwrap();
    assert_eq!(outcome.refreshed, 1);
    assert_eq!(uris(&location, NOW), ["sip:a@2.2.2.2", "sip:a@3.3.3.3"]);
}

#[test]
fn a_lost_connection_takes_what_only_it_could_reach() {
    let location = Location::new();
    let add = |aor: &'static [u8], flow, behind_nat| {
        let contacts = [ContactChange { behind_nat, ..change("sip:x@h", 600) }];
        let request = Register::new(aor, b"c", 1, flow, &contacts);
        location.register(&request, NOW, |_| {}).unwrap();
    };
    add(b"sip:ws@h", on_connection(9, Transport::Ws), false);
    add(b"sip:nat@h", on_connection(9, Transport::Tcp), true);
    add(b"sip:open@h", on_connection(9, Transport::Tcp), false);
    add(b"sip:other@h", on_connection(10, Transport::Ws), false);
    assert_eq!(location.connection_lost(ConnectionId(9), NOW), 2);
    assert_eq!(location.connection_lost(ConnectionId(9), NOW), 0);
    assert_eq!(location.visit(b"sip:ws@h", NOW, |_| {}) + location.visit(b"sip:nat@h", NOW, |_| {}), 0);
    assert_eq!(location.visit(b"sip:open@h", NOW, |b| assert_eq!(b.flow.connection, ConnectionId::NONE)), 1);
    assert_eq!(location.visit(b"sip:other@h", NOW, |b| assert_eq!(b.flow.connection, ConnectionId(10))), 1);
    assert_eq!(location.stats().removed, 2);
}

#[test]
fn sweep_list_kick_and_stats() {
    let location = Location::new();
    for n in 0..1000u32 {
        let aor = format!("sip:{n}@h");
        let contacts = [change("sip:x@h", if n % 2 == 0 { 10 } else { 1000 })];
        let request = Register::new(aor.as_bytes(), b"c", 1, flow(), &contacts);
        location.register(&request, NOW, |_| {}).unwrap();
    }
    let (mut from, mut pages, mut seen) = (Some(0), 0, std::collections::HashSet::new());
    while let Some(at) = from {
        from = location.list(at, 100, NOW, |aor, _| {
            seen.insert(aor.to_vec());
        });
        pages += 1;
    }
    assert_eq!((seen.len(), pages >= 10), (1000, true));
    assert_eq!(location.sweep(NOW + 20_000, usize::MAX), 0);
    assert_eq!(location.sweep(NOW + 60_000, usize::MAX), 500);
    assert_eq!((location.stats().aors, location.stats().bindings, location.stats().expired), (500, 500, 500));
    assert_eq!(location.kick(b"sip:1@h", Some(b"sip:y@h"), NOW), 0);
    assert_eq!(location.kick(b"sip:1@h", Some(b"sip:x@h"), NOW), 1);
    assert_eq!(location.kick(b"sip:3@h", None, NOW), 1);
    assert_eq!((location.stats().bindings, location.stats().removed), (498, 2));
    // Bounded work still comes round.
    let mut expired = 0;
    for _ in 0..400 {
        expired += location.sweep(NOW + 2_000_000, 1);
    }
    assert_eq!((expired, location.stats().aors), (498, 0));
}

#[test]
fn threads_share_it() {
    let location = Location::new();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let location = &location;
            scope.spawn(move || {
                for n in 0..2000u32 {
                    let aor = format!("sip:{}@h", n % 50);
                    let uri = format!("sip:{thread}@h");
                    let contacts = [ContactChange::new(uri.as_bytes(), 60)];
                    let call = format!("call-{thread}");
                    let request = Register::new(aor.as_bytes(), call.as_bytes(), n + 1, flow(), &contacts);
                    location.register(&request, NOW, |_| {}).unwrap();
                }
            });
        }
    });
    assert_eq!(location.stats().bindings, 200);
    assert_eq!(location.visit(b"sip:7@h", NOW, |_| {}), 4);
}

#[test]
fn two_flows_of_a_phone_stay_two_whatever_their_contact() {
    let location = Location::new();
    let flow =
        |reg_id| ContactChange { instance: b"<urn:uuid:1>", reg_id, ..change("sip:a@phone.invalid", 60) };
    register(&location, "one", 1, &[flow(1)], NOW).unwrap();
    register(&location, "two", 1, &[flow(2)], NOW).unwrap();
    assert_eq!(uris(&location, NOW).len(), 2);
    // Each is refreshed by itself, and a phone that says no more than its Contact is a third.
    assert_eq!(register(&location, "two", 2, &[flow(2)], NOW).unwrap().refreshed, 1);
    let other = ContactChange { instance: b"<urn:uuid:2>", reg_id: 1, ..change("sip:a@phone.invalid", 60) };
    assert_eq!(register(&location, "three", 1, &[other], NOW).unwrap().added, 1);
    assert_eq!(uris(&location, NOW).len(), 3);
}

/// Two phones have the same private address behind their NATs.
#[test]
fn phones_on_two_connections_stay_two_while_both_live() {
    let location = Location::new();
    let contact = |expires| ContactChange { behind_nat: true, ..change("sip:a@192.168.1.20:5060", expires) };
    let put = |call: &str, cseq, connection, expires, most| {
        let flow = on_connection(connection, Transport::Tcp);
        let contacts = [contact(expires)];
        let register = Register::new(AOR, call.as_bytes(), cseq, flow, &contacts);
        location.register(&Register { max_contacts: Some(most), ..register }, NOW, |_| {})
    };
    let connections = || {
        let mut all = Vec::new();
        location.visit(AOR, NOW, |b| all.push(b.flow.connection.0));
        all.sort_unstable();
        all
    };
    assert_eq!(put("one", 1, 7, 600, 10).unwrap().added, 1);
    assert_eq!(put("two", 1, 8, 600, 10).unwrap().added, 1);
    assert_eq!(connections(), [7, 8]);
    assert_eq!(put("one", 2, 7, 600, 10).unwrap().refreshed, 1);
    assert_eq!(put("two", 2, 8, 600, 10).unwrap().refreshed, 1);
    // The first connects anew, which its Call-ID shows; the second unregisters.
    assert_eq!(put("one", 3, 9, 600, 10).unwrap().refreshed, 1);
    assert_eq!(connections(), [8, 9]);
    assert_eq!(put("two", 3, 8, 0, 10).unwrap().removed, 1);
    assert_eq!(connections(), [9]);
    // Of a connection that has ended nothing stands in the way of the phone that begins anew, and where there is room for
    // one alone the last one has it.
    location.connection_lost(ConnectionId(9), NOW);
    assert_eq!(put("three", 1, 10, 600, 1).unwrap().added, 1);
    assert_eq!(put("four", 1, 11, 600, 1).unwrap(), Outcome { added: 1, removed: 1, ..Outcome::default() });
    assert_eq!(connections(), [11]);
}

/// Each numbers as many flows as it likes: neither a phone nor many of them fill a record.
#[test]
fn flows_are_bounded_for_a_phone_and_for_an_address_of_record() {
    let location = Location::new();
    for n in 1..=300 {
        let flow =
            ContactChange { instance: b"<urn:uuid:1>", reg_id: n, ..change("sip:a@phone.invalid", 60) };
        register(&location, "one", n, &[flow], NOW + u64::from(n)).unwrap();
    }
    let mut ids = Vec::new();
    location.visit(AOR, NOW + 300, |b| ids.push(b.reg_id));
    ids.sort_unstable();
    assert_eq!(ids, [293, 294, 295, 296, 297, 298, 299, 300], "the latest stay");
    let phones: Vec<String> = (2..60).map(|n| format!("<urn:uuid:{n}>")).collect();
    let added = phones.iter().flat_map(|phone| (1..=8).map(move |reg_id| (phone, reg_id)));
    let results: Vec<_> = added
        .enumerate()
        .map(|(n, (phone, reg_id))| {
            let instance = phone.as_bytes();
            let flow = ContactChange { instance, reg_id, ..change("sip:a@phone.invalid", 60) };
            register(&location, &format!("c{n}"), 1, &[flow], NOW + 400)
        })
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 200 - 8);
    assert!(results.iter().skip(192).all(|result| matches!(result, Err(RegisterError::TooMany { .. }))));
    assert_eq!(uris(&location, NOW + 400).len(), 200);
}

#[test]
fn the_order_of_parameters_makes_no_other_binding() {
    let location = Location::new();
    register(&location, "c", 1, &[change("sip:a@h;transport=tcp;line=1", 60)], NOW).unwrap();
    let outcome = register(&location, "c", 2, &[change("sip:a@h;line=1;transport=TCP", 60)], NOW).unwrap();
    assert_eq!((outcome.added, outcome.refreshed), (0, 1));
    assert_eq!(uris(&location, NOW), ["sip:a@h;line=1;transport=TCP"]);
}

#[test]
fn flows_of_one_phone_count_once() {
    let location = Location::new();
    let contact = |instance: &'static [u8], reg_id| ContactChange {
        instance,
        reg_id,
        ..change("sip:a@phone.invalid", 60)
    };
    let put = |contact: ContactChange<'_>, call: &'static str| {
        let contacts = [contact];
        let request =
            Register { max_contacts: Some(1), ..Register::new(AOR, call.as_bytes(), 1, flow(), &contacts) };
        location.register(&request, NOW, |_| {})
    };
    put(contact(b"<1>", 1), "a").unwrap();
    put(contact(b"<1>", 2), "b").unwrap();
    assert!(matches!(put(contact(b"<2>", 1), "c"), Err(RegisterError::TooMany { max: 1 })));
}

/// What a phone says of itself fills no record, whose every change is written whole.
#[test]
fn a_record_has_a_length() {
    let location = Location::new();
    let long = "x".repeat(50_000);
    let add = |n: u32| {
        let uri = format!("sip:{long}@h{n}");
        register(&location, &format!("c{n}"), 1, &[change(&uri, 60)], NOW)
    };
    assert!(add(1).is_ok() && add(2).is_ok());
    assert!(matches!(add(3), Err(RegisterError::Unstorable)));
    let first = format!("sip:{long}@h1");
    register(&location, "c1", 2, &[change(&first, 0)], NOW + 1).unwrap();
    assert_eq!(uris(&location, NOW + 1).len(), 1);
}

/// A phone that has moved is nowhere else: its NAT gives the old port to another one.
#[test]
fn where_a_phone_was_is_free() {
    let location = Location::new();
    let at = |host: &str| Flow { remote: host.parse().unwrap(), ..flow() };
    let contacts = [ContactChange { behind_nat: true, ..change("sip:a@10.0.0.1", 60) }];
    let refresh = |cseq: u32, host: &str| {
        let register = Register::new(AOR, b"one", cseq, at(host), &contacts);
        let register = Register { registrant: 7, shown: true, proven: true, ..register };
        location.register(&register, NOW + u64::from(cseq), |_| {}).unwrap();
    };
    location.sweep(NOW, 1);
    let is_anothers = |host: &str| location.is_anothers_flow(host.parse().unwrap(), 8);
    for n in 1..100 {
        refresh(n, &format!("198.51.100.7:{}", 1000 + n));
        assert!(is_anothers(&format!("198.51.100.7:{}", 1000 + n)), "{n}");
        assert!(!is_anothers(&format!("198.51.100.7:{}", 999 + n)), "{n}");
    }
    assert_eq!(location.kick(AOR, None, NOW + 100), 1);
    assert!(!is_anothers("198.51.100.7:1099"), "an operator has ended it");
}
