//! Runs one command, passes its lines on, and counts the tests its runner says it ran.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
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
    let tally = Mutex::new(Tally::default());
    let add = |line: &str| {
        if let (Some((runner, count)), Ok(mut tally)) = (count(line), tally.lock()) {
            tally.add(runner, count);
        }
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| out.map(|stream| pass_on(BufReader::new(stream), add)));
        scope.spawn(|| err.map(|stream| pass_on(BufReader::new(stream), add)));
    });
    let status = child.wait().with_context(|| name.clone())?;
    let mut count = tally.into_inner().unwrap_or_default().total();
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

/// Whose closing line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Cargo,
    Nextest,
}

/// What the closing lines of one command add up to.
#[derive(Debug, Default)]
struct Tally {
    cargo: Count,
    nextest: Option<Count>,
}

impl Tally {
    fn add(&mut self, runner: Runner, count: Count) {
        let sum = match runner {
            Runner::Cargo => &mut self.cargo,
            Runner::Nextest => self.nextest.get_or_insert_default(),
        };
        sum.passed += count.passed;
        sum.failed += count.failed;
    }

    /// Nextest repeats what a failing test printed, with the closing line of the one test it ran: its own summary has
    /// that counted already.
    fn total(self) -> Count {
        self.nextest.unwrap_or(self.cargo)
    }
}

/// The counts in a closing line of cargo test (`test result: ok. 3 passed; 0 failed; …`) or of cargo nextest
/// (`Summary [ 0.1s] 3 tests run: 3 passed, 0 skipped`).
fn count(line: &str) -> Option<(Runner, Count)> {
    let line = line.trim();
    let (runner, rest) = match line.strip_prefix("test result:") {
        Some(rest) => (Runner::Cargo, rest),
        None => (Runner::Nextest, line.strip_prefix("Summary")?.split_once(" run:")?.1),
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
    Some((runner, count))
}

#[cfg(test)]
mod tests {
    use super::{Count, Runner, Tally, count};

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let cargo = "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(count(cargo), Some((Runner::Cargo, Count { passed: 12, failed: 2 })));
        let nextest =
            "     Summary [   2.345s] 48 tests run: 45 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(count(nextest), Some((Runner::Nextest, Count { passed: 45, failed: 3 })));
        assert_eq!(count("running 3 tests"), None);
        assert_eq!(count("test passes ... ok"), None);
    }

    #[test]
    fn a_failing_test_that_nextest_shows_is_counted_once() {
        let lines = [
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s",
            "     Summary [   0.345s] 6 tests run: 5 passed, 1 failed, 0 skipped",
        ];
        let mut tally = Tally::default();
        lines.iter().filter_map(|line| count(line)).for_each(|(runner, count)| tally.add(runner, count));
        assert_eq!(tally.total(), Count { passed: 5, failed: 1 });
    }
}
