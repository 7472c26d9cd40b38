//! Registrations of phones, and our registrations at gateways.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use trunkline_model::dialect::v1::Edition;
use trunkline_operations::{ManualContact, TrunkRegistration};

use crate::answer::{Outcome, plain};
use crate::api::Shared;
use crate::query::Query;
use crate::time::ago;

/// All AORs with what is known of the first contact, and a hint where there are more.
pub(crate) async fn list(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let mut aors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A process without SIP has none.
    for r in api.operations.registrations(None, usize::MAX).unwrap_or_default() {
        let contact = r.reached_at.unwrap_or(r.contact);
        let info = format!("{contact};nat={};expires={}", r.behind_nat, r.expires);
        aors.entry(r.aor).or_default().push(info);
    }
    let entries: Vec<Value> = aors
        .into_iter()
        .map(|(aor, mut contacts)| {
            contacts.sort();
            let more = if contacts.len() > 1 { " [...]" } else { "" };
            let first = contacts.first().map_or("", String::as_str);
            json!({"addressOfRecord": aor, "contactInfo": format!("{first}{more}")})
        })
        .collect();
    let entries: Vec<&Value> = entries.iter().collect();
    let query = Query::read(query.as_deref().unwrap_or_default());
    let documents = api.site.provider.documents();
    api.answer(api.resources(&documents).page(&entries, &query))
}

pub(crate) async fn evict_all(State(api): Shared) -> Response {
    let evicted = api.operations.kick_all().unwrap_or_default();
    tracing::info!(evicted, "all registrations were removed through the API");
    plain(StatusCode::OK, "Evicted All!")
}

pub(crate) async fn evict(State(api): Shared, Path(aor): Path<String>) -> Response {
    // Without SIP in this process nothing is registered, and nothing is left to remove.
    let _ = api.operations.kick(&aor, None);
    plain(StatusCode::OK, "Location entry evicted")
}

/// An entry made by hand: `{user, address, port, expires}`.
pub(crate) async fn add(State(api): Shared, Path(aor): Path<String>, body: String) -> Response {
    let bad = || plain(StatusCode::BAD_REQUEST, "Bad request");
    let Ok(body) = serde_json::from_str::<Value>(&body) else { return bad() };
    let whole = |name: &str| {
        let value = &body[name];
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let named = || aor.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map(|(user, _)| user);
    let user = body["user"].as_str().or_else(named).unwrap_or_default().to_owned();
    let address = body["address"].as_str().and_then(|text| text.parse().ok());
    // Nothing can be sent to either.
    let address = address.filter(|ip: &std::net::IpAddr| !ip.is_unspecified());
    let port = whole("port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let expires = whole("expires").and_then(|seconds| u32::try_from(seconds).ok());
    let (Some(address), Some(port), Some(expires)) = (address, port, expires) else { return bad() };
    // Both are written into requests to that address.
    if !is_written_as_is(&aor) || !is_written_as_is(&user) || user.contains(['@', ':']) {
        return bad();
    }
    match api.operations.add_contact(&aor, &ManualContact { user, address, port, expires }) {
        Ok(()) => plain(StatusCode::OK, "Added location entry"),
        Err(error) => {
            tracing::info!(aor, %error, "a location entry could not be added");
            bad()
        }
    }
}

/// Something, and nothing in it that would end a URI or a line (RFC 3261 §25.1).
fn is_written_as_is(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b))
}

/// Where we are registered ourselves.
pub(crate) async fn registry(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    let documents = api.site.provider.documents();
    let edition = api.site.provider.edition();
    let registrations = api.operations.status().trunk_registrations;
    let registered = registrations.iter().filter(|r| r.registered);
    let mut entries: Vec<Value> = registered.map(|r| entry(r, edition)).collect();
    entries.sort_by_key(|entry| entry["host"].to_string());
    match edition {
        Edition::Rc2 => api.answer(Outcome::ok(Value::Array(entries))),
        Edition::Late => {
            let entries: Vec<&Value> = entries.iter().collect();
            api.answer(api.resources(&documents).page(&entries, &query))
        }
    }
}

fn entry(registration: &TrunkRegistration, edition: Edition) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    let (username, host) = registration.aor.split_once('@').unwrap_or(("", &registration.aor));
    let mut entry = json!({
        "username": username,
        "host": host,
        "ip": registration.address.map(|ip| ip.to_string()),
        "expires": registration.until.map_or(0, |until| (until - now).max(0)),
        "registeredOn": registration.since.saturating_mul(1000),
        "regOnFormatted": ago(now - registration.since),
    });
    if edition == Edition::Late {
        entry["gwRef"] = registration.trunk.as_str().into();
        entry["gwURI"] = format!("sip:{username}@{host}").into();
    }
    entry
}
