//! Whatever is asked and answered, a route ends and never panics.

use crate::common::{World, register, request};
use std::cell::RefCell;

use trunkline_routing::{
    Answer, Ask, Binding, BindingsQuestion, Decision, NoAnswer, Question, Request, Verdict, decide,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport};

/// xorshift64*: the same rounds each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// Answers now and then as it likes.
struct Liar<'w> {
    world: &'w World,
    random: RefCell<Random>,
    steps: RefCell<usize>,
}

impl<'w> Ask<'w> for Liar<'w> {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'w>, NoAnswer> {
        let world: &'w World = self.world;
        let tables = &world.tables;
        *self.steps.borrow_mut() += 1;
        let mut random = self.random.borrow_mut();
        Ok(match random.below(40) {
            0 => return Err(NoAnswer::Unavailable),
            1 => Answer::Yes(true),
            2 => Answer::Down(random.0),
            3 => Answer::Verdict(Verdict::Accepted),
            4 => Answer::Agent(tables.agents().next().map(|a| &**a)),
            5 => Answer::Peer(tables.peers().nth(1).map(|p| &**p)),
            6 => Answer::Number(tables.numbers().nth(2).map(|n| &**n)),
            7 => Answer::Domain(None),
            8 => Answer::Trunk(tables.trunks().nth(1).map(|t| &**t)),
            9 => Answer::Acl(None),
            10 => Answer::Credentials(None),
            _ => return world.answer(question),
        })
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        *self.steps.borrow_mut() += 1;
        match self.random.borrow_mut().below(40) {
            0 => Err(NoAnswer::Unavailable),
            1 => Ok(()),
            _ => self.world.bindings(question, found),
        }
    }
}

#[test]
fn random_answers_never_lead_astray() {
    let mut world = World::authenticated();
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.50:5066", 1000);
    world.options.enforce_e164 = true;
    world.options.third_party_registration = true;
    let who = [
        "1001@sip.local",
        "1002@192.0.2.1",
        "+17066041487@sip.local",
        "tel:+17066041487",
        "asterisk@x.example",
        "conference@sip.local",
        "+18295863314@trunk02.acme.com",
        "nobody@sip.local",
        "sip:sip.local",
        "urn:service:sos",
        "%00%ff@sip.local",
        "\"@sip.local",
        "17853178070@[2001:db8::1]",
        "sips:1002@sip.local",
    ];
    let own = World::own_address;
    let flow = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: world.source,
        connection: ConnectionId::NONE,
    };
    let mut random = Random(42);
    let liar = Liar { world: &world, random: RefCell::new(Random(43)), steps: RefCell::new(0) };
    let mut decision = Decision::default();
    let mut index = Index::default();
    let (mut routes, mut longest) = (0, 0);
    for _ in 0..20_000 {
        let mut pick = || who[random.below(who.len())];
        let (from, to) = (pick(), pick());
        let text = match random.below(4) {
            0 => register("sip.local", from.trim_start_matches("sip:"), to.trim_start_matches("sip:")),
            1 => request("MESSAGE", from, to, "X-DOD-Number: +18095863314\r\nX-Edgeport-Ref: e\r\n"),
            2 => request("INVITE", from, to, "X-DOD-Number: +18095863314\r\nPrivacy: id;user\r\n"),
            _ => {
                request("INVITE", from, to, "Authorization: Digest\r\nProxy-Authorization: Digest realm\r\n")
            }
        };
        if index.parse(text.as_bytes(), &Limits::default()).is_err() {
            continue;
        }
        let message = Message::new(text.as_bytes(), &index);
        let Ok(request) = Request::new(message, flow, &world.options, &own, random.0) else { continue };
        *liar.steps.borrow_mut() = 0;
        decide(&request, &liar, &mut decision).expect("every question has some answer");
        let steps = *liar.steps.borrow();
        assert!(steps < 64, "{text}");
        longest = longest.max(steps);
        routes += 1;
    }
    assert!(routes > 10_000, "only {routes} of the requests could be read");
    println!("{routes} routes, the longest of {longest} steps");
}

#[test]
fn a_route_may_be_carried_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Request<'_>>();
    is_send::<Decision>();
}
