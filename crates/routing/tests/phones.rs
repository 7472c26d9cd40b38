//! Phones with several flows (RFC 5626) and calls for one phone of an AOR (RFC 5627).

use crate::common::World;
use trunkline_model::Agent;
use trunkline_reasons::Reason;
use trunkline_routing::Outcome;

const AOR: &str = "sip:1002@sip.local";

fn world() -> World {
    let mut world = World::authenticated();
    world.register_flow(AOR, "sip:a@1.1.1.1", 7);
    world.register_flow(AOR, "sip:b@2.2.2.2", 9);
    world.register_flow(AOR, "sip:a@3.3.3.3", 7);
    world
}

#[test]
fn of_a_phones_flows_one_is_tried_at_a_time() {
    let decision = world().invite("1001@sip.local", "1002@sip.local");
    let seen: Vec<_> =
        decision.decision.targets.as_slice().iter().map(|t| (t.phone, t.alternate, t.group)).collect();
    assert_eq!(seen, [(7, false, 0), (9, false, 0), (7, true, 0)]);
}

#[test]
fn a_flow_of_lower_q_belongs_to_its_phone() {
    let mut world = world();
    world.register(AOR, "sip:c@4.4.4.4", 100);
    for contact in world.bindings.get_mut(AOR).into_iter().flatten().filter(|c| c.uri.contains("3.3.3.3")) {
        contact.q = 500;
    }
    let decision = world.invite("1001@sip.local", "1002@sip.local");
    let seen: Vec<_> =
        decision.decision.targets.as_slice().iter().map(|t| (t.phone, t.alternate, t.group)).collect();
    assert_eq!(seen, [(7, false, 0), (9, false, 0), (7, true, 0), (0, false, 1)]);
}

#[test]
fn a_bulk_contact_gets_the_dialled_user() {
    let mut world = World::authenticated();
    for (registered, wanted) in [
        ("sip:4.4.4.4:5070;transport=tcp;bnc", "sip:1002@4.4.4.4:5070;transport=tcp"),
        ("sip:4.4.4.4;BNC;x=1", "sip:1002@4.4.4.4;x=1"),
        ("sip:4.4.4.4;bncx", "sip:4.4.4.4;bncx"),
        ("sip:a;bnc@4.4.4.4", "sip:a;bnc@4.4.4.4"),
    ] {
        world.bindings.clear();
        world.register(AOR, registered, 1000);
        let short = world.invite("1001@sip.local", "1002@sip.local").short();
        assert_eq!(short, format!("agent-to-agent: {wanted}"), "{registered}");
    }
    // A number that rings a server: its switch sees the number.
    world.register("sip:voice@sip.local", "sip:5.5.5.5;bnc", 1000);
    let short = world.invite("1001@sip.local", "+18095863314@sip.local").short();
    assert_eq!(short, "agent-to-peer: sip:+18095863314@5.5.5.5");
}

#[test]
fn a_gruu_reaches_its_phone_alone() {
    let mut world = world();
    world.gruu = Some("2.2.2.2");
    let decision = world.invite("1001@sip.local", "1002@sip.local");
    assert_eq!(decision.short(), "agent-to-agent: sip:b@2.2.2.2");
}

#[test]
fn a_gruu_goes_to_nobody_else() {
    let mut world = world();
    let mut agent = Agent::clone(world.tables.agent_by_ref("agent-02").expect("the agent"));
    agent.fallback_no_answer = Some("sip:1001@sip.local".into());
    world.tables.put(agent);
    world.register("sip:1001@sip.local", "sip:d@5.5.5.5", 1000);
    // A phone that is away has no stand-in; a user who is not ours is not called through a trunk.
    world.gruu = Some("9.9.9.9");
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "480");
    assert_eq!(
        world.invite("1001@sip.local", "nobody@sip.local").outcome,
        Outcome::reply(Reason::CalleeLostGruu)
    );
    // One we never gave out.
    world.gruu = Some("");
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "404");
    world.gruu = None;
    assert_eq!(
        world.invite("1001@sip.local", "1003@sip.local").short(),
        "agent-to-pstn: sip:1003@sip.provider.net:7060"
    );
}
