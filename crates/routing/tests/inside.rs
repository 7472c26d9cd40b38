//! Targets that lead back to us: routed again for who called, and for nobody else.

use crate::common::{World, request};
use trunkline_model::Ref;
use trunkline_routing::Inside;

/// 1002 has a phone; nobody who is asked for a digest has one.
fn world() -> World {
    let mut world = World::authenticated();
    world.verdicts.clear();
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.52:5060", 1000);
    world
}

#[test]
fn who_was_admitted_is_admitted_again() {
    let world = world();
    let (agent, other) = (Ref::new("agent-01"), Ref::new("agent-02"));
    let text = request("INVITE", "1001@sip.local", "1002@sip.local", "");
    let by = |caller| Inside { caller: Some(caller), ..Inside::default() };
    assert_eq!(world.ask(&text).short(), "challenge 401 sip.local");
    assert_eq!(world.ask_inside(&text, by(&agent)).short(), "agent-to-agent: sip:1002@10.0.0.52:5060");
    assert_eq!(world.ask_inside(&text, by(&other)).short(), "challenge 401 sip.local", "From says another");
    assert_eq!(world.ask_inside(&text, Inside::default()).short(), "challenge 401 sip.local");
    let stranger = request("INVITE", "1900@elsewhere.test", "1002@sip.local", "");
    assert_eq!(world.ask_inside(&stranger, by(&agent)).short(), "challenge 401 sip.local");
}

#[test]
fn it_leaves_where_the_operator_says_so_alone() {
    let world = world();
    let agent = Ref::new("agent-01");
    let text = request("INVITE", "1001@sip.local", "+19995550123@sip.local", "");
    let by = |may_leave| Inside { caller: Some(&agent), may_leave, ..Inside::default() };
    assert_eq!(world.ask_inside(&text, by(false)).short(), "404");
    let got = world.ask_inside(&text, by(true)).short();
    assert_eq!(got, "agent-to-pstn: sip:+19995550123@sip.provider.net:7060");
}

#[test]
fn a_call_from_a_trunk_reaches_phones_and_no_trunk() {
    let world = world();
    let trunk = Ref::new("trunk-01");
    let by = Inside { trunk: Some(&trunk), ..Inside::default() };
    // Whatever From says: the carrier was asked already, and is not asked whom it speaks for.
    for from in ["+1785@carrier.test", "1001@sip.local", "asterisk@sip.local"] {
        let ask = |to: &str, by| world.ask_inside(&request("INVITE", from, to, ""), by).short();
        assert_eq!(ask("1002@sip.local", by), "from-pstn: sip:1002@10.0.0.52:5060", "{from}");
        assert_eq!(ask("+19995550123@sip.local", by), "404", "{from}");
        assert_eq!(ask("+19995550123@sip.local", Inside { may_leave: true, ..by }), "404", "{from}");
    }
    let gone = Ref::new("trunk-99");
    let by = Inside { trunk: Some(&gone), ..Inside::default() };
    assert_eq!(world.ask_inside(&request("INVITE", "1@x.test", "1002@sip.local", ""), by).short(), "404");
}
