//! The resource services over gRPC.

mod bounds;
mod clients;
mod endpoints;
mod logins;
mod versions;

use std::path::PathBuf;

use trunkline_grpc::connect::agents::{ListAgentsRequest, ListAgentsResponse};
use trunkline_grpc::connect::credentials::{CreateCredentialsRequest, Credentials};
use trunkline_tests::{Exchange, Grpc, GrpcError, Resources};

/// Ports that the system chooses.
const BOTH: [(&str, &str); 2] =
    [("TRUNKLINE_GRPC_ADDR", "127.0.0.1:0"), ("TRUNKLINE_GRPC_EXTERNAL_ADDR", "127.0.0.1:0")];

const LIST_AGENTS: &str = "/fonoster.routr.connect.agents.v2beta1.Agents/List";
const GET_AGENT: &str = "/fonoster.routr.connect.agents.v2beta1.Agents/Get";
const CREATE_CREDENTIALS: &str = "/fonoster.routr.connect.credentials.v2beta1.CredentialsService/Create";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;
const UNAUTHENTICATED: i32 = 16;

/// A newcomer's exchange with both doors open.
fn newcomer(config: &str, more: &[(&str, &str)]) -> Exchange {
    let mut env = BOTH.to_vec();
    env.push(("TRUNKLINE_DATA", "sqlite:trunkline.db"));
    env.extend(more);
    Exchange::start_with(&Resources::new(), config, &env)
}

/// The secret of the operator that the first start printed.
fn admin(exchange: &Exchange) -> String {
    let log = exchange.log();
    let (_, secret) = log.split_once("login is admin / ").unwrap_or_else(|| panic!("no login in:\n{log}"));
    secret.split_whitespace().next().expect("a secret").to_owned()
}

fn basic(user: &str, password: &str) -> String {
    // Base64 without a dependency of its own.
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("{user}:{password}").into_bytes();
    let mut out = String::from("Basic ");
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain(&[0, 0]).take(3).fold(0usize, |word, b| word << 8 | usize::from(*b));
        for n in 0..4 {
            let letter = char::from(LETTERS[word >> (18 - 6 * n) & 63]);
            out.push(if n <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

/// The certificate that the first start made.
fn certificate(exchange: &Exchange) -> PathBuf {
    exchange.folder().join("trunkline.crt")
}

fn external(exchange: &Exchange) -> Grpc {
    Grpc::tls(exchange.listens("grpcs"), &certificate(exchange), None).expect("a connection")
}

fn list(grpc: &Grpc) -> Result<ListAgentsResponse, GrpcError> {
    grpc.call(LIST_AGENTS, &ListAgentsRequest { page_size: 10, ..ListAgentsRequest::default() })
}

fn write(grpc: &Grpc, name: &str) -> Result<Credentials, GrpcError> {
    let request = CreateCredentialsRequest {
        name: name.into(),
        username: name.into(),
        password: "hush".into(),
        ..CreateCredentialsRequest::default()
    };
    grpc.call(CREATE_CREDENTIALS, &request)
}

fn code<T: std::fmt::Debug>(result: Result<T, GrpcError>) -> i32 {
    result.expect_err("refused").code
}
