//! Answers requests of the control socket with the operations of a process.

use std::sync::Arc;

use trunkline_config::{Config, Listen, PassChallenges};
use trunkline_operations::{OperationError, Operations};
use trunkline_sip::Transport;
use trunkline_store::Store;

use crate::protocol::{Request, Response, Status};
use crate::resources;

/// The transports for which an exchange with this configuration has a listener.
pub fn transports(config: &Config) -> Vec<Transport> {
    let Listen { udp, tcp, tls, ws, wss, .. } = &config.listen;
    let all = [udp, tcp, tls, ws, wss].into_iter().zip(Transport::ALL);
    all.filter(|(addresses, _)| !addresses.is_empty()).map(|(_, transport)| transport).collect()
}

/// Answers a request.
pub fn answer(operations: &dyn Operations, request: Request) -> Response {
    let store = match operations.store() {
        Ok(store) => store,
        Err(error) => return Response::failed(error.to_string()),
    };
    let changes = matches!(request, Request::Apply { .. } | Request::Delete { .. } | Request::Import { .. });
    // What resources and settings open together.
    let opened = || {
        let tables = store.live().load();
        let unheard = operations.transports().map(|transports| tables.without_listener(&transports));
        let passed = operations.passes_challenges().then(|| tables.passed_challenges()).flatten();
        unheard.into_iter().flatten().chain(passed).collect::<Vec<_>>()
    };
    let before = if changes { opened() } else { Vec::new() };
    let mut response = answer_alone(operations, &store, request);
    if let Response::Changed(changed) = &mut response {
        changed.warnings.extend(opened().into_iter().filter(|warning| !before.contains(warning)));
    }
    response
}

/// The answer without what the listeners add.
fn answer_alone(operations: &dyn Operations, store: &Store, request: Request) -> Response {
    match request {
        Request::List { kind, filter, after, limit } => resources::list(store, &kind, filter, after, limit),
        Request::Get { kind, name } => resources::get(store, &kind, &name),
        Request::Apply { mode, texts, documents, seen } => {
            resources::apply(store, mode, (&texts, &documents), &seen)
        }
        Request::Delete { targets } => resources::delete(store, &targets),
        Request::Export => Response::Text { text: store.export() },
        Request::Import { texts, mode } => resources::import(store, &texts, mode),
        Request::Status => status(operations, store),
        Request::HangUp { call } => told(operations.hang_up(&call), |call| Response::HungUp(Box::new(call))),
        Request::Drain { undo } => match operations.drain(undo) {
            Ok(()) => status(operations, store),
            Err(error) => Response::failed(error.to_string()),
        },
        Request::Bans => told(operations.bans(), |items| Response::Bans { items }),
        Request::Unban { who } => told(operations.unban(&who), |items| Response::Bans { items }),
        Request::Registrations { filter, limit } => {
            let items = operations.registrations(filter.as_deref(), limit);
            told(items, |items| Response::Registrations { items })
        }
        Request::Kick { aor, contact } => {
            told(operations.kick(&aor, contact.as_deref()), |count| Response::Kicked { count })
        }
        Request::Calls { filter, limit } => {
            told(operations.calls(filter.as_deref(), limit), |items| Response::Calls { items })
        }
        // A connection answers it itself, since there is more than one answer.
        Request::Follow(_) | Request::Trace(_) | Request::Events(_) => {
            Response::failed(OperationError::NotRunning.to_string())
        }
        Request::Explain(query) => told(operations.explain(&query), |items| Response::Explained { items }),
        Request::Records(query) => told(operations.records(&query), |items| Response::Records { items }),
    }
}

fn status(operations: &dyn Operations, store: &Store) -> Response {
    let mut status = operations.status();
    status.resources = resources::counts(store);
    Response::Status(Box::new(status))
}

fn told<T>(result: Result<T, OperationError>, response: impl FnOnce(T) -> Response) -> Response {
    result.map_or_else(|error| Response::failed(error.to_string()), response)
}

/// The database alone, when no server runs: resources can be read and changed, everything else needs the server.
#[derive(Clone, Debug)]
pub struct StoreOnly {
    store: Arc<Store>,
    url: String,
    transports: Option<Vec<Transport>>,
    passes_challenges: bool,
}

impl StoreOnly {
    /// Works on an open store; `url` is what it is called.
    pub fn new(store: Store, url: impl Into<String>) -> StoreOnly {
        StoreOnly { store: Arc::new(store), url: url.into(), transports: None, passes_challenges: false }
    }

    /// Knows for which transports the exchange will have a listener, and whether it lets challenges pass.
    #[must_use]
    pub fn of_exchange(mut self, config: &Config) -> StoreOnly {
        self.transports = Some(transports(config));
        self.passes_challenges = config.routing.pass_challenges != PassChallenges::None;
        self
    }
}

impl Operations for StoreOnly {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        Ok(self.store.clone())
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        self.transports.clone()
    }

    fn passes_challenges(&self) -> bool {
        self.passes_challenges
    }

    fn status(&self) -> Status {
        Status { store: self.url.clone(), version: env!("CARGO_PKG_VERSION").into(), ..Status::default() }
    }
}
