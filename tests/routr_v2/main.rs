//! Routr v2's services in processes of their own.

mod check;
mod dispatcher;
mod golden;
mod location;
mod processors;
mod served;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_tests::{Grpc, GrpcError, Role, free_port};
use trunkline_wire::location::{
    AddRouteRequest, FindRoutesRequest, FindRoutesResponse, RemoveRoutesRequest, Route,
};

const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;

const PROCESS: &str = "/fonoster.routr.processor.v2beta1.Processor/ProcessMessage";
const ADD: &str = "/fonoster.routr.location.v2beta1.Location/AddRoute";
const FIND: &str = "/fonoster.routr.location.v2beta1.Location/FindRoutes";
const REMOVE: &str = "/fonoster.routr.location.v2beta1.Location/RemoveRoutes";

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("64 bits")
}

/// The file of a location service with these lines in its `spec`.
fn location_file(at: SocketAddr, more: &str) -> String {
    format!(
        "kind: Location\napiVersion: v2beta1\nref: location\nmetadata: {{region: default}}\nspec:\n  bindAddr: {at}\n{more}"
    )
}

/// A location service in memory.
fn location() -> Role {
    let at = free();
    Role::start("location", at, &[("l.yaml", &location_file(at, ""))], &[("CONFIG_PATH", "l.yaml")])
}

/// A route to a host that is good for ten minutes.
fn route(host: &str) -> Route {
    Route {
        user: "1001".into(),
        host: host.into(),
        port: "5060".into(),
        registered_on: now_ms(),
        expires: 600,
        session_count: -1,
        edge_port_ref: "edgeport-01".into(),
        ..Route::default()
    }
}

fn add(grpc: &Grpc, aor: &str, route: Route, max_contacts: i32) -> Result<(), GrpcError> {
    grpc.call(ADD, &AddRouteRequest { aor: aor.into(), route: Some(route), max_contacts })
}

/// The hosts that are found.
fn find(grpc: &Grpc, asked: &FindRoutesRequest) -> Result<Vec<String>, GrpcError> {
    let found: FindRoutesResponse = grpc.call(FIND, asked)?;
    Ok(found.routes.into_iter().map(|route| route.host).collect())
}

fn asked(aor: &str, call: &str) -> FindRoutesRequest {
    FindRoutesRequest { aor: aor.into(), call_id: call.into(), ..FindRoutesRequest::default() }
}

fn remove(grpc: &Grpc, aor: &str) -> Result<(), GrpcError> {
    grpc.call(REMOVE, &RemoveRoutesRequest { aor: aor.into() })
}

/// What a failed call says.
fn refused<T: std::fmt::Debug>(result: Result<T, GrpcError>) -> (i32, String) {
    let error = result.expect_err("refused");
    (error.code, error.message)
}
