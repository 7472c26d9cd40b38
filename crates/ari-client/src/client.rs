//! The client: one connection, shared by all that is derived from it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use trunkline_ari::{Cluster, EventType, Key, Kind, Member, OwnedRequest, Purpose, Response, fresh, ulid};

use crate::builder::ClientBuilder;
use crate::bus::{Listing, NatsBus};
use crate::direct::Direct;
use crate::error::Error;
use crate::nats::NatsConfig;
use crate::own::OwnCalls;
use crate::subscription::{Filter, Subscription};

/// How long a request waits for its answer unless configured.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) enum Transport {
    Nats(Box<NatsBus>),
    Direct(Direct),
}

pub(crate) struct Core {
    pub transport: Transport,
    pub application: String,
    pub fill_application: bool,
    pub durable: bool,
    pub lease: Duration,
    /// Set when `listen` leaves out what the application called itself.
    pub own: Option<OwnCalls>,
}

/// A client of a cluster, or of one Asterisk. Clones are the same client; derived clients share the
/// connection and have subscriptions of their own.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) closed: Arc<watch::Sender<bool>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("application", &self.core.application).finish_non_exhaustive()
    }
}

impl Client {
    /// A client set up from the environment: `ARI_APPLICATION`, `ARI_PREFIX` and the settings of
    /// NATS (see [`NatsConfig::from_env`]); `ARI_DELIVERY=stream` reads events from the stream.
    ///
    /// # Errors
    /// When the settings cannot be used or NATS cannot be reached.
    pub async fn from_env() -> Result<Client, Error> {
        let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let mut builder = Client::builder().nats(NatsConfig::from_env(env));
        if let Some(application) = env("ARI_APPLICATION") {
            builder = builder.application(application);
        }
        if let Some(prefix) = env("ARI_PREFIX") {
            builder = builder.prefix(prefix);
        }
        builder.durable(env("ARI_DELIVERY").is_some_and(|d| d == "stream")).connect().await
    }

    /// A client to be set up.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of the same connection with subscriptions of its own.
    #[must_use]
    pub fn derive(&self) -> Client {
        Client { core: Arc::clone(&self.core), closed: Arc::new(watch::Sender::new(false)) }
    }

    /// The ARI application.
    #[must_use]
    pub fn application_name(&self) -> &str {
        &self.core.application
    }

    /// A key for new things in this client's application, on any node.
    #[must_use]
    pub fn here(&self) -> Key {
        Key { app: self.core.application.clone(), ..Key::default() }
    }

    /// A fresh dialog: things bound to it have their events copied to whoever subscribes to it.
    #[must_use]
    pub fn dialog(&self) -> String {
        ulid()
    }

    /// The proxies heard of within five minutes.
    #[must_use]
    pub fn cluster(&self) -> Vec<Member> {
        match &self.core.transport {
            Transport::Nats(bus) => bus.members.matching(&Key::default(), Cluster::MAX_AGE),
            Transport::Direct(direct) => {
                let site = direct.site();
                vec![Member { node: site.node.clone(), app: site.app.clone() }]
            }
        }
    }

    /// Whether a proxy of this client's application was heard of within two minutes.
    #[must_use]
    pub fn connected(&self) -> bool {
        match &self.core.transport {
            Transport::Nats(bus) => {
                !bus.members.matching(&self.here(), Cluster::ANNOUNCE_INTERVAL * 2).is_empty()
            }
            Transport::Direct(direct) => direct.is_up(),
        }
    }

