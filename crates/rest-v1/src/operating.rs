//! Calls, bans and draining: what an operator can do that Routr v1 has no operation for.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};
use trunkline_operations::{BanEntry, LiveCall, OperationError};

use crate::answer::Outcome;
use crate::api::Shared;
use crate::query::Query;

/// Calls that are up or ringing.
pub(crate) async fn calls(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    // A process without SIP has none.
    let all = api.operations.calls(None, usize::MAX).unwrap_or_default();
    let all: Vec<Value> = all.iter().map(of_call).collect();
    let documents = api.site.provider.documents();
    let entries: Vec<&Value> = all.iter().collect();
    api.answer(api.resources(&documents).page(&entries, &query))
}

/// Ends a call, by the number of its record or its Call-ID.
pub(crate) async fn hang_up(State(api): Shared, Path(call): Path<String>) -> Response {
    let operations = api.operations.clone();
    // It waits until a shard has done it.
    let done = tokio::task::spawn_blocking(move || {
        let exists = |one: &LiveCall| one.id.to_string() == call || one.call_id == call;
        match operations.hang_up(&call) {
            Ok(ended) => Outcome::ok(of_call(&ended)),
            Err(OperationError::Failed(why)) => {
                let all = operations.calls(None, usize::MAX).unwrap_or_default();
                Outcome::failed(if all.iter().any(exists) { 409 } else { 404 }, why)
            }
            Err(error) => unavailable(&error),
        }
    });
    api.answer(done.await.unwrap_or_else(|error| Outcome::failed(500, error.to_string())))
}

/// Sources and users that are banned for guessing passwords.
pub(crate) async fn bans(State(api): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    let all: Vec<Value> = api.operations.bans().unwrap_or_default().iter().map(of_ban).collect();
    let documents = api.site.provider.documents();
    let entries: Vec<&Value> = all.iter().collect();
    api.answer(api.resources(&documents).page(&entries, &query))
}

/// Ends the bans of a source (an IP address) or of a user.
pub(crate) async fn unban(State(api): Shared, Path(who): Path<String>) -> Response {
    api.answer(match api.operations.unban(&who) {
        Ok(ended) if ended.is_empty() => Outcome::failed(404, "Not found"),
        Ok(ended) => Outcome::ok(ended.iter().map(of_ban).collect()),
        Err(error) => unavailable(&error),
    })
}

/// Are new calls refused?
pub(crate) async fn draining(State(api): Shared) -> Response {
    api.answer(Outcome::ok(json!({"draining": api.operations.status().draining})))
}

/// Refuses new calls with 503; those that are up or ringing go on.
pub(crate) async fn drain(state: Shared) -> Response {
    set_draining(state, false)
}

/// Takes new calls again.
pub(crate) async fn end_drain(state: Shared) -> Response {
    set_draining(state, true)
}

fn set_draining(State(api): Shared, undo: bool) -> Response {
    api.answer(match api.operations.drain(undo) {
        Ok(()) => Outcome::ok(json!({"draining": !undo})),
        Err(OperationError::Failed(why)) => Outcome::failed(409, why),
        Err(error) => unavailable(&error),
    })
}

/// SIP is served by another process.
fn unavailable(error: &OperationError) -> Outcome {
    Outcome::failed(503, error.to_string())
}

fn of_call(call: &LiveCall) -> Value {
    json!({
        "id": call.id,
        "callId": call.call_id,
        "caller": call.caller,
        "callee": call.callee,
        "state": call.state,
        "started": call.started,
        "answered": call.answered,
        "trunk": call.trunk,
        "source": call.source,
        "callerRef": call.caller_ref,
    })
}

fn of_ban(ban: &BanEntry) -> Value {
    json!({
        "scope": ban.scope,
        "source": ban.source,
        "port": ban.port,
        "user": ban.user,
        "since": ban.since,
        "until": ban.until,
    })
}
