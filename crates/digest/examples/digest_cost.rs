//! Prints what the pieces cost: `cargo run --release -p trunkline-digest --example digest_cost`.

use std::hint::black_box;
use std::time::Duration;

use trunkline_digest::{
    Algorithm, Answer, Authenticator, Bindings, Credentials, Guess, Guesses, Ha1, Ha1Cache, Presented,
    answer, verify,
};

/// Nobody is registered.
struct Nobody;

impl Bindings for Nobody {
    fn is_registered_here(&self) -> bool {
        false
    }

    fn has_registrations(&self) -> bool {
        false
    }
}

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
    let from = std::net::SocketAddr::from(([192, 0, 2, 1], 5060));
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut challenge = Vec::new();
        server.challenge("bench.local", from.ip(), algorithm, NOW, &mut challenge);
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
        let request = Presented { method: b"REGISTER", fingerprint: 1 };
        measure(&format!("{name}: verify, nonce, replay table"), |_| {
            let nonce = server.fresh(black_box(&credentials), b"bench.local", from.ip(), NOW);
            black_box(nonce.map(|nonce| server.check(&credentials, nonce, &request, Some(&ha1), NOW)));
        });
    }
    let mut out = Vec::new();
    measure("challenge", |_| {
        out.clear();
        server.challenge("bench.local", from.ip(), Algorithm::Md5, NOW, &mut out);
    });
    let message = [b'm'; 700];
    measure("fingerprint of 700 bytes", |_| {
        black_box(server.fingerprint(from, black_box(&message)));
    });
    let guesses = Guesses::default();
    let guess = Guess { from, origin: b"", user: b"u4711", secret: b"pw4711" };
    measure("guesses: standing and right", |_| {
        black_box(guesses.standing(black_box(&guess), &Nobody, NOW));
        guesses.right(&guess, NOW);
    });
}
