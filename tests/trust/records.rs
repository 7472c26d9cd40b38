//! Whatever begins a call is recorded: read from the database as an operator would.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use trunkline_tests::PATIENCE;

use super::lane::Lane;
use super::ruling::{Broken, Play};

/// Call-ID, source, caller and trunk of a record.
type Row = [String; 4];

/// A call that was answered, with what its record has to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answered {
    pub id: String,
    /// Where its INVITE came from.
    pub source: String,
    /// The ref of the agent that its caller is taken for.
    pub caller: Option<String>,
    /// Does a carrier take it?
    pub leaves: bool,
}

impl Answered {
    fn fits(&self, [id, source, caller, trunk]: &Row) -> bool {
        *id == self.id
            && *source == self.source
            && self.caller.as_ref().is_none_or(|name| name == caller)
            && (!self.leaves || !trunk.is_empty())
    }
}

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
            let mut by_id: HashMap<&str, Vec<&Row>> = HashMap::new();
            rows.iter().for_each(|row| by_id.entry(&row[0]).or_default().push(row));
            let mut answered: HashMap<&Answered, usize> = HashMap::new();
            self.called.iter().for_each(|call| *answered.entry(call).or_default() += 1);
            let lacks = |(call, count): &(&Answered, usize)| {
                let rows = by_id.get(&*call.id).into_iter().flatten();
                rows.filter(|row| call.fits(row)).count() < *count
            };
            let missing: Vec<_> = answered.into_iter().filter(lacks).map(|(call, _)| call).collect();
            match missing.first() {
                None => return Ok(()),
                Some(call) if start.elapsed() > PATIENCE => {
                    return Err(Broken(format!(
                        "{} calls have no record, such as {call:?}; there are {:?}",
                        missing.len(),
                        by_id.get(&*call.id)
                    )));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn recorded(&self) -> Vec<Row> {
        let out = Command::new("sqlite3")
            .arg("-readonly")
            .arg(self.exchange.folder().join("trunkline.db"))
            .arg("SELECT call_id, source, caller, trunk FROM calls")
            .output()
            .expect("sqlite3 starts: cargo xtask install brings it");
        let text = String::from_utf8_lossy(&out.stdout);
        let row = |line: &str| {
            // None of the last three has such a character.
            let mut fields = line.rsplitn(4, '|').map(str::to_owned);
            let [trunk, caller, source, id] = std::array::from_fn(|_| fields.next().unwrap_or_default());
            [id, source, caller, trunk]
        };
        text.lines().map(row).collect()
    }
}
