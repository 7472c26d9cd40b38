//! Resources in a PostgreSQL database, which several machines share.

mod address;
mod session;
mod tls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_postgres::{Client, GenericClient, Transaction};
use trunkline_model::document::Reading;
use trunkline_model::{Change, Live, Resource, Tables};

use crate::error::StoreError;
use crate::routr_v1::Access;
use crate::rows::{StoredRow, rows};
use crate::store::{stamp, unchanged};
use address::Address;
use session::{Patience, Session, Trouble};

/// Each entry brings the layout from the version of its index to the next.
const LAYOUTS: [&str; 1] = ["
    CREATE TABLE trunkline_resources (
        ref text PRIMARY KEY,
        kind text NOT NULL,
        document text,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        change bigint NOT NULL
    );
    CREATE INDEX trunkline_resources_by_change ON trunkline_resources (change);
"];

/// The version of the last layout.
const KNOWN: i64 = LAYOUTS.len() as i64;

/// Any number that others do not use: programs that make the tables at the same moment wait for each other.
const MIGRATION_LOCK: i64 = 0x7472_756e_6b6c;

/// A PostgreSQL database.
///
/// Those who write lock the table against each other, so that the numbers of changes are committed in their order; those who
/// read wait for nobody. After an outage everything that happened meanwhile is found by the number of the last known change.
#[derive(Debug)]
pub struct Postgres {
    name: String,
    pub(crate) live: Arc<Live>,
    state: Mutex<PostgresState>,
    trouble: Mutex<Option<String>>,
}

#[derive(Debug)]
struct PostgresState {
    session: Session,
    /// The number of the last change in the live tables.
    change: i64,
    /// Are the tables there? The first change makes them; whoever only looks makes nothing.
    made: bool,
}

impl Postgres {
    pub(crate) fn open(url: &str, access: &Access) -> Result<Postgres, StoreError> {
        let mut session = Session::new(url, access)?;
        let name = session.name().to_owned();
        let made = session.run(Patience::Long, async |client| {
            let found = layout(client, &name).await?;
            if (1..KNOWN).contains(&found) {
                migrate(client, &name).await?;
            }
            Ok(found > 0)
        })?;
        let live = Arc::new(Live::new(Tables::default()));
        let state = Mutex::new(PostgresState { session, change: 0, made });
        let store = Postgres { name, live, state, trouble: Mutex::default() };
        store.poll()?;
        Ok(store)
    }

    /// Can the URL be read, and has it no password?
    pub(crate) fn check_url(url: &str) -> Result<(), StoreError> {
        Address::read(url, Duration::ZERO).map(|_| ())
    }

    fn state(&self) -> MutexGuard<'_, PostgresState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has anything ever been stored?
    pub(crate) fn is_new(&self) -> bool {
        self.state().change == 0
    }

    /// Why the database could not be read the last time.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn apply(&self, mut changes: Vec<Change>, expected: &[Resource]) -> Result<(), StoreError> {
        let mut state = self.state();
        let PostgresState { session, change, made } = &mut *state;
        let (since, live) = (*change, Tables::clone(&self.live.load()));
        let (name, there) = (self.name.as_str(), *made);
        let (seen, tables) = session.run(Patience::Long, async |client| {
            if !there {
                migrate(client, name).await?;
            }
            let transaction = client.transaction().await?;
            transaction
                .batch_execute(
                    "SET LOCAL lock_timeout = '5s';
                     LOCK TABLE trunkline_resources IN SHARE ROW EXCLUSIVE MODE",
                )
                .await?;
            // The checks must see what others committed, and nobody may come in between.
            let (seen, mut tables) = catch_up(&transaction, live, since, name).await?;
            unchanged(expected, &tables)?;
            stamp(&mut changes, &tables);
            tables.apply(&changes).map_err(StoreError::Refused)?;
            write(&transaction, &changes, seen + 1).await?;
            transaction.commit().await?;
            Ok((seen + 1, tables))
        })?;
        (*change, *made) = (seen, true);
        self.live.replace(tables);
        Ok(())
    }

    /// Takes up what others changed; whether there was anything.
    pub(crate) fn poll(&self) -> Result<bool, StoreError> {
        let polled = self.look();
        let trouble = match &polled {
            Err(error @ StoreError::Postgres { .. }) => Some(error.to_string()),
            Ok(_) | Err(_) => None,
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        polled
    }

    fn look(&self) -> Result<bool, StoreError> {
        let mut state = self.state();
        let PostgresState { session, change, made } = &mut *state;
        if !*made {
            let name = self.name.as_str();
            *made = session.run(Patience::Short, async |client| Ok(layout(client, name).await? > 0))?;
            if !*made {
                return Ok(false);
            }
        }
        let (since, name, live) = (*change, self.name.as_str(), &self.live);
        let latest = session.run(Patience::Short, async |client| {
            let latest = "SELECT coalesce(max(change), 0) FROM trunkline_resources";
            Ok(client.query_one(latest, &[]).await?.try_get::<_, i64>(0)?)
        })?;
        if latest == since {
            return Ok(false);
        }
        // Fewer changes than are known: a copy from before took the place of the database.
        let (since, tables) = match latest < since {
            true => (0, Tables::default()),
            false => (since, Tables::clone(&live.load())),
        };
        let (seen, tables) = session.run(Patience::Long, async |client| {
            let transaction = client.build_transaction().read_only(true).start().await?;
            catch_up(&transaction, tables, since, name).await
        })?;
        *change = seen;
        self.live.replace(tables);
        Ok(true)
    }
}

/// The version of the layout that is there; 0 if there is none.
async fn layout(db: &impl GenericClient, name: &str) -> Result<i64, Trouble> {
    let there = db.query_one("SELECT to_regclass('trunkline_layouts') IS NOT NULL", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let found = "SELECT version FROM trunkline_layouts WHERE part = 'resources'";
    let found = db.query_opt(found, &[]).await?.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    match found > KNOWN {
        true => Err(StoreError::Newer { path: name.into(), found, known: KNOWN }.into()),
        false => Ok(found),
    }
}

/// Brings the layout up to date, by one process at a time.
async fn migrate(client: &mut Client, name: &str) -> Result<(), Trouble> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await?;
    let table =
        "CREATE TABLE IF NOT EXISTS trunkline_layouts (part text PRIMARY KEY, version bigint NOT NULL)";
    transaction.batch_execute(table).await?;
    let found = layout(&transaction, name).await?;
    for layout in LAYOUTS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.batch_execute(layout).await?;
    }
    let note = "INSERT INTO trunkline_layouts (part, version) VALUES ('resources', $1)
                ON CONFLICT (part) DO UPDATE SET version = excluded.version";
    transaction.execute(note, &[&KNOWN]).await?;
    Ok(transaction.commit().await?)
}

