//! Responses in the form of both editions.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use trunkline_model::dialect::v1::Edition;

pub(crate) const OK: &str = "Successful request";
pub(crate) const UNFULFILLED: &str = "Found one or more unfulfilled dependencies";
pub(crate) const DEPENDENT: &str = "Found one or more dependent objects";
pub(crate) const CHANGED: &str = "Somebody else has changed it since it was read";
pub(crate) const READ_ONLY_STORE: &str = "Operation not supported by data source provider";

/// The result of an operation on resources.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub status: u16,
    pub message: String,
    pub payload: Option<Value>,
    pub meta: Option<Value>,
    /// Does HTTP say 200 whatever the body says?
    pub always_200: bool,
}

impl Outcome {
    pub fn ok(payload: Value) -> Outcome {
        Outcome { payload: Some(payload), ..Outcome::failed(200, OK) }
    }

    pub fn failed(status: u16, message: impl Into<String>) -> Outcome {
        Outcome { status, message: message.into(), payload: None, meta: None, always_200: false }
    }

    /// As a response. Early editions answer 200 over HTTP whatever came of it; clients read `status` and `message`.
    /// The payload is `result` there and `data` in late ones: each client reads its own and passes over the other.
    pub fn respond(self, edition: Edition) -> Response {
        let mut body = Map::new();
        body.insert("status".into(), self.status.into());
        body.insert("message".into(), self.message.into());
        if let Some(meta) = self.meta {
            body.insert("meta".into(), meta);
        }
        if let Some(payload) = self.payload {
            body.insert("result".into(), payload.clone());
            body.insert("data".into(), payload);
        }
        let http = match edition {
            Edition::Late if !self.always_200 => StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK),
            Edition::Late | Edition::Rc2 => StatusCode::OK,
        };
        (http, Json(Value::Object(body))).into_response()
    }
}

/// An answer whose `status` is text, as Routr writes those that come before any operation.
pub(crate) fn plain(status: StatusCode, message: &str) -> Response {
    // Written out: clients compare the body as it is.
    let body = format!("{{\"status\": \"{}\", \"message\":\"{message}\"}}", status.as_u16());
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

pub(crate) fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "Not found")
}

pub(crate) fn unauthorized() -> Response {
    plain(StatusCode::UNAUTHORIZED, "Unauthorized")
}

/// `meta` of a page.
pub(crate) fn meta(page: usize, per: usize, total: usize) -> Value {
    let pages = total.div_ceil(per.max(1));
    json!({"currentPage": page, "totalPages": pages, "itemsPerPage": per, "totalItems": total})
}
