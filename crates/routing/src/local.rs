//! Answers out of the tables of this process.

use std::sync::Arc;

use trunkline_model::Tables;

use crate::ask::{Answer, Question};

impl Question<'_> {
    /// The answer, if it is one the resources alone can give: all but digests, the state and addresses of trunks,
    /// connections and registrations.
    pub fn answer<'s>(&self, tables: &'s Tables) -> Option<Answer<'s>> {
        fn shared<T>(found: Option<&Arc<T>>) -> Option<&T> {
            found.map(Arc::as_ref)
        }
        Some(match *self {
            Question::Domain(host) => Answer::Domain(shared(tables.domain_by_uri(host))),
            Question::Agent { domain, user } => Answer::Agent(shared(tables.agent(Some(domain), user))),
            Question::Peer(user) => Answer::Peer(shared(tables.peer_by_username(user))),
            Question::PeerByAor(aor) => Answer::Peer(shared(tables.peer_by_aor(aor))),
            Question::Number(digits) => Answer::Number(shared(tables.number_by_tel(digits))),
            Question::NumberByRef(reference) => Answer::Number(shared(tables.number_by_ref(reference))),
            Question::Trunk(reference) => Answer::Trunk(shared(tables.trunk_by_ref(reference))),
            Question::TrunkByInbound(host) => Answer::Trunk(shared(tables.trunk_by_inbound_uri(host))),
            Question::Credentials(reference) => {
                Answer::Credentials(shared(tables.credentials_by_ref(reference)))
            }
            Question::Acl(reference) => Answer::Acl(shared(tables.acl_by_ref(reference))),
            Question::NumberServes { number, domain } => Answer::Yes(tables.number_serves(number, domain)),
            Question::Connection { .. }
            | Question::TrunkSource { .. }
            | Question::TrunkCarrier { .. }
            | Question::TrunkState(_)
            | Question::GruuEnded { .. }
            | Question::Authenticate { .. } => return None,
        })
    }
}
