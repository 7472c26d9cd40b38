//! Answers out of the tables of this process.

use std::sync::Arc;

use trunkline_model::Tables;

use crate::lookup::{Answer, Lookup};
use crate::plan::Plan;

impl Lookup<'_> {
    /// The answer, if it is one the resources alone can give: all but bindings, digests and the state and
    /// addresses of trunks, and connections.
    pub fn answer<'s>(&self, tables: &'s Tables, plan: &Plan) -> Option<Answer<'s>> {
        fn shared<T>(found: Option<&Arc<T>>) -> Option<&T> {
            found.map(Arc::as_ref)
        }
        Some(match *self {
            Lookup::Domain(host) => Answer::Domain(shared(tables.domain_by_uri(host))),
            Lookup::Agent { domain, user } => Answer::Agent(shared(tables.agent(Some(domain), user))),
            Lookup::Peer(user) => Answer::Peer(shared(tables.peer_by_username(user))),
            Lookup::PeerByAor => Answer::Peer(shared(tables.peer_by_aor(&plan.aor))),
            Lookup::Number(digits) => Answer::Number(shared(tables.number_by_tel(digits))),
            Lookup::NumberByRef(reference) => Answer::Number(shared(tables.number_by_ref(reference))),
            Lookup::Trunk(reference) => Answer::Trunk(shared(tables.trunk_by_ref(reference))),
            Lookup::TrunkByInbound(host) => Answer::Trunk(shared(tables.trunk_by_inbound_uri(host))),
            Lookup::Credentials(reference) => {
                Answer::Credentials(shared(tables.credentials_by_ref(reference)))
            }
            Lookup::Acl(reference) => Answer::Acl(shared(tables.acl_by_ref(reference))),
            Lookup::NumberServes { number, domain } => Answer::Found(tables.number_serves(number, domain)),
            Lookup::Connection
            | Lookup::TrunkSource { .. }
            | Lookup::TrunkState(_)
            | Lookup::Authenticate { .. }
            | Lookup::Bindings { .. } => return None,
        })
    }
}