    /// Asks all proxies to announce themselves.
    ///
    /// # Errors
    /// When NATS does not take it.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.core.transport {
            Transport::Nats(bus) => bus.members.ping().await,
            Transport::Direct(_) => Ok(()),
        }
    }

    /// Waits until the proxies are known: each that is there had the time to announce itself, and one
    /// serves this client's application. Lists and requests to several nodes are complete without it,
    /// too, but the first ones wait for as long as this does.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no proxy of the application is there within `timeout`.
    pub async fn ready(&self, timeout: Duration) -> Result<Vec<Member>, Error> {
        match &self.core.transport {
            Transport::Nats(bus) => bus.members.ready(&self.here(), timeout).await?,
            Transport::Direct(direct) => direct.ready(timeout).await?,
        }
        Ok(self.cluster())
    }

    /// The proxies of all applications, once each that is there had the time to announce itself.
    ///
    /// # Errors
    /// When NATS does not take the question.
    pub async fn survey(&self) -> Result<Vec<Member>, Error> {
        if let Transport::Nats(bus) = &self.core.transport {
            bus.members.settle().await?;
        }
        Ok(self.cluster())
    }

    /// How many proxies answer for one application and node within `patience`. More than one is a
    /// fault: requests reach all of them.
    ///
    /// # Errors
    /// When NATS does not take the question.
    pub async fn proxies_of(&self, member: &Member, patience: Duration) -> Result<usize, Error> {
        match &self.core.transport {
            Transport::Nats(bus) => bus.twins(member, patience).await,
            Transport::Direct(_) => Ok(1),
        }
    }

    /// Ends this client's subscriptions; with the last client of a connection, the connection.
    pub async fn close(self) {
        self.closed.send_replace(true);
        let Client { core, closed } = self;
        drop(closed);
        if Arc::strong_count(&core) == 1 {
            match &core.transport {
                Transport::Nats(bus) => bus.close().await,
                Transport::Direct(direct) => direct.close().await,
            }
        }
    }

    /// Events of `key`: those of its dialog, else of its application and node, narrowed to its id
    /// when it has one. No `types` are all types.
    ///
    /// # Errors
    /// When the subscription cannot be made.
    pub async fn subscribe(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        crate::bus::check(key)?;
        let filter = Filter { key: key.clone(), types: types.to_vec() };
        let closed = self.closed.subscribe();
        match &self.core.transport {
            Transport::Direct(direct) => Ok(Subscription::direct(direct, filter, closed)),
            // Dialog copies are not in the stream: they are copies.
            Transport::Nats(bus) if self.core.durable && key.dialog.is_empty() => {
                Subscription::durable(bus, filter, false, closed).await
            }
            Transport::Nats(bus) => Subscription::core(bus, filter, closed).await,
        }
    }

    /// As [`Client::subscribe`], from the JetStream stream and beginning with what it still has.
    ///
    /// # Errors
    /// When there is no stream.
    pub async fn replay(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        let filter = Filter { key: key.clone(), types: types.to_vec() };
        match &self.core.transport {
            Transport::Direct(_) => Err(Error::Setting("one Asterisk has no stream of past events")),
            Transport::Nats(bus) => Subscription::durable(bus, filter, true, self.closed.subscribe()).await,
        }
    }

    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    fn prepared(&self, kind: Kind, key: &Key) -> OwnedRequest {
        let mut request = OwnedRequest::new(kind, key.clone());
        if self.core.fill_application && request.key.app.is_empty() {
            request.key.app.clone_from(&self.core.application);
        }
        request
    }

    /// Sends any request; an error in the answer is an error here. A request that lacks what its kind
    /// needs is not sent: an original proxy would die of it.
    ///
    /// # Errors
    /// When there is no good answer.
    pub async fn send(&self, request: OwnedRequest) -> Result<Response, Error> {
        request.check().map_err(|why| Error::Incomplete(request.kind, why))?;
        self.dispatch(request).await
    }

    async fn dispatch(&self, mut request: OwnedRequest) -> Result<Response, Error> {
        let answer = match &self.core.transport {
            Transport::Nats(bus) => {
                request.key = bus.locate(request.key, &self.core.application).await?;
                bus.request(&request).await?
            }
            Transport::Direct(direct) => direct.one(&request).await?,
        };
        answer.good()
    }

    /// Makes up the id of a call when it is empty: a handle has one whatever the answer says.
    pub(crate) fn name_call(&self, id: &mut String, purpose: Purpose) {
        match &self.core.own {
            Some(own) => own.name(id, purpose),
            None if id.is_empty() => *id = fresh(purpose),
            None => {}
        }
    }

    pub(crate) async fn call(&self, kind: Kind, key: &Key) -> Result<Response, Error> {
        self.dispatch(self.prepared(kind, key)).await
    }

    pub(crate) async fn call_with(
        &self,
        kind: Kind,
        key: &Key,
        option: &impl Serialize,
    ) -> Result<Response, Error> {
        self.dispatch(self.prepared(kind, key).with_option(option)?).await
    }

    pub(crate) async fn data<T: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &Key,
        name: &'static str,
    ) -> Result<T, Error> {
        self.call(kind, key).await?.data(name)?.ok_or(Error::Nil(name))
    }

    pub(crate) async fn list(
        &self,
        kind: Kind,
        key: &Key,
        option: Option<&impl Serialize>,
    ) -> Result<Listing, Error> {
        let mut request = self.prepared(kind, key);
        if let Some(option) = option {
            request = request.with_option(option)?;
        }
        match &self.core.transport {
            Transport::Nats(bus) => {
                request.key = bus.locate(request.key, &self.core.application).await?;
                bus.list(&request).await
            }
            Transport::Direct(direct) => {
                let keys = direct.one(&request).await?.good()?.keys;
                Ok(Listing { keys, ..Listing::default() })
            }
        }
    }

    /// The key of an answer.
    pub(crate) fn key_of(response: Response) -> Result<Key, Error> {
        response.key.ok_or(Error::Nil("key"))
    }
}
