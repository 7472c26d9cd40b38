//! Addresses that the kernel delivers locally in addition to those of interfaces: local and anycast routes, such as the
//! subnet-router address of a router (RFC 4291 §2.6.1) or a prefix that was routed to the host itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// A network: its first address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    first: IpAddr,
    length: u8,
}

impl Prefix {
    /// Its address, if it is that of one host.
    pub(crate) fn host(&self) -> Option<IpAddr> {
        let whole = if self.first.is_ipv4() { 32 } else { 128 };
        (self.length >= whole).then_some(self.first)
    }

    /// The network of an address with this mask.
    pub(crate) fn of(first: IpAddr, mask: IpAddr) -> Prefix {
        let length = match mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        };
        Prefix { first, length: length as u8 }
    }

    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                let other = first.to_bits() ^ ip.to_bits();
                other.checked_shr(32 - u32::from(self.length.min(32))).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                let other = first.to_bits() ^ ip.to_bits();
                other.checked_shr(128 - u32::from(self.length.min(128))).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The routes of the kernel's table "local".
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalRoutes {
    /// The local addresses and networks.
    pub(crate) own: Vec<Prefix>,
    /// The broadcast addresses.
    pub(crate) broadcast: Vec<Prefix>,
}

/// rtnetlink(7): lengths of the headers, and where their fields are.
const MESSAGE_HEAD: usize = 16;
const ROUTE_HEAD: usize = 12;
const ATTRIBUTE_HEAD: usize = 4;

