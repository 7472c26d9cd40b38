//! UDP in batches: `recvmmsg` and `sendmmsg`, the addresses of both ends known.
//!
//! The only place of the project with `unsafe`: the system calls, their addresses and their control messages.

mod errors;
mod filter;
mod name;
mod receive;
mod send;

use std::cell::Cell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

pub(crate) use errors::{QUOTED, Undelivered, take as take_errors};
pub use filter::{Drops, MOST_HEAVY, SAMPLE, keeps};
pub use receive::Receiver;
pub use send::Sender;
pub(crate) use send::is_of_the_network;

/// Datagrams taken at once.
pub const BATCH: usize = 32;
/// The option of asm-generic/socket.h that tells how much memory a socket takes, and how many figures it has; none before
/// Linux 4.12.
const SO_MEMINFO: libc::c_int = 55;
const MEMORY_FIGURES: usize = 9;
const SOCKET_BUFFER: usize = 4 << 20;

/// The memory of a socket's receive buffer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    /// What the datagrams in it take. The kernel may count up to a quarter of `size` too much: it notes what was read in portions.
    pub(crate) used: u32,
    pub(crate) size: u32,
}

impl Buffer {
    /// Will datagrams be lost soon?
    pub(crate) fn is_nearly_full(self) -> bool {
        self.used > self.size / 4 * 3
    }
}

/// A bound UDP socket.
pub struct UdpSocket {
    socket: mio::net::UdpSocket,
    local: SocketAddr,
    /// Does the kernel cut datagrams for us (UDP_SEGMENT)? Not on devices that cannot fill in checksums.
    segments: Cell<bool>,
}

impl UdpSocket {
    /// Binds with SO_REUSEPORT, so that every shard has a socket of its own on the same address.
    pub fn bind(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
        let s = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            s.set_only_v6(true)?;
        }
        if shared {
            s.set_reuse_port(true)?;
        }
        s.set_nonblocking(true)?;
        // Best effort: the kernel caps these by its own limits.
        let _ = s.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = s.set_send_buffer_size(SOCKET_BUFFER);
        s.bind(&address.into())?;
        let local = s.local_addr()?.as_socket().unwrap_or(address);
        if local.ip().is_unspecified() {
            let (level, option) = if local.is_ipv6() {
                (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
            } else {
                (libc::IPPROTO_IP, libc::IP_PKTINFO)
            };
            set_option(s.as_raw_fd(), level, option, 1)?;
        }
        // Best effort: undelivered datagrams are reported. The next call reports the error once more, and is repeated.
        let (level, option) = if local.is_ipv6() {
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        } else {
            (libc::IPPROTO_IP, libc::IP_RECVERR)
        };
        let _ = set_option(s.as_raw_fd(), level, option, 1);
        // 0: nothing is cut unless a message asks for it. Kernels before 4.18 do not know the option.
        let segments = set_option(s.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        let socket = mio::net::UdpSocket::from_std(s.into());
        Ok(UdpSocket { socket, local, segments: Cell::new(segments) })
    }

    /// The address it is bound to; the host may be unspecified.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// For the poll.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// How full its receive buffer is; `None` where the kernel does not say.
    pub(crate) fn buffer(&self) -> Option<Buffer> {
        memory(self.fd())
    }

    /// Has the kernel drop this of what comes from now on.
    pub(crate) fn set_drops(&self, drops: Drops<'_>) -> io::Result<()> {
        filter::set(self.fd(), drops, self.local.is_ipv6())
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[allow(unsafe_code)]
fn memory(fd: RawFd) -> Option<Buffer> {
    let mut figures = [0u32; MEMORY_FIGURES];
    let mut length = mem::size_of_val(&figures) as libc::socklen_t;
    // SAFETY: both pointers are to live values, and `length` is the size of the first.
    let failed = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, figures.as_mut_ptr().cast(), &raw mut length)
    } != 0;
    // SK_MEMINFO_RMEM_ALLOC and SK_MEMINFO_RCVBUF of linux/sock_diag.h.
    let [used, size, ..] = figures;
    (!failed && size > 0).then_some(Buffer { used, size })
}

fn set_option(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_option_of(fd, level, option, &value)
}

#[allow(unsafe_code)]
fn set_option_of<T>(fd: RawFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` lives through the call and its size is given.
    let done = unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            std::ptr::from_ref(value).cast(),
            mem::size_of_val(value) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
