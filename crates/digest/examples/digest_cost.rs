//! Prints what the pieces cost: `cargo run --release -p trunkline-digest --example digest_cost`.

use std::hint::black_box;
use std::time::Duration;

use trunkline_digest::{
    Algorithm, Answer, Authenticator, Credentials, Ha1, Ha1Cache, Presented, Throttle, answer, verify,
};

const NOW: u64 = 1_700_000_000_000;

/// Time this thread ran, whatever else the machine does.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn measure(name: &str, mut f: impl FnMut(u32)) {
    let rounds = 1_000_000;
    (0..rounds / 10).for_each(&mut f);
    let start = on_processor();
    (0..rounds).for_each(&mut f);
    println!("{name:40} {:8.1} ns", (on_processor() - start).as_nanos() as f64 / f64::from(rounds));
}

fn main() {
    let server = Authenticator::new();
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut challenge = Vec::new();
        server.challenge("bench.local", algorithm, false, NOW, &mut challenge);
        let with = Answer {
            username: "u4711",
            password: "pw4711",
            method: b"REGISTER",
            uri: b"sip:bench.local",
            cnonce: "0a4f113b0a4f113b",
            nc: 1,
        };
        let value = answer(&[&challenge], &with).expect("a challenge of ours").value;
        let credentials = Credentials::parse(&value).expect("well formed").expect("Digest");
        let ha1 = Ha1::new(algorithm, b"u4711", b"bench.local", b"pw4711");
        let name = algorithm.name();
        measure(&format!("{name}: parse credentials"), |_| {
            black_box(Credentials::parse(black_box(&value)).is_ok());
        });
        measure(&format!("{name}: HA1"), |_| {
            black_box(Ha1::new(algorithm, black_box(b"u4711"), b"bench.local", b"pw4711"));
        });
        let cache = Ha1Cache::default();
        measure(&format!("{name}: HA1 from the cache"), |_| {
            black_box(cache.get(algorithm, black_box(b"u4711"), b"bench.local", b"pw4711"));
        });
        measure(&format!("{name}: verify"), |_| {
            black_box(verify(black_box(&credentials), b"REGISTER", &ha1));
        });
        let request = Presented { method: b"REGISTER", realm: b"bench.local", fingerprint: 1 };
        measure(&format!("{name}: verify, nonce, replay table"), |_| {
            black_box(server.check(black_box(&credentials), &request, Some(&ha1), NOW));
        });
    }
    let mut out = Vec::new();
    measure("challenge", |_| {
        out.clear();
        server.challenge("bench.local", Algorithm::Md5, false, NOW, &mut out);
    });
    let throttle = Throttle::new();
    let ip = std::net::IpAddr::from([192, 0, 2, 1]);
    measure("throttle: allow and succeeded", |_| {
        black_box(throttle.allow(ip, b"u4711", NOW));
        throttle.succeeded(ip, b"u4711", NOW);
    });
}
