//! Where registered phones send from: what that proves, and whose each address is.

use trunkline_sip::Flow;

use crate::binding::Timestamp;
use crate::flows::Flows;
use crate::sources::Sources;

/// The sources of registrations.
pub(crate) struct Origins {
    /// Of those who have shown who they are.
    pub proven: Sources,
    /// Of those who have not.
    pub claimed: Sources,
    /// The addresses and ports of the first.
    pub flows: Flows,
}

impl Origins {
    pub fn new() -> Origins {
        Origins { proven: Sources::new(), claimed: Sources::new(), flows: Flows::new() }
    }

    /// Notes a binding that lasts until then.
    pub fn note(&self, flow: &Flow, (registrant, proven): (u32, bool), until: Timestamp) {
        if proven {
            self.proven.note(flow.remote.ip(), until);
            self.flows.note(flow, registrant, until);
        } else {
            self.claimed.note(flow.remote.ip(), until);
        }
    }

    /// Frees some of what has run out.
    pub fn prune(&self, now: Timestamp) {
        self.proven.prune(now);
        self.claimed.prune(now);
        self.flows.prune(now);
    }
}
