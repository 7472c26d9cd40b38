//! The two ports: opened, taken by others, closed.

use std::net::TcpStream;
use std::time::Duration;

use trunkline_tests::{Exchange, Grpc, Scratch, exchange_command, free_port, wait_for};

use super::super::operator::ok;
use super::super::{agents, registered};
use super::{BOTH, HEALTH, UNIMPLEMENTED, admin, basic, code, external, list, newcomer};

#[test]
fn busy_ports_name_their_keys() {
    let exchange = newcomer("", &[]);
    for (transport, variable, key) in [
        ("grpc", "TRUNKLINE_GRPC_ADDR", "grpc.addr"),
        ("grpcs", "TRUNKLINE_GRPC_EXTERNAL_ADDR", "grpc.externalAddr"),
    ] {
        let at = exchange.listens(transport).to_string();
        let folder = Scratch::new("busy");
        let sip = format!("127.0.0.1:{}", free_port());
        let output = exchange_command(&exchange)
            .arg("serve")
            .current_dir(folder.path())
            .envs(["UDP", "TCP"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), sip.clone())))
            .envs(BOTH.map(|(name, _)| (name, "off")))
            .env("TRUNKLINE_DATA", "memory:")
            .env("TRUNKLINE_DATABASE", "trunkline.db")
            .env(variable, &at)
            .output()
            .expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen for gRPC on {at}")), "{said}");
        assert!(said.contains(&format!("key {key}: is another program there? `off` for none")), "{said}");
    }
}

#[test]
fn without_the_role_neither_is_open() {
    let [inside, outside] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let env = [
        ("TRUNKLINE_GRPC_ADDR", inside.as_str()),
        ("TRUNKLINE_GRPC_EXTERNAL_ADDR", outside.as_str()),
        ("TRUNKLINE_ROLES", "exchange, control"),
    ];
    let exchange = Exchange::start_with(&agents(), "", &env);
    for at in [&inside, &outside] {
        assert!(TcpStream::connect(at).is_err(), "{at} is open");
    }
    assert!(!ok(&exchange, &["status", "--json"]).contains("grpc"));
}

#[test]
fn the_services_are_described_on_this_machine_alone() {
    let exchange = newcomer("", &[]);
    let inside = Grpc::plain(exchange.listens("grpc"));
    let outside = external(&exchange).authorized(&basic("admin", &admin(&exchange)));
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let said = |request: &[u8]| {
            let answer = inside.call_bytes(&path, request).expect("a description");
            String::from_utf8_lossy(&answer).into_owned()
        };
        // Field 7: the services; field 4: the file of a symbol.
        let services = said(b"\x3a\x00");
        for name in
            ["connect.acl.v2beta1.ACLService", "connect.trunks.v2beta1.Trunks", "grpc.health.v1.Health"]
        {
            assert!(services.contains(name), "{services}");
        }
        let file = said(b"\x22\x2cfonoster.routr.connect.agents.v2beta1.Agents");
        assert!(file.contains("CreateAgentRequest") && file.contains("credentials_ref"), "{file}");
        assert_eq!(code(outside.call_bytes(&path, b"\x3a\x00")), UNIMPLEMENTED);
    }
}

#[test]
fn it_says_that_it_ends_and_ends_with_connections_open() {
    let mut exchange = Exchange::start_with(&agents(), "", &BOTH);
    let grpc = Grpc::plain(exchange.listens("grpc"));
    for service in [&b"\x0a\x2cfonoster.routr.connect.agents.v2beta1.Agents"[..], b""] {
        assert_eq!(grpc.call_bytes(HEALTH, service).expect("healthy"), [8, 1]);
    }
    // A phone that rings keeps the exchange for a moment.
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&callee.aor());
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    exchange.signal("TERM");
    wait_for("health to say NOT_SERVING", || (grpc.call_bytes(HEALTH, &[]).ok()? == [8, 2]).then_some(()));
    assert_eq!(list(&grpc).expect("still served").items.len(), 3);
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
    let start = std::time::Instant::now();
    assert_eq!(exchange.stop(), Some(0), "{}", exchange.log());
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn a_first_start_that_finds_a_port_taken_keeps_its_secrets_for_the_next() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("bound").to_string();
    let exchange = Exchange::start(&agents());
    let folder = Scratch::new("first");
    let sip = format!("127.0.0.1:{}", free_port());
    let start = |grpc: &str, words: &[&str]| {
        let mut command = exchange_command(&exchange);
        command
            .args(words)
            .current_dir(folder.path())
            .envs(["UDP", "TCP"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), sip.clone())))
            .env("TRUNKLINE_DATA", "sqlite:trunkline.db")
            .env("TRUNKLINE_GRPC_ADDR", grpc);
        command
    };
    let first = start(&at, &["serve"]).output().expect("it ends");
    assert_eq!(first.status.code(), Some(1));
    assert!(first.stdout.is_empty(), "{first:?}");
    let log = std::fs::File::create(folder.path().join("log")).expect("a file");
    let mut second = start("127.0.0.1:0", &["serve"]).stdout(log).spawn().expect("it starts");
    let said = wait_for("the secrets", || {
        let said = std::fs::read_to_string(folder.path().join("log")).ok()?;
        said.contains("printed once").then_some(said)
    });
    let _ = second.kill();
    let _ = second.wait();
    assert!(said.contains("user 1001   password "), "{said}");
    assert!(
        said.contains("gRPC for programs that manage resources: 127.0.0.1:")
            && said.contains(" on this machine"),
        "{said}"
    );
}
