//! Receiving: up to a batch of datagrams in one call.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::name::{self, Control};
use super::{BATCH, UdpSocket};

/// Room for one datagram, plus a stagger: slots a power of two apart would all fall into the same cache sets.
const SLOT: usize = 65_536 + 1_088;

/// The receive buffers of all sockets of a shard. Nothing is allocated after it is made.
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
            controls: vec![Control::EMPTY; BATCH],
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
            (h.msg_control, h.msg_controllen) = (std::ptr::null_mut(), 0);
            if wildcard {
                self.controls[i].offer(h);
            }
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
            self.remotes[i] = name::read(&self.names[i]).unwrap_or(NOWHERE);
            self.locals[i] = if wildcard {
                let ip = name::packet_info(&self.headers[i].msg_hdr).unwrap_or(socket.local.ip());
                SocketAddr::new(ip, socket.local.port())
            } else {
                socket.local
            };
        }
        Ok(n)
    }

    /// The bytes of the first `n` datagrams of the last batch.
    pub fn bytes(&self, n: usize) -> usize {
        self.lengths.iter().take(n).sum()
    }

    /// The `i`th datagram of the last batch: its bytes, who sent it, which address of ours it was sent to.
    pub fn datagram(&self, i: usize) -> (&[u8], SocketAddr, SocketAddr) {
        let start = i * SLOT;
        let bytes = self.buffer.get(start..start + self.lengths[i]).unwrap_or_default();
        (bytes, self.remotes[i], self.locals[i])
    }
}
