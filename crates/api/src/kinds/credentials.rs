//! Credentials.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::credentials as wire;
use trunkline_model::{Credentials, Kind, Ref, Resource};

use crate::extended::to_proto;
use crate::kind::{Connect, Field, Update, View, common_field, extended, fields, seconds};

impl Connect for Credentials {
    type Message = wire::Credentials;
    type Create = wire::CreateCredentialsRequest;
    type Update = wire::UpdateCredentialsRequest;

    const KIND: Kind = Kind::Credentials;
    // Not by the password: that would be an oracle for guesses.
    const FIELDS: &'static [&'static str] = fields!["username"];

    fn make(request: Self::Create, reference: Ref) -> Result<Self, Status> {
        let mut credentials = Credentials::new(reference, request.username, request.password);
        credentials.name = request.name;
        credentials.extended = extended(request.extended)?.unwrap_or_default();
        Ok(credentials)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(username) = request.username {
            self.username = username;
        }
        // What was read without its password may come back so.
        if let Some(password) = request.password.filter(|p| !p.is_empty()) {
            self.password = password;
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, view: &View<'_>) -> Self::Message {
        wire::Credentials {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            username: self.username.clone(),
            password: if view.secrets { self.password.clone() } else { String::new() },
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "username" => Field::from(self.username.as_str()),
            _ => common_field!(self, name),
        }
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Credentials(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateCredentialsRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}