/// Brings tables from one change to the latest; gives its number.
async fn catch_up(
    db: &Transaction<'_>,
    mut tables: Tables,
    since: i64,
    name: &str,
) -> Result<(i64, Tables), Trouble> {
    let mut latest = since;
    let reading = Reading::default();
    let wanted = "SELECT ref, kind, document, created_at, updated_at, change FROM trunkline_resources WHERE change > $1";
    for row in db.query(wanted, &[&since]).await? {
        latest = latest.max(row.try_get(5)?);
        let row = StoredRow {
            reference: row.try_get(0)?,
            kind: row.try_get(1)?,
            document: row.try_get(2)?,
            created_at: row.try_get(3)?,
            updated_at: row.try_get(4)?,
        };
        row.take_up(name, &mut tables, &reading);
    }
    Ok(reading.into_report().unless((latest, tables)).map_err(StoreError::Resources)?)
}

async fn write(db: &Transaction<'_>, changes: &[Change], number: i64) -> Result<(), Trouble> {
    let delete = "UPDATE trunkline_resources SET document = NULL, change = $2 WHERE ref = $1 AND kind = $3";
    let delete = db.prepare(delete).await?;
    // Deletions first: in one call a ref may go as one kind and come as another.
    for change in changes {
        if let Change::Delete(kind, reference) = change {
            db.execute(&delete, &[&reference.as_str(), &number, &kind.as_str()]).await?;
        }
    }
    let put = "INSERT INTO trunkline_resources (ref, kind, document, created_at, updated_at, change)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (ref) DO UPDATE SET kind = excluded.kind, document = excluded.document,
               created_at = excluded.created_at, updated_at = excluded.updated_at, change = excluded.change";
    let put = db.prepare(put).await?;
    for row in rows(changes) {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&row.reference, &row.kind, &row.document, &row.created_at, &row.updated_at, &number];
        db.execute(&put, &values).await?;
    }
    Ok(())
}
