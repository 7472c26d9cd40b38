//! `redis_data_provider`: the keys of a Routr v1 in Redis.
//!
//! | key | type | content |
//! | --- | --- | --- |
//! | a ref | string | the document, JSON, with its `metadata.ref` |
//! | `location` (late) | hash | the registrations, by AOR; read when the exchange starts for the first time |
//! | `config` (late) | string | the configuration, JSON, beneath that of the file; read at the start, written by `PUT /system/config` |
//! | `users`, `agents`, `domains`, `peers`, `gateways`, `dids` (early) or `numbers` (late) | set | the refs of the kind |
//!
//! Database 0, no prefix, no time to live. What is written here can be read by the server it came from.

mod reading;
mod writing;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use redis::{
    Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisResult,
};
use serde_json::Value;
use trunkline_model::dialect::v1::Edition;

use super::object_id::object_id;
use super::provider::{Access, Last, Provider, Reading, Texts, Write, WriteError, set_ref, text_of};
use super::routes::{self, Route};
use crate::error::StoreError;
use reading::{CHUNK, CONFIGURATION, Told};

/// Everything is read again after this time, whatever Redis says of changes.
const REREAD: Duration = Duration::from_secs(30);

/// A longer document is no resource.
const LONGEST: usize = 256 * 1024;

/// The hash of a late Routr's registrations.
const LOCATION: &str = "location";

/// More registrations are not taken over.
const MOST_ROUTES: usize = 1_000_000;

/// A Redis server.
#[derive(Debug)]
pub(crate) struct Redis {
    client: redis::Client,
    name: String,
    timeout: Duration,
    connection: Option<HeldDocuments>,
    hint: Edition,
    edition: Option<Edition>,
    /// What Redis said of its changes before everything was read, and when that was.
    seen: Option<(Changes, Instant)>,
    last: Last,
    configuration: Option<Value>,
    /// The members of each set, as they were last read.
    members: HashMap<&'static str, HashSet<Vec<u8>>>,
    /// What was last told of keys that cannot be used.
    told: Told,
}

/// An open connection.
struct HeldDocuments(Connection);

impl std::fmt::Debug for HeldDocuments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// The values that change with the database: run id, time of the last save, writes since then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changes(Vec<String>);

impl Redis {
    /// Of `HOST:PORT`; does not connect yet.
    pub fn new(at: &str, edition: Edition, access: &Access) -> Result<Redis, StoreError> {
        let wrong = || StoreError::Url(format!("redis {at}"));
        let (host, port) = at.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = format!("Redis at {at}");
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if !access.secret.is_empty() {
            settings = settings.set_password(&access.secret);
        }
        let info: RedisResult<ConnectionInfo> = ConnectionAddr::Tcp(host, port).into_connection_info();
        let client = info.map(|info| info.set_redis_settings(settings)).and_then(redis::Client::open);
        Ok(Redis {
            client: client.map_err(|error| unreachable(&name, &error))?,
            name,
            timeout: access.timeout.max(Duration::from_millis(1)),
            connection: None,
            hint: edition,
            edition: None,
            seen: None,
            last: Last::default(),
            configuration: None,
            members: HashMap::new(),
            told: Told::default(),
        })
    }

    /// Does something over the connection, a new one if there is none. After a failure the next one is new: what the
    /// server still has to say on this one would be the answer to something else.
    fn on<T>(&mut self, act: impl FnOnce(&mut Connection) -> RedisResult<T>) -> RedisResult<T> {
        let mut held = match self.connection.take() {
            Some(held) => held,
            None => {
                let connection = self.client.get_connection_with_timeout(self.timeout)?;
                connection.set_read_timeout(Some(self.timeout))?;
                connection.set_write_timeout(Some(self.timeout))?;
                HeldDocuments(connection)
            }
        };
        let done = act(&mut held.0)?;
        self.connection = Some(held);
        Ok(done)
    }

    /// Is Redis there? A change is sent to one that answers: one that hangs would make it whenever it goes on, although it was
    /// refused.
    fn answers(&mut self) -> Result<(), WriteError> {
        let said = self.on(|connection| redis::cmd("PING").query::<redis::Value>(connection));
        self.changed(said).map(drop)
    }

    fn changed<T>(&mut self, result: RedisResult<T>) -> Result<T, WriteError> {
        result.map_err(|error| WriteError::Unavailable(unreachable(&self.name, &error).to_string()))
    }
}

