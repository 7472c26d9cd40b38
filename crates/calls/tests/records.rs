//! Records in SQLite: every call once, whatever happens to it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_calls::{
    CallRecord, CallStart, CallerProof, Calls, Cause, Direction, Ender, FailedWith, Filter, Followed, Records,
};
use trunkline_proxy::Side;

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

fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
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
        proof: CallerProof::Identity,
        ..CallStart::new(Direction::AgentToPstn, "2001:db8::1".parse().unwrap())
    }
}

#[test]
fn a_transfer_is_recorded() {
    let folder = Folder::new("transfer");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let first = calls.start(&start("first"), 1_000).unwrap();
    calls.transferred(number("first"), Side::Callee);
    calls.answered(first, (b"tt", b""), 2_000);
    let replacing = CallStart { replaces: 1, ..start("second") };
    let second = calls.start(&replacing, 3_000).unwrap();
    calls.answered(second, (b"tt", b""), 4_000);
    // The first one has a row already, the second one ends within its first.
    found(&records, &Filter::default());
    calls.transferred(number("first"), Side::Callee);
    for id in ["first", "second"] {
        calls.ended(number(id), Side::Caller, 5_000);
    }
    let all = found(&records, &Filter::default());
    let told: Vec<_> =
        all.iter().map(|r| (r.call_id.as_str(), r.transferred_by.as_str(), r.replaces)).collect();
    assert_eq!(
        told,
        [("first", "carrier", None), ("second", "", Some(1))],
        "before the answer nobody transfers"
    );
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
    calls.answered(long, (b"tt", b""), 4_000);
    assert!(records.flush());
    assert_eq!(records.records(&open, None, 10).unwrap()[0].answered, Some(4_000));
    calls.ended(number("long"), Side::Callee, 9_000);
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
    calls.answered(call, (b"tt", b""), 2_000);
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
    let now = clock();
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

/// Above some hundred in a batch, short calls stand together in rows of the database.
#[test]
fn many_calls_at_once_are_found_one_by_one() {
    let folder = Folder::new("packed");
    let (calls, now) = (Arc::new(Calls::new()), clock());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let long = calls.start(&start("long"), now).unwrap();
    assert!(records.flush());
    for n in 0..1_000u64 {
        let id = format!("many{n}");
        let call = calls.start(&start(&id), now + n).unwrap();
        match n % 3 {
            0 => calls.failed(call, 486, now + n + 10),
            _ => {
                calls.answered(call, (b"tt", b""), now + n + 1);
                calls.ended(number(&id), Side::Caller, now + n + 10)
            }
        };
    }
    assert!(records.flush());
    calls.failed(long, 480, now + 2_000);
    for n in 0..3 {
        let id = format!("few{n}");
        let call = calls.start(&start(&id), now + 1_500 + n).unwrap();
        calls.failed(call, 404, now + 1_600);
    }
    assert!(records.flush());
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    let rows = |table: &str| {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((rows("calls"), rows("calls_packed")), (4, 4));

    let found = |records: &Records, filter: &Filter| records.records(filter, None, 2_000).unwrap();
    let all = found(&records, &Filter::default());
    assert_eq!(all.len(), 1_004);
    assert!(all.is_sorted_by(|a, b| a.id > b.id), "newest first, each once");
    assert_eq!((&*all[0].call_id, &*all[3].call_id, &*all[1_003].call_id), ("few2", "many999", "long"));
    let seventh = found(&records, &Filter { call_id: Some("many7".into()), ..Filter::default() }).remove(0);
    assert_eq!((seventh.started, seventh.answered, seventh.ended), (now + 7, Some(now + 8), Some(now + 17)));
    assert_eq!((&*seventh.caller, &*seventh.to_tag, &*seventh.ended_by), ("agent-01", "tt", "caller"));
    assert_eq!(
        found(&records, &Filter { id: Some(seventh.id), ..Filter::default() }),
        std::slice::from_ref(&seventh)
    );
    let count = |filter: Filter| found(&records, &filter).len();
    assert_eq!(count(Filter { failed: true, ..Filter::default() }), 334 + 4);
    assert_eq!(count(Filter { cause: Some(Cause::UserBusy), ..Filter::default() }), 334);
    assert_eq!(count(Filter { since: Some(now + 990), until: Some(now + 1_000), ..Filter::default() }), 10);
    assert_eq!(count(Filter { open: true, ..Filter::default() }), 0);
    assert_eq!(count(Filter { party: Some("nobody".into()), ..Filter::default() }), 0);
    // Page by page it is the same.
    let (mut pages, mut before) = (Vec::new(), None);
    loop {
        let page = records.records(&Filter::default(), before, 100).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        pages.extend(page);
    }
    assert_eq!(pages, all);

    // After a restart numbers go on, and what is too old goes.
    let newest = all[0].id;
    records.close();
    db.execute_batch(
        "UPDATE calls_packed SET until = 1, began = 1 WHERE last <> (SELECT max(last) FROM calls_packed)",
    )
    .unwrap();
    db.execute("DELETE FROM calls", []).unwrap();
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), Some(Duration::from_secs(3600))).unwrap();
    let begun = Instant::now();
    while rows("calls_packed") > 1 {
        assert!(begun.elapsed() < Duration::from_secs(60), "old records stayed");
        std::thread::yield_now();
    }
    let call = calls.start(&start("new"), now).unwrap();
    calls.failed(call, 404, now);
    assert!(records.flush());
    // The last three of the first calls were in `calls`.
    assert_eq!(found(&records, &Filter::default())[0].id, newest - 3 + 1);
}

