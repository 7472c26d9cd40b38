//! The routes and their authorization.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use trunkline_http::Router;
use trunkline_login::{Login, Presented, Refused};
use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_operations::Operations;

use crate::answer::{Outcome, not_found, plain, unauthorized};
use crate::provider::{Configuration, DataProvider};
use crate::query::Query;
use crate::resources::Resources;
use crate::time::iso_8601;
use crate::token::TokenKey;
use crate::version::tag_of;
use crate::{change, location, openapi, operating, system};

/// The key of the listener's port, in the operator's configuration.
pub const KEY: &str = "spec.restService.port";

pub(crate) const BASE: &str = "/api/v1beta1";

/// Bytes of a body, which is one document.
const LARGEST_BODY: usize = 1 << 20;

/// The state that all handlers share.
pub(crate) struct Api {
    pub operations: Arc<dyn Operations>,
    pub site: Site,
    /// Held from the check of a change until it is made: of two at the same moment the later one sees the earlier one.
    pub changing: tokio::sync::Mutex<()>,
}

/// The Routr v1 that the API stands for.
pub struct Site {
    /// Its documents.
    pub provider: Arc<dyn DataProvider>,
    /// The logins of its users.
    pub login: Login,
    /// The key of their tokens.
    pub tokens: TokenKey,
    /// The configuration.
    pub configuration: Box<dyn Configuration>,
    /// The variables that Routr v1 reads, and their values; secrets masked.
    pub environment: Vec<(String, Option<String>)>,
}

pub(crate) type Shared = State<Arc<Api>>;

/// The routes, to be mounted on a [`trunkline_http::HttpServer`] of their own that is tolerant: clients do not escape
/// their filters.
pub fn api(operations: Arc<dyn Operations>, site: Site) -> Router {
    let shared = Arc::new(Api { operations, site, changing: tokio::sync::Mutex::default() });
    let collection = get(list).post(change::create);
    let routes = Router::new()
        .route("/credentials", get(credentials))
        .route("/token", get(token))
        .route("/system/status", get(system::status))
        .route("/system/status/{word}", post(system::stop))
        .route("/system/info", get(system::info))
        .route("/system/logs", get(system::logs))
        .route("/system/config", get(system::config).put(system::put_config))
        .route("/system/drain", get(operating::draining).post(operating::drain).delete(operating::end_drain))
        .route("/calls", get(operating::calls))
        .route("/calls/{call}", delete(operating::hang_up))
        .route("/bans", get(operating::bans))
        .route("/bans/{who}", delete(operating::unban))
        .route("/location", get(location::list).delete(location::evict_all))
        .route("/location/{*aor}", delete(location::evict).post(location::add))
        .route("/registry", get(location::registry))
        .route("/{collection}", collection.clone())
        .route("/{collection}/", collection.put(change::update_unnamed).delete(change::remove_unnamed))
        .route("/{collection}/{reference}", get(one).put(change::update).delete(change::remove))
        .method_not_allowed_fallback(nothing)
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    Router::new()
        .nest(BASE, routes)
        .route(openapi::PATH, get(openapi::docs))
        .route("/{*path}", any(nothing))
        .route("/", any(nothing))
        .layer(from_fn_with_state(shared.clone(), authorize_request))
        .with_state(shared)
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

async fn nothing() -> Response {
    not_found()
}

/// CORS, and the token that everything but a login needs.
async fn authorize_request(State(api): Shared, request: Request, next: Next) -> Response {
    let mut response = match request.method() {
        &Method::OPTIONS => preflight(request.headers()),
        method => match request.uri().path().strip_prefix(BASE) {
            Some(path) if !api.admits(method, path, &request) => unauthorized(),
            Some(_) | None => in_our_form(next.run(request).await),
        },
    };
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    // Lists change, and hold what is nobody else's business.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal of a body or path that is no text, as clients read it.
fn in_our_form(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let status = response.status();
    if !status.is_client_error() || kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
        return response;
    }
    plain(
        status,
        if status == StatusCode::BAD_REQUEST {
            "Bad request"
        } else {
            status.canonical_reason().unwrap_or_default()
        },
    )
}

/// The preflight request of a browser.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = (StatusCode::OK, "OK").into_response();
    for (from, to) in [
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
    ] {
        if let Some(value) = asked.get(from) {
            response.headers_mut().insert(to, value.clone());
        }
    }
    response
}

