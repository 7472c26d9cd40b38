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

use std::time::{Duration, Instant};

use redis::{
    Connection, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisResult,
};
use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};

use super::object_id::object_id;
use super::provider::{Access, Last, Provider, Texts, Write, WriteError, ref_of, set_ref, text_of};
use super::routes::{self, Route};
use crate::error::StoreError;
use reading::{CHUNK, CONFIGURATION};

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

    /// The set a new document is a member of. In a database that has no numbers yet, the first one says by its kind which
    /// edition wrote it.
    fn set_of(&mut self, collection: Collection, document: &Value) -> &'static str {
        let of_kind = match document["kind"].as_str() {
            Some(kind) if kind.eq_ignore_ascii_case("DID") => Edition::Rc2,
            Some(kind) if kind.eq_ignore_ascii_case("Number") => Edition::Late,
            _ => self.hint,
        };
        let edition = self.edition.unwrap_or(of_kind);
        if collection == Collection::Numbers {
            self.edition = Some(edition);
        }
        let names = collection.names();
        let name = if edition == Edition::Rc2 { names.first() } else { names.last() };
        name.copied().unwrap_or_default()
    }

    /// Is Redis there, and does it have no such key? A change is sent to one that answers: one that hangs would make it whenever it
    /// goes on, although it was refused.
    fn has(&mut self, key: &str) -> Result<bool, WriteError> {
        let count = self.on(|connection| redis::cmd("EXISTS").arg(key).query::<u32>(connection));
        self.changed(count).map(|count| count > 0)
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

/// Makes changes, all or none; gives what each did.
fn transaction(
    connection: &mut Connection,
    commands: &mut Pipeline,
    limit: Duration,
) -> RedisResult<Vec<u32>> {
    let commands = commands.atomic();
    // MULTI, each command queued, EXEC.
    let found = all(connection, commands, commands.len() + 2, limit)?;
    match found.into_iter().map(redis::Value::extract_error).collect::<RedisResult<Vec<_>>>()?.pop() {
        Some(done @ redis::Value::Array(_)) => redis::from_redis_value::<Vec<redis::Value>>(done)?
            .into_iter()
            .map(|one| {
                Ok(redis::from_redis_value::<Option<u32>>(one).unwrap_or_default().unwrap_or_default())
            })
            .collect(),
        _ => Err((redis::ErrorKind::Client, "the transaction was not carried out").into()),
    }
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
    fn read(&mut self) -> Result<Option<Texts>, StoreError> {
        let now = self.on(changes).map_err(|error| unreachable(&self.name, &error))?;
        let unchanged = match (&self.seen, &now) {
            (Some((seen, at)), Some(now)) => seen == now && at.elapsed() < REREAD,
            _ => false,
        };
        if unchanged {
            return Ok(None);
        }
        let texts = self.documents()?;
        // One that cannot be used was told of at the start.
        self.configuration = self.read_configuration()?.unwrap_or_default();
        // Asked before the reading: what changed meanwhile is read the next time.
        self.seen = now.map(|changes| (changes, Instant::now()));
        Ok(self.last.changed(texts))
    }

    fn write(&mut self, write: &Write) -> Result<String, WriteError> {
        match write {
            Write::Insert(collection, document) => {
                let mut document = document.clone();
                let reference = match ref_of(&document) {
                    Some(reference) => reference.to_owned(),
                    None => self.new_ref()?.unwrap_or_default(),
                };
                set_ref(&mut document, &reference);
                if self.has(&reference)? {
                    return Err(WriteError::Unusable(format!("metadata.ref: `{reference}` is taken")));
                }
                let set = self.set_of(*collection, &document);
                let limit = self.timeout;
                let done = self.on(|connection| {
                    let mut both = redis::pipe();
                    both.cmd("SET").arg(&reference).arg(document.to_string());
                    both.cmd("SADD").arg(set).arg(&reference);
                    transaction(connection, &mut both, limit)
                });
                self.changed(done)?;
                Ok(reference)
            }
            Write::Update(_, reference, document) => {
                let mut document = document.clone();
                set_ref(&mut document, reference);
                self.has(reference)?;
                let done = self.on(|connection| {
                    redis::cmd("SET").arg(reference).arg(document.to_string()).query::<()>(connection)
                });
                self.changed(done)?;
                Ok(reference.clone())
            }
            Write::Remove(collection, reference) => {
                let names = collection.names();
                self.has(reference)?;
                let limit = self.timeout;
                let done = self.on(|connection| {
                    let mut all = redis::pipe();
                    all.cmd("DEL").arg(reference);
                    for set in names {
                        all.cmd("SREM").arg(*set).arg(reference);
                    }
                    transaction(connection, &mut all, limit)
                });
                let counts = self.changed(done)?;
                let (document, members) = counts.split_first().map_or((0, 0), |(d, m)| (*d, m.iter().sum()));
                if document == 0 || members == 0 {
                    return Err(WriteError::NotFound);
                }
                Ok(reference.clone())
            }
        }
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
        self.has(CONFIGURATION)?;
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