/// What was written together stays so when the rest of a batch fails: nothing is there twice.
#[test]
fn a_batch_that_fails_half_way_leaves_no_call_twice() {
    let folder = Folder::new("half");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.execute_batch("CREATE TRIGGER no BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let some = |from: usize, to: usize| {
        for n in from..to {
            let call = calls.start(&start(&format!("half{n}")), 1_000).unwrap();
            calls.failed(call, 404, 1_100);
        }
    };
    // One that goes on needs a row of its own, which cannot be had.
    let open = calls.start(&start("open"), 1_000).unwrap();
    some(0, 300);
    assert!(!records.flush());
    some(300, 700);
    assert!(!records.flush());
    db.execute_batch("DROP TRIGGER no").unwrap();
    calls.failed(open, 480, 1_200);
    assert!(records.flush());
    let ids: Vec<u64> =
        records.records(&Filter::default(), None, 2_000).unwrap().iter().map(|r| r.id).collect();
    assert_eq!(ids, (1..=701).rev().collect::<Vec<_>>());
    let stored: i64 = db
        .query_row(
            "SELECT (SELECT count(*) FROM calls) + (SELECT sum(last - first + 1) FROM calls_packed)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(stored, 701);
    // Also where a commit was reported as failed, and the same calls stand in two rows: pages are full, and each call comes once.
    db.execute_batch(
        "INSERT INTO calls_packed SELECT last + 10000, first, began, until, format, rows FROM calls_packed",
    )
    .unwrap();
    assert_eq!(records.records(&Filter::default(), None, 650).unwrap().len(), 650);
    assert_eq!(records.records(&Filter::default(), None, 2_000).unwrap().len(), 701);
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
    calls.answered(call, (b"tt", b""), 3_000);
    assert!(records.flush());
    let path = PathBuf::from(std::env::var_os(CHILD).unwrap());
    let db = rusqlite::Connection::open(path).unwrap();
    let alive = || db.query_row("SELECT at FROM calls_alive", [], |row| row.get::<_, i64>(0)).is_ok();
    while !alive() {
        std::thread::yield_now();
    }
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
    let alive = all[0].ended.unwrap();
    assert!(alive > 1_700_000_000_000, "up until the exchange last said that it lives: {alive}");
    assert_eq!(all[1].ended, Some(alive));
    assert!(all.iter().all(|r| r.ended_by == "us"), "{all:?}");
}

/// The records that this filter admits, the oldest first.
fn found(records: &Records, filter: &Filter) -> Vec<CallRecord> {
    assert!(records.flush());
    let mut all = records.records(filter, None, 10_000).unwrap();
    all.reverse();
    all
}

#[test]
fn a_record_says_who_ended_the_call_and_how() {
    let folder = Folder::new("ender");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let inside = |id| CallStart { trunk_ref: b"", direction: Direction::AgentToAgent, ..start(id) };
    // Rings, is answered, and the callee hangs up with a reason. The caller's CANCEL came too late.
    let call = calls.start(&inside("a"), 1_000).unwrap();
    calls.provisional(call, false, b"opus", 1_100);
    calls.provisional(call, true, b"", 1_200);
    calls.provisional(call, true, b"PCMA", 1_300);
    calls.cancelled(call, &[b"SIP;cause=487", b"", b""]);
    calls.answered(call, (b"tt", b""), 3_456);
    calls.leaving(number("a"), Side::Callee, &[b"SIP;cause=200", b"Q.850;cause=16", b""]);
    calls.ended(number("a"), Side::Callee, 9_999);
    // Through a trunk, whose carrier hangs up without one.
    let call = calls.start(&start("b"), 2_000).unwrap();
    calls.answered(call, (b"tt", b"PCMU"), 3_000);
    calls.ended(number("b"), Side::Callee, 4_000);
    let call = calls.start(&inside("c"), 3_000).unwrap();
    calls.provisional(call, true, b"", 3_500);
    calls.cancelled(call, &[b"Q.850;cause=31", b"", b""]);
    calls.failed(call, FailedWith { status: 487, by: Ender::Callee, ..FailedWith::default() }, 5_000);
    // Busy, while the caller gave up.
    let call = calls.start(&inside("d"), 4_000).unwrap();
    calls.cancelled(call, &[b"Q.850;cause=31", b"", b""]);
    let busy =
        FailedWith { status: 486, by: Ender::Callee, reason: "callee.rejected", ..FailedWith::default() };
    calls.failed(call, busy, 5_000);
    let call = calls.start(&start("e"), 5_000).unwrap();
    let refused = FailedWith {
        status: 403,
        cause: None,
        by: Ender::Carrier,
        reason: "trunk.rejected",
        lines: [b"Q.850;cause=21", b"", b""],
        headers: b"",
    };
    calls.failed(call, refused, 6_000);

    let all = found(&records, &Filter::default());
    let told: Vec<_> = all
        .iter()
        .map(|r| {
            (
                r.call_id.as_str(),
                r.status,
                r.ended_by.as_str(),
                r.reason.as_str(),
                r.sip_reason.as_str(),
                r.codec.as_str(),
            )
        })
        .collect();
    let expected = [
        ("a", 200, "callee", "", "SIP;cause=200, Q.850;cause=16", "PCMA"),
        ("b", 200, "carrier", "", "", "PCMU"),
        ("c", 487, "caller", "", "Q.850;cause=31", ""),
        ("d", 486, "callee", "callee.rejected", "", ""),
        ("e", 403, "carrier", "trunk.rejected", "Q.850;cause=21", ""),
    ];
    assert_eq!(told, expected);
    let (a, c) = (&all[0], &all[2]);
    assert_eq!((a.rang, a.ringing_ms(), a.talked_ms()), (Some(1_200), Some(2_256), Some(6_543)));
    assert_eq!((c.ringing_ms(), c.talked_ms()), (Some(1_500), None));
    let ids = |filter: Filter| found(&records, &filter).iter().map(|r| r.call_id.clone()).collect::<String>();
    assert_eq!(ids(Filter { failed: true, ..Filter::default() }), "de");
    assert_eq!(ids(Filter { reason: Some("trunk.rejected".into()), ..Filter::default() }), "e");
    assert_eq!(ids(Filter { id: Some(c.id), ..Filter::default() }), "c");
    assert_eq!(ids(Filter { since: Some(4_000), ..Filter::default() }), "de");
}

#[test]
fn refused_calls_have_a_record_each_until_there_are_too_many() {
    let folder = Folder::new("refused");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    calls.set_refused_limit(3);
    let long = vec![b'x'; 60_000];
    // A minute that is not over while the test runs.
    let later = (clock() / 60_000 + 60) * 60_000;
    let refuse = |number: u64, source: [u8; 4], known| {
        let stranger = CallStart {
            number: number << 32,
            call_id: &long,
            from: b"sip:x@y",
            to: b"sip:z@y",
            ..CallStart::new(Direction::Unknown, source.into())
        };
        let proof = if known { CallerProof::Identity } else { CallerProof::None };
        calls.refused(&CallStart { proof, ..stranger }, 403, "acl.denied", later + number);
    };
    // The first one is repeated.
    for number in [1, 1, 2, 3] {
        refuse(number, [192, 0, 2, 1], false);
    }
    for number in 10..30 {
        refuse(number, [192, 0, 2, 1], false);
        refuse(number + 100, [192, 0, 2, 2], false);
        refuse(number + 200, [192, 0, 2, 1], true);
    }
    let all = found(&records, &Filter::default());
    let count = |source: &str, each: bool| {
        all.iter().filter(|r| r.source == source && (r.count == 1) == each).map(|r| r.count).sum::<u32>()
    };
    assert_eq!((count("192.0.2.1", true), count("192.0.2.1", false)), (23, 20));
    assert_eq!((count("192.0.2.2", true), count("192.0.2.2", false)), (0, 20));
    assert!(
        all.iter().all(|r| (r.status, r.reason.as_str(), r.ended_by.as_str()) == (403, "acl.denied", "us"))
    );
    assert!(all.iter().all(|r| r.call_id.len() <= 512 && r.cause.as_deref() == Some("CALL_REJECTED")));
    // One that was let in, and failed at once, fills no disk either.
    let stranger = CallStart {
        number: 7,
        call_id: b"in",
        source: [192, 0, 2, 2].into(),
        ..CallStart::new(Direction::Unknown, [192, 0, 2, 2].into())
    };
    let call = calls.start(&stranger, later + 100).unwrap();
    calls.failed(call, 480, later + 101);
    let sum = found(&records, &Filter::default()).into_iter().find(|r| r.source == "192.0.2.2").unwrap();
    assert_eq!((sum.count, sum.status), (21, 480));
}

#[test]
fn a_flood_of_refused_calls_leaves_the_disk_alone() {
    let folder = Folder::new("flood");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let now = clock();
    // 20,000 a second for 30 s, each from an address of its own, across a minute's end.
    for n in 0..600_000u64 {
        let source = std::net::Ipv4Addr::from(0x0a00_0000 + n as u32);
        let start = CallStart {
            number: n << 20,
            call_id: b"some-call-id",
            ..CallStart::new(Direction::Unknown, source.into())
        };
        calls.refused(&start, 404, "callee.unknown", now + n / 20);
    }
    let known = CallStart {
        number: 1,
        call_id: b"known",
        proof: CallerProof::Identity,
        caller_ref: b"agent-01",
        ..CallStart::new(Direction::AgentToAgent, [10, 0, 0, 1].into())
    };
    calls.refused(&known, 404, "callee.unknown", now + 30_000);
    let all = found(&records, &Filter::default());
    assert_eq!(all.iter().map(|r| u64::from(r.count)).sum::<u64>(), 600_001);
    assert!(all.iter().any(|r| r.call_id == "known"));
    let size: u64 = std::fs::read_dir(&folder.0).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 2_000_000, "{size} bytes");
}

