//! Telephone numbers of trunks.

use crate::reference::Ref;

/// Where a number belongs to; for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GeoInfo {
    /// The city.
    pub city: Option<String>,
    /// The country's name.
    pub country: Option<String>,
    /// The country's ISO 3166-1 alpha-2 code.
    pub country_iso_code: Option<String>,
}

super::resource! {
    /// A telephone number, reached and used through a trunk.
    #[derive(Clone, Debug, PartialEq)]
    Number {
        /// The trunk it comes in by and goes out by.
        trunk: Option<Ref>,
        /// The number as a tel URI, RFC 3966, e.g. `tel:+17066041487`.
        tel_url: String,
        /// The AOR that gets its calls: an agent's, or a peer's.
        aor_link: Option<String>,
        /// The header whose value keeps calls together on one instance of a peer.
        session_affinity_header: Option<String>,
        /// Headers added to its incoming calls: name and value.
        extra_headers: Vec<(String, String)>,
        /// Where it belongs to.
        geo: GeoInfo,
    }
}

impl Number {
    /// A number with the defaults, named after itself.
    pub fn new(reference: impl Into<Ref>, tel_url: &str, trunk: Option<Ref>) -> Number {
        Number {
            reference: reference.into(),
            name: tel_url.to_owned(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            trunk,
            tel_url: tel_url.to_owned(),
            aor_link: None,
            session_affinity_header: None,
            extra_headers: Vec::new(),
            geo: GeoInfo::default(),
        }
    }

    /// The number without its scheme, e.g. `+17066041487`.
    pub fn digits(&self) -> &str {
        self.tel_url.get(4..).unwrap_or_default()
    }
}
