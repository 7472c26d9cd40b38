//! What a decision costs, in nanoseconds: `cargo bench -p trunkline-routing`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use common::{World, request};
use trunkline_routing::{
    Answer, Ask, Binding, BindingsQuestion, Decision, NoAnswer, Question, Request, Verdict, decide,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport};

fn main() {
    let mut world = World::authenticated();
    for n in 2000..12_000 {
        let mut agent = trunkline_model::Agent::new(
            format!("agent-{n}"),
            n.to_string(),
            Some(trunkline_model::Ref::new("domain-01")),
        );
        agent.credentials = Some(trunkline_model::Ref::new("credentials-01"));
        world.tables.put(agent);
    }
    let mut open = trunkline_model::Domain::new("domain-02", "open.example");
    open.authenticate = trunkline_model::Authenticate::Never;
    world.tables.put(open);
    for user in ["3001", "3002"] {
        world.tables.put(trunkline_model::Agent::new(
            format!("open-{user}"),
            user,
            Some(trunkline_model::Ref::new("domain-02")),
        ));
    }
    for (what, text) in [
        ("agent to agent, open domain", request("INVITE", "3001@open.example", "3002@open.example", "")),
        ("agent to agent, list and digest", request("INVITE", "2001@sip.local", "7002@sip.local", "")),
        ("agent to trunk", request("INVITE", "2001@sip.local", "17853178070@sip.local", "")),
        ("trunk to agent", request("INVITE", "+1785@c.example", "+18295863314@trunk02.acme.com", "")),
        ("register", common::register("sip.local", "2001@sip.local", "2001@sip.local")),
    ] {
        measure(&world, what, &text);
    }
}

/// Location and digest are not measured here.
struct Quick<'w>(&'w World);

impl<'w> Ask<'w> for Quick<'w> {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'w>, NoAnswer> {
        match question {
            Question::Authenticate { .. } => Ok(Answer::Verdict(Verdict::Accepted)),
            _ => self.0.answer(question),
        }
    }

    fn bindings(&self, _: &BindingsQuestion<'_>, found: &mut dyn FnMut(Binding<'_>)) -> Result<(), NoAnswer> {
        found(Binding::new(b"sip:1002@10.0.0.50:5066", 1));
        Ok(())
    }
}

fn measure(world: &World, what: &str, text: &str) {
    let mut index = Index::default();
    index.parse(text.as_bytes(), &Limits::default()).expect("a request");
    let message = Message::new(text.as_bytes(), &index);
    // Whoever holds the message has read its Request-URI already.
    let uri = message.uri().expect("a URI");
    let own = World::own_address;
    let flow = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().expect("an address"),
        remote: world.source,
        connection: ConnectionId::NONE,
    };
    let mut decision = Decision::default();
    let mut best = f64::MAX;
    const ROUND: u32 = 20_000;
    for _ in 0..30 {
        let start = Instant::now();
        for _ in 0..ROUND {
            let request = Request::with_uri(message, uri, flow, &world.options, &own, 7).expect("readable");
            decide(&request, &Quick(world), &mut decision).expect("every answer");
            black_box(&decision);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(ROUND));
    }
    println!("{what:<34} {best:>7.0} ns  {:?}", decision.outcome);
}
