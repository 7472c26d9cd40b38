//! The world around the exchange: its clock, its parties, its links. It speaks SIP as text and knows nothing of the
//! exchange but [`Proxy`].

mod client;
mod compose;
mod deeds;
mod dialog;
mod draw;
mod faults;
mod link;
mod phone;
mod plan;
mod queue;
mod server;
mod setup;

use std::net::SocketAddr;
use std::rc::Rc;

pub use faults::{Fault, Faults, Table};
use phone::Phone;
pub use setup::{Account, Setup};

use crate::invariants::Judge;
use crate::ladder::Ladder;
use crate::message::Msg;
use crate::rng::Rng;
pub use plan::Less;
use plan::{LinkPlan, Plan};
use queue::{Event, Queue};

/// RFC 3261 §17, table 4.
pub const T1: u64 = 500;
/// RFC 3261 §17, table 4.
pub const T2: u64 = 4_000;
/// RFC 3261 §17, table 4.
pub const T4: u64 = 5_000;

/// A message that the exchange sent.
#[derive(Debug)]
pub struct Departure {
    /// To whom.
    pub to: SocketAddr,
    /// Over which connection; 0 for a datagram.
    pub connection: u64,
    /// The exchange opens that connection for it.
    pub opened: bool,
    /// The message.
    pub text: String,
}

/// What the world needs of an exchange. Times are milliseconds since the history began.
pub trait Proxy {
    /// A message arrives.
    fn message(&mut self, now: u64, source: SocketAddr, connection: u64, text: &str);
    /// Somebody opens a connection: its number.
    fn accept(&mut self, remote: SocketAddr) -> u64;
    /// A connection ended, or nobody took it.
    fn closed(&mut self, now: u64, connection: u64, refused: bool);
    /// Time has passed.
    fn timer(&mut self, now: u64);
    /// How long until [`Proxy::timer`] is needed, at most `most`.
    fn nap(&self, now: u64, most: u64) -> u64;
    /// Takes what was sent.
    fn departures(&mut self, into: &mut Vec<Departure>);
    /// How many transactions it keeps.
    fn kept(&self) -> usize;
    /// It ends and begins again, with the same secret and the same bindings.
    fn restart(&mut self);
}

/// The exchange looks at its timers at least this often.
const LONGEST_NAP: u64 = 60_000;
/// No history lasts longer.
const END: u64 = 3_600_000;

/// Everything there is.
pub struct World<'e> {
    /// Milliseconds since the beginning.
    pub now: u64,
    /// What went over the links.
    pub ladder: Ladder,
    /// What happened.
    pub seen: Faults,
    /// Looks at what the exchange does.
    pub judge: Judge<'e>,
    /// Messages that reached the exchange or left it.
    pub messages: u64,
    setup: &'e Setup,
    exchange: &'e mut dyn Proxy,
    wake: u64,
    queue: Queue,
    rng: Rng,
    phones: Vec<Phone>,
    plan: Plan,
    links: link::Links,
    /// Branches and tags.
    serial: u32,
    less: Less,
    out: Vec<Departure>,
    /// Connections that the exchange has.
    open: Vec<u64>,
}

