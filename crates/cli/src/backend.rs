//! The interface that answers requests.

use std::io;

use trunkline_config::{Config, Listen};
use trunkline_sip::Transport;
use trunkline_store::Store;

use crate::protocol::{
    CallRecord, ExplainQuery, Explained, Happened, LiveCall, RecordQuery, Registration, Request, Response,
    Status,
};
use crate::resources;

const NOT_RUNNING: &str = "the exchange is not running: start it with `trunkline serve`";

/// Answers for the running exchange. Requests about resources are answered from its store.
///
/// Each method is called on a thread of the connection that asks, never on a shard's.
pub trait ControlBackend: Send + Sync {
    /// The resource store.
    fn store(&self) -> &Store;

    /// How the exchange is. `resources` is filled in from the store.
    fn status(&self) -> Status;

    /// Up to so many bindings; only those whose AOR or contact has that text, if there is one.
    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, String>;

    /// Removes the bindings of an AOR, or one contact of it; gives how many.
    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, String>;

    /// Up to so many of the calls that are up or ringing; only those with that text, if there is one.
    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, String>;

    /// Records of calls, the latest first.
    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, String>;

    /// Why calls and other requests ended as they did, the latest first.
    fn explain(&self, _: &ExplainQuery) -> Result<Vec<Explained>, String> {
        Err(NOT_RUNNING.into())
    }

    /// The transports for which the exchange has a listener, if that is known.
    fn transports(&self) -> Option<Vec<Transport>> {
        None
    }

    /// Tells calls as they begin and end, and now and then that nothing happened, until `tell` fails.
    fn follow(
        &self,
        query: &RecordQuery,
        tell: &mut dyn FnMut(Happened) -> io::Result<()>,
    ) -> Result<(), String> {
        let _ = (query, tell);
        StoreOnly::none()
    }
}

/// The transports for which an exchange with this configuration has a listener.
pub fn transports(config: &Config) -> Vec<Transport> {
    let Listen { udp, tcp, tls, ws, wss, .. } = &config.listen;
    let all = [udp, tcp, tls, ws, wss].into_iter().zip(Transport::ALL);
    all.filter(|(addresses, _)| !addresses.is_empty()).map(|(_, transport)| transport).collect()
}

/// Answers a request.
pub fn answer(backend: &dyn ControlBackend, request: Request) -> Response {
    let changes = matches!(request, Request::Apply { .. } | Request::Delete { .. } | Request::Import { .. });
    let unheard = || match backend.transports().filter(|_| changes) {
        Some(transports) => backend.store().live().load().without_listener(&transports),
        None => Vec::new(),
    };
    let before = unheard();
    let mut response = answer_alone(backend, request);
    if let Response::Changed(changed) = &mut response {
        changed.warnings.extend(unheard().into_iter().filter(|warning| !before.contains(warning)));
    }
    response
}

/// The answer without what the listeners add.
fn answer_alone(backend: &dyn ControlBackend, request: Request) -> Response {
    let store = backend.store();
    match request {
        Request::List { kind, filter, after, limit } => resources::list(store, &kind, filter, after, limit),
        Request::Get { kind, name } => resources::get(store, &kind, &name),
        Request::Apply { mode, texts, documents } => resources::apply(store, mode, &texts, &documents),
        Request::Delete { targets } => resources::delete(store, &targets),
        Request::Export => Response::Text { text: store.export() },
        Request::Import { texts, mode } => resources::import(store, &texts, mode),
        Request::Status => {
            let mut status = backend.status();
            status.resources = resources::counts(store);
            Response::Status(Box::new(status))
        }
        Request::Registrations { filter, limit } => {
            told(backend.registrations(filter.as_deref(), limit), |items| Response::Registrations { items })
        }
        Request::Kick { aor, contact } => {
            told(backend.kick(&aor, contact.as_deref()), |count| Response::Kicked { count })
        }
        Request::Calls { filter, limit } => {
            told(backend.calls(filter.as_deref(), limit), |items| Response::Calls { items })
        }
        // Only a connection can be told again and again.
        Request::Follow(_) => told(StoreOnly::none(), |()| Response::Happened(Box::default())),
        Request::Explain(query) => told(backend.explain(&query), |items| Response::Explained { items }),
        Request::Records(query) => told(backend.records(&query), |items| Response::Records { items }),
    }
}

fn told<T>(result: Result<T, String>, response: impl FnOnce(T) -> Response) -> Response {
    result.map_or_else(Response::failed, response)
}

/// The database alone, when no server runs: resources can be worked on, what lives in memory cannot be seen.
#[derive(Debug)]
pub struct StoreOnly {
    store: Store,
    url: String,
    transports: Option<Vec<Transport>>,
}

impl StoreOnly {
    /// Works on an open store; `url` is what it is called.
    pub fn new(store: Store, url: impl Into<String>) -> StoreOnly {
        StoreOnly { store, url: url.into(), transports: None }
    }

    /// Knows for which transports the exchange will have a listener.
    #[must_use]
    pub fn listening(mut self, transports: Vec<Transport>) -> StoreOnly {
        self.transports = Some(transports);
        self
    }

    fn none<T>() -> Result<T, String> {
        Err(NOT_RUNNING.into())
    }
}

impl ControlBackend for StoreOnly {
    fn store(&self) -> &Store {
        &self.store
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        self.transports.clone()
    }

    fn status(&self) -> Status {
        Status { store: self.url.clone(), version: env!("CARGO_PKG_VERSION").into(), ..Status::default() }
    }

    fn registrations(&self, _: Option<&str>, _: usize) -> Result<Vec<Registration>, String> {
        StoreOnly::none()
    }

    fn kick(&self, _: &str, _: Option<&str>) -> Result<usize, String> {
        StoreOnly::none()
    }

    fn calls(&self, _: Option<&str>, _: usize) -> Result<Vec<LiveCall>, String> {
        StoreOnly::none()
    }

    fn records(&self, _: &RecordQuery) -> Result<Vec<CallRecord>, String> {
        StoreOnly::none()
    }
}
