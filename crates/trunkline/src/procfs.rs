//! What the process takes, as the kernel says (proc(5)).

use trunkline_operations::ProcessFigures;

/// Clock ticks of /proc/self/stat per second: the same on all architectures of Linux (USER_HZ).
const TICKS: u64 = 100;

/// The figures of this process, which started at this time; `None` where there is no /proc.
pub fn figures(started: i64) -> Option<ProcessFigures> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    read(&stat, &status, started)
}

fn read(stat: &str, status: &str, started: i64) -> Option<ProcessFigures> {
    // The name of the program is in parentheses and may contain anything; the state follows as field 3.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(ProcessFigures {
        started: u64::try_from(started).ok()?,
        cpu_ms: (field(14)? + field(15)?) * 1000 / TICKS,
        resident: kilobytes("VmRSS:")? * 1024,
        virtual_memory: field(23)?,
        threads: field(20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 12 0 900 4096000 55 0 0";
        let read = read(stat, "Name:\ta\nVmRSS:\t    2048 kB\n", 1_700_000_000);
        let want = ProcessFigures {
            started: 1_700_000_000,
            cpu_ms: 3_000,
            resident: 2 << 20,
            virtual_memory: 4_096_000,
            threads: 12,
        };
        assert_eq!(read, Some(want));
        assert!(figures(1).is_some_and(|now| now.resident > 0 && now.threads > 0));
    }
}
