//! Sending: the datagrams of a shard, in one call per socket and as few pieces as possible.
//!
//! Most of what the kernel does to send a datagram it does once for a piece: several datagrams of one length to one
//! address, which it cuts apart when they leave (UDP_SEGMENT, "generic segmentation offload"). What goes to one
//! carrier at a time is often alike to the byte.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::name::{self, Control};
use super::{BATCH, QUOTED, UdpSocket, Undelivered};

/// Datagrams given to the kernel at once.
const QUEUE: usize = 2 * BATCH;
/// The longest datagram that joins others: what is cut must fit into the path's MTU.
const LONGEST_PART: u32 = 1_400;
/// Bytes of a piece, at most: it is a datagram itself until it is cut.
const LONGEST_PIECE: u32 = 64_000;
/// So often a call is made again that may have failed for an earlier datagram.
const AGAIN: u8 = 3;
/// Refused datagrams that are reported, for each batch.
const MOST_REFUSED: usize = 64;
/// Places of the table of addresses.
const PLACES: usize = 64;
const NONE: u16 = u16::MAX;

/// One datagram to be sent: where its bytes stand, from which socket and address, to whom.
#[derive(Clone, Copy)]
struct Outgoing {
    socket: u16,
    /// The next one of the same piece.
    next: u16,
    start: u32,
    end: u32,
    remote: SocketAddr,
    /// Our address to send from; unspecified: the kernel chooses.
    from: IpAddr,
}

impl Outgoing {
    fn length(&self) -> u32 {
        self.end - self.start
    }
}

/// Datagrams from one address to another that the kernel gets as one message. All have the length of the first, but
/// for the last, which may be shorter.
#[derive(Clone, Copy)]
struct Piece {
    socket: u16,
    first: u16,
    last: u16,
    datagrams: u16,
    bytes: u32,
}

/// The datagrams that a shard sends: copied here, given to the kernel in one call per socket. Nothing is allocated once
/// there is room for a batch.
pub struct Sender {
    bytes: Vec<u8>,
    queue: Vec<Outgoing>,
    pieces: Vec<Piece>,
    /// The last piece to an address, by a hash of the address.
    latest: [u16; PLACES],
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    iov: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// Datagrams that the kernel refused since the owner last read them.
    pub(crate) refused: Vec<Undelivered>,
}

