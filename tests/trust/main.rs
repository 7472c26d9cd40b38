//! Dialogs made by chance, against an oracle of the rules: no message goes where the rules forbid, none is refused that
//! they allow. `TRUNKLINE_TRUST_SEED` plays one history and prints it, `TRUNKLINE_TRUST_DIALOGS` says how many dialogs,
//! `TRUNKLINE_TRUST_FROM` the first seed, `TRUNKLINE_TRUST_FAILURES` how many broken rules end the run. Worlds differ in their
//! workers, and one keeps no transactions: `TRUNKLINE_TRUST_WORKERS` and `TRUNKLINE_TRUST_STATELESS` set that for all.
#![forbid(unsafe_code)]

mod bait;
mod cast;
mod challenged;
mod deleted;
mod dialog;
mod draw;
mod early;
mod first;
mod forged;
mod history;
mod ladder;
mod lane;
mod moves;
mod net;
mod oracle;
mod oracle_tests;
mod proof;
mod records;
mod referral;
mod request;
mod rng;
mod ruling;
mod serve;
mod table;
mod twist;
mod within;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use history::History;
use lane::Lane;
use table::Table;
use world::Shape;

/// Worlds that are played in side by side.
const LANES: usize = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// What ends a run.
struct Bounds {
    dialogs: u64,
    time: Duration,
    first_seed: u64,
    /// So many broken rules end the run.
    failures: u64,
    /// Only this history.
    only: Option<u64>,
}

/// So much of the log is shown with a failure.
const LOG_LINES: usize = 12;

struct Run {
    bounds: Bounds,
    start: Instant,
    next: AtomicU64,
    dialogs: AtomicU64,
    stop: AtomicBool,
    all: Mutex<Table>,
    failures: Mutex<Vec<String>>,
}

impl Run {
    fn new(bounds: Bounds) -> Run {
        let next = AtomicU64::new(bounds.only.unwrap_or(bounds.first_seed));
        Run {
            bounds,
            start: Instant::now(),
            next,
            dialogs: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            all: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    fn goes_on(&self) -> bool {
        let enough = self.dialogs.load(Ordering::Relaxed) >= self.bounds.dialogs;
        !self.stop.load(Ordering::Relaxed) && !enough && self.start.elapsed() < self.bounds.time
    }

    /// Plays histories in a world of its own until enough has been played or one fails.
    fn lane(&self, place: usize) {
        let shape = self.shape(place);
        let mut table = Table::default();
        let mut lane = self.world(shape);
        while self.goes_on() {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let before = table.dialogs;
            if let Err(broken) = History::play(&mut lane, &mut table, seed) {
                self.failed(seed, &broken.0, &lane);
                table.messages += lane.messages;
                // What is left of it must not be taken for the fault of the next.
                lane = self.world(shape);
            } else if self.bounds.only.is_some() {
                println!("seed {seed}:\n{}", lane.ladder.print(0));
            }
            table.histories += 1;
            self.dialogs.fetch_add(table.dialogs - before, Ordering::Relaxed);
            if self.bounds.only.is_some() {
                break;
            }
        }
        if let Err(broken) = lane.check_records() {
            self.failed(0, &broken.0, &lane);
        }
        table.messages += lane.messages;
        self.all.lock().expect("no lane panics").add(&table);
    }

    /// Most worlds have one worker; in the last a message may land on another than its transaction, and one before it keeps
    /// no transactions.
    fn shape(&self, place: usize) -> Shape {
        let all = self.bounds.only.is_none();
        let usual = if place + 1 == LANES && all { 2 } else { 1 };
        Shape {
            workers: number("TRUNKLINE_TRUST_WORKERS").map_or(usual, |n| n as usize),
            stateless: number("TRUNKLINE_TRUST_STATELESS").map_or(place + 2 == LANES && all, |n| n == 1),
        }
    }

    fn world(&self, shape: Shape) -> Lane {
        let mut lane = Lane::start(shape);
        if let Err(broken) = history::register_all(&mut lane) {
            self.failed(0, &broken.0, &lane);
        }
        lane
    }

    fn failed(&self, seed: u64, what: &str, lane: &Lane) {
        let (about, shape) = (lane.ladder.about(), lane.shape);
        let log = lane.exchange.log();
        let last: Vec<&str> = log.lines().skip(log.lines().count().saturating_sub(LOG_LINES)).collect();
        let (ladder, last) = (lane.ladder.print(4), last.join("\n"));
        let text = format!(
            "seed {seed}: {what} ({about}), {shape}\n{ladder}\nthe end of the exchange's log:\n{last}"
        );
        let mut failures = self.failures.lock().expect("no lane panics");
        failures.push(text);
        if failures.len() as u64 >= self.bounds.failures {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// As many dialogs as were asked for, or as fit into the time.
#[test]
fn no_message_goes_where_the_rules_forbid_and_none_is_refused_that_they_allow() {
    let soak = number("TRUNKLINE_SOAK_SECONDS").unwrap_or(10).min(20);
    let dialogs = number("TRUNKLINE_TRUST_DIALOGS");
    let run = Run::new(Bounds {
        dialogs: dialogs.unwrap_or(u64::MAX),
        time: Duration::from_secs(if dialogs.is_some() { 3600 } else { soak }),
        first_seed: number("TRUNKLINE_TRUST_FROM").unwrap_or(1),
        failures: number("TRUNKLINE_TRUST_FAILURES").unwrap_or(1),
        only: number("TRUNKLINE_TRUST_SEED"),
    });
    let lanes = if run.bounds.only.is_some() { 1 } else { LANES };
    std::thread::scope(|scope| {
        for place in 0..lanes {
            let run = &run;
            scope.spawn(move || run.lane(place));
        }
    });
    println!("{}{:.1} s", run.all.lock().expect("no lane panics").print(), run.start.elapsed().as_secs_f64());
    let failures = run.failures.into_inner().expect("no lane panics");
    assert!(
        failures.is_empty(),
        "{}\nplay it again: TRUNKLINE_TRUST_SEED=SEED TRUNKLINE_TRUST_WORKERS=N TRUNKLINE_TRUST_STATELESS=0|1",
        failures.join("\n")
    );
    let played = run.dialogs.load(Ordering::Relaxed);
    let wanted = if run.bounds.only.is_some() { 0 } else { dialogs.unwrap_or(1) };
    assert!(played >= wanted, "{played} dialogs of {wanted} were played");
}
