//! Numbers and texts as bytes, for decisions that travel between processes.

use std::net::{IpAddr, SocketAddr};

use trunkline_model::Ref;
use trunkline_sip::{ConnectionId, Flow, Transport};

/// Appends values.
pub(crate) struct Writer<'o>(pub(crate) &'o mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    pub(crate) fn flag(&mut self, yes: bool) {
        self.u8(yes.into());
    }

    pub(crate) fn u16(&mut self, n: u16) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    /// A length, then as many bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    /// Whether there is a value, then the value.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn reference(&mut self, reference: Option<&Ref>) {
        self.option(reference, |w, r| w.bytes(r.as_str().as_bytes()));
    }

    pub(crate) fn text(&mut self, text: Option<&str>) {
        self.option(text, |w, text| w.bytes(text.as_bytes()));
    }

    pub(crate) fn address(&mut self, at: &SocketAddr) {
        match at.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.0.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.0.extend_from_slice(&ip.octets());
            }
        }
        self.u16(at.port());
    }

    pub(crate) fn flow(&mut self, flow: &Flow) {
        self.u8(flow.transport as u8);
        self.address(&flow.local);
        self.address(&flow.remote);
        self.u64(flow.connection.0);
    }
}

/// Reads values; `None` where the bytes end or say nothing that there is.
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.flag()? {
            true => Some(Some(read(self)?)),
            false => Some(None),
        }
    }

    pub(crate) fn reference(&mut self) -> Option<Option<Ref>> {
        self.option(|r| r.text().map(Ref::from))
    }

    pub(crate) fn transport(&mut self) -> Option<Transport> {
        Transport::ALL.get(usize::from(self.u8()?)).copied()
    }

    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        let ip = match self.u8()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.u16()?))
    }

    pub(crate) fn flow(&mut self) -> Option<Flow> {
        Some(Flow {
            transport: self.transport()?,
            local: self.address()?,
            remote: self.address()?,
            connection: ConnectionId(self.u64()?),
        })
    }
}
