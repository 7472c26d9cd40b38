//! Links that lose, double, delay and reorder datagrams. Connections keep order and lose nothing but what is under way
//! when they end.

use std::rc::Rc;

use super::World;
use super::faults::Fault;
use super::plan::{LinkPlan, Plan};
use super::queue::Event;
use crate::message::Msg;
use crate::rng::Rng;

/// Nothing goes wrong before: phones are registered by then.
pub const FIRST_FAULT: u64 = 1_000;
/// So many messages of a history are lost or delayed at most: it has to end.
const MOST: u32 = 12;

/// How the links are.
pub struct Links {
    plan: LinkPlan,
    /// How long a message takes, for each phone.
    base: Vec<u64>,
    /// When the last message arrives on a connection: number, towards the exchange, time.
    order: Vec<(u64, bool, u64)>,
    done: u32,
}

impl Links {
    pub fn new(plan: &Plan, rng: &mut Rng) -> Links {
        let base = plan.phones.iter().map(|_| 1 + rng.below(30) as u64).collect();
        Links { plan: plan.links, base, order: Vec::new(), done: 0 }
    }

    /// On a connection: after everything before it.
    fn in_order(&mut self, connection: u64, inward: bool, at: u64) -> u64 {
        match self.order.iter_mut().find(|(c, i, _)| (*c, *i) == (connection, inward)) {
            Some((_, _, last)) => {
                *last = at.max(*last);
                *last
            }
            None => {
                self.order.push((connection, inward, at));
                at
            }
        }
    }
}

impl World<'_> {
    /// When the copies of a message arrive; none where it is lost. With it: what the link did.
    fn transit(
        &mut self,
        phone: usize,
        connection: u64,
        inward: bool,
        message: &Msg,
    ) -> ([Option<u64>; 2], &'static str) {
        let usual = self.now + self.links.base[phone] + self.rng.below(3) as u64;
        if connection != 0 {
            return ([Some(self.links.in_order(connection, inward, usual)), None], "");
        }
        let LinkPlan { lost, doubled, delayed, reordered } = self.links.plan;
        if lost + doubled + delayed + reordered == 0 || self.now < FIRST_FAULT || self.links.done >= MOST {
            return ([Some(usual), None], "");
        }
        let roll = self.rng.below(1000);
        if roll < lost {
            self.links.done += 1;
            self.saw(match (message.is_request(), message.method()) {
                (true, "ACK") => Fault::AckLost,
                (true, _) => Fault::RequestLost,
                (false, _) => Fault::ResponseLost,
            });
            return ([None, None], "LOST");
        }
        if roll < lost + doubled {
            self.saw(Fault::Doubled);
            let again = usual + self.rng.below(400) as u64;
            return ([Some(usual), Some(again)], "DOUBLED");
        }
        if roll < lost + doubled + delayed {
            self.links.done += 1;
            self.saw(Fault::Delayed);
            return ([Some(usual + 500 + self.rng.below(4_500) as u64), None], "DELAYED");
        }
        if roll < lost + doubled + delayed + reordered {
            self.saw(Fault::Reordered);
            return ([Some(usual + 40 + self.rng.below(200) as u64), None], "OVERTAKEN");
        }
        ([Some(usual), None], "")
    }

    /// From a phone to the exchange.
    pub(super) fn send_in(&mut self, phone: usize, connection: u64, message: Rc<Msg>) {
        let (copies, what) = self.transit(phone, connection, true, &message);
        let p = &self.phones[phone];
        let source = if connection == 0 { p.address } else { p.source_of(connection) };
        self.ladder.message(self.now, &p.name, "exchange", what, &message);
        for at in copies.into_iter().flatten() {
            self.queue.put(at, Event::Arrives { source, connection, message: message.clone() });
        }
    }

    /// From the exchange to a phone.
    pub(super) fn send_out(&mut self, phone: usize, connection: u64, message: Rc<Msg>) {
        let (copies, what) = self.transit(phone, connection, false, &message);
        let name = &self.phones[phone].name;
        self.ladder.message(self.now, "exchange", name, what, &message);
        for at in copies.into_iter().flatten() {
            self.queue.put(at, Event::Reaches { phone, connection, message: message.clone() });
        }
    }
}
