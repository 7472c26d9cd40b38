//! Resources in an SQLite database, which other parts and other processes share.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use trunkline_model::document::Reading;
use trunkline_model::{Change, Live, Resource, Tables};

use crate::error::StoreError;
use crate::rows::{StoredRow, rows};
use crate::store::{stamp, unchanged};

/// Each entry brings the layout from the version of its index to the next.
const LAYOUTS: [&str; 1] = ["
    CREATE TABLE resources (
        ref TEXT PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        document TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        change INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX resources_by_change ON resources (change);
"];

/// An SQLite database.
///
/// The file holds secrets and is made readable by its owner alone. Its layout version stands in a table, not in
/// `user_version`: bindings and call records may live in the same file and have layouts of their own.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    pub(crate) live: Arc<Live>,
    state: Mutex<SqliteState>,
}

#[derive(Debug)]
struct SqliteState {
    connection: Connection,
    /// The number of the last change in the live tables.
    change: i64,
    /// `PRAGMA data_version` when last looked at: it differs after other connections wrote.
    data_version: i64,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let wrong = wrong(path);
        // SQLite would make it readable by all.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let mut connection = Connection::open(path).map_err(&wrong)?;
        trunkline_write_behind::switch_to_wal(&connection, Duration::from_secs(5)).map_err(&wrong)?;
        connection.pragma_update(None, "synchronous", "normal").map_err(&wrong)?;
        migrate(&mut connection, path)?;

        let live = Arc::new(Live::new(Tables::default()));
        let state = SqliteState { connection, change: 0, data_version: -1 };
        let store = Sqlite { path: path.to_owned(), live, state: Mutex::new(state) };
        store.poll()?;
        Ok(store)
    }

    fn state(&self) -> MutexGuard<'_, SqliteState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was no resource ever stored in this file? It is only read.
    pub(crate) fn has_none(path: &Path) -> bool {
        let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
            return false;
        };
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        match count("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'resources'") {
            Ok(0) => true,
            Ok(_) => count("SELECT EXISTS (SELECT 1 FROM resources)").is_ok_and(|some| some == 0),
            Err(_) => false,
        }
    }

    /// Has anything ever been stored?
    pub(crate) fn is_new(&self) -> bool {
        self.state().change == 0
    }

    pub(crate) fn apply(&self, mut changes: Vec<Change>, expected: &[Resource]) -> Result<(), StoreError> {
        let wrong = wrong(&self.path);
        let mut state = self.state();
        let SqliteState { connection, change, .. } = &mut *state;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrong)?;
        // The checks must see what others committed, and nobody may come in between.
        let mut tables = Tables::clone(&self.live.load());
        let seen = catch_up(&transaction, &mut tables, *change, &self.path)?;
        unchanged(expected, &tables)?;
        stamp(&mut changes, &tables);
        tables.apply(&changes).map_err(StoreError::Refused)?;
        write(&transaction, &changes, seen + 1).map_err(&wrong)?;
        transaction.commit().map_err(&wrong)?;
        *change = seen + 1;
        self.live.replace(tables);
        Ok(())
    }

    /// Takes up what other connections changed; whether there was anything.
    pub(crate) fn poll(&self) -> Result<bool, StoreError> {
        let wrong = wrong(&self.path);
        let mut state = self.state();
        let SqliteState { connection, change, data_version } = &mut *state;
        let version: i64 =
            connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(&wrong)?;
        if version == *data_version {
            return Ok(false);
        }
        // Before anything can fail, so that an error is reported once.
        *data_version = version;
        let transaction = connection.transaction().map_err(&wrong)?;
        let mut tables = Tables::clone(&self.live.load());
        let seen = catch_up(&transaction, &mut tables, *change, &self.path)?;
        drop(transaction);
        if seen == *change {
            return Ok(false);
        }
        *change = seen;
        self.live.replace(tables);
        Ok(true)
    }
}

fn wrong(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Database { path: path.to_owned(), source }
}

/// Brings the layout up to date, by one process at a time.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let wrong = wrong(path);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrong)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS layouts (part TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL)",
        )
        .map_err(&wrong)?;
    let mut rows =
        transaction.prepare("SELECT version FROM layouts WHERE part = 'resources'").map_err(&wrong)?;
    let found: i64 = rows
        .query_map([], |row| row.get(0))
        .map_err(&wrong)?
        .next()
        .transpose()
        .map_err(&wrong)?
        .unwrap_or(0);
    drop(rows);
    let known = LAYOUTS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for layout in LAYOUTS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(layout).map_err(&wrong)?;
    }
    transaction
        .execute("INSERT OR REPLACE INTO layouts (part, version) VALUES ('resources', ?1)", [known])
        .map_err(&wrong)?;
    transaction.commit().map_err(&wrong)
}

/// Brings tables from one change to the latest; gives its number.
fn catch_up(db: &Transaction<'_>, tables: &mut Tables, since: i64, path: &Path) -> Result<i64, StoreError> {
    let wrong = wrong(path);
    let mut latest = since;
    let (reading, database) = (Reading::default(), path.display().to_string());
    let mut statement = db
        .prepare_cached(
            "SELECT ref, kind, document, created_at, updated_at, change FROM resources WHERE change > ?1",
        )
        .map_err(&wrong)?;
    let mut rows = statement.query([since]).map_err(&wrong)?;
    while let Some(row) = rows.next().map_err(&wrong)? {
        let get = || -> rusqlite::Result<_> {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
                (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?),
                row.get::<_, i64>(5)?,
            ))
        };
        let (reference, kind, document, (created_at, updated_at), change) = get().map_err(&wrong)?;
        latest = latest.max(change);
        let row = StoredRow { reference, kind, document, created_at, updated_at };
        row.take_up(&database, tables, &reading);
    }
    reading.into_report().unless(latest).map_err(StoreError::Resources)
}

fn write(db: &Transaction<'_>, changes: &[Change], number: i64) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO resources (ref, kind, document, created_at, updated_at, change)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut delete =
        db.prepare_cached("UPDATE resources SET document = NULL, change = ?2 WHERE ref = ?1 AND kind = ?3")?;
    // Deletions first: in one call a ref may go as one kind and come as another.
    for change in changes {
        if let Change::Delete(kind, reference) = change {
            delete.execute(params![reference.as_str(), number, kind.as_str()])?;
        }
    }
    for row in rows(changes) {
        put.execute(params![row.reference, row.kind, row.document, row.created_at, row.updated_at, number])?;
    }
    Ok(())
}
