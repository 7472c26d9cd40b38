//! Whatever begins a call is recorded: read from the database as an operator would.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use trunkline_tests::PATIENCE;

use super::lane::Lane;
use super::ruling::{Broken, Play};

impl Lane {
    /// Every call that was answered in this world has a record of its own, also where several have one Call-ID. Records
    /// are written behind the calls.
    pub fn check_records(&self) -> Play {
        if self.shape.stateless {
            // It keeps none.
            return Ok(());
        }
        let start = Instant::now();
        loop {
            let rows = self.recorded();
            let (recorded, answered) = (counts(&rows), counts(&self.called));
            let lacks = |(id, count): &(&String, usize)| recorded.get(id).is_none_or(|rows| rows < count);
            let missing: Vec<_> = answered.into_iter().filter(lacks).map(|(id, _)| id).collect();
            match missing.first() {
                None => return Ok(()),
                Some(id) if start.elapsed() > PATIENCE => {
                    return Err(Broken(format!("{} calls have no record, such as {id}", missing.len())));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn recorded(&self) -> Vec<String> {
        let out = Command::new("sqlite3")
            .arg("-readonly")
            .arg(self.exchange.folder().join("trunkline.db"))
            .arg("SELECT call_id FROM calls")
            .output()
            .expect("sqlite3 starts: cargo xtask install brings it");
        String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
    }
}

/// How often each of them stands there.
fn counts(all: &[String]) -> HashMap<&String, usize> {
    let mut counts = HashMap::new();
    all.iter().for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}
