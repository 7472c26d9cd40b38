//! What an operator can ask and change: one interface, [`Operations`], with plain data. The control socket of the command line,
//! health and metrics, gRPC and the REST API of Routr v1 are its faces. None of them knows how the process does it.
//!
//! The running process implements all of it. Where no process runs, the command line works on the store alone: the default
//! of each method is [`OperationError::NotRunning`].
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_operations::{OperationError, Operations, Status};
//! use trunkline_store::Store;
//!
//! struct Resources(Arc<Store>);
//! impl Operations for Resources {
//!     fn store(&self) -> Result<Arc<Store>, OperationError> {
//!         Ok(self.0.clone())
//!     }
//! }
//!
//! let operations = Resources(Arc::new(Store::open("memory:")?));
//! assert!(!operations.status().running);
//! assert!(operations.calls(None, 10).is_err());
//! # Ok::<(), trunkline_store::StoreError>(())
//! ```

#![forbid(unsafe_code)]

mod bans;
mod calls;
mod events;
mod explain;
mod figures;
mod operations;
mod readiness;
mod registrations;
mod resources;
mod status;
mod trace;

pub use bans::BanEntry;
pub use calls::{CallRecord, Happened, LiveCall, RecordQuery};
pub use events::{EventLines, EventQuery};
pub use explain::{ExplainQuery, Explained, ExplainedStep};
pub use figures::{
    ApiCalls, DestinationFigures, Figures, HistogramFigures, ProcessFigures, RelayFigures, SinkFigures,
    TransportFigures, TrunkFigures,
};
pub use operations::{OperationError, Operations};
pub use readiness::{Known, Part, Readiness};
pub use registrations::{ManualContact, Registration};
pub use resources::version_of;
pub use status::{Descriptors, Limit, Reachability, Status, Stop, TrunkRegistration};
pub use trace::{TraceQuery, TracedMessage, TracedMessages};
