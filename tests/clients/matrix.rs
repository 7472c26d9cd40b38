//! Calls between all pairs of clients.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use trunkline_tests::{exchange_command, wait_for};

use super::house::House;
use super::phone::{Part, Phone};

/// A call from one client to another, both holding, ended by one of them.
fn call<'p>(caller: &'p mut dyn Phone, callee: &'p mut dyn Phone, caller_ends: bool) {
    callee.prepare(Part { calls: false, hangs_up: !caller_ends });
    caller.prepare(Part { calls: true, hangs_up: caller_ends });
    caller.dial(callee.user());
    callee.answer();
    caller.talking();
    callee.talking();
    hold(caller, callee);
    hold(callee, caller);
    let (one, other) = if caller_ends { (caller, callee) } else { (callee, caller) };
    one.hang_up();
    other.ended();
}

/// One side holds the call and takes it back.
fn hold(one: &mut dyn Phone, other: &mut dyn Phone) {
    one.hold();
    other.held();
    one.resume();
    other.resumed();
}

/// Plays all ordered pairs: in each round every client is in one call at most, and all calls run at once.
pub fn play(house: &mut House) {
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut count = 0;
    for (round, pairs) in rounds(house.phones.len()).into_iter().enumerate() {
        let mut phones: Vec<Option<&mut Box<dyn Phone>>> = house.phones.iter_mut().map(Some).collect();
        let mut take = |n: usize| phones.get_mut(n).and_then(Option::take).expect("in one call at most");
        let calls: Vec<_> =
            pairs.iter().map(|(a, b)| (take(*a), take(*b), (a + b + round / 2) % 2 == 0)).collect();
        std::thread::scope(|scope| {
            let running: Vec<_> = calls
                .into_iter()
                .map(|(caller, callee, caller_ends)| {
                    let title = format!("{} -> {}", caller.name(), callee.name());
                    let ends = if caller_ends { "the caller" } else { "the callee" };
                    let title = format!("{title}, {ends} hangs up");
                    let act = move || {
                        let began = Instant::now();
                        let play = || call(caller.as_mut(), callee.as_mut(), caller_ends);
                        (catch_unwind(AssertUnwindSafe(play)).is_ok(), began.elapsed())
                    };
                    (title, scope.spawn(act))
                })
                .collect();
            for (title, thread) in running {
                let (went_well, took) = thread.join().expect("it catches what happens");
                println!(
                    "{title}: {} ({:.1} s)",
                    if went_well { "ok" } else { "FAILED" },
                    took.as_secs_f64()
                );
                count += 1;
                if !went_well {
                    failed.push(title);
                }
            }
        });
        assert!(failed.is_empty(), "{failed:#?}");
    }
    println!("{count} calls in {:.0} s", start.elapsed().as_secs_f64());
    all_recorded(house, count);
}

/// The exchange knows of every call that it ended well.
fn all_recorded(house: &House, count: usize) {
    let records = wait_for("the records of all calls", || {
        let mut command = exchange_command(&house.exchange);
        let output = command.args(["calls", "records", "--json", "--limit", "1000"]).output().ok()?;
        let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
        let talked: Vec<_> = records.into_iter().filter(|record| !record["answered"].is_null()).collect();
        (talked.len() >= count).then_some(talked)
    });
    assert!(records.iter().all(|record| record["cause"] == "NORMAL_CLEARING"), "{records:#?}");
    assert_eq!(records.len(), count);
}

/// All ordered pairs of so many, in rounds in which each occurs once at most (the circle method), first one way, then the other.
fn rounds(count: usize) -> Vec<Vec<(usize, usize)>> {
    let even = count + count % 2;
    let mut rounds = Vec::new();
    for turn in 0..even.saturating_sub(1) {
        let place = |n: usize| if n == 0 { 0 } else { (n - 1 + turn) % (even - 1) + 1 };
        let pairs = (0..even / 2).map(|n| (place(n), place(even - 1 - n)));
        let pairs: Vec<_> = pairs.filter(|(a, b)| *a < count && *b < count).collect();
        rounds.push(pairs.iter().map(|(a, b)| (*b, *a)).collect());
        rounds.push(pairs);
    }
    rounds
}

#[test]
fn every_pair_occurs_once_each_way() {
    for count in [0, 1, 2, 5, 12, 13] {
        let mut seen = std::collections::HashSet::new();
        for round in rounds(count) {
            let mut busy = std::collections::HashSet::new();
            for (a, b) in round {
                assert!(busy.insert(a) && busy.insert(b), "{count}");
                assert!(a != b && seen.insert((a, b)), "{count}");
            }
        }
        assert_eq!(seen.len(), count * count.saturating_sub(1));
    }
}
