//! The address of another server.

use std::net::SocketAddr;

use trunkline_model::document::{Node, Reading};

use crate::setting::{Setting, quoted, scalar};

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort(pub String);

impl Setting for HostPort {
    fn read(node: &Node, reading: &Reading) -> Option<HostPort> {
        scalar(node, reading, "a host and port, e.g. homer.example:9060", |text| {
            let (host, port) = text.rsplit_once(':')?;
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
            let name = !host.is_empty() && host.bytes().all(plain);
            let fits = text.parse::<SocketAddr>().is_ok() || name;
            (fits && port.parse::<u16>().is_ok_and(|port| port > 0)).then(|| HostPort(text.to_owned()))
        })
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}
