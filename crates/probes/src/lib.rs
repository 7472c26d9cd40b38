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
mod stream;
mod target;
mod wire;

pub use card::{Card, ProbeResult, Verdict};
pub use cast::Cast;
pub use target::{Login, Other, Target};
pub use wire::Way;

/// Runs all probes, which takes some 30 seconds; over a connection, those that make sense there.
pub fn run(target: Target) -> std::io::Result<Card> {
    let way = target.way;
    let mut cast = Cast::new(target)?;
    let mut card = Card::default();
    let datagrams = if way == Way::Udp { probe::OF_DATAGRAMS } else { &[] };
    for probe in probe::ALL.iter().chain(datagrams).chain(&probe::LAST) {
        let results = probe(&mut cast)?;
        card.results
            .extend(results.into_iter().map(|result| ProbeResult { transport: way.name(), ..result }));
        cast.rest();
    }
    Ok(card)
}
