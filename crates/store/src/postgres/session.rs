//! The connection to a database: opened when it is needed, given up when it fails, within limits of time.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use super::address::Address;
use super::tls::Tls;
use crate::error::StoreError;
use crate::routr_v1::Access;
use crate::trusted::connector;

/// How long something may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// A few rows.
    Short,
    /// All of them.
    Long,
}

/// For a connection, and for the first answer on it.
const ANSWER: Duration = Duration::from_secs(5);

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Patience::Short => Duration::from_secs(5),
            Patience::Long => Duration::from_secs(120),
        }
    }
}

/// What went wrong with a piece of work.
pub(super) enum Trouble {
    /// The database refused, or the connection failed.
    Database(tokio_postgres::Error),
    /// What it found.
    Found(StoreError),
    /// The database did not answer in this time.
    Silent(Duration),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Trouble {
        Trouble::Database(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Found(error)
    }
}

/// The connection.
pub(super) struct Session {
    address: Address,
    tls: Option<Tls>,
    client: Option<Client>,
    /// Taken when this is dropped, which may happen where nobody may wait.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("database", &self.address.name).finish_non_exhaustive()
    }
}

impl Session {
    /// Of a URL; does not connect yet.
    pub fn new(url: &str, access: &Access) -> Result<Session, StoreError> {
        let address = Address::read(url, access.timeout)?;
        let wrong = |why: String| StoreError::Postgres { database: address.name.clone(), why };
        let tls = match address.encrypted {
            true => Some(Tls(connector(access.authorities()).map_err(&wrong)?)),
            false => None,
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| wrong(error.to_string()))?;
        Ok(Session { address, tls, client: None, runtime: Some(runtime) })
    }

    /// The database for operators, without secrets.
    pub fn name(&self) -> &str {
        &self.address.name
    }

    /// Does a piece of work over the connection, a new one if there is none. Where the work was not done to its end, the next one
    /// gets a new connection: what was begun on this one is undone by the server.
    pub fn run<T>(
        &mut self,
        patience: Patience,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let database = || self.address.name.clone();
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Postgres { database: database(), why: "the client has ended".into() });
        };
        let (address, tls) = (&self.address, &self.tls);
        let kept = self.client.take().filter(|client| !client.is_closed());
        // Nothing is sent to a server that hangs: it would be done whenever the server goes on.
        let done = runtime.block_on(async {
            let client = tokio::time::timeout(ANSWER, async {
                // One that the server has ended looks as it was until it is used.
                match kept {
                    Some(client) if client.check_connection().await.is_ok() => Ok(client),
                    Some(_) | None => connect(address, tls.clone()).await,
                }
            });
            let mut client = client.await.map_err(|_| Trouble::Silent(ANSWER))??;
            let done = tokio::time::timeout(patience.limit(), work(&mut client));
            let done = done.await.map_err(|_| Trouble::Silent(patience.limit()))??;
            Ok((client, done))
        });
        match done {
            Ok((client, done)) => {
                self.client = Some(client);
                Ok(done)
            }
            Err(Trouble::Found(error)) => Err(error),
            Err(Trouble::Database(error)) => {
                Err(StoreError::Postgres { database: database(), why: in_words(&error) })
            }
            Err(Trouble::Silent(limit)) => {
                let why = format!("no answer within {limit:?}");
                Err(StoreError::Postgres { database: database(), why })
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn connect(address: &Address, tls: Option<Tls>) -> Result<Client, tokio_postgres::Error> {
    match tls {
        Some(tls) => {
            let (client, connection) = address.config.connect(tls).await?;
            // It ends with the client, or when the server ends it; what goes wrong is told to the client.
            tokio::spawn(connection);
            Ok(client)
        }
        None => {
            let (client, connection) = address.config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

/// What the server says, or else all causes.
fn in_words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{}{hint}", said.message());
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}
