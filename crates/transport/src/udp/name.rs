//! Addresses and control messages, as the kernel has them.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for control messages: an address of ours and a length of datagrams.
const ROOM: usize = 64;

/// Aligned room for control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([u8; ROOM]);

impl Control {
    pub(super) const EMPTY: Control = Control([0; ROOM]);

    /// Lets the kernel write here.
    pub(super) fn offer(&mut self, header: &mut libc::msghdr) {
        header.msg_control = (&raw mut self.0).cast();
        header.msg_controllen = ROOM as _;
    }
}

/// The address in a name that the kernel filled in.
#[allow(unsafe_code)]
pub(super) fn read(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
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

/// Fills a name in; its length.
#[allow(unsafe_code)]
pub(super) fn write(name: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
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

/// The address of ours a datagram was sent to.
#[allow(unsafe_code)]
pub(super) fn packet_info(header: &libc::msghdr) -> Option<IpAddr> {
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

/// Asks the kernel to send from one of our addresses.
#[allow(unsafe_code)]
pub(super) fn put_packet_info(header: &mut libc::msghdr, control: &mut Control, from: IpAddr) {
    match from {
        IpAddr::V4(ip) => {
            // SAFETY: all-zero bytes are a valid value of this C structure.
            let mut info: libc::in_pktinfo = unsafe { mem::zeroed() };
            info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
            append(header, control, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        IpAddr::V6(ip) => {
            // SAFETY: as above.
            let mut info: libc::in6_pktinfo = unsafe { mem::zeroed() };
            info.ipi6_addr.s6_addr = ip.octets();
            append(header, control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
}

/// Asks the kernel to cut what is sent into datagrams of this length.
pub(super) fn put_segment(header: &mut libc::msghdr, control: &mut Control, length: u16) {
    append(header, control, libc::SOL_UDP, libc::UDP_SEGMENT, length);
}

/// Adds a control message to those of a header that stand in `control`.
#[allow(unsafe_code)]
fn append<T: Copy>(
    header: &mut libc::msghdr,
    control: &mut Control,
    level: libc::c_int,
    kind: libc::c_int,
    data: T,
) {
    let at: usize = header.msg_controllen as _;
    let size = mem::size_of::<T>() as u32;
    // SAFETY: these only compute.
    let (length, space, skip) =
        unsafe { (libc::CMSG_LEN(size), libc::CMSG_SPACE(size) as usize, libc::CMSG_LEN(0) as usize) };
    let Some(place) = control.0.get_mut(at..at + space) else { return debug_assert!(false, "no room") };
    // SAFETY: all-zero bytes are a valid value of this C structure.
    let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
    (head.cmsg_len, head.cmsg_level, head.cmsg_type) = (length as _, level, kind);
    // SAFETY: `place` has room for the header and, from `skip` on, for the data; both are written unaligned.
    unsafe {
        std::ptr::write_unaligned(place.as_mut_ptr().cast(), head);
        std::ptr::write_unaligned(place.as_mut_ptr().add(skip).cast(), data);
    }
    header.msg_control = (&raw mut control.0).cast();
    header.msg_controllen = (at + space) as _;
}
