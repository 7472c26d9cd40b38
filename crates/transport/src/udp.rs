//! UDP in batches: `recvmmsg` and `sendmmsg`, the addresses of both ends known.
//!
//! The only place of the project with `unsafe`: the two system calls and their control messages.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams taken or given at once.
pub const BATCH: usize = 32;
/// Room for one datagram, plus a stagger: slots a power of two apart would all fall into the same cache sets.
const SLOT: usize = 65_536 + 1_088;
const CONTROL: usize = 64;
const SOCKET_BUFFER: usize = 4 << 20;

/// A bound UDP socket.
pub struct UdpSocket {
    socket: mio::net::UdpSocket,
    local: SocketAddr,
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
            want_packet_info(s.as_raw_fd(), local.is_ipv6())?;
        }
        Ok(UdpSocket { socket: mio::net::UdpSocket::from_std(s.into()), local })
    }

    /// The address it is bound to; the host may be unspecified.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// For the poll.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[allow(unsafe_code)]
fn want_packet_info(fd: RawFd, v6: bool) -> io::Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    // SAFETY: `on` lives through the call and its size is given.
    let done = unsafe {
        libc::setsockopt(fd, level, option, (&raw const on).cast(), mem::size_of_val(&on) as libc::socklen_t)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Aligned room for control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What all sockets of a shard receive into. Nothing is allocated after it was made.
pub struct Receiver {
    buffer: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    iov: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    lengths: [usize; BATCH],
    remotes: [SocketAddr; BATCH],
    locals: [SocketAddr; BATCH],
}

// SAFETY: the pointers are only set right before a system call and point into the struct itself (or nowhere);
// nothing else shares them.
#[allow(unsafe_code)]
unsafe impl Send for Receiver {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Send for Sender {}

const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

impl Default for Receiver {
    fn default() -> Self {
        Receiver::new()
    }
}

#[allow(unsafe_code)]
impl Receiver {
    /// Room for [`BATCH`] datagrams.
    pub fn new() -> Receiver {
        // SAFETY: all-zero bytes are a valid value of these C structures.
        let (name, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Receiver {
            buffer: vec![0; SLOT * BATCH],
            names: vec![name; BATCH],
            controls: vec![Control([0; CONTROL]); BATCH],
            iov: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH],
            headers: vec![header; BATCH],
            lengths: [0; BATCH],
            remotes: [NOWHERE; BATCH],
            locals: [NOWHERE; BATCH],
        }
    }

    /// Takes what is there, up to [`BATCH`]; 0 when nothing is.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let wildcard = socket.local.ip().is_unspecified();
        for (i, slot) in self.buffer.chunks_exact_mut(SLOT).enumerate() {
            self.iov[i] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: 65_535 };
            let h = &mut self.headers[i].msg_hdr;
            h.msg_name = (&raw mut self.names[i]).cast();
            h.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            h.msg_iov = &raw mut self.iov[i];
            h.msg_iovlen = 1;
            h.msg_control = if wildcard { (&raw mut self.controls[i]).cast() } else { std::ptr::null_mut() };
            h.msg_controllen = if wildcard { CONTROL as _ } else { 0 };
            h.msg_flags = 0;
        }
        // SAFETY: every header points at a name, a vector and (or none) a control buffer of this struct, whose
        // sizes are given; they do not move during the call.
        let n = unsafe {
            libc::recvmmsg(
                socket.fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if n < 0 {
            let e = io::Error::last_os_error();
            return if e.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(e) };
        }
        let n = n as usize;
        for i in 0..n {
            self.lengths[i] = self.headers[i].msg_len as usize;
            self.remotes[i] = address(&self.names[i]).unwrap_or(NOWHERE);
            self.locals[i] = if wildcard {
                let ip = packet_info(&self.headers[i].msg_hdr).unwrap_or(socket.local.ip());
                SocketAddr::new(ip, socket.local.port())
            } else {
                socket.local
            };
        }
        Ok(n)
    }

    /// The `i`th datagram of the last batch: its bytes, who sent it, which address of ours it was sent to.
    pub fn datagram(&self, i: usize) -> (&[u8], SocketAddr, SocketAddr) {
        let start = i * SLOT;
        let bytes = self.buffer.get(start..start + self.lengths[i]).unwrap_or_default();
        (bytes, self.remotes[i], self.locals[i])
    }
}

#[allow(unsafe_code)]
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is this structure, which is smaller than the storage.
            let a = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let a = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(a.sin6_port), 0, a.sin6_scope_id)))
        }
        _ => None,
    }
}

