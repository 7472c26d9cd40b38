//! Who comes in, and what may they do?

use std::path::Path;

use trunkline_grpc::connect::agents::{Agent, GetAgentRequest};
use trunkline_grpc::connect::credentials::{Credentials, GetCredentialsRequest};
use trunkline_tests::{Authority, Grpc, free_port, wait_for};

use super::super::operator::{get, ok};
use super::{
    GET_AGENT, HEALTH, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED, admin, basic, certificate,
    code, external, list, newcomer, write,
};

const GET_CREDENTIALS: &str = "/fonoster.routr.connect.credentials.v2beta1.CredentialsService/Get";

#[test]
fn who_may_do_what() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = newcomer("", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let secret = admin(&exchange);
    let nobody = external(&exchange);
    assert_eq!(code(list(&nobody)), UNAUTHENTICATED);
    assert_eq!(code(nobody.call_bytes(HEALTH, &[])), UNAUTHENTICATED, "every call takes a login");
    assert_eq!(code(list(&external(&exchange).authorized("Basic !"))), UNAUTHENTICATED);

    let admin = external(&exchange).authorized(&basic("admin", &secret));
    assert_eq!(list(&admin).expect("a list").items.len(), 2);
    assert!(write(&admin, "by-admin").is_ok());
    assert_eq!(admin.call_bytes(HEALTH, &[]).expect("healthy"), [8, 1]);

    for (user, role) in [("vera", "viewer"), ("oleg", "operator")] {
        ok(&exchange, &["users", "create", user, "--role", role]);
    }
    let token = |user: &str| {
        let json = ok(&exchange, &["users", "token", "create", user, "--name", "test", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        json["token"].as_str().expect("a token").to_owned()
    };
    let (vera, oleg) = (token("vera"), token("oleg"));
    let viewer = external(&exchange).authorized(&format!("Bearer {vera}"));
    let operator = external(&exchange).authorized(&format!("Bearer {oleg}"));
    let read = |grpc: &Grpc| {
        let request = GetCredentialsRequest { r#ref: "credentials-1001".into() };
        let agent = GetAgentRequest { r#ref: "agent-1001".into() };
        let credentials: Credentials = grpc.call(GET_CREDENTIALS, &request).expect("read");
        let agent: Agent = grpc.call(GET_AGENT, &agent).expect("read");
        (credentials.password, agent.credentials.expect("in full").password)
    };
    assert_eq!(list(&viewer).expect("a list").items.len(), 2);
    for grpc in [&viewer, &operator, &admin] {
        assert_eq!(read(grpc), (String::new(), String::new()), "passwords stay inside");
    }
    let (own, within) = read(&Grpc::plain(exchange.listens("grpc")));
    assert!(own.len() == 16 && own == within, "and are read there");
    let refused = write(&viewer, "by-viewer").expect_err("a viewer looks");
    assert_eq!(refused.code, PERMISSION_DENIED);
    assert!(refused.message.contains("vera") && refused.message.contains("operator"), "{refused:?}");
    assert!(write(&operator, "by-operator").is_ok());

    // Gone tokens and disabled users are out with the next call, on a connection that stands.
    ok(&exchange, &["users", "token", "delete", "vera", "test"]);
    assert_eq!(code(list(&viewer)), UNAUTHENTICATED);
    ok(&exchange, &["users", "update", "oleg", "--set", "enabled=false"]);
    assert_eq!(code(list(&operator)), UNAUTHENTICATED);

    // Guessing is slowed.
    let guess = external(&exchange).authorized(&basic("admin", "wrong"));
    assert_eq!(code(list(&guess)), UNAUTHENTICATED);
    let slowed = (0..20).find_map(|_| list(&guess).err().filter(|e| e.code == RESOURCE_EXHAUSTED));
    let slowed = slowed.expect("a guess that is not looked at any more");
    assert!(slowed.message.contains("try again in"), "{slowed:?}");

    let log = exchange.log();
    assert!(log.contains("created over gRPC") && log.contains("who=oleg"), "{log}");
    assert!(!log.contains(&oleg) && !log.contains("hush"), "no secret is logged");
    let (_, metrics) = get(&http, "/metrics");
    for line in [
        r#"trunkline_api_calls_total{listener="grpc.externalAddr",service="Agents",method="List",code="OK"} 2"#,
        r#"listener="grpc.externalAddr",service="CredentialsService",method="Create",code="PERMISSION_DENIED"} 1"#,
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
}

/// Guessers at many addresses slow each other, not the operator: where he has logged in before, and at a new address.
#[test]
fn guessers_elsewhere_lock_no_operator_out() {
    let exchange = newcomer("", &[]);
    let secret = admin(&exchange);
    let (to, believed) = (exchange.listens("grpcs"), certificate(&exchange));
    let from = |host: u8, password: &str| {
        let grpc = Grpc::tls_from([127, 4, 0, host].into(), to, &believed, None).expect("a connection");
        grpc.authorized(&basic("admin", password))
    };
    assert!(list(&from(1, &secret)).is_ok());
    // A few wrong ones from each address, until there are too many in all.
    for host in 100..125 {
        let guess = from(host, "wrong");
        (0..5).for_each(|_| assert!([UNAUTHENTICATED, RESOURCE_EXHAUSTED].contains(&code(list(&guess)))));
    }
    // Each further address has one try.
    let slowed = (125..200).any(|host| {
        let guess = from(host, "wrong");
        assert_eq!(code(list(&guess)), UNAUTHENTICATED);
        code(list(&guess)) == RESOURCE_EXHAUSTED
    });
    assert!(slowed, "many addresses guess as fast as they like");
    for host in [1, 2] {
        assert!(list(&from(host, &secret)).is_ok(), "127.4.0.{host}");
    }
    // Where the operator is known, a few mistakes are forgiven all the same.
    (0..3).for_each(|_| assert_eq!(code(list(&from(1, "mistyped"))), UNAUTHENTICATED));
    assert!(list(&from(1, &secret)).is_ok());
}

#[test]
fn passwords_are_shown_outside_where_that_is_set() {
    let exchange = newcomer("grpc: {revealPasswords: on}\n", &[]);
    let admin = external(&exchange).authorized(&basic("admin", &admin(&exchange)));
    assert_eq!(write(&admin, "x").expect("made").password, "hush");
}

#[test]
fn certificates_are_asked_for_and_taken_up_anew() {
    let authority = Authority::new();
    let (chain, key) = authority.sign(&["127.0.0.1"]);
    let show = |path: &Path| path.display().to_string();
    let config = format!(
        "tls: {{cert: {}, key: {}, clientAuth: required, clientCa: {}}}\n",
        show(&chain),
        show(&key),
        show(&authority.file())
    );
    let exchange = newcomer(&config, &[]);
    let at = exchange.listens("grpcs");
    let login = basic("admin", &admin(&exchange));
    let without = Grpc::tls(at, &authority.file(), None);
    assert!(turned_away(without), "without a certificate nobody comes in");
    let (mine, my_key) = authority.sign(&["client.test"]);
    let own = Some((mine.as_path(), my_key.as_path()));
    let grpc = Grpc::tls(at, &authority.file(), own).expect("a connection").authorized(&login);
    assert_eq!(list(&grpc).expect("a list").items.len(), 2);

    // Another certificate in the same files: new connections see it, the one that stands goes on.
    let other = Authority::new();
    let (new_chain, new_key) = other.sign(&["127.0.0.1"]);
    std::fs::copy(new_key, key).expect("copied");
    std::fs::copy(new_chain, chain).expect("copied");
    wait_for("the new certificate", || Grpc::tls(at, &other.file(), own).ok());
    assert_eq!(list(&grpc).expect("a list").items.len(), 2);
}

/// Was it turned away, at once or with the first call? Under TLS 1.3 the handshake is over before.
fn turned_away(connection: std::io::Result<Grpc>) -> bool {
    connection.map_or(true, |grpc| list(&grpc).is_err_and(|error| error.code == -1))
}
