//! A phone, a carrier's host or a server: what it is and what it knows.

use std::net::SocketAddr;
use std::rc::Rc;

use super::World;
use super::client::Client;
use super::dialog::Dialog;
use super::plan::PhonePlan;
use super::queue::{Event, Timer};
use super::server::Server;
use crate::message::Msg;

/// A user agent.
pub struct Phone {
    /// How the ladder calls it.
    pub name: String,
    /// The user of its account.
    pub user: String,
    /// Its address.
    pub address: SocketAddr,
    /// It takes connections.
    pub listens: bool,
    /// Its connections that are open, oldest first.
    pub connections: Vec<u64>,
    /// Nobody is there.
    pub dead: bool,
    /// How often it began anew.
    pub life: u32,
    pub(super) stream: bool,
    pub(super) challenges: bool,
    pub(super) place: usize,
    pub(super) registers: Option<u16>,
    pub(super) flows: u8,
    /// The number of its last REGISTER.
    pub(super) register_cseq: u32,
    pub(super) clients: Vec<Client>,
    pub(super) servers: Vec<Server>,
    pub(super) dialogs: Vec<Dialog>,
}

impl Phone {
    pub(super) fn new(plan: &PhonePlan) -> Phone {
        Phone {
            name: plan.name.clone(),
            user: plan.user.clone(),
            address: plan.address,
            listens: plan.listens,
            connections: Vec::new(),
            dead: plan.dead,
            life: 0,
            stream: plan.stream,
            challenges: plan.challenges,
            place: plan.place,
            registers: plan.registers,
            flows: plan.flows,
            register_cseq: 0,
            clients: Vec::new(),
            servers: Vec::new(),
            dialogs: Vec::new(),
        }
    }

    /// The port a connection of its own comes from; those the exchange opened end at its address.
    pub(super) fn source_of(&self, connection: u64) -> SocketAddr {
        if connection >> 47 & 1 == 1 {
            return self.address;
        }
        SocketAddr::new(self.address.ip(), 40_000 + (connection % 20_000) as u16)
    }

    /// Its Contact, in angle brackets.
    pub(super) fn contact(&self) -> String {
        let transport = if self.stream { ";transport=tcp" } else { "" };
        let user = if self.user.is_empty() { "gateway" } else { &self.user };
        format!("<sip:{user}@{}{transport}>", self.address)
    }
}

impl World<'_> {
    /// Over which connection a phone sends requests: one that is open, or a new one; 0 over UDP.
    pub(super) fn way_out(&mut self, phone: usize) -> u64 {
        let p = &self.phones[phone];
        if !p.stream {
            return 0;
        }
        match p.connections.first() {
            Some(open) => *open,
            None => self.connect(phone),
        }
    }

    /// A phone opens a connection.
    pub(super) fn connect(&mut self, phone: usize) -> u64 {
        let ip = self.phones[phone].address.ip();
        let port = 40_000 + (self.serial() % 20_000) as u16;
        let connection = self.exchange.accept(SocketAddr::new(ip, port));
        self.open.push(connection);
        self.phones[phone].connections.push(connection);
        connection
    }

    /// Sends a response the way its request came.
    pub(super) fn respond(&mut self, phone: usize, connection: u64, message: Rc<Msg>) {
        if connection == 0 || self.phones[phone].connections.contains(&connection) {
            self.send_in(phone, connection, message);
        }
    }

    pub(super) fn after(&mut self, phone: usize, ms: u64, timer: Timer) {
        let life = self.phones[phone].life;
        self.queue.put(self.now + ms, Event::Timer { phone, life, timer });
    }

    pub(super) fn on_timer(&mut self, phone: usize, timer: Timer) {
        match timer {
            Timer::Request(n) => self.request_again(phone, n),
            Timer::NoAnswer(n) => self.no_answer(phone, n),
            Timer::ClientEnds(n) => self.client_ends(phone, n),
            Timer::Response(n) => self.response_again(phone, n),
            Timer::NoAck(n) => self.no_ack(phone, n),
            Timer::Answer(n, step) => self.answer(phone, n, step),
        }
    }
}
