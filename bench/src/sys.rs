//! The calls of libc that std does not have.

use std::ffi::{c_int, c_uint, c_void};
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IoVec { pub base: *mut c_void, pub len: usize }
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MsgHdr {
    pub name: *mut c_void, pub namelen: u32, pub iov: *mut IoVec, pub iovlen: usize,
    pub control: *mut c_void, pub controllen: usize, pub flags: c_int,
}
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MMsgHdr { pub hdr: MsgHdr, pub len: c_uint }
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PollFd { pub fd: c_int, pub events: i16, pub revents: i16 }
extern "C" {
    pub fn recvmmsg(fd: c_int, v: *mut MMsgHdr, n: c_uint, flags: c_int, t: *mut c_void) -> c_int;
    pub fn sendmmsg(fd: c_int, v: *mut MMsgHdr, n: c_uint, flags: c_int) -> c_int;
    pub fn setsockopt(fd: c_int, level: c_int, name: c_int, val: *const c_void, len: u32) -> c_int;
    pub fn poll(fds: *mut PollFd, n: std::ffi::c_ulong, timeout: c_int) -> c_int;
    pub fn memchr(s: *const c_void, c: c_int, n: usize) -> *mut c_void;
}
pub const MSG_DONTWAIT: c_int = 0x40;
pub const SOL_SOCKET: c_int = 1;
pub const SO_SNDBUF: c_int = 7;
pub const SO_RCVBUF: c_int = 8;
pub const POLLIN: i16 = 1;
pub fn find(hay: &[u8], c: u8) -> Option<usize> {
    if hay.is_empty() { return None; }
    unsafe {
        let p = memchr(hay.as_ptr() as *const c_void, c as c_int, hay.len());
        if p.is_null() { None } else { Some(p as usize - hay.as_ptr() as usize) }
    }
}
