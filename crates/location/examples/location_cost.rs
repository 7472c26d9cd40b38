//! Prints what the location service costs: nanoseconds, bytes per contact, and the database's share.
//! `cargo run --release -p trunkline-location --example location_cost [-- AORS]` (default 1,000,000).

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_location::{ContactChange, Location, Persistence, Register, Select};
use trunkline_sip::{ConnectionId, Flow, Transport};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Time this thread ran, whatever else the machine does.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

struct Load {
    aors: Vec<String>,
    uris: Vec<String>,
    calls: Vec<String>,
}

impl Load {
    fn new(count: u32) -> Load {
        Load {
            aors: (0..count).map(|n| format!("sip:u{n:07}@bench.local")).collect(),
            // About 75 and 35 bytes, as phones write them.
            uris: (0..count)
                .map(|n| {
                    format!("sip:u{n:07}@10.11.12.13:5060;transport=udp;rinstance=0123456789abcdef;ob;x=1")
                })
                .collect(),
            calls: (0..count).map(|n| format!("{n:08x}0123456789abcdef@10.11.12.13")).collect(),
        }
    }

    fn register(&self, location: &Location, n: usize, cseq: u32, now: u64) {
        let flow = Flow {
            transport: Transport::Udp,
            local: ([10, 0, 0, 1], 5060).into(),
            remote: ([10, 11, 12, 13], 5060).into(),
            connection: ConnectionId::NONE,
        };
        let contacts = [ContactChange::new(self.uris[n].as_bytes(), 3600)];
        let request = Register::new(self.aors[n].as_bytes(), self.calls[n].as_bytes(), cseq, flow, &contacts);
        let outcome = location.register(&request, now, |binding| {
            black_box(binding.uri);
        });
        outcome.expect("in order");
    }
}

fn report(name: &str, count: usize, begun: Duration) {
    println!("{name:44} {:8.0} ns", (on_processor() - begun).as_nanos() as f64 / count as f64);
}

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let load = Load::new(count);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    let all = count as usize;
    println!("{count} AORs, contact {} bytes, Call-ID {} bytes", load.uris[0].len(), load.calls[0].len());

    let location = Arc::new(Location::new());
    let before = resident_kib();
    let begun = on_processor();
    (0..all).for_each(|n| load.register(&location, n, 1, now));
    report("register, new AOR", all, begun);
    println!("{:44} {:8} bytes", "memory per contact", (resident_kib() - before) * 1024 / u64::from(count));

    let mut cseq = 1;
    for (name, among) in
        [("register, refresh, 10,000 AORs", all.min(10_000)), ("register, refresh, all AORs", all)]
    {
        let begun = on_processor();
        for n in 0..all.max(100_000) {
            cseq += 1;
            load.register(&location, n * 7919 % among, cseq, now);
        }
        report(name, all.max(100_000), begun);
    }
    for (name, among) in [("visit, 10,000 AORs", all.min(10_000)), ("visit, all AORs", all)] {
        let begun = on_processor();
        for n in 0..all {
            location.visit(load.aors[n * 7919 % among].as_bytes(), now, |b| {
                black_box(b);
            });
        }
        report(name, all, begun);
    }
    let begun = on_processor();
    for n in 0..all.min(10_000) * 10 {
        let by = Select { call_id: load.calls[n % 1000].as_bytes(), ..Select::default() };
        location.select(load.aors[n % 1000].as_bytes(), &by, now, |_| 0, |_| true, |b| black_box(b.id));
    }
    report("select, with call pinning", all.min(10_000) * 10, begun);
    let begun = Instant::now();
    location.sweep(now, usize::MAX);
    println!("{:44} {:8.1} ms", "sweep over all", begun.elapsed().as_secs_f64() * 1e3);
    drop(location);

    let folder = std::env::temp_dir().join(format!("trunkline-location-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the database");
    let file = folder.join("trunkline.db");
    let location = Arc::new(Location::new());
    let persistence = Persistence::open(&file, Arc::clone(&location)).expect("a database");
    (0..all).for_each(|n| load.register(&location, n, 1, now));
    persistence.flush();
    // Each AOR once a round: no two changes of one fall together.
    let (processor, written, busy) =
        (processor_seconds(), persistence.health().written, persistence.health().busy_ns);
    let (rounds, begun) = (3u32, Instant::now());
    for round in 0..rounds {
        (0..all).for_each(|n| load.register(&location, n, 2 + round, now));
    }
    let own = begun.elapsed();
    persistence.flush();
    let health = persistence.health();
    let rows = (health.written - written).max(1);
    let total = u64::from(rounds) * u64::from(count);
    println!("refreshes {total}, records written {rows}; registering took {:.2} s", own.as_secs_f64());
    println!(
        "{:44} {:8.0} ns",
        "writer's clock time per record",
        (health.busy_ns - busy) as f64 / rows as f64
    );
    println!(
        "{:44} {:8.0} ns",
        "processor per refresh, all threads",
        (processor_seconds() - processor) * 1e9 / total as f64
    );
    persistence.close();
    drop(location);
    let location = Arc::new(Location::new());
    let begun = Instant::now();
    let persistence = Persistence::open(&file, Arc::clone(&location)).expect("a database");
    println!(
        "{:44} {:8.2} s ({} records, {} AORs)",
        "load at start",
        begun.elapsed().as_secs_f64(),
        persistence.health().loaded,
        location.stats().aors
    );
    drop(persistence);
    let _ = std::fs::remove_dir_all(folder);
}
