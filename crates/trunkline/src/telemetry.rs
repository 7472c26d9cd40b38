//! Logs: events with fields, on standard error; the last of them in memory for those who ask for them.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use trunkline_config::{Log, LogFormat};

/// How much of the log is kept, in bytes.
const KEPT: usize = 256 * 1024;

static LAST: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());

/// Starts logging as configured.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Both)
        .with_ansi(io::stderr().is_terminal());
    match log.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.init(),
    }
}

/// The last of the log.
pub fn recent() -> String {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes: Vec<u8> = last.iter().copied().collect();
    // The oldest line may have lost its beginning.
    let begin =
        if bytes.len() == KEPT { bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1) } else { 0 };
    String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default()).into_owned()
}

/// Standard error, and what is kept.
struct Both;

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // That nobody reads the log any more, or its disk is full, ends no calls; told of it the subscriber would panic.
        let _ = io::stderr().write_all(bytes);
        let part = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let over = (last.len() + part.len()).saturating_sub(KEPT);
        last.drain(..over);
        last.extend(part);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        for n in 0..6_000 {
            writeln!(Both, "line {n:0>60}").expect("written");
        }
        let kept = recent();
        assert!(kept.len() <= KEPT && kept.len() > KEPT - 100, "{}", kept.len());
        assert!(kept.starts_with("line ") && kept.ends_with(&format!("{:0>60}\n", 5_999)));
    }
}
