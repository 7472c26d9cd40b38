//! Where a party is reached that names an address which leads nobody to it. NAT is judged here alone, one way, for each
//! Contact by itself: those of a REGISTER, a caller's and a callee's.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::{Transport, Uri, Via, is_private};

use crate::address::Addresses;
use crate::inbound::{Inbound, sender_is_translated};

/// How a message of the party came, as far as NAT is concerned.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) transport: Transport,
    pub(crate) from: SocketAddr,
    /// The exchange opened the connection, so that the party listens at its other end.
    pub(crate) opened_by_us: bool,
    /// The sender's own Via; a response has none.
    pub(crate) via: Option<&'a Via<'a>>,
}

impl<'a> Arrived<'a> {
    /// A request.
    pub(crate) fn request(inbound: &'a Inbound<'_>) -> Arrived<'a> {
        Arrived {
            transport: inbound.flow.transport,
            from: inbound.flow.remote,
            opened_by_us: inbound.flow.connection.was_opened(),
            via: Some(&inbound.via),
        }
    }
}

impl Addresses {
    /// Is the Contact reached by the way of this message alone, and not where it points?
    pub(crate) fn is_behind_nat(&self, arrived: &Arrived<'_>, contact: &Uri<'_>) -> bool {
        let Arrived { transport, from, opened_by_us, via } = *arrived;
        // Browsers cannot be connected to (RFC 7118 §5), nor can TLS clients without a certificate.
        let client = matches!(transport, Transport::Ws | Transport::Wss | Transport::Tls) && !opened_by_us;
        if client || contact.host.ends_with(b".invalid") {
            return true;
        }
        let translated = via.is_some_and(|via| sender_is_translated(via, from.ip()));
        let Some(ip) = contact.ip() else { return translated };
        if ip == from.ip() {
            // It has learned from `received` and `rport` where its NAT sends from, as Linphone does, and is behind it all the same.
            let port = contact.port.unwrap_or(transport.default_port());
            if translated && !transport.is_reliable() && port == from.port() {
                return true;
            }
            return via.is_some_and(|via| self.is_other_port(arrived, via, contact));
        }
        // The sender's own address, as it sees itself.
        let own = translated && via.is_some_and(|via| trunkline_sip::parse_ip(via.host) == Some(ip));
        // One network has no NAT inside, whoever in it registers whom. Who sends from a public address is in no private one,
        // even where this host is in both.
        let other = is_private(ip) && !self.is_inside(from.ip());
        (own || is_private(ip)) && (other || !(self.is_neighbour(ip) && self.is_neighbour(from.ip())))
    }

    /// Of a Contact with the host that the packet came from: is it reached by the packet's port, which is another one?
    fn is_other_port(&self, arrived: &Arrived<'_>, via: &Via<'_>, contact: &Uri<'_>) -> bool {
        let port = contact.port.unwrap_or(arrived.transport.default_port());
        match arrived.transport {
            // Who asks for `rport` takes messages where it sends from (RFC 3581 §4), and its port was translated when Via has
            // another one. Who does not may listen elsewhere than it sends from.
            Transport::Udp => {
                via.rport.is_some()
                    && port != arrived.from.port()
                    && via.port.unwrap_or(Transport::Udp.default_port()) != arrived.from.port()
            }
            // Nobody listens on the port that a client's connection comes from.
            _ => !arrived.opened_by_us && port == arrived.from.port(),
        }
    }

    /// Is it in a network that this host is in, so that nothing translates addresses in between?
    fn is_neighbour(&self, ip: IpAddr) -> bool {
        self.is_local_net(ip) || self.interfaces().is_neighbour(ip)
    }
}
