//! Where trunks, peers and servers were that are given by name, kept in SQLite: after a restart it is known at once, also while no
//! name server answers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use trunkline_write_behind::{Batch, Names, WriteBehind};

use crate::PersistenceError;

const INTERVAL: Duration = Duration::from_secs(1);
const CACHE_KIB: u32 = 64;
const NAMES: Names = Names { what: "known hosts", thread: "hosts" };
/// Those kept, at most.
const MOST: usize = 65_536;
/// What was not seen for so long is forgotten.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;
/// When they were seen is written so often, though nothing else has changed.
const SEEN_EVERY: Duration = Duration::from_secs(3_600);

/// An address that a name led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownHost {
    /// Whose it is, by a number of the caller's.
    pub owner: u64,
    /// The address and port.
    pub at: SocketAddr,
}

/// Keeps them by a thread of its own. Dropping it writes what is left.
pub struct KnownHosts {
    behind: WriteBehind,
}

impl KnownHosts {
    /// Opens or creates the table. `restore` gets those that were known before; then `take` is asked once a second for all that are
    /// known now.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(
        path: &Path,
        restore: impl FnOnce(&[KnownHost]),
        take: impl FnMut() -> Vec<KnownHost> + Send + 'static,
    ) -> Result<KnownHosts, PersistenceError> {
        let database = |source| PersistenceError::Database { path: path.to_owned(), source };
        let db = trunkline_write_behind::open(path, CACHE_KIB).map_err(database)?;
        let written = load(&db, unix_seconds()).map_err(database)?;
        restore(&written);
        let writer = Writer { db, take, written, seen_at: None };
        Ok(KnownHosts { behind: WriteBehind::start(NAMES, path, INTERVAL, writer)? })
    }

    /// Waits until everything that was known before the call is written; false when the write failed.
    pub fn flush(&self) -> bool {
        self.behind.flush()
    }
}

fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

/// Those that were seen lately. A row that is damaged is passed over.
fn load(db: &Connection, now: i64) -> rusqlite::Result<Vec<KnownHost>> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS known_hosts (
             owner INTEGER NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL, seen INTEGER NOT NULL,
             PRIMARY KEY (owner, address, port)) WITHOUT ROWID",
    )?;
    let mut query = db.prepare(
        "SELECT owner, address, port FROM known_hosts WHERE seen >= ?1 ORDER BY seen DESC LIMIT ?2",
    )?;
    let rows = query.query_map(params![now - REMEMBERED_SECONDS, MOST as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, u16>(2)?))
    })?;
    let mut known: Vec<KnownHost> = rows
        .filter_map(|row| {
            let (owner, address, port) = row.ok()?;
            let at = SocketAddr::new(address.parse::<IpAddr>().ok()?, port);
            Some(KnownHost { owner: owner as u64, at })
        })
        .collect();
    known.sort_unstable();
    Ok(known)
}

struct Writer<T> {
    db: Connection,
    take: T,
    /// As the table has them.
    written: Vec<KnownHost>,
    seen_at: Option<Instant>,
}

impl<T: FnMut() -> Vec<KnownHost> + Send + 'static> Batch for Writer<T> {
    fn write(&mut self) -> rusqlite::Result<u64> {
        let mut known = (self.take)();
        known.sort_unstable();
        known.dedup();
        known.truncate(MOST);
        if known == self.written && self.seen_at.is_none_or(|at| at.elapsed() < SEEN_EVERY) {
            self.seen_at.get_or_insert_with(Instant::now);
            return Ok(0);
        }
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM known_hosts", [])?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO known_hosts VALUES (?1, ?2, ?3, ?4)")?;
            let now = unix_seconds();
            for KnownHost { owner, at } in &known {
                insert.execute(params![*owner as i64, at.ip().to_string(), at.port(), now])?;
            }
        }
        transaction.commit()?;
        self.written = known;
        self.seen_at = Some(Instant::now());
        Ok(self.written.len() as u64)
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn they_are_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts.db");
        let host = |owner, at: &str| KnownHost { owner, at: at.parse().unwrap() };
        let now = Arc::new(Mutex::new(vec![host(u64::MAX, "192.0.2.1:5060"), host(0, "[2001:db8::1]:0")]));
        let start = || {
            let (mut before, now): (Vec<KnownHost>, _) = (Vec::new(), now.clone());
            let hosts = KnownHosts::open(&path, |known| before.extend(known), move || now.lock().clone());
            (before, hosts.unwrap())
        };
        let (known, hosts) = start();
        assert!(known.is_empty() && hosts.flush());
        drop(hosts);
        let (known, hosts) = start();
        assert_eq!(known, [host(0, "[2001:db8::1]:0"), host(u64::MAX, "192.0.2.1:5060")]);
        now.lock().pop();
        assert!(hosts.flush());
        drop(hosts);
        assert_eq!(start().0, [host(u64::MAX, "192.0.2.1:5060")]);
        // What was not seen for a month is gone.
        let db = Connection::open(&path).unwrap();
        assert_eq!(load(&db, unix_seconds() + REMEMBERED_SECONDS + 60).unwrap(), []);
    }
}