// SAFETY: the pointers are only set right before a system call and point into the struct itself (or nowhere);
// nothing else shares them.
#[allow(unsafe_code)]
unsafe impl Send for Sender {}

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
            queue: Vec::with_capacity(QUEUE),
            pieces: Vec::with_capacity(QUEUE),
            latest: [NONE; PLACES],
            names: vec![name; QUEUE],
            controls: vec![Control::EMPTY; QUEUE],
            iov: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; QUEUE],
            headers: vec![header; QUEUE],
            refused: Vec::new(),
        }
    }

    /// Puts a datagram into the queue.
    pub fn push(&mut self, socket: usize, from: IpAddr, remote: SocketAddr, bytes: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len() as u32;
        self.queue.push(Outgoing { socket: socket as u16, next: NONE, start, end, remote, from });
    }

    /// Is there so much that it should go out now?
    pub fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE
    }

    /// Sends everything, what goes to one address in its order. What the kernel refuses (a full buffer, no route) is
    /// lost as on any network, and counted in the result.
    pub fn flush(&mut self, sockets: &[UdpSocket]) -> u64 {
        self.join(sockets);
        let mut lost = 0;
        let mut at = 0;
        while let Some(&Piece { socket, .. }) = self.pieces.get(at) {
            let mut datagrams = 0;
            let of_this_call = |p: &&Piece| {
                datagrams += usize::from(p.datagrams);
                p.socket == socket && datagrams <= QUEUE
            };
            let end = at + self.pieces[at..].iter().take_while(of_this_call).count();
            let Some(socket) = sockets.get(usize::from(socket)) else { break };
            lost += self.send(at..end, socket);
            at = end;
        }
        self.queue.clear();
        self.pieces.clear();
        self.bytes.clear();
        lost
    }

    /// Makes pieces of what is queued. The last piece to an address is looked for only where the address's hash
    /// points; if another has taken that place since, a new piece begins, and the order to each is kept.
    fn join(&mut self, sockets: &[UdpSocket]) {
        self.latest = [NONE; PLACES];
        for i in 0..self.queue.len() {
            let o = self.queue[i];
            let latest = &mut self.latest[place(&o.remote)];
            if let Some(piece) = self.pieces.get_mut(usize::from(*latest))
                && joins(&self.queue, piece, &o)
                && sockets.get(usize::from(o.socket)).is_some_and(|s| s.segments.get())
            {
                self.queue[usize::from(piece.last)].next = i as u16;
                piece.last = i as u16;
                piece.datagrams += 1;
                piece.bytes += o.length();
            } else {
                let (i, socket, bytes) = (i as u16, o.socket, o.length());
                *latest = self.pieces.len() as u16;
                self.pieces.push(Piece { socket, first: i, last: i, datagrams: 1, bytes });
            }
        }
    }

    /// Sends pieces of one socket, [`QUEUE`] datagrams at most.
    fn send(&mut self, pieces: Range<usize>, socket: &UdpSocket) -> u64 {
        let mut vector = 0;
        for (i, piece) in pieces.clone().enumerate() {
            vector = self.prepare(i, piece, vector, socket.local.ip().is_unspecified());
        }
        let count = pieces.len();
        let (mut sent, mut lost, mut again) = (0, 0, 0);
        while sent < count {
            // SAFETY: headers `sent..count` were filled by `prepare` and point into this struct, which does not
            // change during the call.
            let n = unsafe {
                libc::sendmmsg(
                    socket.fd(),
                    self.headers.as_mut_ptr().add(sent),
                    (count - sent) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if n > 0 {
                (sent, again) = (sent + n as usize, 0);
                continue;
            }
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            // It may be the error of an earlier datagram, which a call reports once.
            if again < AGAIN && is_of_the_network(&error) {
                again += 1;
                continue;
            }
            again = 0;
            self.note_refused(pieces.start + sent, &error);
            let refused = self.pieces[pieces.start + sent];
            if refused.datagrams == 1 {
                lost += 1;
            } else {
                // The device cannot fill in checksums. Other errors are of this piece: a path with a small MTU.
                if error.raw_os_error() == Some(libc::EIO) {
                    socket.segments.set(false);
                }
                lost += self.send_apart(sent, refused, socket);
            }
            sent += 1;
        }
        lost
    }

    /// Notes that the kernel refuses to send a piece: there is no way to its address. That its buffers are full is no such word.
    fn note_refused(&mut self, piece: usize, error: &io::Error) {
        let full =
            matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EIO));
        let Some(first) = self.pieces.get(piece).and_then(|p| self.queue.get(usize::from(p.first))) else {
            return;
        };
        if !full && self.refused.len() < MOST_REFUSED {
            let bytes = self.bytes.get(first.start as usize..first.end as usize).unwrap_or_default();
            let bytes = bytes.get(..QUOTED).unwrap_or(bytes).into();
            self.refused.push(Undelivered { to: first.remote, bytes });
        }
    }

    /// Sends the datagrams of the piece in header `i` one by one.
    fn send_apart(&mut self, i: usize, piece: Piece, socket: &UdpSocket) -> u64 {
        let first = self.queue[usize::from(piece.first)];
        let mut header = self.headers[i].msg_hdr;
        (header.msg_iovlen, header.msg_controllen) = (1, 0);
        if socket.local.ip().is_unspecified() && !first.from.is_unspecified() {
            name::put_packet_info(&mut header, &mut self.controls[i], first.from);
        }
        let mut lost = 0;
        for _ in 0..piece.datagrams {
            // SAFETY: the header points into this struct, at one vector of the piece's.
            lost +=
                u64::from(unsafe { libc::sendmsg(socket.fd(), &raw const header, libc::MSG_DONTWAIT) } < 0);
            header.msg_iov = header.msg_iov.wrapping_add(1);
        }
        lost
    }

    /// Fills header `i` in for a piece, its vectors from `vector` on; where the next piece's begin.
    fn prepare(&mut self, i: usize, piece: usize, vector: usize, wildcard: bool) -> usize {
        let piece = self.pieces[piece];
        let first = self.queue[usize::from(piece.first)];
        let (mut next, mut end) = (piece.first, vector);
        while let Some(o) = self.queue.get(usize::from(next)) {
            let bytes = self.bytes.get_mut(o.start as usize..o.end as usize).unwrap_or_default();
            self.iov[end] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            (next, end) = (o.next, end + 1);
        }
        let length = name::write(&mut self.names[i], first.remote);
        let h = &mut self.headers[i].msg_hdr;
        h.msg_name = (&raw mut self.names[i]).cast();
        h.msg_namelen = length;
        h.msg_iov = &raw mut self.iov[vector];
        h.msg_iovlen = (end - vector) as _;
        h.msg_control = std::ptr::null_mut();
        h.msg_controllen = 0;
        h.msg_flags = 0;
        if wildcard && !first.from.is_unspecified() {
            name::put_packet_info(h, &mut self.controls[i], first.from);
        }
        if piece.datagrams > 1 {
            name::put_segment(h, &mut self.controls[i], first.length() as u16);
        }
        end
    }
}

/// May the error be that of an earlier datagram, of which ICMP told?
pub(crate) fn is_of_the_network(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EPROTO
                | libc::EHOSTDOWN
                | libc::EACCES
                | libc::EMSGSIZE
        )
    )
}

