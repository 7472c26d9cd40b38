//! Access control lists.

use std::sync::Arc;

use ipnet::IpNet;
use tonic::Status;
use trunkline_grpc::connect::acl as wire;
use trunkline_model::{AccessControlList, Kind, Ref, Resource, network};

use crate::extended::to_proto;
use crate::kind::{Connect, Field, Update, View, common_field, extended, fields, replacement, seconds};
use crate::reasons::invalid;

impl Connect for AccessControlList {
    type Message = wire::AccessControlList;
    type Create = wire::CreateAclRequest;
    type Update = wire::UpdateAclRequest;

    const KIND: Kind = Kind::AccessControlList;
    const FIELDS: &'static [&'static str] = fields![];

    fn make(request: Self::Create, reference: Ref) -> Result<Self, Status> {
        let mut acl = AccessControlList::new(reference, networks(request.allow)?, networks(request.deny)?);
        acl.name = request.name;
        acl.extended = extended(request.extended)?.unwrap_or_default();
        Ok(acl)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(allow) = replacement(request.allow) {
            self.allow = networks(allow)?;
        }
        if let Some(deny) = replacement(request.deny) {
            self.deny = networks(deny)?;
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, _: &View<'_>) -> Self::Message {
        wire::AccessControlList {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            allow: self.allow.iter().map(text).collect(),
            deny: self.deny.iter().map(text).collect(),
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        common_field!(self, name)
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::AccessControlList(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateAclRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn networks(texts: Vec<String>) -> Result<Vec<IpNet>, Status> {
    let read =
        |text: String| network(&text).ok_or_else(|| invalid(format!("{text} is not a valid cidr or ip")));
    texts.into_iter().map(read).collect()
}

/// A lone address as such, as it was most likely written.
fn text(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
