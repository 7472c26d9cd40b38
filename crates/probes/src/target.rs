//! What is attacked, and with which accounts.

use std::net::SocketAddr;

use crate::wire::Way;

/// A user name and a password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What is attacked.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the exchange hears UDP.
    pub udp: SocketAddr,
    /// Where it hears TCP.
    pub tcp: SocketAddr,
    /// Where it hears TLS, if it does.
    pub tls: Option<SocketAddr>,
    /// Where it hears WebSockets, if it does.
    pub ws: Option<SocketAddr>,
    /// Where it hears WebSockets over TLS, if it does.
    pub wss: Option<SocketAddr>,
    /// How its phones, and strangers, reach it.
    pub way: Way,
    /// One of its domains.
    pub domain: String,
    /// Agents of that domain: at least four.
    pub agents: Vec<Login>,
    /// The port of the carrier at [`crate::Cast::CARRIER`], at which every trunk ends.
    pub carrier_port: u16,
    /// A number that agents of the domain may call by a trunk.
    pub allowed: String,
    /// A number that they may not call.
    pub forbidden: String,
    /// A number of ours with the host by which a carrier calls it, if strangers may call it.
    pub open_number: Option<String>,
    /// Another domain with the same settings.
    pub other: Other,
}

impl Target {
    /// Where the exchange hears this transport, if it does.
    pub fn hears(&self, way: Way) -> Option<SocketAddr> {
        match way {
            Way::Udp => Some(self.udp),
            Way::Tcp => Some(self.tcp),
            Way::Tls => self.tls,
            Way::Ws => self.ws,
            Way::Wss => self.wss,
        }
    }
}

/// Another domain, a tenant beside that of the agents.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its name.
    pub domain: String,
    /// An agent of it.
    pub agent: Login,
    /// A number that its agents alone may call.
    pub allowed: String,
}
