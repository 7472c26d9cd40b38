//! The long run: all targets in turn, until so many inputs were thrown.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::list::{TARGETS, Target};
use crate::soak::{Report, soak_with};

/// How long each target has its turn.
const TURN: Duration = Duration::from_secs(5);

/// Throws at least so many inputs at the targets whose names have this in them, in turns of some seconds, each with a seed of
/// its own, from this one on; prints how many each one got.
///
/// # Panics
/// When a target does, after its input was printed.
pub fn run(executions: u64, name: &str, seed: u64, threads: usize) {
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| target.name.contains(name)).collect();
    assert!(!targets.is_empty(), "no target has `{name}` in its name");
    let corpora: Vec<Vec<Vec<u8>>> = targets.iter().map(|target| (target.corpus)()).collect();
    let (turn, done, start) = (AtomicUsize::new(0), AtomicU64::new(0), Instant::now());
    let totals: Mutex<BTreeMap<&str, (Report, Duration)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < executions {
                    let n = turn.fetch_add(1, Ordering::Relaxed);
                    let (round, n) = (n / targets.len(), n % targets.len());
                    let (Some(target), Some(corpus)) = (targets.get(n), corpora.get(n)) else { break };
                    let began = Instant::now();
                    let report = soak_with(seed + round as u64, target.name, corpus, TURN, target.run);
                    done.fetch_add(report.inputs, Ordering::Relaxed);
                    let mut totals = totals.lock().expect("no turn panics with it");
                    let (all, time) = totals.entry(target.name).or_default();
                    (all.inputs, all.bytes) = (all.inputs + report.inputs, all.bytes + report.bytes);
                    *time += began.elapsed();
                    if n + 1 == targets.len() && done.load(Ordering::Relaxed) < executions {
                        print(&totals, start.elapsed());
                    }
                }
            });
        }
    });
    print(&totals.lock().expect("no turn panics with it"), start.elapsed());
}

fn print(totals: &BTreeMap<&str, (Report, Duration)>, time: Duration) {
    println!("\n{:<20} {:>14} {:>10} {:>12}", "target", "inputs", "MB", "inputs/s");
    let mut sum = 0;
    for (name, (report, time)) in totals {
        let rate = report.inputs as f64 / time.as_secs_f64();
        println!("{name:<20} {:>14} {:>10.0} {rate:>12.0}", report.inputs, report.bytes as f64 / 1e6);
        sum += report.inputs;
    }
    println!("{:<20} {sum:>14} in {:.0} s", "all", time.as_secs_f64());
}