impl LocalRoutes {
    /// Asks the kernel (`RTM_GETROUTE`, the table "local" alone). Where nobody may ask, or nothing answers such questions,
    /// there are none; an answer that fails is an error.
    pub(crate) fn read() -> io::Result<LocalRoutes> {
        let mut all = LocalRoutes::default();
        for family in [libc::AF_INET, libc::AF_INET6] {
            match all.dump(family as u8) {
                Ok(()) => {}
                Err(
                    Errno::EPERM
                    | Errno::EACCES
                    | Errno::ENOSYS
                    | Errno::EOPNOTSUPP
                    | Errno::EPROTONOSUPPORT
                    | Errno::EAFNOSUPPORT,
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    fn dump(&mut self, family: u8) -> nix::Result<()> {
        let netlink = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        only_what_is_asked_for(&netlink);
        send(netlink.as_raw_fd(), &request(family), MsgFlags::empty())?;
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            // The kernel answers as fast as it is read.
            let length = match recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            if length == 0 || self.take(buffer.get(..length).unwrap_or_default())? {
                return Ok(());
            }
        }
    }

    /// Takes the messages of one answer; `true` after the last.
    fn take(&mut self, mut bytes: &[u8]) -> nix::Result<bool> {
        while let Some(length) = u32_at(bytes, 0).map(|length| length as usize) {
            let Some(message) = bytes.get(..length).filter(|m| m.len() >= MESSAGE_HEAD) else { break };
            let body = message.get(MESSAGE_HEAD..).unwrap_or_default();
            match u16_at(message, 4).map_or(0, i32::from) {
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR => {
                    let number = u32_at(body, 0).map_or(0, |n| n as i32);
                    return if number == 0 { Ok(true) } else { Err(Errno::from_raw(-number)) };
                }
                kind if kind == i32::from(libc::RTM_NEWROUTE) => self.take_route(body),
                _ => {}
            }
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(false)
    }

    fn take_route(&mut self, route: &[u8]) {
        let Some([family, length, _, _, table, _, _, kind]) = route.first_chunk::<8>().copied() else {
            return;
        };
        // Other tables are asked by rules of their own, as for a transparent proxy.
        if table != libc::RT_TABLE_LOCAL {
            return;
        }
        let v6 = i32::from(family) == libc::AF_INET6;
        let whole: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let first = destination(route.get(ROUTE_HEAD..).unwrap_or_default()).unwrap_or(whole);
        let prefix = Prefix { first, length };
        match kind {
            libc::RTN_LOCAL | libc::RTN_ANYCAST => self.own.push(prefix),
            libc::RTN_BROADCAST => self.broadcast.push(prefix),
            _ => {}
        }
    }
}

/// The attribute `RTA_DST`.
fn destination(mut attributes: &[u8]) -> Option<IpAddr> {
    while let Some(length) = u16_at(attributes, 0).map(usize::from).filter(|n| *n >= ATTRIBUTE_HEAD) {
        let value = attributes.get(ATTRIBUTE_HEAD..length)?;
        if u16_at(attributes, 2) == Some(libc::RTA_DST) {
            let v4 = <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
            return v4.or_else(|| <[u8; 16]>::try_from(value).ok().map(IpAddr::from));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// A dump of one family's routes of the table "local".
fn request(family: u8) -> [u8; MESSAGE_HEAD + ROUTE_HEAD] {
    let mut bytes = [0u8; MESSAGE_HEAD + ROUTE_HEAD];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let length = (bytes.len() as u32).to_ne_bytes();
    for (place, value) in length
        .into_iter()
        .chain(libc::RTM_GETROUTE.to_ne_bytes())
        .chain(flags.to_ne_bytes())
        .enumerate()
        .chain([(MESSAGE_HEAD, family), (MESSAGE_HEAD + 4, libc::RT_TABLE_LOCAL)])
    {
        if let Some(byte) = bytes.get_mut(place) {
            *byte = value;
        }
    }
    bytes
}

/// Without this the kernel sends the routes of all tables, which on a router are very many. An old one does not know it.
#[allow(unsafe_code, reason = "no crate we use knows this socket option")]
fn only_what_is_asked_for(netlink: &OwnedFd) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value is a C int that outlives the call, with its length.
    unsafe {
        libc::setsockopt(
            netlink.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            (&raw const on).cast(),
            std::mem::size_of_val(&on) as libc::socklen_t,
        );
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(first: &str, length: u8) -> Prefix {
        Prefix { first: first.parse().unwrap(), length }
    }

    #[test]
    fn the_kernel_tells_what_is_local() {
        let all = LocalRoutes::read().unwrap();
        assert!(all.own.iter().any(|net| net.holds([127, 0, 0, 1].into())), "{all:?}");
        assert!(!all.own.iter().any(|net| net.holds([203, 0, 113, 9].into())), "{all:?}");
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (net, inside, outside) in [
            (prefix("192.0.2.0", 24), "192.0.2.255", "192.0.3.0"),
            (prefix("192.0.2.7", 32), "192.0.2.7", "192.0.2.6"),
            (prefix("2001:db8::", 64), "2001:db8::ffff", "2001:db8:0:1::"),
            (prefix("0.0.0.0", 0), "203.0.113.1", "::1"),
        ] {
            assert!(net.holds(inside.parse().unwrap()) && !net.holds(outside.parse().unwrap()), "{net:?}");
        }
        assert_eq!(prefix("192.0.2.7", 32).host(), Some([192, 0, 2, 7].into()));
        assert_eq!(prefix("2001:db8::", 64).host(), None);
    }

    /// A route as the kernel sends it: header, destination, and an attribute before it.
    fn route(kind: u8, table: u8, net: Prefix) -> Vec<u8> {
        let v4 = net.first.is_ipv4();
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 } as u8;
        let mut body = vec![family, net.length, 0, 0, table, 0, 0, kind, 0, 0, 0, 0];
        for (attribute, value) in [
            (libc::RTA_OIF, vec![1, 0, 0, 0]),
            (
                libc::RTA_DST,
                match net.first {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                },
            ),
        ] {
            body.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
            body.extend_from_slice(&attribute.to_ne_bytes());
            body.extend(value);
        }
        message(libc::RTM_NEWROUTE, &body)
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut all = (MESSAGE_HEAD as u32 + body.len() as u32).to_ne_bytes().to_vec();
        all.extend_from_slice(&kind.to_ne_bytes());
        all.resize(MESSAGE_HEAD, 0);
        all.extend_from_slice(body);
        all
    }

    #[test]
    fn routes_are_read_up_to_the_end_of_the_answer() {
        let (any, six) = (prefix("192.0.2.0", 24), prefix("2001:db8::", 128));
        let local = libc::RT_TABLE_LOCAL;
        let mut answer = route(libc::RTN_LOCAL, local, any);
        answer.extend(route(libc::RTN_ANYCAST, local, six));
        answer.extend(route(libc::RTN_BROADCAST, local, prefix("192.0.2.255", 32)));
        // A transparent proxy's, and an ordinary one.
        answer.extend(route(libc::RTN_LOCAL, 100, prefix("0.0.0.0", 0)));
        answer.extend(route(libc::RTN_UNICAST, local, prefix("10.0.0.0", 8)));
        let mut all = LocalRoutes::default();
        assert_eq!(all.take(&answer), Ok(false));
        assert_eq!(all.take(&message(libc::NLMSG_DONE as u16, &[0; 4])), Ok(true));
        assert_eq!((all.own, all.broadcast), (vec![any, six], vec![prefix("192.0.2.255", 32)]));
        let mut none = LocalRoutes::default();
        let failed = message(libc::NLMSG_ERROR as u16, &(-libc::ENOBUFS).to_ne_bytes());
        assert_eq!(none.take(&failed), Err(Errno::ENOBUFS));
        // What is cut short or nonsense is passed over.
        for end in 0..answer.len() {
            assert_eq!(LocalRoutes::default().take(&answer[..end]), Ok(false));
        }
        assert_eq!(none.take(&[0xff; 64]), Ok(false));
    }
}
