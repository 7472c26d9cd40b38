//! UDP sockets in batches, and TCP connections.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::{BATCH, Cfg, MAXMSG, Stats, sys};

pub(crate) struct Udp {
    pub(crate) s: UdpSocket, pub(crate) fd: i32, tx: Vec<Vec<u8>>, n: usize, pub(crate) rx: Vec<Vec<u8>>,
}
impl Udp {
    pub(crate) fn new(local: SocketAddr, server: SocketAddr) -> Udp {
        let s = UdpSocket::bind(local).unwrap_or_else(|e| panic!("bind {local}: {e}"));
        s.connect(server).expect("connect");
        let fd = s.as_raw_fd();
        let v: i32 = 4 << 20;
        for opt in [sys::SO_RCVBUF, sys::SO_SNDBUF] {
            unsafe { sys::setsockopt(fd, sys::SOL_SOCKET, opt, &v as *const _ as *const _, 4) };
        }
        Udp { s, fd, tx: vec![Vec::with_capacity(MAXMSG); BATCH], n: 0, rx: vec![vec![0; MAXMSG]; BATCH] }
    }
    pub(crate) fn push(&mut self, b: &[u8], st: &mut Stats) {
        if self.n == BATCH { self.flush(st); }
        self.tx[self.n].clear();
        self.tx[self.n].extend_from_slice(b);
        self.n += 1;
    }
    pub(crate) fn flush(&mut self, st: &mut Stats) {
        if self.n == 0 { return; }
        let n = self.n;
        let mut iov: [sys::IoVec; BATCH] = unsafe { std::mem::zeroed() };
        let mut m: [sys::MMsgHdr; BATCH] = unsafe { std::mem::zeroed() };
        for i in 0..n {
            iov[i] = sys::IoVec { base: self.tx[i].as_mut_ptr() as *mut _, len: self.tx[i].len() };
            m[i].hdr.iov = &mut iov[i];
            m[i].hdr.iovlen = 1;
        }
        let (mut off, mut errs) = (0usize, 0);
        while off < n {
            let r = unsafe { sys::sendmmsg(self.fd, m.as_mut_ptr().add(off), (n - off) as u32, 0) };
            if r > 0 { off += r as usize; errs = 0; }
            else { errs += 1; if errs > 3 { off += 1; st.tx_drop += 1; errs = 0; } }
        }
        st.tx += n as u64;
        self.n = 0;
    }
    pub(crate) fn recv(&mut self, lens: &mut [usize; BATCH]) -> usize {
        let mut iov: [sys::IoVec; BATCH] = unsafe { std::mem::zeroed() };
        let mut m: [sys::MMsgHdr; BATCH] = unsafe { std::mem::zeroed() };
        for i in 0..BATCH {
            iov[i] = sys::IoVec { base: self.rx[i].as_mut_ptr() as *mut _, len: MAXMSG };
            m[i].hdr.iov = &mut iov[i];
            m[i].hdr.iovlen = 1;
        }
        let r = unsafe { sys::recvmmsg(self.fd, m.as_mut_ptr(), BATCH as u32, sys::MSG_DONTWAIT, std::ptr::null_mut()) };
        if r <= 0 { return 0; }
        for i in 0..r as usize { lens[i] = m[i].len as usize; }
        r as usize
    }
}
pub(crate) struct Tcp { pub(crate) s: TcpStream, pub(crate) out: Vec<u8>, pub(crate) inb: Vec<u8>, pub(crate) local: SocketAddr }

pub(crate) enum Net { Udp(Vec<Udp>), Tcp(Vec<Tcp>) }
impl Net {
    pub(crate) fn len(&self) -> usize { match self { Net::Udp(v) => v.len(), Net::Tcp(v) => v.len() } }
    pub(crate) fn local(&self, i: usize) -> SocketAddr {
        match self { Net::Udp(v) => v[i].s.local_addr().unwrap(), Net::Tcp(v) => v[i].local }
    }
    pub(crate) fn push(&mut self, i: usize, b: &[u8], st: &mut Stats) {
        match self {
            Net::Udp(v) => v[i].push(b, st),
            Net::Tcp(v) => { v[i].out.extend_from_slice(b); st.tx += 1; }
        }
    }
    pub(crate) fn flush(&mut self, st: &mut Stats) {
        match self {
            Net::Udp(v) => for u in v { u.flush(st) },
            Net::Tcp(v) => for t in v {
                if !t.out.is_empty() {
                    match t.s.write(&t.out) {
                        Ok(n) => { t.out.drain(..n); }
                        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(e) => panic!("tcp write: {e}"),
                    }
                }
            },
        }
    }
}

/// Sleeps until a datagram is there, a millisecond at most: leaves the core to others.
pub(crate) fn wait(uac: &Net, uas: Option<&[Udp]>) {
    let Net::Udp(uac) = uac else { return };
    let all = uac.iter().chain(uas.unwrap_or_default());
    let mut pf: Vec<sys::PollFd> = all.map(|u| sys::PollFd { fd: u.fd, events: sys::POLLIN, revents: 0 }).collect();
    unsafe { sys::poll(pf.as_mut_ptr(), pf.len() as _, 1) };
}

pub(crate) fn mk_net(c: &Cfg) -> Net {
    if c.tcp {
        Net::Tcp((0..c.conns).map(|_| {
            let s = TcpStream::connect_timeout(&c.server, Duration::from_secs(3)).expect("tcp connect");
            s.set_nodelay(true).unwrap();
            s.set_nonblocking(true).unwrap();
            let local = s.local_addr().unwrap();
            Tcp { s, out: Vec::new(), inb: Vec::new(), local }
        }).collect())
    } else {
        Net::Udp((0..c.uac_socks).map(|i| Udp::new(SocketAddr::new(c.server.ip(), c.uac_port + i as u16), c.server)).collect())
    }
}
