//! Versions of resources in metadata: of two clients that change one resource at the same moment, the later one learns of it.

use tonic::{Request, Response, Status};
use trunkline_model::{Kind, Ref, Resource};
use trunkline_operations::version_of;
use trunkline_store::StoreError;

use crate::reasons::from_store;

/// The version of the resource in an answer.
const VERSION: &str = "trunkline-version";
/// The version that a resource must have to be changed.
const IF_VERSION: &str = "trunkline-if-version";

/// The version that a client read before.
#[derive(Clone, Debug)]
pub(crate) struct Expected(Option<String>);

impl Expected {
    /// Of this request. A value that is no text fits no version.
    pub(crate) fn of<T>(request: &Request<T>) -> Expected {
        let value = request.metadata().get(IF_VERSION);
        Expected(value.map(|value| value.to_str().unwrap_or_default().to_owned()))
    }

    /// Does the client expect nothing?
    pub(crate) fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// ABORTED, unless the resource is as expected.
    pub(crate) fn check(&self, kind: Kind, reference: &str, now: Option<&Resource>) -> Result<(), Status> {
        let Some(expected) = &self.0 else { return Ok(()) };
        match now.is_some_and(|now| version_of(now) == *expected) {
            true => Ok(()),
            false => Err(from_store(StoreError::Conflict { kind, reference: Ref::from(reference) })),
        }
    }
}

/// Says the version of a resource.
pub(crate) fn put_version<T>(resource: &Resource, response: &mut Response<T>) {
    if let Ok(value) = version_of(resource).parse() {
        response.metadata_mut().insert(VERSION, value);
    }
}
