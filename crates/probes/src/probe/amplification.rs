//! Amplification: does a small forged request make the exchange send much to a victim?

use std::io;
use std::time::{Duration, Instant};

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::Ask;

/// What may be sent beyond what was received, per second; at the beginning as much once.
const ALLOWED: usize = 4_096;

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let domain = cast.target.domain.clone();
    let mut results = Vec::new();
    for (probe, method) in [
        ("amplification/options", "OPTIONS"),
        ("amplification/invite", "INVITE"),
        ("amplification/register", "REGISTER"),
    ] {
        // The victim's address is forged: it answers nothing, and sends no ACK.
        let mut victim = cast.stranger()?;
        let begun = Instant::now();
        for _ in 0..100 {
            let ask = match method {
                "REGISTER" => victim.register_request(60),
                _ => Ask::new(method, format!("sip:somebody@{domain}")),
            };
            victim.send(&victim.write(&ask))?;
        }
        // Retransmissions come within 500 ms, 1 s and 2 s (RFC 3261 §17.2.1).
        while victim.next(Duration::from_millis(1_200)).is_some() {}
        let seconds = begun.elapsed().as_secs() as usize + 1;
        let (bytes_in, bytes_out) = (victim.bytes_out, victim.bytes_in);
        let held = bytes_out <= bytes_in + ALLOWED * (seconds + 1);
        let what =
            format!("100 {method} with a forged source, {bytes_in} bytes: {bytes_out} bytes came back");
        let means = "the exchange can be used to flood others";
        results.push(ProbeResult::new(probe, held, what, means));
    }
    Ok(results)
}