/// The address of ours a datagram was sent to.
#[allow(unsafe_code)]
fn packet_info(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled the control buffer and its length; the macros walk within that length, and
    // the data is read as the type that level and type name.
    unsafe {
        let mut c = libc::CMSG_FIRSTHDR(header);
        while !c.is_null() {
            match ((*c).cmsg_level, (*c).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = std::ptr::read_unaligned(libc::CMSG_DATA(c).cast::<libc::in_pktinfo>());
                    return Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = std::ptr::read_unaligned(libc::CMSG_DATA(c).cast::<libc::in6_pktinfo>());
                    return Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                _ => c = libc::CMSG_NXTHDR(header, c),
            }
        }
    }
    None
}

/// One datagram to be sent: where its bytes stand, from which socket and address, to whom.
#[derive(Clone, Copy)]
struct Outgoing {
    socket: u16,
    start: u32,
    end: u32,
    remote: SocketAddr,
    /// Our address to send from; unspecified: the kernel chooses.
    from: IpAddr,
}

/// What a shard has to send: copied in here, given to the kernel in one call per socket.
pub struct Sender {
    bytes: Vec<u8>,
    queue: Vec<Outgoing>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    iov: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Default for Sender {
    fn default() -> Self {
        Sender::new()
    }
}

#[allow(unsafe_code)]
impl Sender {
    /// An empty queue.
    pub fn new() -> Sender {
        // SAFETY: all-zero bytes are a valid value of these C structures.
        let (name, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Sender {
            bytes: Vec::with_capacity(256 * 1024),
            queue: Vec::with_capacity(4 * BATCH),
            names: vec![name; 2 * BATCH],
            controls: vec![Control([0; CONTROL]); 2 * BATCH],
            iov: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 2 * BATCH],
            headers: vec![header; 2 * BATCH],
        }
    }

    /// Puts a datagram into the queue.
    pub fn push(&mut self, socket: usize, from: IpAddr, remote: SocketAddr, bytes: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len() as u32;
        self.queue.push(Outgoing { socket: socket as u16, start, end, remote, from });
    }

    /// Is there so much that it should go out now?
    pub fn is_full(&self) -> bool {
        self.queue.len() >= 2 * BATCH
    }

    /// Sends everything. What the kernel refuses (a full buffer, no route) is lost as on any network, and
    /// counted in the result.
    pub fn flush(&mut self, sockets: &[UdpSocket]) -> u64 {
        let mut lost = 0;
        let mut at = 0;
        while at < self.queue.len() {
            // Runs of one socket, as many as fit.
            let socket = self.queue[at].socket;
            let run =
                self.queue[at..].iter().take(self.headers.len()).take_while(|o| o.socket == socket).count();
            let Some(sending) = sockets.get(usize::from(socket)) else { break };
            for i in 0..run {
                self.prepare(at + i, i, sending.local);
            }
            let mut sent = 0;
            while sent < run {
                // SAFETY: headers `sent..run` were filled by `prepare` and point into this struct, which does
                // not change during the call.
                let n = unsafe {
                    libc::sendmmsg(
                        sending.fd(),
                        self.headers.as_mut_ptr().add(sent),
                        (run - sent) as libc::c_uint,
                        libc::MSG_DONTWAIT as _,
                    )
                };
                if n > 0 {
                    sent += n as usize;
                } else if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                    sent += 1;
                    lost += 1;
                }
            }
            at += run;
        }
        self.queue.clear();
        self.bytes.clear();
        lost
    }

    fn prepare(&mut self, queued: usize, i: usize, local: SocketAddr) {
        let o = self.queue[queued];
        let bytes = self.bytes.get_mut(o.start as usize..o.end as usize).unwrap_or_default();
        self.iov[i] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let length = put_address(&mut self.names[i], o.remote);
        let h = &mut self.headers[i].msg_hdr;
        h.msg_name = (&raw mut self.names[i]).cast();
        h.msg_namelen = length;
        h.msg_iov = &raw mut self.iov[i];
        h.msg_iovlen = 1;
        h.msg_control = std::ptr::null_mut();
        h.msg_controllen = 0;
        h.msg_flags = 0;
        if local.ip().is_unspecified() && !o.from.is_unspecified() {
            put_packet_info(h, &mut self.controls[i], o.from);
        }
    }
}

