//! Agents.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::agents as wire;
use trunkline_model::{Agent, Kind, Privacy, Ref, Resource, Tables};

use crate::extended::to_proto;
use crate::kind::{
    Connect, Field, Update, View, common_field, contacts, expiry, extended, fields, positive, reference,
    seconds,
};

impl Connect for Agent {
    type Message = wire::Agent;
    type Create = wire::CreateAgentRequest;
    type Update = wire::UpdateAgentRequest;

    const KIND: Kind = Kind::Agent;
    const FIELDS: &'static [&'static str] =
        fields!["username", "privacy", "enabled", "maxContacts", "expires", "domainRef", "credentialsRef"];

    fn make(request: Self::Create, own: Ref) -> Result<Self, Status> {
        let privacy = privacy(request.privacy());
        let mut agent = Agent::new(own, request.username, reference(request.domain_ref));
        agent.name = request.name;
        agent.privacy = privacy;
        agent.enabled = request.enabled.unwrap_or(true);
        agent.credentials = reference(request.credentials_ref);
        agent.max_contacts = positive(request.max_contacts);
        agent.expires = positive(request.expires);
        agent.extended = extended(request.extended)?.unwrap_or_default();
        Ok(agent)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if request.privacy.is_some() {
            self.privacy = privacy(request.privacy());
        }
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(enabled) = request.enabled {
            self.enabled = enabled;
        }
        if let Some(domain) = request.domain_ref {
            self.domain = reference(domain);
        }
        if let Some(credentials) = request.credentials_ref {
            self.credentials = reference(credentials);
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
        let domain = self.domain.as_ref().and_then(|r| view.tables.domain_by_ref(r));
        let credentials = self.credentials.as_ref().and_then(|r| view.tables.credentials_by_ref(r));
        wire::Agent {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            username: self.username.clone(),
            privacy: shown(self.privacy).into(),
            enabled: self.enabled,
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            max_contacts: contacts(self.max_contacts),
            expires: expiry(self.expires),
            domain: domain.map(|domain| domain.message(view)),
            credentials: credentials.map(|credentials| credentials.message(view)),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "username" => Field::from(self.username.as_str()),
            "privacy" => Field::from(shown(self.privacy).as_str_name()),
            "enabled" => Field::Flag(self.enabled),
            "maxContacts" => Field::Number(contacts(self.max_contacts).into()),
            "expires" => Field::Number(expiry(self.expires).into()),
            "domainRef" => Field::from(&self.domain),
            "credentialsRef" => Field::from(&self.credentials),
            _ => common_field!(self, name),
        }
    }

    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        (name == "username").then(|| {
            // There are few domains, and each can have an agent of that name.
            let domains = tables.domains().map(|domain| Some(&domain.reference));
            let found = domains.chain([None]).filter_map(|domain| tables.agent(domain, value.as_bytes()));
            found.cloned().collect()
        })
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Agent(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateAgentRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn privacy(privacy: wire::Privacy) -> Privacy {
    match privacy {
        wire::Privacy::Private => Privacy::Private,
        wire::Privacy::None => Privacy::None,
    }
}

fn shown(privacy: Privacy) -> wire::Privacy {
    match privacy {
        Privacy::Private => wire::Privacy::Private,
        Privacy::None => wire::Privacy::None,
    }
}
