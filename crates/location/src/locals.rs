//! Our own addresses, numbered: a binding keeps two bytes instead of thirty-two.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::OnceLock;

use parking_lot::Mutex;

/// Beyond this many, an address is not kept: a flow then says `0.0.0.0:0`, "any of ours".
const MOST: usize = 512;
const UNKNOWN: u16 = u16::MAX;

/// Only ever appended to, so that all threads read it without writing to a shared line.
pub(crate) struct Locals {
    places: Box<[OnceLock<SocketAddr>]>,
    appending: Mutex<()>,
}

impl Locals {
    pub fn new() -> Locals {
        Locals { places: (0..MOST).map(|_| OnceLock::new()).collect(), appending: Mutex::new(()) }
    }

    fn all(&self) -> impl Iterator<Item = &SocketAddr> {
        self.places.iter().map_while(OnceLock::get)
    }

    pub fn number(&self, address: SocketAddr) -> u16 {
        let find = || self.all().position(|a| *a == address).map(|n| n as u16);
        if let Some(number) = find() {
            return number;
        }
        let _turn = self.appending.lock();
        if let Some(number) = find() {
            return number;
        }
        let next = self.all().count();
        match self.places.get(next).map(|place| place.set(address)) {
            Some(Ok(())) => next as u16,
            Some(Err(_)) | None => UNKNOWN,
        }
    }

    pub fn address(&self, number: u16) -> SocketAddr {
        let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        self.places.get(usize::from(number)).and_then(OnceLock::get).copied().unwrap_or(any)
    }

    /// The numbers from `from` on, to be stored.
    pub fn since(&self, from: usize) -> Vec<SocketAddr> {
        self.all().skip(from).copied().collect()
    }

    /// Puts in those that were stored, in their order; for a table that is empty.
    pub fn restore(&self, stored: impl IntoIterator<Item = SocketAddr>) {
        let _turn = self.appending.lock();
        for (place, address) in self.places.iter().zip(stored) {
            let _ = place.set(address);
        }
    }
}
