//! The OpenAPI 3.0 document of the API, at `/api/docs`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use trunkline_model::dialect::v1::{Collection, Edition};

use crate::api::{BASE, Shared};
use crate::json_schema::json_schema;

/// Where the document is.
pub(crate) const PATH: &str = "/api/docs";

/// The document, which says nothing that is secret: it needs no token.
pub(crate) async fn docs(State(api): Shared) -> Response {
    Json(document(api.site.provider.edition())).into_response()
}

fn document(edition: Edition) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::from_iter([("Answer".to_owned(), answer_schema())]);
    for collection in [
        Collection::Agents,
        Collection::Domains,
        Collection::Gateways,
        Collection::Numbers,
        Collection::Peers,
    ] {
        for name in collection.names() {
            let kind = collection.kind(edition);
            paths.insert(format!("/{name}"), many(name, kind));
            paths.insert(format!("/{name}/{{ref}}"), single(name, kind));
            schemas.insert(kind.to_owned(), json_schema(collection, kind));
        }
    }
    for (path, item) in process(edition).into_iter().chain(operating()) {
        paths.insert(path.to_owned(), item);
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Routr v1 REST API", "version": "v1beta1"},
        "servers": [{"url": BASE}],
        "security": [{"token": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "query", "name": "token"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "basic": {"type": "http", "scheme": "basic"},
            },
            "schemas": schemas,
        },
    })
}

fn answer_schema() -> Value {
    json!({
        "type": "object",
        "required": ["status", "message"],
        "properties": {
            "status": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "message": {"type": "string"},
            "data": {},
            "result": {},
            "meta": {"type": "object"},
        },
    })
}

fn answer(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
    })
}

/// The answers of an operation, by their status over HTTP. Early releases answer 200 with the status in the body.
fn answers(statuses: &[u16]) -> Value {
    let of = |status: u16| match status {
        200 => "Successful request",
        201 => "Created",
        400 => "The filter or the body cannot be read",
        401 => "No token, or one that is not good",
        404 => "Not found",
        405 => "Operation not supported by data source provider",
        409 => "Another one has the name, or something that it needs or that needs it",
        412 => "Somebody else has changed it since it was read",
        413 => "The body is too large",
        414 => "The URL is too long",
        415 => "The body is no text",
        422 => "The document is not valid",
        429 => "Too many wrong logins",
        503 => "Too many logins at the same time",
        _ => "The data provider does not answer",
    };
    let all = statuses.iter().map(|status| match status {
        // Refused before there is a request that could be answered.
        414 => (status.to_string(), json!({"description": of(*status)})),
        status => (status.to_string(), answer(of(*status))),
    });
    Value::Object(all.collect())
}

fn query(name: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "required": false, "schema": schema})
}

/// The condition of a change.
fn if_match() -> Value {
    let what = "Change it only if it still has this ETag, which GET gives";
    json!({"name": "If-Match", "in": "header", "required": false, "description": what, "schema": {"type": "string"}})
}