/// Sends commands at once and reads an answer to each, all within the time. The pipelines of the crate would wait for every
/// further answer after one that did not come.
fn all(
    connection: &mut Connection,
    commands: &Pipeline,
    answers: usize,
    limit: Duration,
) -> RedisResult<Vec<redis::Value>> {
    let end = Instant::now() + limit;
    connection.send_packed_command(&commands.get_packed_pipeline())?;
    let mut found = Vec::with_capacity(answers);
    for _ in 0..answers {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        }
        connection.set_read_timeout(Some(left))?;
        found.push(connection.recv_response()?);
    }
    connection.set_read_timeout(Some(limit))?;
    Ok(found)
}

/// Reads what `INFO` says; `None` where the server does not let us ask.
fn changes(connection: &mut Connection) -> RedisResult<Option<Changes>> {
    let said: RedisResult<String> = redis::cmd("INFO").query(connection);
    match said {
        Ok(said) => {
            let wanted = ["run_id:", "rdb_last_save_time:", "rdb_changes_since_last_save:"];
            let lines = said.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            Ok((lines.len() == wanted.len()).then_some(Changes(lines)))
        }
        Err(error) if error.is_io_error() || error.is_unrecoverable_error() => Err(error),
        // An ACL user without this command: everything is read each time.
        Err(_) => Ok(None),
    }
}

fn unreachable(name: &str, error: &redis::RedisError) -> StoreError {
    let mut why = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    if why.contains("NOAUTH") || why.contains("WRONGPASS") || why.contains("AuthenticationFailed") {
        why.push_str(" (key spec.dataSource.parameters, `secret`)");
    }
    StoreError::Unreachable { what: name.to_owned(), why }
}

impl Provider for Redis {
    fn read(&mut self) -> Result<Option<Reading>, StoreError> {
        let now = self.on(changes).map_err(|error| unreachable(&self.name, &error))?;
        let unchanged = match (&self.seen, &now) {
            (Some((seen, at)), Some(now)) => seen == now && at.elapsed() < REREAD,
            _ => false,
        };
        if unchanged {
            return Ok(None);
        }
        let reading = self.documents()?;
        // One that cannot be used was told of at the start.
        self.configuration = self.read_configuration()?.unwrap_or_default();
        // Asked before the reading: what changed meanwhile is read the next time.
        self.seen = now.map(|changes| (changes, Instant::now()));
        Ok(self.last.changed(reading))
    }

    fn write(&mut self, write: &Write, known: &Texts) -> Result<String, WriteError> {
        self.make(write, known)
    }

    fn routes(&mut self) -> Result<Vec<Route>, StoreError> {
        let mut found = Vec::new();
        let mut cursor = 0u64;
        loop {
            let scan = |connection: &mut Connection| {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(LOCATION).arg(cursor).arg("COUNT").arg(CHUNK);
                scan.query::<(u64, Vec<(Vec<u8>, Vec<u8>)>)>(connection)
            };
            let (next, fields) = self.on(scan).map_err(|error| unreachable(&self.name, &error))?;
            for (aor, value) in fields.iter().filter(|(_, value)| value.len() <= LONGEST) {
                if let (Ok(aor), Ok(value)) = (std::str::from_utf8(aor), std::str::from_utf8(value)) {
                    found.extend(routes::read(aor, value));
                }
            }
            cursor = next;
            if cursor == 0 || found.len() > MOST_ROUTES {
                return Ok(found);
            }
        }
    }

    fn configuration(&self) -> Option<&Value> {
        self.configuration.as_ref()
    }

    fn write_configuration(&mut self, document: &Value) -> Result<(), WriteError> {
        let text = document.to_string();
        if text.len() > LONGEST {
            return Err(WriteError::Unusable(format!("it has more than {LONGEST} bytes")));
        }
        self.answers()?;
        let done =
            self.on(|connection| redis::cmd("SET").arg(CONFIGURATION).arg(text).query::<()>(connection));
        self.changed(done)?;
        self.configuration = Some(document.clone());
        Ok(())
    }

    fn new_ref(&self) -> Result<Option<String>, WriteError> {
        object_id().map(Some).map_err(|error| WriteError::Unavailable(error.to_string()))
    }

    fn has_now(&mut self, texts: &Texts) {
        self.last.differ(texts);
    }

    fn forget(&mut self) {
        (self.seen, self.last) = (None, Last::default());
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn edition(&self) -> Option<Edition> {
        self.edition
    }
}
