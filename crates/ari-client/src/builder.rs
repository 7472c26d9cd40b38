//! Setting a client up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_ari::{DEFAULT_PREFIX, Key, Subjects, ulid};
use trunkline_ari_rest::AriConfig;

use crate::bus::NatsBus;
use crate::client::{Client, Core, REQUEST_TIMEOUT, Transport};
use crate::direct::Direct;
use crate::error::Error;
use crate::nats::{NatsConfig, NatsError};
use crate::own::OwnCalls;

/// Sets a client up.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    application: String,
    prefix: String,
    nats: NatsConfig,
    connection: Option<async_nats::Client>,
    direct: Option<AriConfig>,
    timeout: Duration,
    retries: u32,
    fill_application: bool,
    durable: bool,
    lease: Duration,
    skip_own_calls: bool,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            application: String::new(),
            prefix: DEFAULT_PREFIX.to_owned(),
            nats: NatsConfig::default(),
            connection: None,
            direct: None,
            timeout: REQUEST_TIMEOUT,
            retries: 0,
            fill_application: false,
            durable: false,
            lease: Duration::from_secs(5),
            skip_own_calls: false,
        }
    }
}

impl ClientBuilder {
    /// The ARI application; a fresh name when not set.
    #[must_use]
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = name.into();
        self
    }

    /// The prefix of subjects (default `ari.`).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The URL of the NATS servers.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.nats.servers = vec![url.into()];
        self
    }

    /// The NATS servers and the login.
    #[must_use]
    pub fn nats(mut self, nats: NatsConfig) -> Self {
        self.nats = nats;
        self
    }

    /// A connection that exists already. Closing the client leaves it open.
    #[must_use]
    pub fn connection(mut self, connection: async_nats::Client) -> Self {
        self.connection = Some(connection);
        self
    }

    /// One Asterisk without NATS.
    #[must_use]
    pub fn direct(mut self, asterisk: AriConfig) -> Self {
        self.direct = Some(asterisk);
        self
    }

    /// How long a request waits for its answer (default 500 ms).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often an addressed request that had no answer is sent again (default 0).
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Whether requests whose key has no application go to this client's only (default: to all,
    /// as ari-proxy's own client does).
    #[must_use]
    pub fn fill_application(mut self, fill: bool) -> Self {
        self.fill_application = fill;
        self
    }

    /// Whether events come from the JetStream stream, in order and with gaps told, and new calls
    /// with a lease. The proxies must run with delivery `stream`.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// How long a call stays with an instance that gives no sign of life (default 5 s).
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Whether [`Client::listen`] leaves out calls that this application made itself (default: an
    /// originated call is offered to a listener like any other, as by ari-proxy's client).
    ///
    /// All instances of the application must set it: then calls whose ids the clients made up are
    /// known to each of them. An id that the program gave itself is known to the client that gave
    /// it, for ten minutes.
    #[must_use]
    pub fn skip_own_calls(mut self, skip: bool) -> Self {
        self.skip_own_calls = skip;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// When the settings cannot be used or the other side cannot be reached.
    pub async fn connect(self) -> Result<Client, Error> {
        let application = if self.application.is_empty() { ulid() } else { self.application };
        crate::bus::check(&Key::default().at(application.clone(), ""))?;
        let transport = match self.direct {
            Some(asterisk) => Transport::Direct(Direct::start(asterisk, application.clone()).await?),
            None => {
                let owned = self.connection.is_none();
                let client = match self.connection {
                    Some(connection) => connection,
                    None => {
                        let mut nats = self.nats;
                        if nats.name.is_empty() {
                            nats.name = format!("trunkline-ari-client {application}");
                        }
                        let connected =
                            nats.options()?.subscription_capacity(65_536).connect(nats.addresses()?).await;
                        connected.map_err(|e| NatsError::Connect(nats.describe(), e.to_string()))?
                    }
                };
                let subjects = Subjects::new(self.prefix);
                Transport::Nats(Box::new(
                    NatsBus::start(client, owned, subjects, self.timeout, self.retries).await?,
                ))
            }
        };
        let core = Core {
            transport,
            own: self.skip_own_calls.then(|| OwnCalls::new(&application)),
            application,
            fill_application: self.fill_application,
            durable: self.durable,
            lease: self.lease,
        };
        Ok(Client { core: Arc::new(core), closed: Arc::new(watch::Sender::new(false)) })
    }
}
