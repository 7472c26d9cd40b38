//! Who has a socket on an address, as `/proc` says.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Udp,
    Tcp,
}

impl Proto {
    pub(super) fn word(self) -> &'static str {
        match self {
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
        }
    }
}

/// A process that has a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// 0 if it cannot be seen.
    pub(super) pid: u32,
    pub(super) name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => f.write_str("a process of another user (run this as root to see which)"),
            pid => write!(f, "{} (process {pid})", self.name),
        }
    }
}

/// Who listens on this address, or on all addresses with this port.
pub(super) fn holder(proto: Proto, address: SocketAddr) -> Option<Holder> {
    let files = match proto {
        Proto::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Proto::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let inodes: Vec<u64> = texts
        .flat_map(|text| text.lines().filter_map(|line| inode(proto, address, line)).collect::<Vec<_>>())
        .collect();
    if inodes.is_empty() {
        return None;
    }
    Some(process_with(&inodes).unwrap_or(Holder { pid: 0, name: String::new() }))
}

/// The inode of the socket in this line of `/proc/net`, if it is on this address.
fn inode(proto: Proto, address: SocketAddr, line: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    // TCP_LISTEN of include/net/tcp_states.h.
    if proto == Proto::Tcp && *state != "0A" {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    if u16::from_str_radix(port, 16).ok()? != address.port() {
        return None;
    }
    let ip = address_of(ip)?;
    let same = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
    // A socket on all IPv6 addresses may serve IPv4, too.
    let fits = same && (ip.is_ipv4() == address.is_ipv4() || ip.is_unspecified());
    if fits { inode.parse().ok() } else { None }
}

/// An address as `/proc/net` writes it: 32-bit words in the order of the machine.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words: Vec<u32> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [one] => Some(Ipv4Addr::from(one.to_ne_bytes()).into()),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip([a, b, c, d]) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// The process with one of these sockets.
fn process_with(inodes: &[u64]) -> Option<Holder> {
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let has_it = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|to| links.iter().any(|link| to.as_os_str() == link.as_str()))
        });
        if has_it {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { pid, name: name.trim().to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        assert_eq!(address_of(&loopback), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(address_of(&"0".repeat(32)), Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(address_of("12"), Some(IpAddr::from(0x12_u32.to_ne_bytes())));
        assert_eq!(address_of("xyz"), None);
    }

    #[test]
    fn a_socket_has_a_holder() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        assert_eq!(holder(Proto::Udp, address).map(|by| by.pid), Some(std::process::id()));
        assert_eq!(holder(Proto::Tcp, address), None);
    }
}