#[test]
fn whoever_follows_sees_calls_begin_and_end_and_delays_nobody() {
    let folder = Folder::new("follow");
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    let all = records.follow(Filter::default());
    let failed = records.follow(Filter { failed: true, ..Filter::default() });
    let idle = records.follow(Filter::default());
    let wait = Duration::from_secs(20);
    let long = calls.start(&start("long"), 1).unwrap();
    assert!(records.flush());
    let Followed::Began(began) = all.next(wait) else { panic!("it began") };
    assert_eq!((began.call_id.as_str(), began.ended), ("long", None));
    calls.failed(long, 486, 2);
    calls.answered(calls.start(&start("short"), 3).unwrap(), (b"tt", b""), 4);
    calls.ended(number("short"), Side::Caller, 5);
    assert!(records.flush());
    let ended = |followed| match followed {
        Followed::Ended(record) => record.call_id,
        other => panic!("it ended: {other:?}"),
    };
    assert_eq!(std::collections::BTreeSet::from([ended(all.next(wait)), ended(all.next(wait))]).len(), 2);
    assert_eq!(ended(failed.next(wait)), "long");
    assert_eq!(failed.next(Duration::ZERO), Followed::Nothing);
    for n in 0..5_000u64 {
        let id = n.to_string();
        let call = calls.start(&CallStart { number: 1_000 + n, ..start(&id) }, 1).unwrap();
        calls.failed(call, 404, 2);
    }
    assert!(records.flush());
    assert_eq!(found(&records, &Filter::default()).len(), 5_002);
    assert!(matches!(idle.next(wait), Followed::Lost(n) if n > 900), "a slow one learns how many it lost");
    assert!(matches!(idle.next(wait), Followed::Began(_)));
    drop(records);
    while all.next(wait) != Followed::Closed {}
}