impl<'e> World<'e> {
    /// The history of this number. Nothing has happened yet.
    pub fn new(setup: &'e Setup, exchange: &'e mut dyn Proxy, seed: u64, less: Less) -> World<'e> {
        let mut rng = Rng::new(seed);
        let mut plan = draw::plan(&mut rng, setup);
        if less.links {
            plan.links = LinkPlan::default();
        }
        let phones = plan.phones.iter().map(Phone::new).collect();
        let mut world = World {
            now: 0,
            ladder: Ladder::default(),
            seen: Faults::default(),
            judge: Judge::new(setup),
            messages: 0,
            setup,
            exchange,
            wake: 0,
            queue: Queue::default(),
            links: link::Links::new(&plan, &mut rng),
            rng,
            phones,
            plan,
            serial: 0,
            less,
            out: Vec::new(),
            open: Vec::new(),
        };
        world.begin();
        world
    }

    /// Plays to the end, or until a rule is broken.
    pub fn play(&mut self) -> Result<(), String> {
        loop {
            let next = self.queue.next_at();
            if next.is_none() && self.exchange.kept() == 0 {
                self.judge.ended(self.now);
                break;
            }
            if self.now > END {
                self.judge.endless(self.now, self.exchange.kept());
                break;
            }
            match next {
                Some(at) if at <= self.wake => {
                    self.now = at;
                    if let Some(event) = self.queue.pop() {
                        self.happen(event);
                    }
                }
                _ => {
                    self.now = self.wake;
                    self.exchange.timer(self.now);
                    self.after_step();
                }
            }
            if self.judge.broken.is_some() {
                break;
            }
        }
        self.judge.broken.take().map_or(Ok(()), Err)
    }

    fn happen(&mut self, event: Event) {
        match event {
            // What is under way on a connection ends with it.
            Event::Arrives { connection, .. } if connection != 0 && !self.open.contains(&connection) => {}
            Event::Arrives { source, connection, message } => {
                self.messages += 1;
                let name = self.name_at(source, connection);
                self.ladder.message(self.now, &name, "exchange", "arrives", &message);
                self.judge.arrives(self.now, source, connection, &message);
                self.exchange.message(self.now, source, connection, &message.text);
                self.after_step();
            }
            Event::Closed { connection, .. } if !self.open.contains(&connection) => {}
            Event::Closed { connection, refused } => {
                self.open.retain(|open| *open != connection);
                self.ladder
                    .note(self.now, || format!("the exchange hears that connection {connection} ended"));
                self.judge.closed(self.now, connection);
                self.exchange.closed(self.now, connection, refused);
                self.after_step();
            }
            Event::Reaches { phone, connection, message } => self.reaches(phone, connection, &message),
            Event::Timer { phone, life, timer } => {
                if self.phones[phone].life == life {
                    self.on_timer(phone, timer);
                }
            }
            Event::Do(deed) => self.carry_out(deed),
        }
    }

    /// Takes what the exchange sent, and asks when it wants to be looked at again.
    fn after_step(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        self.exchange.departures(&mut out);
        for departure in out.drain(..) {
            self.messages += 1;
            let Some(message) = Msg::read(departure.text) else {
                self.judge.breach(self.now, "0: what the exchange sends is no message");
                continue;
            };
            let to = self.phone_at(departure.to, departure.connection);
            self.judge.sent(self.now, (departure.to, departure.connection), &message);
            if departure.opened {
                self.opened(to, departure.connection);
            }
            match to {
                Some(phone) => self.send_out(phone, departure.connection, message),
                None => {
                    self.ladder.message(self.now, "exchange", &departure.to.to_string(), "nobody", &message)
                }
            }
        }
        self.out = out;
        self.judge.settled(self.now, self.exchange.kept());
        self.wake = self.now + self.exchange.nap(self.now, LONGEST_NAP).max(1);
    }

    fn name_at(&self, source: SocketAddr, connection: u64) -> String {
        let phone = self.phone_at(source, connection);
        phone.map_or_else(|| source.to_string(), |phone| self.phones[phone].name.clone())
    }

    fn phone_at(&self, address: SocketAddr, connection: u64) -> Option<usize> {
        let own = |p: &Phone| p.address == address || connection != 0 && p.connections.contains(&connection);
        let same_host = |p: &Phone| connection != 0 && p.address.ip() == address.ip();
        self.phones.iter().position(own).or_else(|| self.phones.iter().position(same_host))
    }

    /// The exchange opens a connection.
    fn opened(&mut self, to: Option<usize>, connection: u64) {
        self.open.push(connection);
        let refuses = to.is_none_or(|phone| !self.phones[phone].listens);
        if refuses {
            self.saw(Fault::ConnectionRefused);
            let at = self.now + self.rng.below(60) as u64 + 1;
            self.queue.put(at, Event::Closed { connection, refused: true });
        } else if let Some(phone) = to {
            self.phones[phone].connections.push(connection);
        }
    }

    fn saw(&mut self, fault: Fault) {
        self.seen.add(fault);
    }

    fn serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    /// A message is here, if whoever it is for still is.
    fn reaches(&mut self, phone: usize, connection: u64, message: &Rc<Msg>) {
        let p = &self.phones[phone];
        if connection != 0 && !p.connections.contains(&connection) {
            return;
        }
        let name = p.name.clone();
        self.ladder.message(self.now, "exchange", &name, "reaches", message);
        if self.phones[phone].dead {
            return;
        }
        match message.is_request() {
            true => self.on_request(phone, connection, message),
            false => self.on_response(phone, message),
        }
    }
}