#[allow(unsafe_code)]
fn put_address(name: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(a) => {
            // SAFETY: the storage is larger than this structure and aligned for it.
            let n = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in>() };
            n.sin_family = libc::AF_INET as libc::sa_family_t;
            n.sin_port = a.port().to_be();
            n.sin_addr.s_addr = u32::from(*a.ip()).to_be();
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(a) => {
            // SAFETY: as above.
            let n = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in6>() };
            n.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            n.sin6_port = a.port().to_be();
            n.sin6_flowinfo = 0;
            n.sin6_addr.s6_addr = a.ip().octets();
            n.sin6_scope_id = a.scope_id();
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Asks the kernel to send from one of our addresses.
#[allow(unsafe_code)]
fn put_packet_info(header: &mut libc::msghdr, control: &mut Control, from: IpAddr) {
    header.msg_control = (&raw mut *control).cast();
    // SAFETY: CONTROL bytes hold one header with either structure; CMSG_FIRSTHDR gives the start of that
    // buffer, whose length is set first; the data is written unaligned.
    unsafe {
        header.msg_controllen = match from {
            IpAddr::V4(_) => libc::CMSG_SPACE(mem::size_of::<libc::in_pktinfo>() as u32),
            IpAddr::V6(_) => libc::CMSG_SPACE(mem::size_of::<libc::in6_pktinfo>() as u32),
        } as _;
        let c = libc::CMSG_FIRSTHDR(header);
        match from {
            IpAddr::V4(ip) => {
                let mut info: libc::in_pktinfo = mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
                (*c).cmsg_level = libc::IPPROTO_IP;
                (*c).cmsg_type = libc::IP_PKTINFO;
                (*c).cmsg_len = libc::CMSG_LEN(mem::size_of::<libc::in_pktinfo>() as u32) as _;
                std::ptr::write_unaligned(libc::CMSG_DATA(c).cast(), info);
            }
            IpAddr::V6(ip) => {
                let mut info: libc::in6_pktinfo = mem::zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                (*c).cmsg_level = libc::IPPROTO_IPV6;
                (*c).cmsg_type = libc::IPV6_PKTINFO;
                (*c).cmsg_len = libc::CMSG_LEN(mem::size_of::<libc::in6_pktinfo>() as u32) as _;
                std::ptr::write_unaligned(libc::CMSG_DATA(c).cast(), info);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive_one(r: &mut Receiver, s: &UdpSocket) -> usize {
        // Loopback delivers inside the send call, so what was sent is there.
        r.receive(s).unwrap()
    }

    #[test]
    fn batches_go_and_come_with_both_addresses() {
        for (listen, from) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
            let server = UdpSocket::bind(listen.parse().unwrap(), true).unwrap();
            let ip: IpAddr = from.parse().unwrap();
            let client = UdpSocket::bind(SocketAddr::new(ip, 0), false).unwrap();
            let to = SocketAddr::new(ip, server.local().port());
            let mut s = Sender::new();
            for i in 0..70u8 {
                s.push(0, ip, to, &[i; 9]);
            }
            assert_eq!(s.flush(std::slice::from_ref(&client)), 0);
            let mut r = Receiver::new();
            assert_eq!(receive_one(&mut r, &server), BATCH);
            assert_eq!(r.datagram(3), (&[3u8; 9][..], client.local(), to));
            assert_eq!(receive_one(&mut r, &server), BATCH);
            assert_eq!(receive_one(&mut r, &server), 70 - 2 * BATCH);
            assert_eq!(receive_one(&mut r, &server), 0);
            // The answer leaves from the address that was asked.
            s.push(0, to.ip(), client.local(), b"pong");
            assert_eq!(s.flush(std::slice::from_ref(&server)), 0);
            assert_eq!(receive_one(&mut r, &client), 1);
            assert_eq!(r.datagram(0), (&b"pong"[..], to, client.local()));
        }
    }
}
