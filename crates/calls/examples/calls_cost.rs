//! Prints what a call costs here: `cargo run --release -p trunkline-calls --example calls_cost [-- CALLS]`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use trunkline_calls::{CallStart, Calls, Counted, Direction, Records, SessionKey};
use trunkline_proxy::Side;

/// Time this thread ran, whatever else the machine does.
fn on_processor(of: &str) -> Duration {
    let stat = std::fs::read_to_string(of).unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Processor time of all threads, in nanoseconds.
fn all_threads() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.map(|t| on_processor(&t.path().join("schedstat").to_string_lossy()).as_nanos() as f64).sum()
}

fn run(calls: &Calls, ids: &[String], from: u64) {
    let agent = Counted { limit: Some(1_000_000), ..Counted::of(SessionKey::reference(b"agent-01")) };
    for (n, id) in ids.iter().enumerate() {
        let start = CallStart {
            number: n as u64,
            call_id: id.as_bytes(),
            from_tag: b"1928301774",
            from: b"sip:u4711@bench.local",
            to: b"sip:u4712@bench.local",
            to_header: b"",
            caller_ref: b"agent-4711",
            callee_ref: b"agent-4712",
            caller: agent,
            ..CallStart::new(Direction::AgentToAgent, [10, 0, 0, 1].into())
        };
        let call = calls.start(&start, from).expect("no limit reached");
        calls.answered(black_box(call), (b"314159abcd", b""), from + 1);
        calls.ended(n as u64, Side::Callee, from + 2);
    }
}

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300_000);
    let ids: Vec<String> = (0..count).map(|n| format!("{n:08x}0123456789abcdef@10.11.12.13")).collect();
    let per_call = |ns: f64| ns / f64::from(count);
    let own = "/proc/thread-self/schedstat";

    let calls = Calls::new();
    run(&calls, &ids, 1);
    let begun = on_processor(own);
    run(&calls, &ids, 1);
    let each = per_call((on_processor(own) - begun).as_nanos() as f64);
    println!("start, answered, ended, without records {each:8.0} ns a call, {:6.0} ns an event", each / 3.0);

    let folder = std::env::temp_dir().join(format!("trunkline-calls-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the database");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.join("trunkline.db"), Arc::clone(&calls), None).expect("a database");
    run(&calls, &ids, 1);
    records.flush();
    let (begun, all) = (on_processor(own), all_threads());
    run(&calls, &ids, 1);
    let mine = (on_processor(own) - begun).as_nanos() as f64;
    records.flush();
    let whole = all_threads() - all;
    println!(
        "the same with records                   {:8.0} ns a call on the caller's thread",
        per_call(mine)
    );
    println!("writing the record                      {:8.0} ns a call, processor", per_call(whole - mine));
    println!("rows written {}", records.health().written);
    drop(records);
    let _ = std::fs::remove_dir_all(folder);
}
