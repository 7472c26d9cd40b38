//! The loop around a target: how long, how much, and what it was when something broke.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::rng::Rng;

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Inputs given to the target, the corpus itself included.
    pub inputs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// `TRUNKLINE_SOAK_SECONDS`, else 2.
pub fn seconds() -> Duration {
    let text = std::env::var("TRUNKLINE_SOAK_SECONDS").unwrap_or_default();
    Duration::from_secs_f64(text.parse().unwrap_or(2.0))
}

/// The seed of a run that is not told another: what CI runs can be run again, and a change alone decides how it ends.
const SEED: u64 = 1;

/// `TRUNKLINE_FUZZ_SEED`: a number, or `random` for one that differs from run to run; else always the same.
fn seed() -> u64 {
    match std::env::var("TRUNKLINE_FUZZ_SEED").as_deref() {
        Ok("random") => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(SEED, |time| time.as_nanos() as u64)
        }
        Ok(number) => {
            number.parse().unwrap_or_else(|_| panic!("TRUNKLINE_FUZZ_SEED={number}: a number or `random`"))
        }
        Err(_) => SEED,
    }
}

/// Runs the corpus and then mutations of it through `target` for `time`, and prints how much that was. When the
/// target panics, the seed and the input are printed first.
pub fn soak(name: &str, corpus: &[Vec<u8>], time: Duration, target: impl Fn(&[u8])) -> Report {
    let seed = seed();
    let report = soak_with(seed, name, corpus, time, target);
    println!(
        "fuzz {name}: {} inputs, {:.1} MB in {:.1} s, seed {seed}",
        report.inputs,
        report.bytes as f64 / 1e6,
        time.as_secs_f64()
    );
    report
}

/// The same with this seed, without a word.
pub(crate) fn soak_with(
    seed: u64,
    name: &str,
    corpus: &[Vec<u8>],
    time: Duration,
    target: impl Fn(&[u8]),
) -> Report {
    let mut rng = Rng::new(seed);
    let mut report = Report { inputs: 0, bytes: 0 };
    let mut give = |input: &[u8]| {
        report.inputs += 1;
        report.bytes += input.len() as u64;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!(
                "{name}: TRUNKLINE_FUZZ_SEED={seed}, input {}:\n{}",
                report.inputs,
                input.escape_ascii()
            );
            resume_unwind(panic);
        }
    };
    corpus.iter().for_each(|input| give(input));
    let end = Instant::now() + time;
    while Instant::now() < end {
        for _ in 0..64 {
            give(&mutate(&mut rng, corpus));
        }
    }
    report
}
