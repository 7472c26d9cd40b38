//! The service: checks of what is asked, and which routes are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};
use trunkline_wire::location::find_routes_request::Backend;
use trunkline_wire::location::find_routes_request::backend::Algorithm;
use trunkline_wire::location::location_server::Location;
use trunkline_wire::location::{
    AddRouteRequest, FindRoutesRequest, FindRoutesResponse, RemoveRoutesRequest, Route,
};

use super::choice::{algorithm, by_turn, least_sessions};
use super::route::{Addition, LARGEST_ROUTE, LONGEST_AOR, LONGEST_KEY, PinKey, RouteError, RouteId};
use super::store::RouteStore;

/// Routes by address of record.
#[derive(Clone)]
pub struct LocationService {
    store: Arc<RouteStore>,
    /// Are addresses of record with `sips:` accepted?
    sips: bool,
}

impl LocationService {
    /// Over a store. `sips`: are addresses of record with `sips:` accepted? Routr 2.15 refuses them.
    pub fn new(store: RouteStore, sips: bool) -> LocationService {
        LocationService { store: Arc::new(store), sips }
    }

    /// Is it an address of record that routes can be added for?
    fn check(&self, aor: &str) -> Result<(), Status> {
        if aor.len() > LONGEST_AOR {
            return Err(Status::invalid_argument(format!("the aor is longer than {LONGEST_AOR} bytes")));
        }
        if aor.starts_with("sip:") || aor.starts_with("backend:") || self.sips && aor.starts_with("sips:") {
            return Ok(());
        }
        let message = format!(r#"aor {aor} has an invalid schema, only "sip:" or "backend:" are allowed"#);
        Err(Status::invalid_argument(message))
    }

    /// The routes for a request: all that are live, or the one that was chosen.
    async fn find(&self, asked: &FindRoutesRequest) -> Result<Vec<Route>, RouteError> {
        let mut live = self.store.live(&asked.aor, now()).await?;
        live.retain(|route| asked.labels.iter().all(|(name, value)| route.labels.get(name) == Some(value)));
        let Some(newest) = live.first() else { return Ok(Vec::new()) };
        let call = call_key(asked);
        let before = self.remembered(call.as_ref(), &live).await?;
        if let Remembered::Live(route) = before {
            return Ok(vec![*route]);
        }
        let chosen = match &asked.backend {
            None => newest.clone(),
            Some(backend) => self.choose(backend, asked, &live).await?,
        };
        if let Some(call) = call {
            let now = self.store.pin(call, RouteId::of(&chosen), before == Remembered::Gone).await?;
            // The same call may have asked elsewhere meanwhile.
            if asked.backend.is_some()
                && let Some(first) = with_id(&live, &now)
            {
                return Ok(vec![first.clone()]);
            }
        }
        Ok(if asked.backend.is_some() { vec![chosen] } else { live })
    }

    /// One of the servers of a backend. There is at least one route.
    async fn choose(
        &self,
        backend: &Backend,
        asked: &FindRoutesRequest,
        live: &[Route],
    ) -> Result<Route, RouteError> {
        let value = &asked.session_affinity_ref;
        if backend.with_session_affinity && !value.is_empty() && value.len() <= LONGEST_KEY {
            let key = PinKey::Affinity { aor: asked.aor.clone(), value: value.clone() };
            let before = self.remembered(Some(&key), live).await?;
            if let Remembered::Live(route) = before {
                return Ok(*route);
            }
            let chosen = least_sessions(live).cloned().unwrap_or_default();
            let now = self.store.pin(key, RouteId::of(&chosen), before == Remembered::Gone).await?;
            return Ok(with_id(live, &now).cloned().unwrap_or(chosen));
        }
        let chosen = match algorithm(backend.algorithm) {
            Algorithm::LeastSessions => least_sessions(live),
            Algorithm::RoundRobin => {
                let name = if backend.r#ref.is_empty() { &asked.aor } else { &backend.r#ref };
                by_turn(live, self.store.turn(name).await?)
            }
        };
        Ok(chosen.cloned().unwrap_or_default())
    }

    /// The route that is remembered under a key, if it is still among the live ones.
    async fn remembered(&self, key: Option<&PinKey>, live: &[Route]) -> Result<Remembered, RouteError> {
        let Some(key) = key else { return Ok(Remembered::Nothing) };
        Ok(match self.store.pinned(key).await? {
            None => Remembered::Nothing,
            Some(id) => {
                with_id(live, &id).map_or(Remembered::Gone, |route| Remembered::Live(Box::new(route.clone())))
            }
        })
    }
}

/// What is remembered under a key.
#[derive(Clone, Debug, PartialEq)]
enum Remembered {
    Nothing,
    /// A route that is not there any more.
    Gone,
    Live(Box<Route>),
}

fn with_id<'a>(live: &'a [Route], id: &RouteId) -> Option<&'a Route> {
    live.iter().find(|route| RouteId::of(route) == *id)
}

/// What a call's route is remembered under: the address of record, the Call-ID, the labels. A request without a Call-ID is
/// of no call.
fn call_key(asked: &FindRoutesRequest) -> Option<PinKey> {
    if asked.call_id.is_empty() {
        return None;
    }
    let mut call = asked.call_id.clone();
    append(&mut call, &asked.labels);
    (call.len() <= LONGEST_KEY).then(|| PinKey::Call { aor: asked.aor.clone(), call })
}

/// Adds labels to a name, so that no other name and labels give the same text.
fn append(name: &mut String, labels: &BTreeMap<String, String>) {
    for part in labels.iter().flat_map(|(label, value)| [label, value]) {
        name.push_str(&format!("\n{}:{part}", part.len()));
    }
}

#[async_trait]
impl Location for LocationService {
    async fn add_route(&self, request: Request<AddRouteRequest>) -> Result<Response<()>, Status> {
        let AddRouteRequest { aor, route, max_contacts } = request.into_inner();
        self.check(&aor)?;
        let route = route.ok_or_else(|| Status::invalid_argument("a route is required"))?;
        if route.encoded_len() > LARGEST_ROUTE {
            return Err(Status::invalid_argument(format!("the route has more than {LARGEST_ROUTE} bytes")));
        }
        self.store.add(Addition { aor, route, max_contacts, now: now() }).await.map_err(refused)?;
        Ok(Response::new(()))
    }

    async fn find_routes(
        &self,
        request: Request<FindRoutesRequest>,
    ) -> Result<Response<FindRoutesResponse>, Status> {
        let asked = request.into_inner();
        let routes = self.find(&asked).await.map_err(refused)?;
        if routes.is_empty() {
            let aor: String = asked.aor.chars().take(LONGEST_AOR).collect();
            return Err(Status::not_found(format!("no routes found for aor: {aor}")));
        }
        Ok(Response::new(FindRoutesResponse { routes }))
    }

    async fn remove_routes(&self, request: Request<RemoveRoutesRequest>) -> Result<Response<()>, Status> {
        self.store.remove(&request.into_inner().aor).await.map_err(refused)?;
        Ok(Response::new(()))
    }
}

fn refused(error: RouteError) -> Status {
    match error {
        RouteError::TooMany(_) => Status::invalid_argument(error.to_string()),
        RouteError::Full(why) => Status::resource_exhausted(why),
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
