//! Numbers.

use std::sync::Arc;

use tonic::Status;
use trunkline_grpc::connect::numbers as wire;
use trunkline_model::{Kind, Number, Ref, Resource, Tables, normal_aor};

use crate::extended::to_proto;
use crate::kind::{
    Connect, Field, Update, View, common_field, extended, fields, filled, reference, replacement, seconds,
};

impl Connect for Number {
    type Message = wire::Number;
    type Create = wire::CreateNumberRequest;
    type Update = wire::UpdateNumberRequest;

    const KIND: Kind = Kind::Number;
    const FIELDS: &'static [&'static str] = fields![
        "telUrl",
        "aorLink",
        "city",
        "country",
        "countryIsoCode",
        "sessionAffinityHeader",
        "trunkRef"
    ];

    fn make(request: Self::Create, own: Ref) -> Result<Self, Status> {
        let mut number = Number::new(own, &request.tel_url, reference(request.trunk_ref));
        number.name = request.name;
        number.aor_link = aor(request.aor_link);
        number.geo.city = filled(request.city);
        number.geo.country = filled(request.country);
        number.geo.country_iso_code = filled(request.country_iso_code);
        number.session_affinity_header = filled(request.session_affinity_header);
        number.extra_headers = headers(request.extra_headers);
        number.extended = extended(request.extended)?.unwrap_or_default();
        Ok(number)
    }

    fn edit(&mut self, request: Self::Update) -> Result<(), Status> {
        if let Some(name) = request.name {
            self.name = name;
        }
        if let Some(link) = request.aor_link {
            self.aor_link = aor(link);
        }
        if let Some(header) = request.session_affinity_header {
            self.session_affinity_header = filled(header);
        }
        if let Some(list) = replacement(request.extra_headers) {
            self.extra_headers = headers(list);
        }
        if let Some(trunk) = request.trunk_ref {
            self.trunk = reference(trunk);
        }
        if let Some(extended) = extended(request.extended)? {
            self.extended = extended;
        }
        self.api_version = "v2".into();
        Ok(())
    }

    fn message(&self, view: &View<'_>) -> Self::Message {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let header =
            |(name, value): &(String, String)| wire::ExtraHeader { name: name.clone(), value: value.clone() };
        let trunk = self.trunk.as_ref().and_then(|r| view.tables.trunk_by_ref(r));
        wire::Number {
            api_version: self.api_version.clone(),
            r#ref: self.reference.to_string(),
            name: self.name.clone(),
            tel_url: self.tel_url.clone(),
            aor_link: text(&self.aor_link),
            city: text(&self.geo.city),
            country: text(&self.geo.country),
            country_iso_code: text(&self.geo.country_iso_code),
            session_affinity_header: text(&self.session_affinity_header),
            extra_headers: self.extra_headers.iter().map(header).collect(),
            created_at: seconds(self.created_at),
            updated_at: seconds(self.updated_at),
            trunk: trunk.map(|trunk| trunk.message(view)),
            extended: to_proto(&self.extended),
        }
    }

    fn field(&self, name: &str) -> Field<'_> {
        match name {
            "telUrl" => Field::from(self.tel_url.as_str()),
            "aorLink" => Field::from(&self.aor_link),
            "city" => Field::from(&self.geo.city),
            "country" => Field::from(&self.geo.country),
            "countryIsoCode" => Field::from(&self.geo.country_iso_code),
            "sessionAffinityHeader" => Field::from(&self.session_affinity_header),
            "trunkRef" => Field::from(&self.trunk),
            _ => common_field!(self, name),
        }
    }

    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        (name == "telUrl").then(|| tables.number_by_tel(value.as_bytes()).into_iter().cloned().collect())
    }

    fn of(resource: &Resource) -> Option<&Arc<Self>> {
        match resource {
            Resource::Number(r) => Some(r),
            _ => None,
        }
    }
}

impl Update for wire::UpdateNumberRequest {
    fn reference(&self) -> &str {
        &self.r#ref
    }
}

fn aor(text: String) -> Option<String> {
    filled(text).map(|aor| normal_aor(&aor))
}

fn headers(list: Vec<wire::ExtraHeader>) -> Vec<(String, String)> {
    list.into_iter().map(|header| (header.name, header.value)).collect()
}
