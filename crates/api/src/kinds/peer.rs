//! Peers.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::peers as wire;
use trunkline_grpc::connect::peers::LoadBalancingAlgorithm as Word;
use trunkline_model::{Algorithm, Kind, LoadBalancing, Peer, Ref, Resource, Tables, normal_aor};

use crate::extended::to_proto;
use crate::kind::{
    Connect, Field, Update, View, common_field, contacts, expiry, extended, fields, filled, positive,
    reference, seconds,
};

impl Connect for Peer {
    type Message = wire::Peer;
    type Create = wire::CreatePeerRequest;
    type Update = wire::UpdatePeerRequest;

    const KIND: Kind = Kind::Peer;
    const FIELDS: &'static [&'static str] = fields![
        "username",
        "aor",
        "contactAddr",
        "balancingAlgorithm",
        "withSessionAffinity",
        "enabled",
        "maxContacts",
        "expires",
        "accessControlListRef",
        "credentialsRef"
    ];

    fn make(request: Self::Create, own: Ref) -> Result<Self, Status> {
        let algorithm = algorithm(request.balancing_algorithm());
        let with_session_affinity = request.with_session_affinity;
        let mut peer = Peer::new(own, request.username, filled(request.aor).as_deref());
        peer.name = request.name;
        peer.contact_addr = filled(request.contact_addr);
        peer.load_balancing = balancing(algorithm, with_session_affinity);
        peer.acl = reference(request.access_control_list_ref);
        peer.credentials = reference(request.credentials_ref);
        peer.enabled = request.enabled.unwrap_or(true);
        peer.max_contacts = positive(request.max_contacts);
        peer.expires = positive(request.expires);
        peer.extended = extended(request.extended)?.unwrap_or_default();
        Ok(peer)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if request.balancing_algorithm.is_some() || request.with_session_affinity.is_some() {
            let old = self.load_balancing;
            let algorithm = match request.balancing_algorithm {
                Some(_) => algorithm(request.balancing_algorithm()),
                None => old.map(|b| b.algorithm),
            };
            let affinity = old.is_some_and(|b| b.with_session_affinity);
            self.load_balancing = balancing(algorithm, request.with_session_affinity.unwrap_or(affinity));
        }
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(aor) = request.aor {
            self.aor = filled(aor).map(|aor| normal_aor(&aor));
        }
        if let Some(address) = request.contact_addr {
            self.contact_addr = filled(address);
        }
        if let Some(acl) = request.access_control_list_ref {
            self.acl = reference(acl);
        }
        if let Some(credentials) = request.credentials_ref {
            self.credentials = reference(credentials);
        }
        if let Some(enabled) = request.enabled {
            self.enabled = enabled;
        }
        if let Some(limit) = request.max_contacts {
            self.max_contacts = positive(limit);
        }
        if let Some(seconds) = request.expires {
            self.expires = positive(seconds);
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, view: &View<'_>) -> Self::Message {
        let acl = self.acl.as_ref().and_then(|r| view.tables.acl_by_ref(r));
        let credentials = self.credentials.as_ref().and_then(|r| view.tables.credentials_by_ref(r));
        wire::Peer {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            username: self.username.clone(),
            aor: self.aor.clone().unwrap_or_default(),
            contact_addr: self.contact_addr.clone().unwrap_or_default(),
            balancing_algorithm: word(self.load_balancing).into(),
            with_session_affinity: self.load_balancing.is_some_and(|b| b.with_session_affinity),
            enabled: self.enabled,
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            access_control_list: acl.map(|acl| acl.message(view)),
            credentials: credentials.map(|credentials| credentials.message(view)),
            max_contacts: contacts(self.max_contacts),
            expires: expiry(self.expires),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "username" => Field::from(self.username.as_str()),
            "aor" => Field::from(&self.aor),
            "contactAddr" => Field::from(&self.contact_addr),
            "balancingAlgorithm" => Field::from(word(self.load_balancing).as_str_name()),
            "withSessionAffinity" => {
                Field::Flag(self.load_balancing.is_some_and(|b| b.with_session_affinity))
            }
            "enabled" => Field::Flag(self.enabled),
            "maxContacts" => Field::Number(contacts(self.max_contacts).into()),
            "expires" => Field::Number(expiry(self.expires).into()),
            "accessControlListRef" => Field::from(&self.acl),
            "credentialsRef" => Field::from(&self.credentials),
            _ => common_field!(self, name),
        }
    }

    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        let found = match name {
            "username" => tables.peer_by_username(value.as_bytes()),
            "aor" => tables.peer_by_aor(value.as_bytes()),
            _ => return None,
        };
        Some(found.into_iter().cloned().collect())
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Peer(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdatePeerRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn algorithm(word: Word) -> Option<Algorithm> {
    match word {
        Word::Unspecified => None,
        Word::RoundRobin => Some(Algorithm::RoundRobin),
        Word::LeastSessions => Some(Algorithm::LeastSessions),
    }
}

fn balancing(algorithm: Option<Algorithm>, with_session_affinity: bool) -> Option<LoadBalancing> {
    let said = algorithm.is_some() || with_session_affinity;
    said.then(|| LoadBalancing { algorithm: algorithm.unwrap_or_default(), with_session_affinity })
}

fn word(balancing: Option<LoadBalancing>) -> Word {
    match balancing.map(|b| b.algorithm) {
        None => Word::Unspecified,
        Some(Algorithm::RoundRobin) => Word::RoundRobin,
        Some(Algorithm::LeastSessions) => Word::LeastSessions,
    }
}
