//! Ports that are free on 127.0.0.1 for UDP and TCP, each given out once per process.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// First port given out; the range ends below the kernel's ephemeral ports, so that no client socket takes one.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port no socket is bound to. Two test processes start at different places of the range.
pub fn free_port() -> u16 {
    free_run(1)
}

/// The first of so many free ports in a row: SIPp takes its media port and the second after it.
pub fn free_run(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let n = NEXT.fetch_add(count, Ordering::Relaxed);
        let first = FIRST + (start + n % COUNT) % COUNT;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no free port from {FIRST} on");
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}
