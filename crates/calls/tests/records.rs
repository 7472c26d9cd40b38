//! Records in SQLite: every call once, whatever happens to it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_calls::{CallStart, Calls, Cause, Direction, Filter, Records};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("trunkline-calls-{name}-{}", std::process::id()));
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

fn number(call_id: &str) -> u64 {
    call_id.bytes().fold(0, |n: u64, b| n.wrapping_mul(31) + u64::from(b))
}

fn start<'a>(call_id: &'a str) -> CallStart<'a> {
    CallStart {
        number: number(call_id),
        call_id: call_id.as_bytes(),
        from_tag: b"ft",
        from: b"sip:1001@sip.local",
        to: b"sip:+17066041487@sip.local",
        to_header: b"",
        caller_ref: b"agent-01",
        trunk_ref: b"trunk-01",
        ..CallStart::new(Direction::AgentToPstn, "2001:db8::1".parse().unwrap())
    }
}

#[test]
fn short_and_long_calls_have_one_record_each() {
    let folder = Folder::new("each");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let short = calls.start(&start("short"), 1_000).unwrap();
    calls.failed(short, 486, 2_000);
    let long = calls.start(&start("long"), 3_000).unwrap();
    assert!(records.flush());
    let open = Filter { open: true, ..Filter::default() };
    assert_eq!(records.records(&open, None, 10).unwrap().len(), 1);
    calls.answered(long, b"tt", 4_000);
    assert!(records.flush());
    assert_eq!(records.records(&open, None, 10).unwrap()[0].answered, Some(4_000));
    calls.ended(number("long"), Cause::NormalClearing, 9_000);
    assert!(records.flush());

    let all = records.records(&Filter::default(), None, 10).unwrap();
    assert_eq!(all.len(), 2);
    let (long, short) = (&all[0], &all[1]);
    assert_eq!((long.call_id.as_str(), long.from_tag.as_str(), long.to_tag.as_str()), ("long", "ft", "tt"));
    assert_eq!((long.started, long.answered, long.ended), (3_000, Some(4_000), Some(9_000)));
    assert_eq!(
        (long.direction.as_str(), long.source.as_str(), long.status),
        ("agent-to-pstn", "2001:db8::1", 200)
    );
    assert_eq!((short.cause.as_deref(), short.status, short.answered), (Some("USER_BUSY"), 486, None));
    assert_eq!((short.caller.as_str(), short.trunk.as_str()), ("agent-01", "trunk-01"));

    let by = |filter: Filter| records.records(&filter, None, 10).unwrap().len();
    assert_eq!(by(Filter { call_id: Some("long".into()), ..Filter::default() }), 1);
    assert_eq!(by(Filter { party: Some("17066041487".into()), ..Filter::default() }), 2);
    assert_eq!(by(Filter { trunk: Some("none".into()), ..Filter::default() }), 0);
    assert_eq!(by(Filter { cause: Some(Cause::UserBusy), ..Filter::default() }), 1);
    assert_eq!(by(Filter { since: Some(2_000), until: Some(3_000), ..Filter::default() }), 0);
    assert_eq!(records.records(&Filter::default(), Some(all[0].id), 10).unwrap().len(), 1);
    assert_eq!(records.health().written, 4);
}

#[test]
fn a_call_that_comes_in_is_recorded_with_its_trunk() {
    let folder = Folder::new("inbound");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let inbound = CallStart {
        number: number("in"),
        call_id: b"in",
        from_tag: b"ft",
        caller_ref: b"trunk-01",
        callee_ref: b"agent-01",
        ..CallStart::new(Direction::FromPstn, "192.0.2.9".parse().unwrap())
    };
    let call = calls.start(&inbound, 1_000).unwrap();
    calls.answered(call, b"tt", 2_000);
    // Out again by another one: that is where its costs are.
    let out = CallStart { number: number("out"), call_id: b"out", trunk_ref: b"trunk-02", ..inbound };
    calls.start(&out, 1_500).unwrap();
    let unknown = CallStart {
        number: number("inside"),
        call_id: b"inside",
        direction: Direction::AgentToAgent,
        ..inbound
    };
    calls.start(&unknown, 1_600).unwrap();
    assert!(records.flush());
    let all = records.records(&Filter::default(), None, 10).unwrap();
    let told: Vec<_> =
        all.iter().map(|r| (r.call_id.as_str(), r.trunk.as_str(), r.source.as_str())).collect();
    let source = "192.0.2.9";
    assert_eq!(told, [("inside", "", source), ("out", "trunk-02", source), ("in", "trunk-01", source)]);
    let by = Filter { trunk: Some("trunk-01".into()), ..Filter::default() };
    assert_eq!(records.records(&by, None, 10).unwrap().len(), 1);
}

#[test]
fn numbers_go_on_after_a_restart_and_old_records_go() {
    let folder = Folder::new("old");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    {
        let calls = Arc::new(Calls::new());
        let _records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
        for n in 0..10 {
            let id = n.to_string();
            let call = calls.start(&start(&id), if n < 5 { 1_000 } else { now }).unwrap();
            calls.failed(call, 404, now);
        }
    }
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), Some(Duration::from_secs(3600))).unwrap();
    let call = calls.start(&start("new"), now).unwrap();
    calls.failed(call, 404, now);
    assert!(records.flush());
    let begun = Instant::now();
    while records.records(&Filter::default(), None, 100).unwrap().len() != 6 {
        assert!(begun.elapsed() < Duration::from_secs(60), "old records stayed");
        std::thread::yield_now();
    }
    assert_eq!(records.records(&Filter::default(), None, 1).unwrap()[0].id, 11);
}

#[test]
fn a_database_that_cannot_be_written_is_tried_again() {
    let folder = Folder::new("locked");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = calls.start(&start("kept"), 1).unwrap();
    let begun = Instant::now();
    while records.health().failing.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the lock was not noticed");
        std::thread::yield_now();
    }
    calls.failed(call, 500, 2);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(records.flush());
    let all = records.records(&Filter::default(), None, 10).unwrap();
    assert_eq!((all.len(), all[0].ended, records.health().failing), (1, Some(2), None));
}

const CHILD: &str = "TRUNKLINE_TEST_CALLS";

/// The other process of the next test. Does nothing unless that test started it.
#[test]
fn child_with_open_calls() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    let calls = Arc::new(Calls::new());
    let records = Records::open(&PathBuf::from(file), Arc::clone(&calls), None).unwrap();
    calls.start(&start("ringing"), 1_000).unwrap();
    let call = calls.start(&start("talking"), 2_000).unwrap();
    calls.answered(call, b"tt", 3_000);
    assert!(records.flush());
    println!("ready");
    loop {
        std::thread::park();
    }
}

#[test]
fn kill_9_leaves_no_call_open() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new("kill");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_with_open_calls", "--nocapture"])
        .env(CHILD, folder.file())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    child.kill().unwrap();
    child.wait().unwrap();

    let records = Records::open(&folder.file(), Arc::new(Calls::new()), None).unwrap();
    assert_eq!(records.health().crashed, 2);
    let all = records.records(&Filter::default(), None, 10).unwrap();
    assert!(all.iter().all(|r| r.cause.as_deref() == Some("CRASH")), "{all:?}");
    assert_eq!((all[0].ended, all[1].ended), (Some(3_000), Some(1_000)));
}
