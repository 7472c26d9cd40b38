//! The parties of the probes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::phone::{Phone, QUIET};
use crate::target::{Login, Target};
use crate::wire::Way;

/// The parties of the probes, each with an address of its own.
pub struct Cast {
    pub(crate) target: Target,
    pub(crate) carrier: Phone,
    /// A host that nobody named.
    pub(crate) foreign: Phone,
    /// A program on TCP at that host.
    foreign_tcp: TcpListener,
    next_host: u8,
}

impl Cast {
    /// The address of the carrier.
    pub const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 50));
    /// The networks of the agents' phones.
    pub const PHONES: &str = "127.0.0.16/28";
    const FOREIGN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 60));
    const FIRST_PHONE: u8 = 16;
    const FIRST_STRANGER: u8 = 100;

    pub(crate) fn new(target: Target) -> io::Result<Cast> {
        let nobody = Login { user: "x".into(), password: String::new() };
        let carrier = SocketAddr::new(Cast::CARRIER, target.carrier_port);
        let carrier = Phone::by(Way::Udp, &target, carrier, &nobody)?;
        let foreign = Phone::by(Way::Udp, &target, SocketAddr::new(Cast::FOREIGN, 0), &nobody)?;
        let foreign_tcp = TcpListener::bind(SocketAddr::new(Cast::FOREIGN, 0))?;
        foreign_tcp.set_nonblocking(true)?;
        Ok(Cast { target, carrier, foreign, foreign_tcp, next_host: Cast::FIRST_STRANGER })
    }

    /// A URI at the foreign host over TCP.
    pub(crate) fn foreign_tcp_uri(&self) -> io::Result<String> {
        Ok(format!("sip:x@{};transport=tcp", self.foreign_tcp.local_addr()?))
    }

    /// What reached the carrier or the foreign host, as their first lines.
    pub(crate) fn reached(&mut self) -> Vec<String> {
        let messages = [self.carrier.reached(QUIET), self.foreign.reached(QUIET)].concat();
        let mut all: Vec<_> = messages.into_iter().map(|message| message.first).collect();
        while let Ok((_, from)) = self.foreign_tcp.accept() {
            all.push(format!("a TCP connection from {from}"));
        }
        all
    }

    /// The phone of an agent, not registered. Each agent's is at its own address.
    pub(crate) fn phone(&self, agent: usize) -> io::Result<Phone> {
        let place = agent % self.target.agents.len().max(1);
        let nobody = Login { user: "x".into(), password: String::new() };
        let login = self.target.agents.get(place).unwrap_or(&nobody);
        let host = Cast::FIRST_PHONE + u8::try_from(place).unwrap_or(0) % 15;
        Phone::at(&self.target, SocketAddr::from(([127, 0, 0, host], 0)), login)
    }

    /// A phone of an agent of another domain, not registered.
    pub(crate) fn phone_of(&self, domain: &str, login: &Login) -> io::Result<Phone> {
        let target = Target { domain: domain.to_owned(), ..self.target.clone() };
        Phone::at(&target, SocketAddr::from(([127, 0, 0, Cast::FIRST_PHONE + 14], 0)), login)
    }

    /// The same as `phone`, registered; `None` if the exchange refuses it.
    pub(crate) fn registered(&self, agent: usize) -> io::Result<Option<Phone>> {
        let mut phone = self.phone(agent)?;
        let status = phone.register(600)?;
        Ok((status == Some(200)).then_some(phone))
    }

    /// A stranger at an address from which nothing was sent yet.
    pub(crate) fn stranger(&mut self) -> io::Result<Phone> {
        self.next_host = self.next_host.checked_add(1).unwrap_or(Cast::FIRST_STRANGER);
        let login = Login { user: "stranger".into(), password: String::new() };
        Phone::at(&self.target, SocketAddr::from(([127, 0, 0, self.next_host], 0)), &login)
    }

    /// Between two probes: what still arrives belongs to the last one.
    pub(crate) fn rest(&mut self) {
        for phone in [&mut self.carrier, &mut self.foreign] {
            phone.reached(Duration::from_millis(100));
        }
    }
}
