//! Peers: other SIP servers of ours, such as an Asterisk node.

use super::CallLimits;
use crate::reference::Ref;

/// How one of several instances behind a peer is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest calls.
    LeastSessions,
}

/// Spreading calls over the instances that registered under a peer's AOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LoadBalancing {
    /// How an instance is chosen.
    pub algorithm: Algorithm,
    /// Calls that belong together (see [`crate::Number::session_affinity_header`]) meet the same instance.
    pub with_session_affinity: bool,
}

super::resource! {
    /// A SIP server beside the exchange, e.g. an Asterisk node or a voice application.
    #[derive(Clone, Debug, PartialEq)]
    Peer {
        /// The user it registers and calls as. Case matters.
        username: String,
        /// The AOR its instances register under, e.g. `sip:conference@sip.local` or `backend:voice`, with scheme
        /// and host in lower case. `None` means the AOR of its username in the domain at hand.
        aor: Option<String>,
        /// Where it is reached when it does not register: host or host:port.
        contact_addr: Option<String>,
        /// Its credentials.
        credentials: Option<Ref>,
        /// The addresses it may call from.
        acl: Option<Ref>,
        /// How calls are spread over its instances; `None` behaves like round robin.
        load_balancing: Option<LoadBalancing>,
        /// The most contacts it may register; `None` leaves it to the registrar.
        max_contacts: Option<u32>,
        /// Overrides the expiry of its registrations, in seconds.
        expires: Option<u32>,
        /// A disabled peer neither registers nor calls nor is called.
        enabled: bool,
        /// How many calls it may have, those that it makes and those that it gets.
        limits: CallLimits,
        /// Does a contact beyond `max_contacts` take the place of the oldest? `None` leaves it to the registrar.
        replaces_oldest: Option<bool>,
    }
}

impl Peer {
    /// An enabled peer with the defaults, named after its user.
    pub fn new(reference: impl Into<Ref>, username: impl Into<String>, aor: Option<&str>) -> Peer {
        let username = username.into();
        Peer {
            reference: reference.into(),
            name: username.clone(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            username,
            aor: aor.map(crate::tables::normal_aor),
            contact_addr: None,
            credentials: None,
            acl: None,
            load_balancing: None,
            max_contacts: None,
            expires: None,
            enabled: true,
            limits: CallLimits::default(),
            replaces_oldest: None,
        }
    }
}
