//! `/system`: status, log, configuration, stop.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use trunkline_model::dialect::v1::Edition;
use trunkline_operations::Stop;

use crate::answer::{OK, Outcome, READ_ONLY_STORE, plain};
use crate::api::{Api, BASE, Shared};
use crate::change::{failed, refused};
use crate::query::Query;
use crate::schema::mistakes_of_configuration;
use crate::secrets::{is_secret, without_secret_parameters};
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
    let mut config = api.site.configuration.shown();
    without_secrets(&mut config);
    if let Some(config) = config.as_object_mut() {
        config.remove("system");
        config.remove("salt");
    }
    api.answer(Outcome::ok(config))
}

/// Stores another one, where the provider has a place for it. It is in force after a restart.
pub(crate) async fn put_config(State(api): Shared, body: String) -> Response {
    let edition = api.site.provider.edition();
    let outcome = match (edition, api.site.configuration.is_writable()) {
        // Early releases have no such operation.
        (Edition::Rc2, _) | (_, false) => Outcome::failed(405, READ_ONLY_STORE),
        (Edition::Late, true) => match serde_json::from_str::<Value>(&body) {
            Ok(document) if document.is_object() => change_config(&api, document).await,
            Ok(_) | Err(_) => Outcome::failed(400, "Bad request"),
        },
    };
    api.answer(outcome)
}

async fn change_config(api: &Arc<Api>, mut document: Value) -> Outcome {
    let said = mistakes_of_configuration(&document);
    if !said.is_empty() {
        return Outcome::failed(422, said.join(", "));
    }
    let edition = api.site.provider.edition();
    let api = api.clone();
    let changed = tokio::task::spawn_blocking(move || {
        if let Some(stored) = api.site.configuration.stored() {
            keep_secrets(&mut document, &stored);
        }
        api.site.configuration.change(&document)
    });
    match changed.await {
        Ok(Ok(())) => Outcome::failed(200, OK),
        Ok(Err(error)) => refused(error, edition),
        Err(error) => failed(error.to_string(), edition),
    }
}

/// A document that comes back without its secrets, as it is shown, has those that it had.
fn keep_secrets(document: &mut Value, stored: &Value) {
    let (Some(entries), Some(stored)) = (document.as_object_mut(), stored.as_object()) else { return };
    for (name, value) in stored {
        match entries.get_mut(name) {
            Some(entry) => keep_secrets(entry, value),
            None if is_secret(name) => {
                entries.insert(name.clone(), value.clone());
            }
            None => {}
        }
    }
}

/// Takes out every value under a name that promises a secret, at any depth.
fn without_secrets(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|name, _| !is_secret(name));
            entries.values_mut().for_each(without_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(without_secrets),
        Value::String(text) => {
            if let Cow::Owned(kept) = without_secret_parameters(text) {
                *text = kept;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_are_not_shown_stay() {
        let stored =
            json!({"spec": {"restService": {"port": 1, "keyStorePassword": "x"}, "other": {"secret": "y"}}});
        let mut document = json!({"spec": {"restService": {"port": 2}}});
        keep_secrets(&mut document, &stored);
        assert_eq!(document, json!({"spec": {"restService": {"port": 2, "keyStorePassword": "x"}}}));
        let mut document = json!({"spec": {"restService": {"keyStorePassword": "z"}}});
        keep_secrets(&mut document, &stored);
        assert_eq!(document, json!({"spec": {"restService": {"keyStorePassword": "z"}}}));
    }

    #[test]
    fn secrets_do_not_leave() {
        let mut config = json!({"spec": {
            "restService": {"port": 4567, "keyStorePassword": "x"},
            "dataSource": {"parameters": "host=h, Secret = x,port=1"},
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
