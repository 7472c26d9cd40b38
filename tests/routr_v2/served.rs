//! What all services have: health, reflection, TLS, deadlines, a graceful stop.

use std::path::Path;

use trunkline_tests::{Authority, Grpc, Role};

use super::{FIND, NOT_FOUND, add, asked, find, free, location, location_file, refused, route};

const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// `HealthCheckRequest { service }`, and the status in the answer: 1 is SERVING.
fn health(grpc: &Grpc, service: &str) -> Result<Vec<u8>, i32> {
    let length = u8::try_from(service.len()).expect("a short name");
    let request =
        if service.is_empty() { Vec::new() } else { [&[0x0a, length], service.as_bytes()].concat() };
    grpc.call_bytes(HEALTH, &request).map_err(|error| error.code)
}

#[test]
fn health_and_reflection_name_the_service() {
    let mut role = location();
    let grpc = role.grpc();
    for service in ["", "fonoster.routr.location.v2beta1.Location"] {
        assert_eq!(health(&grpc, service), Ok(vec![8, 1]), "{service}");
    }
    assert_eq!(health(&grpc, "fonoster.routr.processor.v2beta1.Processor"), Err(NOT_FOUND));
    // `ServerReflectionRequest { list_services: "" }`; the answer names each service.
    let listed = grpc
        .call_bytes("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[0x3a, 0])
        .expect("reflection");
    let listed = String::from_utf8_lossy(&listed).into_owned();
    for service in ["fonoster.routr.location.v2beta1.Location", "grpc.health.v1.Health"] {
        assert!(listed.contains(service), "{listed}");
    }
    // What a client does not wait for is not answered.
    let hasty = role.grpc().waiting("200m");
    assert_eq!(refused(hasty.call_forever(FIND)).0, 4, "DEADLINE_EXCEEDED");
    // Asked to leave, it leaves, although the connections are open.
    assert_eq!(role.stop(), Some(0));
    assert!(role.log().contains("stopped"), "{}", role.log());
}

#[test]
fn over_tls_only_those_with_a_certificate_come_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (chain, key) = ours.sign(&["127.0.0.1"]);
    let text = |path: &Path| path.display().to_string();
    let at = free();
    let role = Role::start(
        "location",
        at,
        &[("l.yaml", &location_file(at, ""))],
        &[
            ("CONFIG_PATH", "l.yaml"),
            ("TLS_ON", "true"),
            ("SERVER_CERT", &text(&chain)),
            ("SERVER_KEY", &text(&key)),
            ("VERIFY_CLIENT_CERT", "true"),
            ("CACERT", &text(&ours.file())),
        ],
    );
    let (client, client_key) = ours.sign(&["client"]);
    let grpc = Grpc::tls(role.at, &ours.file(), Some((&client, &client_key))).expect("a connection");
    add(&grpc, "sip:1@a", route("10.0.0.1"), -1).expect("added");
    assert_eq!(find(&grpc, &asked("sip:1@a", "c")).expect("found"), ["10.0.0.1"]);
    let (stranger, stranger_key) = theirs.sign(&["client"]);
    for own in [None, Some((stranger.as_path(), stranger_key.as_path()))] {
        let refused = Grpc::tls(role.at, &ours.file(), own).map(|grpc| find(&grpc, &asked("sip:1@a", "c")));
        assert!(!matches!(refused, Ok(Ok(_))), "{own:?}");
    }
}