impl Api {
    fn admits(&self, method: &Method, path: &str, request: &Request) -> bool {
        let open = match path.trim_end_matches('/') {
            "/credentials" | "/token" => true,
            "/system/status" => self.site.provider.edition() == Edition::Late && method == Method::GET,
            _ => false,
        };
        open || self.bearer(request).is_some()
    }

    /// The user of the token. The user must still exist, because a token may not expire.
    fn bearer(&self, request: &Request) -> Option<String> {
        let query = Query::read(request.uri().query().unwrap_or_default());
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = match (query.token, header.map(Presented::from_header)) {
            (Some(token), _) => token,
            (None, Some(Ok(Presented::Token(token)))) => token,
            (None, _) => return None,
        };
        self.site.tokens.verify(&token, unix_seconds()).filter(|user| self.knows_user(user))
    }

    /// Does this user exist, and may it log in?
    fn knows_user(&self, username: &str) -> bool {
        let Ok(store) = self.operations.store() else { return false };
        let tables = store.live().load();
        tables.user_by_username(username.as_bytes()).is_some_and(|user| user.enabled)
    }

    /// The token for a user with this name and password.
    async fn sign_in(&self, from: SocketAddr, headers: &HeaderMap) -> Result<String, Response> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = match header.map(Presented::from_header) {
            Some(Ok(presented @ Presented::Password { .. })) => presented,
            _ => return Err(unauthorized()),
        };
        match self.site.login.check(from.ip().to_canonical(), presented).await {
            Ok(identity) => Ok(self.site.tokens.sign(&identity.username, unix_seconds())),
            Err(refused @ Refused::Slowed { seconds }) => {
                let mut response = plain(StatusCode::TOO_MANY_REQUESTS, &refused.to_string());
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                Err(response)
            }
            Err(refused @ Refused::Busy) => Err(plain(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string())),
            Err(Refused::Wrong) => {
                tracing::warn!(%from, "a wrong login over REST");
                Err(unauthorized())
            }
            Err(Refused::Absent | Refused::Malformed) => Err(unauthorized()),
        }
    }

    pub(crate) fn answer(&self, outcome: Outcome) -> Response {
        outcome.respond(self.site.provider.edition())
    }

    /// Looks at a collection, if there is one of that name.
    fn on(&self, name: &str, work: impl FnOnce(&Resources<'_>, Collection) -> Outcome) -> Response {
        let Some(collection) = change::collection_of(name) else { return not_found() };
        let documents = self.site.provider.documents();
        self.answer(work(&self.resources(&documents), collection))
    }

    pub(crate) fn resources<'d>(
        &self,
        documents: &'d trunkline_model::dialect::v1::Documents,
    ) -> Resources<'d> {
        Resources {
            documents,
            edition: self.site.provider.edition(),
            since: iso_8601(self.operations.status().started),
        }
    }
}

async fn credentials(
    State(api): Shared,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match api.sign_in(from, &headers).await {
        Ok(token) => token.into_response(),
        Err(refused) => refused,
    }
}

async fn token(
    State(api): Shared,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match api.sign_in(from, &headers).await {
        Ok(token) => api.answer(Outcome::ok(token.into())),
        Err(refused) => refused,
    }
}

async fn list(State(api): Shared, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    api.on(&name, |resources, collection| resources.list(collection, &query))
}

async fn one(State(api): Shared, Path((name, reference)): Path<(String, String)>) -> Response {
    let mut tag = None;
    let mut response = api.on(&name, |resources, collection| {
        tag = resources.find(collection, &reference).map(|document| tag_of(&api.site.tokens, document));
        resources.get(collection, &reference)
    });
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