/// Calls, bans and draining.
fn operating() -> Vec<(&'static str, Value)> {
    let list = |summary: &str| {
        let number = json!({"type": "integer", "minimum": 0});
        json!({"get": {
            "summary": summary,
            "parameters": [query("page", number.clone()), query("itemsPerPage", number)],
            "responses": answers(&[200, 400, 401, 414]),
        }})
    };
    let end = |name: &str, summary: &str, statuses: &[u16]| {
        json!({
            "parameters": [{"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
            "delete": {"summary": summary, "responses": answers(statuses)},
        })
    };
    vec![
        ("/calls", list("Calls that are up or ringing")),
        (
            "/calls/{call}",
            end("call", "End a call, by its id or Call-ID", &[200, 401, 404, 409, 414, 500, 503]),
        ),
        ("/bans", list("Sources and users that are banned for guessing passwords")),
        ("/bans/{who}", end("who", "End the bans of an address or user", &[200, 401, 404, 414, 503])),
        (
            "/system/drain",
            json!({
                "get": {"summary": "Are new calls refused?", "responses": answers(&[200, 401])},
                "post": {"summary": "Refuse new calls; current ones go on", "responses": answers(&[200, 401, 409, 503])},
                "delete": {"summary": "Take new calls again", "responses": answers(&[200, 401, 409, 503])},
            }),
        ),
    ]
}

fn body(kind: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{kind}")});
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

fn many(name: &str, kind: &str) -> Value {
    let mut created = answers(&[200, 201, 400, 401, 405, 409, 413, 415, 422, 500]);
    // The ref is the payload, with which the document is shown, changed and removed.
    let by_ref = |operation: &str| json!({"operationId": format!("{operation}-{name}"), "parameters": {"ref": "$response.body#/data"}});
    created["201"]["links"] =
        json!({"show": by_ref("show"), "change": by_ref("change"), "remove": by_ref("remove")});
    let number = json!({"type": "integer", "minimum": 0});
    json!({
        "get": {
            "summary": format!("List each {kind} that passes a filter"),
            "parameters": [
                query("filter", json!({"type": "string", "maxLength": 8192})),
                query("page", number.clone()),
                query("itemsPerPage", number),
            ],
            "responses": answers(&[200, 400, 401, 414]),
        },
        "post": {
            "summary": format!("Create a {kind}"),
            "operationId": format!("create-{name}"),
            "requestBody": body(kind),
            "responses": created,
        },
    })
}

fn single(name: &str, kind: &str) -> Value {
    json!({
        "parameters": [{"name": "ref", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
        "get": {
            "summary": format!("Show a {kind}"),
            "operationId": format!("show-{name}"),
            "responses": answers(&[200, 401, 404]),
        },
        "put": {
            "summary": format!("Change a {kind}"),
            "operationId": format!("change-{name}"),
            "parameters": [if_match()],
            "requestBody": body(kind),
            "responses": answers(&[200, 400, 401, 404, 405, 409, 412, 413, 415, 422, 500]),
        },
        "delete": {
            "summary": format!("Remove a {kind}"),
            "operationId": format!("remove-{name}"),
            "parameters": [if_match()],
            "responses": answers(&[200, 401, 404, 405, 409, 412, 500]),
        },
    })
}

/// The configuration, which can be changed where it is kept beside the documents.
fn configuration(mut look: Value) -> Value {
    let required = ["apiVersion", "spec"];
    let schema = json!({"type": "object", "required": required, "properties": {
        "apiVersion": {"type": "string", "enum": ["v1beta1", "v1.0", "v1"]},
        "metadata": {"type": "object", "properties": {"userAgent": {"type": "string", "minLength": 3, "maxLength": 30}}},
        "spec": {"type": "object"},
    }, "example": {"apiVersion": "v1beta1", "spec": {"recordRoute": true}}});
    look["put"] = json!({
        "summary": "Store another configuration beneath that of the file, for the next start (Redis, late releases)",
        "requestBody": {"required": true, "content": {"application/json": {"schema": schema}}},
        "responses": answers(&[200, 400, 401, 405, 413, 415, 422, 500]),
    });
    look
}

/// Logins, and what there is to know of the process.
fn process(edition: Edition) -> Vec<(&'static str, Value)> {
    let login = |summary: &str| {
        json!({"get": {"summary": summary, "security": [{"basic": []}], "responses": {
            "200": {"description": "The token"},
            "401": answer("Wrong user name or password"),
            "429": answer("Too many wrong logins"),
            "503": answer("Too many logins at the same time"),
        }}})
    };
    let look = |summary: &str| json!({"get": {"summary": summary, "responses": answers(&[200, 400, 401])}});
    let mut status = json!({"get": {"summary": "Is the server up?", "responses": answers(&[200, 401])}});
    match edition {
        Edition::Late => status["get"]["security"] = json!([]),
        Edition::Rc2 => {
            let schema = json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}});
            status["get"]["responses"]["200"]["content"]["application/json"]["schema"] = schema;
        }
    }
    vec![
        ("/credentials", login("A token as plain text")),
        ("/token", login("A token")),
        ("/system/status", status),
        ("/system/info", look("Version, variables, start")),
        ("/system/logs", look("The last of the log")),
        ("/system/config", configuration(look("The configuration, without secrets"))),
        ("/registry", look("Registrations at gateways")),
        (
            "/location",
            json!({
                "get": {"summary": "Registered contacts", "responses": answers(&[200, 400, 401])},
                "delete": {"summary": "Remove all of them", "responses": answers(&[200, 401])},
            }),
        ),
    ]
}
