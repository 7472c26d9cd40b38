//! Whatever begins a call is recorded: read from the database as an operator would.

use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::ruling::{Broken, Play};

/// Records are written behind the calls.
const BOUND: Duration = Duration::from_secs(10);

impl Lane {
    /// Every call that was answered in this world has a record.
    pub fn check_records(&self) -> Play {
        let start = Instant::now();
        loop {
            let recorded = self.recorded();
            let missing = self.called.iter().filter(|id| !recorded.contains(*id)).collect::<Vec<_>>();
            match missing.first() {
                None => return Ok(()),
                Some(id) if start.elapsed() > BOUND => {
                    return Err(Broken(format!("{} calls have no record, such as {id}", missing.len())));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn recorded(&self) -> HashSet<String> {
        let out = Command::new("sqlite3")
            .arg("-readonly")
            .arg(self.exchange.folder().join("trunkline.db"))
            .arg("SELECT call_id FROM calls")
            .output()
            .expect("sqlite3 starts: cargo xtask install brings it");
        String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
    }
}
