//! Counters of calls by method and status.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tonic::Code;

use crate::method::{ApiMethod, code_name};
use crate::server::Endpoint;

/// Calls that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The key of the listener: `grpc.addr` or `grpc.externalAddr`.
    pub listener: &'static str,
    /// The service, e.g. `Agents`.
    pub service: &'static str,
    /// The method, e.g. `Create`.
    pub method: &'static str,
    /// The gRPC status, e.g. `OK`.
    pub code: &'static str,
    /// How many.
    pub count: u64,
}

/// The counters of all listeners. Bounded by the methods and codes there are.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<(Endpoint, ApiMethod, &'static str), u64>>);

impl Counts {
    pub(crate) fn add(&self, endpoint: Endpoint, method: ApiMethod, code: Code) {
        *self.0.lock().entry((endpoint, method, code_name(code))).or_insert(0) += 1;
    }

    pub(crate) fn all(&self) -> Vec<Count> {
        let counts = self.0.lock();
        let read = |(&(endpoint, method, code), &count): (&(Endpoint, ApiMethod, &'static str), &u64)| {
            Count { listener: endpoint.key(), service: method.service, method: method.name, code, count }
        };
        counts.iter().map(read).collect()
    }
}
