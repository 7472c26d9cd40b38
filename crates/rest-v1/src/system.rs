//! `/system`: status, log, configuration, stop.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use trunkline_model::dialect::v1::Edition;
use trunkline_operations::Stop;

use crate::answer::{OK, Outcome, READ_ONLY_STORE, plain};
use crate::api::{BASE, Shared};
use crate::query::Query;
use crate::time::iso_8601;

/// The answer itself shows that the process works.
pub(crate) async fn status(State(api): Shared) -> Response {
    match api.site.provider.edition() {
        Edition::Rc2 => Json(json!({"status": "Up"})).into_response(),
        Edition::Late => Json(json!({"status": 200, "message": "up"})).into_response(),
    }
}

/// `down`, and in late editions `restarting`. Calls on their way to an answer are waited for, unless `now`.
pub(crate) async fn stop(
    State(api): Shared,
    Path(word): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let now = Query::read(query.as_deref().unwrap_or_default()).now;
    let edition = api.site.provider.edition();
    let restart = match (word.as_str(), edition) {
        ("down", _) => false,
        ("restarting", Edition::Late) => true,
        (_, Edition::Late) => return plain(StatusCode::BAD_REQUEST, "Bad Request"),
        (_, Edition::Rc2) => {
            // The body says 400.
            let mut response = plain(StatusCode::BAD_REQUEST, "Bad Request");
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return response;
        }
    };
    tracing::info!(restart, now, "the process is ended through the REST API");
    match api.operations.stop(Stop { restart, now }) {
        Ok(()) => plain(StatusCode::OK, "Request sent to server"),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Where early editions have it at the top, late ones have it under `data`: both are given.
pub(crate) async fn info(State(api): Shared) -> Response {
    let env: Vec<Value> =
        api.site.environment.iter().map(|(var, value)| json!({"var": var, "value": value})).collect();
    let info = json!({
        "version": "v1.0",
        "apiVersion": "v1beta1",
        "apiPath": BASE,
        "env": env,
        "upSince": iso_8601(api.operations.status().started),
    });
    let mut body = info.clone();
    if let Some(body) = body.as_object_mut() {
        body.insert("status".into(), 200.into());
        body.insert("message".into(), OK.into());
        body.insert("data".into(), info);
    }
    Json(body).into_response()
}

pub(crate) async fn logs(State(api): Shared) -> Response {
    api.answer(Outcome::ok(api.operations.recent_log().into()))
}

/// The configuration without what only the process may know.
pub(crate) async fn config(State(api): Shared) -> Response {
    let mut config = api.site.configuration.clone();
    without_secrets(&mut config);
    if let Some(config) = config.as_object_mut() {
        config.remove("system");
        config.remove("salt");
    }
    api.answer(Outcome::ok(config))
}

/// It is a file.
pub(crate) async fn put_config(State(api): Shared) -> Response {
    api.answer(Outcome::failed(405, READ_ONLY_STORE))
}

/// Takes out every value under a name that promises a secret, at any depth.
fn without_secrets(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|name, _| {
                let name = name.to_ascii_lowercase();
                !["password", "secret", "salt", "jaas"].iter().any(|word| name.contains(word))
            });
            entries.values_mut().for_each(without_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(without_secrets),
        // Parameters in one text, `host=…,secret=…`.
        Value::String(text) if text.contains("secret=") => {
            let kept = text.split(',').filter(|pair| !pair.trim_start().starts_with("secret="));
            *text = kept.collect::<Vec<_>>().join(",");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_leave() {
        let mut config = json!({"spec": {
            "restService": {"port": 4567, "keyStorePassword": "x"},
            "dataSource": {"parameters": "host=h, secret=x,port=1"},
            "ex_kafka": {"saslJaasConfig": "x", "topic": "t"},
            "list": [{"secret": "x", "a": 1}],
        }});
        without_secrets(&mut config);
        assert_eq!(
            config.to_string(),
            json!({"spec": {
                "restService": {"port": 4567},
                "dataSource": {"parameters": "host=h,port=1"},
                "ex_kafka": {"topic": "t"},
                "list": [{"a": 1}],
            }})
            .to_string()
        );
    }
}
