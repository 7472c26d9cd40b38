//! Ports that are free on 127.0.0.1 for UDP and TCP, each given out once per process.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// First port given out; the range ends below the kernel's ephemeral ports, so that no client socket takes one.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port no socket is bound to. Two test processes start at different places of the range.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + n % COUNT) % COUNT;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}
