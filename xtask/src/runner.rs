//! Runs one command, passes its lines on, and counts the tests its runner says it ran.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a suite showed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Count {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed; at least one when the command itself failed.
    pub failed: u64,
}

/// One run: its counts and how long it took.
pub struct Outcome {
    /// Tests counted.
    pub count: Count,
    /// Wall time.
    pub took: Duration,
}

/// Runs `command` to its end; both its streams go to ours, line by line.
pub fn run(command: &mut Command) -> Result<Outcome> {
    let start = Instant::now();
    let name = format!("{} {}", command.get_program().to_string_lossy(), args(command));
    println!("\n$ {name}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| name.clone())?;
    let (passed, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let add = |line: &str| {
        if let Some(count) = count(line) {
            passed.fetch_add(count.passed, Ordering::Relaxed);
            failed.fetch_add(count.failed, Ordering::Relaxed);
        }
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| out.map(|stream| pass_on(BufReader::new(stream), add)));
        scope.spawn(|| err.map(|stream| pass_on(BufReader::new(stream), add)));
    });
    let status = child.wait().with_context(|| name.clone())?;
    let mut count = Count { passed: passed.into_inner(), failed: failed.into_inner() };
    if !status.success() && count.failed == 0 {
        count.failed = 1;
        println!("{name} ended with {status}");
    }
    Ok(Outcome { count, took: start.elapsed() })
}

fn args(command: &Command) -> String {
    command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn pass_on(mut from: impl BufRead, see: impl Fn(&str)) {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // A closed standard output is no reason to stop the tests.
        let _ = std::io::stdout().lock().write_all(&line);
        see(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

/// The counts in a closing line of cargo test (`test result: ok. 3 passed; 0 failed; …`) or of cargo nextest
/// (`Summary [ 0.1s] 3 tests run: 3 passed, 0 skipped`).
fn count(line: &str) -> Option<Count> {
    let line = line.trim();
    let rest = match line.strip_prefix("test result:") {
        Some(rest) => rest,
        None => line.strip_prefix("Summary")?.split_once(" run:")?.1,
    };
    let words: Vec<&str> =
        rest.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|w| !w.is_empty()).collect();
    let mut count = Count::default();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<u64>() else { continue };
        match pair[1] {
            "passed" => count.passed += number,
            "failed" | "timed" => count.failed += number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::{Count, count};

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let cargo = "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(count(cargo), Some(Count { passed: 12, failed: 2 }));
        let nextest =
            "     Summary [   2.345s] 48 tests run: 45 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(count(nextest), Some(Count { passed: 45, failed: 3 }));
        assert_eq!(count("running 3 tests"), None);
        assert_eq!(count("test passes ... ok"), None);
    }
}
