//! Calls that somebody else takes.

use crate::common::{World, request};
use trunkline_model::{Agent, Authenticate, Domain, Peer, Ref};
use trunkline_routing::{Diversion, PartyName, RoutedKind};

/// Agent 1002 has no phone and a mailbox on a peer.
fn world() -> World {
    let mut world = World::authenticated();
    let mut agent = Agent::clone(world.tables.agent_by_ref("agent-02").unwrap());
    agent.fallback_no_answer = Some("sip:voicemail@sip.local".into());
    agent.fallback_busy = Some("sip:1001@sip.local".into());
    world.tables.put(agent);
    let mut peer = Peer::new("peer-05", "mailbox", Some("sip:voicemail@sip.local"));
    peer.contact_addr = Some("10.0.0.90".into());
    world.tables.put(peer);
    world.register("sip:1001@sip.local", "sip:1001@10.0.0.51:5060", 1000);
    world
}

#[test]
fn without_a_phone_the_mailbox_answers() {
    let got = world().invite("1001@sip.local", "1002@sip.local");
    assert_eq!(got.short(), "agent-to-peer: sip:voicemail@10.0.0.90", "{:#?}", got.words);
    assert_eq!(got.header("Diversion"), ["<sip:1002@sip.local>;reason=unavailable;counter=1"]);
    assert_eq!(
        got.header("History-Info"),
        ["<sip:1002@sip.local?Reason=SIP%3Bcause%3D480>;index=1, <sip:voicemail@sip.local>;index=1.1;mp=1"]
    );
}

#[test]
fn agents_that_divert_to_each_other_end_in_480() {
    let mut world = world();
    world.bindings.clear();
    for (reference, to) in [("agent-01", "sip:1002@sip.local"), ("agent-02", "sip:1001@sip.local")] {
        let mut agent = Agent::clone(world.tables.agent_by_ref(reference).unwrap());
        agent.fallback_no_answer = Some(to.into());
        world.tables.put(agent);
    }
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "480");
}

#[test]
fn a_call_the_callee_did_not_take() {
    let mut world = world();
    let agent = PartyName { kind: RoutedKind::Agent, reference: Some(Ref::new("agent-02")) };
    let busy = Diversion {
        from: "sip:1002@sip.local",
        to: "sip:1001@sip.local",
        cause: 486,
        caller: &agent,
        proven: true,
        account: None,
        by_phone: false,
    };
    // It was admitted once: nobody asks for a digest or looks at lists again.
    world.verdicts.clear();
    let text =
        request("INVITE", "1002@sip.local", "1002@sip.local", "Diversion: <sip:0@x>;reason=unknown\r\n");
    let got = world.ask_diverted(&text, Some(busy));
    assert_eq!(got.short(), "agent-to-agent: sip:1001@10.0.0.51:5060", "{:#?}", got.words);
    assert_eq!(
        got.header("Diversion"),
        ["<sip:1002@sip.local>;reason=user-busy;counter=1", "<sip:0@x>;reason=unknown"],
        "the last on top"
    );
    let text = request("INVITE", "+1785@c.example", "+18295863314@trunk02.acme.com", "");
    let carrier = PartyName { kind: RoutedKind::Pstn, reference: Some(Ref::new("trunk-02")) };
    let from_carrier = |to| Diversion { to, cause: 408, caller: &carrier, ..busy };
    let got = world.ask_diverted(&text, Some(from_carrier("sip:voicemail@sip.local")));
    assert_eq!(got.short(), "from-pstn: sip:voicemail@10.0.0.90");
    assert_eq!(got.header("Diversion"), ["<sip:1002@sip.local>;reason=no-answer;counter=1"]);
    let gone = from_carrier("sip:nobody@sip.local");
    assert_eq!(world.ask_diverted(&text, Some(gone)).short(), "480");
}

/// What From and Request-URI say when a call goes on does not make its caller somebody else.
#[test]
fn a_call_that_goes_on_is_the_callers_that_it_was() {
    let name = |kind, reference: &str| PartyName { kind, reference: Some(Ref::new(reference)) };
    fn going_on(caller: &PartyName) -> Diversion<'_> {
        let (from, to) = ("sip:1002@sip.local", "sip:1001@sip.local");
        Diversion { from, to, cause: 302, caller, account: None, proven: false, by_phone: true }
    }
    for authenticate in [Authenticate::All, Authenticate::Never] {
        let mut world = world();
        let mut domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
        domain.authenticate = authenticate;
        world.tables.put(domain);
        world.verdicts.clear();
        // From names an agent, To and Request-URI are of its domain; it is the carrier's call all the same.
        let text = request("INVITE", "1002@sip.local", "1001@sip.local", "");
        let carrier = name(RoutedKind::Pstn, "trunk-02");
        let got = world.ask_diverted(&text, Some(going_on(&carrier)));
        assert_eq!(got.short(), "from-pstn: sip:1001@10.0.0.51:5060", "{authenticate:?}");
        for other in
            [name(RoutedKind::Agent, "agent-01"), name(RoutedKind::Peer, "agent-02"), PartyName::default()]
        {
            let got = world.ask_diverted(&text, Some(going_on(&other)));
            assert_eq!(got.short(), "403", "{authenticate:?} {other:?}");
        }
    }
}
