//! Attacks on an exchange on loopback: each probe plays a stranger, a guesser or a dishonest phone, and says whether the exchange
//! held. Nothing here is shared with the exchange, so that a mistake in its rules is not repeated here.
//!
//! The parties have addresses of their own in 127.0.0.0/8 (see [`Cast`]): phones, a stranger, the carrier at which all trunks of
//! the attacked copy end, and a host that nobody named.
#![forbid(unsafe_code)]

mod card;
mod cast;
mod digest;
mod message;
mod phone;
mod probe;
mod random;
mod target;

pub use card::{Card, ProbeResult, Verdict};
pub use cast::Cast;
pub use target::{Login, Other, Target};

/// Runs all probes, which takes some 30 seconds.
pub fn run(target: Target, mut progress: impl FnMut(&ProbeResult)) -> std::io::Result<Card> {
    let mut cast = Cast::new(target)?;
    let mut card = Card::default();
    for probe in probe::ALL {
        for result in probe(&mut cast)? {
            progress(&result);
            card.results.push(result);
        }
        cast.rest();
    }
    Ok(card)
}
