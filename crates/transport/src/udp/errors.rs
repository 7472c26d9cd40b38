//! ICMP errors of undelivered datagrams, as the kernel queues them for a socket (`IP_RECVERR`).

use std::io::IoSliceMut;
use std::net::SocketAddr;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use super::UdpSocket;

/// Bytes of a datagram that are looked at: what names a request stands at its beginning.
pub(crate) const QUOTED: usize = 1_024;
/// Errors taken at once.
const MOST: usize = 64;

/// A datagram that did not arrive.
#[derive(Debug)]
pub(crate) struct Undelivered {
    /// Where it was to go.
    pub(crate) to: SocketAddr,
    /// Its beginning, as much of it as is known.
    pub(crate) bytes: Box<[u8]>,
}

/// Takes what the kernel has kept for a socket, as far as it is of the kinds that tell a transaction of its end (RFC 3261
/// §18.4): host, network, protocol or port unreachable, and parameter problems.
pub(crate) fn take(socket: &UdpSocket, out: &mut Vec<Undelivered>) {
    let mut bytes = [0u8; QUOTED];
    let mut control = nix::cmsg_space!([u8; 128]);
    for _ in 0..MOST {
        let mut vectors = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(socket.fd(), &mut vectors, Some(&mut control), flags)
        else {
            return;
        };
        let to = message.address.as_ref().and_then(address);
        let tells = message.cmsgs().is_ok_and(|mut all| all.any(|one| is_final(&one)));
        let length = message.bytes;
        if let (Some(to), true) = (to, tells) {
            out.push(Undelivered { to, bytes: bytes.get(..length).unwrap_or_default().into() });
        }
    }
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|a| SocketAddr::V4((*a).into()));
    v4.or_else(|| of.as_sockaddr_in6().map(|a| SocketAddr::V6((*a).into())))
}

fn is_final(message: &ControlMessageOwned) -> bool {
    match message {
        // Destination unreachable (RFC 792): network, host, protocol, port. Parameter problem.
        ControlMessageOwned::Ipv4RecvErr(e, _) if e.ee_origin == libc::SO_EE_ORIGIN_ICMP => {
            matches!((e.ee_type, e.ee_code), (3, 0..=3) | (12, _))
        }
        // Destination unreachable (RFC 4443 §3.1): no route, address, port. Parameter problem.
        ControlMessageOwned::Ipv6RecvErr(e, _) if e.ee_origin == libc::SO_EE_ORIGIN_ICMP6 => {
            matches!((e.ee_type, e.ee_code), (1, 0 | 3 | 4) | (4, _))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Receiver, Sender};
    use super::*;

    /// Loopback says at once that nobody listens.
    #[test]
    fn nobody_listens_there() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let at = host.parse().expect("an address");
            let gone = UdpSocket::bind(at, false).expect("a port").local();
            let (client, server) =
                (UdpSocket::bind(at, false).expect("a port"), UdpSocket::bind(at, false).expect("a port"));
            let mut sender = Sender::new();
            let text = b"INVITE sip:a@h SIP/2.0\r\n";
            for _ in 0..3 {
                sender.push(0, client.local().ip(), gone, text);
                assert_eq!(sender.flush(std::slice::from_ref(&client)), 0);
                // An error that waits at the socket is no reason to lose what goes elsewhere.
                sender.push(0, client.local().ip(), server.local(), b"to somebody");
                assert_eq!(sender.flush(std::slice::from_ref(&client)), 0);
            }
            let mut out = Vec::new();
            take(&client, &mut out);
            assert_eq!(out.len(), 3, "{host}");
            assert!(out.iter().all(|one| one.to == gone && *one.bytes == text[..]));
            let mut receiver = Receiver::new();
            assert_eq!(receiver.receive(&server).expect("a live socket"), 3);
        }
    }
}
