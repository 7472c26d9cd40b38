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

/// Does what `work` makes a process do grow with the size of it, and not with its square? Both sizes are done over and over until
/// that took time enough to be told.
///
/// # Panics
/// When four times as much takes more than eight times the work.
pub fn grows_with_size(what: &str, pid: u32, size: usize, mut work: impl FnMut(usize)) {
    let mut cost = |size: usize| {
        let begun = cpu_time(pid);
        let mut times = 0;
        loop {
            work(size);
            times += 1;
            let worked = cpu_time(pid) - begun;
            if worked >= ENOUGH {
                return worked / times;
            }
        }
    };
    let (once, four) = (cost(size), cost(4 * size));
    assert!(four < once * 8, "{what}: {once:?} for {size}, {four:?} for four times as much");
}

/// So much work can be told from another by the clock of [`cpu_time`].
const ENOUGH: Duration = Duration::from_millis(200);
