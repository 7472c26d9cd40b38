//! What a restart finds, after a clean end and after `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_location::{ContactChange, Location, Persistence, Register};
use trunkline_sip::{ConnectionId, Flow, Transport};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "[fe80::7%3]:5066".parse().unwrap(),
        connection: ConnectionId(77),
    }
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("trunkline-location-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn file(&self) -> PathBuf {
        self.0.join("trunkline.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Measures how long this machine keeps a small write to the disk waiting: what other processes cost ours.
struct Stalls {
    stop: Arc<AtomicBool>,
    /// The longest so far, in milliseconds.
    longest: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Stalls {
    fn watch(folder: &Folder) -> Stalls {
        let (stop, longest) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut file = std::fs::File::create(folder.0.join("beside")).unwrap();
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&longest));
        let thread = std::thread::spawn(move || {
            let pause = Duration::from_millis(20);
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                file.write_all(b"x").unwrap();
                file.sync_data().unwrap();
                std::thread::park_timeout(pause);
                let stall = begun.elapsed().saturating_sub(pause).as_millis() as u64;
                told.fetch_max(stall, Ordering::Relaxed);
            }
        });
        Stalls { stop, longest, thread }
    }

    /// The longest of them, so far.
    fn so_far(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }

    /// The longest of them, in milliseconds.
    fn longest(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.longest.load(Ordering::Relaxed)
    }
}

fn register(location: &Location, n: u32, cseq: u32, expires: u32) {
    let (aor, uri, call) =
        (format!("sip:{n}@sip.local"), format!("sip:{n}@192.0.2.7:5066;ob"), format!("call-{n}"));
    let contacts = [ContactChange::new(uri.as_bytes(), expires)];
    let request = Register::new(aor.as_bytes(), call.as_bytes(), cseq, flow(), &contacts);
    location.register(&request, now(), |_| {}).unwrap();
}

fn found(location: &Location, n: u32) -> Option<u32> {
    let mut cseq = None;
    location.visit(format!("sip:{n}@sip.local").as_bytes(), now(), |b| cseq = Some(b.cseq));
    cseq
}

#[test]
fn bindings_come_back_with_everything_but_the_connection() {
    let folder = Folder::new("clean");
    let location = Arc::new(Location::new());
    let persistence = Persistence::open(&folder.file(), Arc::clone(&location)).unwrap();
    for n in 0..100 {
        register(&location, n, 1, 600);
    }
    assert!(persistence.flush());
    register(&location, 1, 2, 600);
    register(&location, 2, 2, 0);
    location.kick(b"sip:3@sip.local", None, now());
    persistence.close();
    assert_eq!(Persistence::read(&folder.file()).unwrap().stats().bindings, 98);

    let location = Arc::new(Location::new());
    let persistence = Persistence::open(&folder.file(), Arc::clone(&location)).unwrap();
    assert_eq!((found(&location, 0), found(&location, 1)), (Some(1), Some(2)));
    assert_eq!((found(&location, 2), found(&location, 3)), (None, None));
    location.visit(b"sip:4@sip.local", now(), |b| {
        assert_eq!(b.flow, Flow { connection: ConnectionId::NONE, ..flow() });
        assert_eq!(b.uri, b"sip:4@192.0.2.7:5066;ob");
    });
    assert_eq!(location.stats().bindings, 98);
    // New numbers do not meet old ones.
    let mut ids = std::collections::HashSet::new();
    register(&location, 1000, 1, 600);
    location.list(0, 1000, now(), |_, b| assert!(ids.insert(b.id)));
    assert_eq!(ids.len(), 99);
    assert_eq!(persistence.health().failing, None);
}

#[test]
fn a_database_that_cannot_be_written_is_tried_again() {
    let folder = Folder::new("locked");
    let location = Arc::new(Location::new());
    let persistence = Persistence::open(&folder.file(), Arc::clone(&location)).unwrap();
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    register(&location, 1, 1, 600);
    let begun = Instant::now();
    while persistence.health().failing.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the lock was not noticed");
        std::thread::yield_now();
    }
    assert_eq!(found(&location, 1), Some(1), "the exchange goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(persistence.flush());
    assert_eq!(persistence.health().failing, None);
    drop(persistence);
    let location = Arc::new(Location::new());
    let _persistence = Persistence::open(&folder.file(), Arc::clone(&location)).unwrap();
    assert_eq!(found(&location, 1), Some(1));
}

#[test]
fn another_format_is_refused_by_name() {
    let folder = Folder::new("format");
    Persistence::open(&folder.file(), Arc::new(Location::new())).unwrap().close();
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    db.execute("UPDATE location_meta SET value = '9' WHERE name = 'format'", []).unwrap();
    drop(db);
    let refused = Persistence::open(&folder.file(), Arc::new(Location::new())).err().unwrap().to_string();
    assert!(refused.contains("format 9"), "{refused}");
}

const CHILD: &str = "TRUNKLINE_TEST_LOCATION";
const RATE: u32 = 1_000;

/// The other process of the next test: registers at a steady rate and tells each one. Does nothing unless
/// that test started it.
#[test]
fn child_that_registers() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    let location = Arc::new(Location::new());
    let _persistence = Persistence::open(&PathBuf::from(file), Arc::clone(&location)).unwrap();
    let mut out = std::io::stdout();
    let begun = Instant::now();
    let mut n = 0;
    loop {
        // The rate is the load the test is about, not a wait for something.
        while n < (begun.elapsed().as_millis() as u32) * RATE / 1000 {
            register(&location, n % 5_000, n / 5_000 + 1, 600);
            writeln!(out, "ack {n} {}", now()).unwrap();
            n += 1;
        }
        out.flush().unwrap();
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn kill_9_loses_nothing_older_than_200_ms() {
    let folder = Folder::new("kill");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_registers", "--nocapture"])
        .env(CHILD, folder.file())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stalls = Stalls::watch(&folder);
    let mut acknowledged = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = Instant::now();
    // However slow the machine is, enough of them are old when the kill comes.
    let enough = |acknowledged: &[(u32, u64)]| {
        let old = now() - 300 - stalls.so_far();
        begun.elapsed() > Duration::from_secs(3) && acknowledged.partition_point(|(_, at)| *at < old) > 1_000
    };
    while !enough(&acknowledged) {
        assert!(begun.elapsed() < Duration::from_secs(60), "only {} registrations", acknowledged.len());
        let line = lines.next().unwrap().unwrap();
        let mut words = line.split(' ');
        if words.next() == Some("ack") {
            let n: u32 = words.next().unwrap().parse().unwrap();
            let at: u64 = words.next().unwrap().parse().unwrap();
            acknowledged.push((n, at));
        }
    }
    let killed = now();
    child.kill().unwrap();
    child.wait().unwrap();
    // On a machine whose disk is taken by others the 200 ms begin when it answers.
    let stalled = stalls.longest();
    println!("200 ms and {stalled} ms for which the machine kept a write waiting");

    let location = Arc::new(Location::new());
    let _persistence = Persistence::open(&folder.file(), Arc::clone(&location)).unwrap();
    let old: Vec<_> = acknowledged.iter().filter(|(_, at)| at + 200 + stalled <= killed).collect();
    assert!(old.len() > 1_000, "only {} registrations", old.len());
    for (n, at) in &old {
        let cseq = found(&location, n % 5_000);
        assert!(cseq >= Some(n / 5_000 + 1), "{n} acknowledged {} ms before is {cseq:?}", killed - at);
    }
}