#[test]
fn a_database_of_an_earlier_version_is_brought_up_to_date() {
    let folder = Folder::new("earlier");
    let old = rusqlite::Connection::open(folder.file()).unwrap();
    old.execute_batch(
        "CREATE TABLE calls (
             id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, from_tag TEXT NOT NULL, to_tag TEXT NOT NULL,
             from_uri TEXT NOT NULL, to_uri TEXT NOT NULL, direction TEXT NOT NULL, caller TEXT NOT NULL,
             callee TEXT NOT NULL, trunk TEXT NOT NULL, source TEXT NOT NULL, started INTEGER NOT NULL,
             answered INTEGER, ended INTEGER, status INTEGER NOT NULL, cause TEXT);
         INSERT INTO calls VALUES (7,'old','f','t','sip:a@b','sip:c@d','unknown','','','','192.0.2.1',1,2,3,200,'NORMAL_CLEARING')",
    )
    .unwrap();
    drop(old);
    // The command line reads it before the exchange has opened it.
    let read = Records::read_file(&folder.file(), &Filter::default(), None, 10).unwrap();
    assert_eq!((read[0].call_id.as_str(), read[0].count, read[0].rang), ("old", 1, None));
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.file(), Arc::clone(&calls), None).unwrap();
    calls.failed(calls.start(&start("new"), 1_000).unwrap(), 404, 2_000);
    let ids: Vec<_> = found(&records, &Filter::default()).iter().map(|r| r.id).collect();
    assert_eq!(ids, [7, 8]);
}
