//! How much work was done: unlike the time that passed, it does not grow when the machine has other work.

use std::time::Duration;

/// How long the threads of a process have been on a core.
///
/// # Panics
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // Behind the name, which may hold anything: the 12th and 13th, user and system time (proc(5)) in hundredths.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum::<u64>();
    Duration::from_millis(ticks * 10)
}
