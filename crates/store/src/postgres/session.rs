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

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Patience::Short => Duration::from_secs(15),
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
            true => Some(Tls(connector(access.trusted_ca.as_deref()).map_err(&wrong)?)),
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
        let whole = async {
            // One that the server has ended looks as it was until it is used.
            let mut client = match kept {
                Some(client) if client.check_connection().await.is_ok() => client,
                Some(_) | None => connect(address, tls.clone()).await?,
            };
            let done = work(&mut client).await?;
            Ok((client, done))
        };
        let done = runtime.block_on(async { tokio::time::timeout(patience.limit(), whole).await });
        match done {
            Ok(Ok((client, done))) => {
                self.client = Some(client);
                Ok(done)
            }
            Ok(Err(Trouble::Found(error))) => Err(error),
            Ok(Err(Trouble::Database(error))) => {
                Err(StoreError::Postgres { database: database(), why: in_words(&error) })
            }
            Err(_) => {
                let why = format!("no answer within {:?}", patience.limit());
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
