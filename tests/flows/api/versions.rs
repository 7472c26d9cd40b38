//! Two operators who change one resource at the same moment, over gRPC and by other ways.

use trunkline_grpc::connect::credentials::{
    Credentials, DeleteCredentialsRequest, GetCredentialsRequest, UpdateCredentialsRequest,
};
use trunkline_tests::{Exchange, Grpc, GrpcError, exchange_command};

use super::{NOT_FOUND, code, newcomer, write};

const SERVICE: &str = "/fonoster.routr.connect.credentials.v2beta1.CredentialsService";
const ABORTED: i32 = 10;

fn get(grpc: &Grpc, reference: &str) -> Result<(Credentials, String), GrpcError> {
    let request = GetCredentialsRequest { r#ref: reference.into() };
    grpc.call_versioned(&format!("{SERVICE}/Get"), &request)
}

fn rename(grpc: &Grpc, reference: &str, name: &str) -> Result<(Credentials, String), GrpcError> {
    let request = UpdateCredentialsRequest {
        r#ref: reference.into(),
        name: Some(name.into()),
        ..UpdateCredentialsRequest::default()
    };
    grpc.call_versioned(&format!("{SERVICE}/Update"), &request)
}

fn delete(grpc: &Grpc, reference: &str) -> Result<(), GrpcError> {
    let request = DeleteCredentialsRequest { r#ref: reference.into() };
    grpc.call(&format!("{SERVICE}/Delete"), &request)
}

fn open(exchange: &Exchange) -> Grpc {
    Grpc::plain(exchange.listens("grpc"))
}

#[test]
fn the_later_of_two_operators_gets_a_conflict() {
    let exchange = newcomer("", &[]);
    let one = open(&exchange);
    let made = write(&one, "gateway").expect("created");
    let reference = made.r#ref.as_str();
    let (_, version) = get(&one, reference).expect("there");
    assert!(!version.is_empty() && version == get(&one, reference).expect("there").1, "{version}");

    // Both have read it; the first one changes it.
    let (first, second) = (open(&exchange).expecting(&version), open(&exchange).expecting(&version));
    let (changed, next) = rename(&first, reference, "first").expect("changed");
    assert_eq!(changed.name, "first");
    assert_ne!(next, version);
    assert_eq!(code(rename(&second, reference, "second")), ABORTED);
    assert_eq!(code(delete(&second, reference)), ABORTED);
    assert_eq!(get(&one, reference).expect("there"), (changed, next.clone()));

    // It reads again, and what it changes now is the next version.
    let second = open(&exchange).expecting(&next);
    let (_, next) = rename(&second, reference, "second").expect("changed");
    assert_eq!(get(&one, reference).expect("there").1, next);
    // Who expects nothing changes what is there.
    let (_, next) = rename(&one, reference, "third").expect("changed");

    // A change of the command line counts, too.
    let mut command = exchange_command(&exchange);
    command.args(["credentials", "update", reference, "--set", "metadata.name=by hand"]);
    let out = command.output().expect("the command runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let stale = open(&exchange).expecting(&next);
    assert_eq!(code(rename(&stale, reference, "fourth")), ABORTED);
    let (now, version) = get(&one, reference).expect("there");
    assert_eq!(now.name, "by hand");

    for odd in ["", "*", "0", &format!("{version} ")[..8]] {
        assert_eq!(code(rename(&open(&exchange).expecting(odd), reference, "x")), ABORTED, "{odd}");
    }
    delete(&open(&exchange).expecting(&version), reference).expect("deleted");
    assert_eq!(code(get(&one, reference)), NOT_FOUND);
    assert_eq!(code(delete(&open(&exchange).expecting(&version), reference)), ABORTED);
    delete(&one, reference).expect("that there is none is fine");
}
