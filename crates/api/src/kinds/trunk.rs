//! Trunks.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::trunks as wire;
use trunkline_model::{Kind, Ref, Resource, Tables, Trunk, TrunkUri};
use trunkline_sip::Transport;

use crate::extended::to_proto;
use crate::kind::{
    Connect, Field, Update, View, common_field, extended, fields, filled, reference, replacement, seconds,
};
use crate::reasons::invalid;

impl Connect for Trunk {
    type Message = wire::Trunk;
    type Create = wire::CreateTrunkRequest;
    type Update = wire::UpdateTrunkRequest;

    const KIND: Kind = Kind::Trunk;
    const FIELDS: &'static [&'static str] = fields![
        "inboundUri",
        "sendRegister",
        "accessControlListRef",
        "inboundCredentialsRef",
        "outboundCredentialsRef"
    ];

    fn make(request: Self::Create, own: Ref) -> Result<Self, Status> {
        let mut trunk = Trunk::new(own, request.name);
        trunk.send_register = request.send_register;
        trunk.inbound_uri = host(request.inbound_uri);
        trunk.acl = reference(request.access_control_list_ref);
        trunk.inbound_credentials = reference(request.inbound_credentials_ref);
        trunk.outbound_credentials = reference(request.outbound_credentials_ref);
        trunk.uris = uris(request.uris)?;
        trunk.extended = extended(request.extended)?.unwrap_or_default();
        Ok(trunk)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(register) = request.send_register {
            self.send_register = register;
        }
        if let Some(uri) = request.inbound_uri {
            self.inbound_uri = host(uri);
        }
        if let Some(acl) = request.access_control_list_ref {
            self.acl = reference(acl);
        }
        if let Some(credentials) = request.inbound_credentials_ref {
            self.inbound_credentials = reference(credentials);
        }
        if let Some(credentials) = request.outbound_credentials_ref {
            self.outbound_credentials = reference(credentials);
        }
        if let Some(list) = replacement(request.uris) {
            self.uris = uris(list)?;
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, view: &View<'_>) -> Self::Message {
        let credentials = |r: &Option<Ref>| {
            let found = r.as_ref().and_then(|r| view.tables.credentials_by_ref(r));
            found.map(|credentials| credentials.message(view))
        };
        let uri = |uri: &TrunkUri| wire::TrunkUri {
            host: uri.host.clone(),
            port: uri.port.map_or(0, i32::from),
            // In capitals, as the words of the clients are.
            transport: uri.transport.map_or("", Transport::param_name).to_ascii_uppercase(),
            user: uri.user.clone().unwrap_or_default(),
            weight: Some(uri.weight.into()),
            priority: uri.priority.into(),
            enabled: Some(uri.enabled),
        };
        let acl = self.acl.as_ref().and_then(|r| view.tables.acl_by_ref(r));
        wire::Trunk {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            send_register: self.send_register,
            inbound_uri: self.inbound_uri.clone().unwrap_or_default(),
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            access_control_list: acl.map(|acl| acl.message(view)),
            inbound_credentials: credentials(&self.inbound_credentials),
            outbound_credentials: credentials(&self.outbound_credentials),
            uris: self.uris.iter().map(uri).collect(),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "inboundUri" => Field::from(&self.inbound_uri),
            "sendRegister" => Field::Flag(self.send_register),
            "accessControlListRef" => Field::from(&self.acl),
            "inboundCredentialsRef" => Field::from(&self.inbound_credentials),
            "outboundCredentialsRef" => Field::from(&self.outbound_credentials),
            _ => common_field!(self, name),
        }
    }

    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        (name == "inboundUri")
            .then(|| tables.trunk_by_inbound_uri(value.as_bytes()).into_iter().cloned().collect())
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Trunk(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateTrunkRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn host(text: String) -> Option<String> {
    filled(text).map(|host| host.to_ascii_lowercase())
}

fn uris(list: Vec<wire::TrunkUri>) -> Result<Vec<TrunkUri>, Status> {
    list.into_iter().map(uri).collect()
}

fn uri(uri: wire::TrunkUri) -> Result<TrunkUri, Status> {
    let host = uri.host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&uri.host);
    let port = u16::try_from(uri.port).map_err(|_| invalid("the port must be a valid port"))?;
    let transport = match filled(uri.transport) {
        None => None,
        Some(name) => {
            let known = Transport::ALL.into_iter().find(|t| t.param_name().eq_ignore_ascii_case(&name));
            Some(known.ok_or_else(|| invalid("the transport must be one of udp, tcp, tls, ws, wss"))?)
        }
    };
    let weight = u16::try_from(uri.weight.unwrap_or(1)).ok().filter(|weight| *weight > 0);
    let priority = u16::try_from(uri.priority);
    Ok(TrunkUri {
        user: filled(uri.user),
        host: host.to_ascii_lowercase(),
        port: Some(port).filter(|port| *port > 0),
        transport,
        weight: weight.ok_or_else(|| invalid("the weight must be between 1 and 65535"))?,
        priority: priority.map_err(|_| invalid("the priority must be between 0 and 65535"))?,
        enabled: uri.enabled.unwrap_or(true),
    })
}
