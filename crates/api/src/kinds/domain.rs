//! Domains.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::domains as wire;
use trunkline_model::{Domain, EgressPolicy, Kind, Ref, Resource, Rule, Tables};

use crate::extended::to_proto;
use crate::kind::{
    Connect, Field, Update, View, common_field, extended, fields, reference, replacement, seconds,
};
use crate::reasons::invalid;

impl Connect for Domain {
    type Message = wire::Domain;
    type Create = wire::CreateDomainRequest;
    type Update = wire::UpdateDomainRequest;

    const KIND: Kind = Kind::Domain;
    const FIELDS: &'static [&'static str] = fields!["domainUri", "accessControlListRef"];

    fn make(request: Self::Create, own: Ref) -> Result<Self, Status> {
        let mut domain = Domain::new(own, &request.domain_uri);
        domain.name = request.name;
        domain.acl = reference(request.access_control_list_ref);
        domain.egress_policies = policies(request.egress_policies)?;
        domain.extended = extended(request.extended)?.unwrap_or_default();
        Ok(domain)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(acl) = request.access_control_list_ref {
            self.acl = reference(acl);
        }
        if let Some(list) = replacement(request.egress_policies) {
            self.egress_policies = policies(list)?;
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, view: &View<'_>) -> Self::Message {
        let policy = |policy: &EgressPolicy| wire::EgressPolicy {
            rule: policy.rule.text().to_owned(),
            number_ref: policy.number.to_string(),
            number: view.tables.number_by_ref(&policy.number).map(|number| number.message(view)),
        };
        let acl = self.acl.as_ref().and_then(|r| view.tables.acl_by_ref(r));
        wire::Domain {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            domain_uri: self.domain_uri.clone(),
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            access_control_list: acl.map(|acl| acl.message(view)),
            egress_policies: self.egress_policies.iter().map(policy).collect(),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "domainUri" => Field::from(self.domain_uri.as_str()),
            "accessControlListRef" => Field::from(&self.acl),
            _ => common_field!(self, name),
        }
    }

    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        (name == "domainUri").then(|| tables.domain_by_uri(value.as_bytes()).into_iter().cloned().collect())
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Domain(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateDomainRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn policies(list: Vec<wire::EgressPolicy>) -> Result<Vec<EgressPolicy>, Status> {
    let read = |policy: wire::EgressPolicy| {
        let text = policy.rule;
        let rule = Rule::new(text.clone()).map_err(|error| {
            let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
            invalid(format!("the rule `{text}` is not a regular expression: {why}"))
        })?;
        Ok(EgressPolicy { rule, number: Ref::from(policy.number_ref) })
    };
    list.into_iter().map(read).collect()
}
