//! Histories of an exchange and the world around it, in virtual time, until the soak is over.
//!
//! `TRUNKLINE_SIM_SEED` plays one history and prints its ladder (`TRUNKLINE_SIM_SHRUNK` what is left of it), `TRUNKLINE_SIM_HISTORIES` says how many are played,
//! `TRUNKLINE_SIM_SECONDS` for how long, `TRUNKLINE_SIM_PAIRS` prints the table of all pairs, `TRUNKLINE_SIM_FROM` is the first seed, `TRUNKLINE_SIM_FAILURES` how many broken rules end the run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use simulation::history::{Failure, Player};
use simulation::world::{Less, Table};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// Histories that are played side by side.
const LANES: usize = 2;

struct Run {
    from: u64,
    histories: u64,
    time: Duration,
    most_failures: usize,
    start: Instant,
    next: AtomicU64,
    stop: AtomicBool,
    table: Mutex<(Table, u64)>,
    failures: Mutex<Vec<Failure>>,
}

impl Run {
    fn lane(&self) {
        let mut player = Player::default();
        while !self.stop.load(Ordering::Relaxed) && self.start.elapsed() < self.time {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.from.saturating_add(self.histories) {
                break;
            }
            if let Err(failure) = player.play(seed) {
                let mut failures = self.failures.lock().expect("no lane panics");
                failures.push(failure);
                self.stop.store(failures.len() >= self.most_failures, Ordering::Relaxed);
            }
        }
        let mut all = self.table.lock().expect("no lane panics");
        all.0.add(&player.table);
        all.1 += player.messages;
    }
}

#[test]
fn the_rules_hold_in_every_history() {
    if let Some(seed) = number("TRUNKLINE_SIM_SEED") {
        let whole = number("TRUNKLINE_SIM_WHOLE").is_some();
        let less = number("TRUNKLINE_SIM_SHRUNK").map_or(Less::default(), |_| Player::default().shrink(seed));
        println!("seed {seed}:\n{}", Player::default().ladder(seed, less, whole));
        return assert!(Player::default().play(seed).is_ok(), "a rule is broken");
    }
    let histories = number("TRUNKLINE_SIM_HISTORIES");
    let soak = number("TRUNKLINE_SOAK_SECONDS").unwrap_or(10).min(20);
    let from = number("TRUNKLINE_SIM_FROM").unwrap_or(1);
    let run = Run {
        from,
        histories: histories.unwrap_or(u64::MAX),
        time: Duration::from_secs(match (number("TRUNKLINE_SIM_SECONDS"), histories) {
            (Some(seconds), _) => seconds,
            (None, Some(_)) => 86_400,
            (None, None) => soak,
        }),
        most_failures: number("TRUNKLINE_SIM_FAILURES").unwrap_or(1) as usize,
        start: Instant::now(),
        next: AtomicU64::new(from),
        stop: AtomicBool::new(false),
        table: Mutex::default(),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| run.lane());
        }
    });
    let took = run.start.elapsed().as_secs_f64();
    let (table, messages) = run.table.into_inner().expect("no lane panics");
    println!("{}", table.print());
    if number("TRUNKLINE_SIM_PAIRS").is_some() {
        println!("{}", table.pairs());
    }
    let (least, a, b) = table.rarest();
    println!("rarest pair: {} with {}, {least} times", a.text(), b.text());
    let rate = table.histories as f64 / took;
    println!("{} histories, {messages} messages, {took:.1} s, {rate:.0} histories/s", table.histories);
    let mut failures = run.failures.into_inner().expect("no lane panics");
    failures.sort_by_key(|failure| failure.seed);
    for failure in failures.iter().skip(1) {
        println!("seed {}: {}", failure.seed, failure.what);
    }
    if let Some(Failure { seed, what, ladder }) = failures.first() {
        panic!(
            "seed {seed}: {what}\n{ladder}\nplay it again: TRUNKLINE_SIM_SEED={seed} cargo test -p trunkline-simulation"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 1..20 {
        let once = Player::default().ladder(seed, Less::default(), true);
        assert_eq!(once, Player::default().ladder(seed, Less::default(), true), "seed {seed}");
    }
}