/// May this datagram be the next of the piece?
fn joins(queue: &[Outgoing], piece: &Piece, o: &Outgoing) -> bool {
    let (Some(first), Some(last)) = (queue.get(usize::from(piece.first)), queue.get(usize::from(piece.last)))
    else {
        return false;
    };
    let length = first.length();
    (first.socket, first.remote, first.from) == (o.socket, o.remote, o.from)
        && last.length() == length
        && (1..=length).contains(&o.length())
        && length <= LONGEST_PART
        && usize::from(piece.datagrams) < QUEUE
        && piece.bytes + o.length() <= LONGEST_PIECE
}

/// The index of an address in the table.
fn place(remote: &SocketAddr) -> usize {
    let ip = match remote.ip() {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => u128::from(ip) as u32,
    };
    let mixed = (ip ^ u32::from(remote.port()) << 16 ^ u32::from(remote.port())).wrapping_mul(0x9E37_79B1);
    (mixed >> 26) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::super::{Receiver, set_option};
    use super::*;

    fn pair(listen: &str, from: &str) -> (UdpSocket, UdpSocket, SocketAddr) {
        let server = UdpSocket::bind(listen.parse().unwrap(), true).unwrap();
        let ip: IpAddr = from.parse().unwrap();
        let client = UdpSocket::bind(SocketAddr::new(ip, 0), false).unwrap();
        let to = SocketAddr::new(ip, server.local().port());
        (server, client, to)
    }

    /// All that came. Loopback delivers inside the send call, so what was sent is there.
    fn received(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr, SocketAddr)> {
        let (mut receiver, mut all) = (Receiver::new(), Vec::new());
        loop {
            let n = receiver.receive(socket).unwrap();
            for i in 0..n {
                let (bytes, remote, local) = receiver.datagram(i);
                all.push((bytes.to_vec(), remote, local));
            }
            if n == 0 {
                return all;
            }
        }
    }

    #[test]
    fn batches_go_and_come_with_both_addresses() {
        for (listen, from) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
            let (server, client, to) = pair(listen, from);
            let mut s = Sender::new();
            for i in 0..70u8 {
                s.push(0, to.ip(), to, &[i; 9]);
            }
            assert_eq!(s.flush(std::slice::from_ref(&client)), 0);
            let all = received(&server);
            assert_eq!(all.len(), 70);
            for (i, came) in (0u8..).zip(&all) {
                assert_eq!(*came, (vec![i; 9], client.local(), to));
            }
            // The answers leave from the address that was asked, one or several.
            for answers in 1..3 {
                for _ in 0..answers {
                    s.push(0, to.ip(), client.local(), b"pong");
                }
                assert_eq!(s.flush(std::slice::from_ref(&server)), 0);
                assert_eq!(received(&client), vec![(b"pong".to_vec(), to, client.local()); answers]);
            }
        }
    }

    /// Lengths that join and lengths that do not, to several addresses in turn.
    fn mixed(sender: &mut Sender, to: &[SocketAddr]) -> Vec<Vec<Vec<u8>>> {
        let lengths = [500usize, 500, 0, 500, 300, 300, 1400, 1400, 1401, 1401, 9000, 20, 21, 21, 20, 21];
        let mut sent = vec![Vec::new(); to.len()];
        for (i, length) in (0..9).flat_map(|_| lengths).enumerate() {
            let bytes = vec![i as u8; length];
            for (sent, to) in sent.iter_mut().zip(to) {
                sender.push(0, to.ip(), *to, &bytes);
                sent.push(bytes.clone());
            }
        }
        sent
    }

    #[test]
    fn what_is_joined_arrives_whole_and_in_order() {
        let servers: Vec<_> =
            (0..3).map(|_| UdpSocket::bind("127.0.0.1:0".parse().unwrap(), false).unwrap()).collect();
        let to: Vec<_> = servers.iter().map(UdpSocket::local).collect();
        let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let able = client.segments.get();
        // SO_NO_CHECK makes the kernel refuse to cut, as a path with a small MTU does.
        for (refusing, segments) in [(0, able), (1, able), (0, false)] {
            set_option(client.fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, refusing).unwrap();
            client.segments.set(segments);
            let mut s = Sender::new();
            let sent = mixed(&mut s, &to);
            s.join(std::slice::from_ref(&client));
            assert_eq!(s.pieces.len() < s.queue.len(), segments, "some are joined where that can be done");
            s.pieces.clear();
            s.queue.iter_mut().for_each(|o| o.next = NONE);
            assert_eq!(s.flush(std::slice::from_ref(&client)), 0);
            for (server, sent) in servers.iter().zip(sent) {
                let came: Vec<_> = received(server).into_iter().map(|(bytes, ..)| bytes).collect();
                assert!(came == sent, "{} of {}", came.len(), sent.len());
            }
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_counted() {
        let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let mut s = Sender::new();
        // No client has port 0.
        for _ in 0..3 {
            s.push(0, client.local().ip(), SocketAddr::from(([127, 0, 0, 1], 0)), b"lost");
        }
        assert_eq!(s.flush(std::slice::from_ref(&client)), 3);
    }
}
