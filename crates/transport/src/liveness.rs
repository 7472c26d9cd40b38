//! Kernel options that detect a connection whose other end has vanished.

use std::os::fd::AsFd;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout};

/// After so many seconds of silence the kernel asks the other end whether it is there: often enough for the NATs in between
/// (RFC 5382 §5 wants hours of them, many forget within minutes).
const IDLE: u32 = 60;
/// It asks again after so many seconds, and gives up when so many questions had no answer.
const INTERVAL: u32 = 15;
const QUESTIONS: u32 = 3;
/// Data that is not acknowledged for so many milliseconds ends the connection: as long as a transaction lives.
const UNACKNOWLEDGED_MS: u32 = 32_000;

/// Has the kernel watch the other end of a connection, and sends small messages at once. An option that is refused is done
/// without.
pub(crate) fn watch(stream: &impl AsFd) {
    let stream = stream.as_fd();
    let _ = setsockopt(&stream, nix::sys::socket::sockopt::TcpNoDelay, &true);
    let _ = setsockopt(&stream, KeepAlive, &true);
    let _ = setsockopt(&stream, TcpKeepIdle, &IDLE);
    let _ = setsockopt(&stream, TcpKeepInterval, &INTERVAL);
    let _ = setsockopt(&stream, TcpKeepCount, &QUESTIONS);
    let _ = setsockopt(&stream, TcpUserTimeout, &UNACKNOWLEDGED_MS);
}
