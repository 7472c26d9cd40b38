//! Our own addresses, numbered: a binding keeps two bytes instead of thirty-two.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use parking_lot::RwLock;

/// Beyond this many, an address is not kept: a flow then says `0.0.0.0:0`, "any of ours".
const MOST: usize = 1024;
const UNKNOWN: u16 = u16::MAX;

#[derive(Default)]
pub(crate) struct Locals(RwLock<Vec<SocketAddr>>);

impl Locals {
    pub fn number(&self, address: SocketAddr) -> u16 {
        let find = |all: &[SocketAddr]| all.iter().position(|a| *a == address).map(|n| n as u16);
        if let Some(number) = find(&self.0.read()) {
            return number;
        }
        let mut all = self.0.write();
        if let Some(number) = find(&all) {
            return number;
        }
        if all.len() >= MOST {
            return UNKNOWN;
        }
        all.push(address);
        (all.len() - 1) as u16
    }

    pub fn address(&self, number: u16) -> SocketAddr {
        let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        self.0.read().get(usize::from(number)).copied().unwrap_or(any)
    }

    /// Those from `from` on, to be stored.
    pub fn since(&self, from: usize) -> Vec<SocketAddr> {
        self.0.read().get(from..).unwrap_or_default().to_vec()
    }

    /// Sets the table as it was stored.
    pub fn restore(&self, all: Vec<SocketAddr>) {
        *self.0.write() = all;
    }
}
