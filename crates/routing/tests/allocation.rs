//! Once its memory has grown, a decision is filled without allocating.
#![allow(unsafe_code)]

mod common;
mod counting;

use common::{World, request};
use counting::allocations;
use trunkline_routing::{Decision, Outcome, Request, decide};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Splices, Transport};

/// How often the hundredth request of its kind allocates, from its index to its splices.
fn of_the_hundredth(world: &World, text: &str) -> u64 {
    let mut index = Index::default();
    let mut decision = Decision::default();
    let mut splices = Splices::default();
    let flow = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: world.source,
        connection: ConnectionId::NONE,
    };
    let mut seen = 0;
    for _ in 0..100 {
        let before = allocations();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let message = Message::new(text.as_bytes(), &index);
        let own = World::own_address;
        let request = Request::new(message, flow, &world.options, &own, 7).unwrap();
        decide(&request, &world, &mut decision).unwrap();
        splices.clear();
        decision.apply(&mut splices, message.body_span().start - 2);
        seen = allocations() - before;
    }
    assert!(
        matches!(decision.outcome, Outcome::Forward | Outcome::Register { .. } | Outcome::Challenge { .. }),
        "{:?}",
        decision.outcome
    );
    seen
}

#[test]
fn a_steady_router_allocates_nothing() {
    let mut world = World::authenticated();
    world.register("sip:1001@sip.local", "sip:1001@10.0.0.51:5060", 1000);
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.50:5066", 1000);
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.51:5066", 500);
    world.register("sip:conference@sip.local", "sip:asterisk@10.0.0.60:5060", 1000);
    let digest =
        "Authorization: Digest username=\"1001\", realm=\"sip.local\", nonce=\"n\", response=\"r\"\r\n";
    let from = "1001@sip.local";
    for (what, text) in [
        ("agent to agent", request("INVITE", from, "1002@sip.local", digest)),
        ("a message", request("MESSAGE", from, "1002@sip.local", digest)),
        ("agent to peer", request("INVITE", from, "conference@sip.local", digest)),
        ("out through a trunk", request("INVITE", from, "17853178070@sip.local", digest)),
        ("in through a trunk", request("INVITE", "+1785@c.example", "+18295863314@trunk02.acme.com", "")),
        ("a registration", common::register("sip.local", from, from)),
        ("a challenge", request("INVITE", "nobody@sip.local", "1002@sip.local", "")),
    ] {
        assert_eq!(of_the_hundredth(&world, &text), 0, "{what}");
    }
}
