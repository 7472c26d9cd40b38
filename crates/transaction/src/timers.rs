//! The timers of RFC 3261 §17 (table 4), in milliseconds.

/// A point in time: milliseconds on a clock that never goes back.
pub type Now = u64;

/// Round-trip time estimate.
pub const T1: u64 = 500;
/// The longest interval between retransmissions of non-INVITE requests and INVITE responses.
pub const T2: u64 = 4_000;
/// How long a message stays in the network.
pub const T4: u64 = 5_000;
/// Timers B, F, H, J, L and M: when to give up, or how long to remember.
pub const T1_64: u64 = 64 * T1;
/// After so long timer E is set to T2 (RFC 3261 §17.1.2.2): it fires after T1, 2*T1 and 4*T1 more.
pub const E_AT_T2: u64 = 7 * T1;
/// Timer C: a proxied INVITE without a final response (RFC 3261 §16.6, more than three minutes).
pub const C: u64 = 185_000;
