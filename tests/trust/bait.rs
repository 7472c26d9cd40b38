//! Places a request must not be lured to, and the many ways to write them.

use super::cast::Who;
use super::net::Sockets;
use super::rng::Rng;

/// How a URI that leads elsewhere is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bait {
    /// The party's address, with the user it has there or a number that costs.
    At(Who),
    /// The same over TCP.
    Tcp(Who),
    /// The address as IPv6 writes one of IPv4.
    Mapped(Who),
    /// A harmless host, and the address in `maddr`.
    Maddr(Who),
    /// A listener of the exchange, by its address, by `localhost`, by another address of the machine.
    Listener,
    Localhost,
    /// Who hears it is anybody.
    Multicast,
    Broadcast,
    Unspecified,
}

impl Bait {
    pub fn any(rng: &mut Rng) -> Bait {
        let who =
            rng.pick(&[Who::Carrier, Who::Cred, Who::Pbx, Who::Foreign, Who::Gate, Who::Bob, Who::Cleo]);
        match rng.below(16) {
            0..7 => Bait::At(who),
            7..9 => Bait::Tcp(rng.pick(&[Who::Carrier, Who::Foreign, Who::Pbx])),
            9 => Bait::Mapped(who),
            10 => Bait::Maddr(who),
            11 => Bait::Listener,
            12 => Bait::Localhost,
            13 => Bait::Multicast,
            14 => Bait::Broadcast,
            _ => Bait::Unspecified,
        }
    }

    /// One that no party may name as its own: a trunk, a peer, ourselves, everybody.
    pub fn forbidden(rng: &mut Rng) -> Bait {
        let who = rng.pick(&[Who::Carrier, Who::Cred, Who::Open, Who::Pbx, Who::Gate]);
        match rng.below(10) {
            0..4 => Bait::At(who),
            4 => Bait::Mapped(who),
            5 => Bait::Maddr(who),
            6 => Bait::Listener,
            7 => Bait::Localhost,
            8 => Bait::Multicast,
            _ => Bait::Unspecified,
        }
    }

    pub fn uri(self, sockets: &Sockets) -> String {
        let user = |who: Who| if who.host().ends_with(".test") { who.user() } else { "+19005551234" };
        let port = sockets.exchange().port();
        match self {
            Bait::At(who) => format!("sip:{}@{}", user(who), sockets.address(who)),
            Bait::Tcp(who) => format!("sip:{}@{};transport=tcp", user(who), sockets.address(who)),
            Bait::Mapped(who) => {
                let at = sockets.address(who);
                format!("sip:{}@[::ffff:{}]:{}", user(who), at.ip(), at.port())
            }
            Bait::Maddr(who) => {
                let at = sockets.address(who);
                format!("sip:{}@192.0.2.1:{};maddr={}", user(who), at.port(), at.ip())
            }
            Bait::Listener => format!("sip:1002@{}", sockets.exchange()),
            Bait::Localhost => format!("sip:1002@localhost:{port}"),
            Bait::Multicast => format!("sip:1002@224.0.1.75:{port}"),
            Bait::Broadcast => format!("sip:1002@255.255.255.255:{port}"),
            Bait::Unspecified => format!("sip:1002@0.0.0.0:{port}"),
        }
    }

    /// The kind, for the table.
    pub fn name(self) -> String {
        match self {
            Bait::At(who) => format!("at {who:?}"),
            Bait::Tcp(who) => format!("tcp {who:?}"),
            Bait::Mapped(_) => "mapped".into(),
            Bait::Maddr(_) => "maddr".into(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}
