//! The resource services over gRPC: Routr's own client, recorded cases, logins, busy ports, garbage.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use trunkline_grpc::connect::agents::{Agent, GetAgentRequest, ListAgentsRequest, ListAgentsResponse};
use trunkline_grpc::connect::credentials::{CreateCredentialsRequest, Credentials, GetCredentialsRequest};
use trunkline_tests::{
    Authority, Exchange, Grpc, GrpcError, Resources, Ua, exchange_command, free_port, wait_for,
};

use super::dialogs::connect;
use super::operator::{get, ok};

/// Ports that the system chooses.
const BOTH: [(&str, &str); 2] =
    [("TRUNKLINE_GRPC_ADDR", "127.0.0.1:0"), ("TRUNKLINE_GRPC_EXTERNAL_ADDR", "127.0.0.1:0")];

const LIST_AGENTS: &str = "/fonoster.routr.connect.agents.v2beta1.Agents/List";
const GET_AGENT: &str = "/fonoster.routr.connect.agents.v2beta1.Agents/Get";
const GET_CREDENTIALS: &str = "/fonoster.routr.connect.credentials.v2beta1.CredentialsService/Get";
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

fn node(script: &str, arguments: &[&str]) -> Command {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    assert!(dir.join("node_modules").is_dir(), "no node_modules: cargo xtask install brings them");
    let mut command = Command::new("node");
    command.arg("--no-deprecation").arg(script).args(arguments).current_dir(dir);
    command
}

/// Runs a script of Routr's client; what it printed.
fn run_node(script: &str, arguments: &[&str]) -> String {
    let output = node(script, arguments).output().expect("node starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}:\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
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

#[test]
fn routrs_own_client_on_both_doors() {
    let exchange = newcomer("", &[]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpc").to_string(), "insecure": true, "tag": "inside", "secrets": true,
    });
    run_node("client.mjs", &["everything", &options.to_string()]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpcs").to_string(), "cacert": certificate(&exchange),
        "username": "admin", "password": admin(&exchange), "tag": "outside", "secrets": false,
    });
    run_node("client.mjs", &["everything", &options.to_string()]);
}

#[test]
fn phones_made_by_routrs_client_call_each_other_at_once() {
    let exchange = newcomer("", &[]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpcs").to_string(), "cacert": certificate(&exchange),
        "username": "admin", "password": admin(&exchange), "tag": "office",
    });
    let made: serde_json::Value =
        serde_json::from_str(&run_node("client.mjs", &["phone", &options.to_string()])).expect("JSON");
    let domain = made["domain"].as_str().expect("a domain").to_owned();
    let [mut caller, mut callee] = [0, 1].map(|n| {
        let text = |key: &str| made["users"][n][key].as_str().expect("a text").to_owned();
        let mut phone = Ua::udp(exchange.udp(), &text("username"), &domain, &text("password"));
        assert_eq!(phone.register(600).status(), 200);
        phone
    });
    connect(&mut caller, &mut callee);
    // One that is switched off is out with its next registration.
    let grpc = Grpc::plain(exchange.listens("grpc"));
    let update = trunkline_grpc::connect::agents::UpdateAgentRequest {
        r#ref: made["users"][0]["ref"].as_str().expect("a ref").into(),
        enabled: Some(false),
        ..Default::default()
    };
    let agent: Agent =
        grpc.call("/fonoster.routr.connect.agents.v2beta1.Agents/Update", &update).expect("updated");
    assert!(!agent.enabled);
    assert_eq!(caller.register(600).status(), 403);
}

/// Runs the recorded cases of a kind of store.
fn replay(store: &str, at: SocketAddr) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/connect.json");
    let said = run_node("cases.mjs", &[file, store, &at.to_string()]);
    println!("{store}: {said}");
    assert!(said.contains(" cases, 0 differ"), "{said}");
}

#[test]
fn recorded_cases() {
    let fixtures = include_str!("../golden/connect-fixtures.yaml");
    let resources = Resources::new().raw("fixtures.yaml", fixtures);
    let files = Exchange::start_with(&resources, "", &BOTH);
    replay("files", files.listens("grpc"));

    // Older than what the cases make.
    let older = fixtures.replace("metadata: {", "metadata: {createdAt: 1700000000, ");
    let exchange = newcomer("", &[("TRUNKLINE_DOMAIN", "other.example")]);
    std::fs::write(exchange.folder().join("fixtures.yaml"), older).expect("a file");
    ok(&exchange, &["import", "--replace", "fixtures.yaml"]);
    replay("sqlite", exchange.listens("grpc"));
}

#[test]
fn busy_ports_name_their_keys() {
    let exchange = newcomer("", &[]);
    for (transport, variable, key) in [
        ("grpc", "TRUNKLINE_GRPC_ADDR", "grpc.addr"),
        ("grpcs", "TRUNKLINE_GRPC_EXTERNAL_ADDR", "grpc.externalAddr"),
    ] {
        let at = exchange.listens(transport).to_string();
        let folder = trunkline_tests::Scratch::new("busy");
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
    let exchange = Exchange::start_with(&super::agents(), "", &env);
    for at in [&inside, &outside] {
        assert!(TcpStream::connect(at).is_err(), "{at} is open");
    }
    assert!(!ok(&exchange, &["status", "--json"]).contains("grpc"));
}

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

    // Guessing is slowed: so are right ones of that user from there then.
    let guess = external(&exchange).authorized(&basic("admin", "wrong"));
    for _ in 0..5 {
        assert_eq!(code(list(&guess)), UNAUTHENTICATED);
    }
    let slowed = list(&guess).expect_err("slowed");
    assert_eq!(slowed.code, RESOURCE_EXHAUSTED);
    assert!(slowed.message.contains("try again in"), "{slowed:?}");
    assert_eq!(code(list(&admin)), RESOURCE_EXHAUSTED);

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
    wait_for("the new certificate", Duration::from_secs(10), || Grpc::tls(at, &other.file(), own).ok());
    assert_eq!(list(&grpc).expect("a list").items.len(), 2);
}

/// Was it turned away, at once or with the first call? Under TLS 1.3 the handshake is over before.
fn turned_away(connection: std::io::Result<Grpc>) -> bool {
    connection.map_or(true, |grpc| list(&grpc).is_err_and(|error| error.code == -1))
}

#[test]
fn garbage_hurts_nobody() {
    let exchange = newcomer("", &[]);
    let (inside, outside) = (exchange.listens("grpc"), exchange.listens("grpcs"));
    let mut seed = 7u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        (0..length).map(next).collect()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    for at in [inside, outside] {
        for round in 0..20 {
            let mut stream = TcpStream::connect(at).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a live socket");
            let bytes = match round % 4 {
                0 => noise(500),
                1 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
                2 => [preface.clone(), noise(2000)].concat(),
                _ => preface.iter().copied().take(round).collect(),
            };
            // It may hang up before it has all.
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0; 256]);
        }
    }

    let grpc = Grpc::plain(inside);
    for length in [1, 2, 3, 10, 100, 1000, 60_000] {
        for path in [LIST_AGENTS, CREATE_CREDENTIALS, "/fonoster.routr.connect.trunks.v2beta1.Trunks/Create"]
        {
            // Noise may be a message by chance; what matters is that there is an answer.
            let _ = grpc.call_bytes(path, &noise(length));
        }
    }
    let too_long = grpc.call_bytes(CREATE_CREDENTIALS, &vec![0; 2 << 20]);
    assert!([OUT_OF_RANGE, RESOURCE_EXHAUSTED].contains(&code(too_long)));
    // A structure in a structure in a structure, a thousand times: each is a struct, its field, that field's value.
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..1_000 {
        for tag in [0x2a, 0x12, 0x0a] {
            let mut outer = vec![tag];
            let mut length = deep.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&deep);
            deep = outer;
        }
    }
    deep[0] = 0x22;
    assert!(code(grpc.call_bytes(CREATE_CREDENTIALS, &deep)) > 0, "refused with a status");
    assert_eq!(code(grpc.call_bytes("/nobody.knows/This", &[])), UNIMPLEMENTED);
    let get = GetAgentRequest { r#ref: "x".repeat(100_000) };
    let gone = grpc.call::<Agent>(GET_AGENT, &get).expect_err("no such agent");
    assert!(gone.code == NOT_FOUND && gone.message.len() < 2000, "what came in does not come back whole");
    let long = write(&grpc, &"x".repeat(70_000)).expect_err("too long");
    assert_eq!(long.code, INVALID_ARGUMENT);

    assert_eq!(list(&grpc).expect("a list").items.len(), 2);
    let admin = external(&exchange).authorized(&basic("admin", &admin(&exchange)));
    assert_eq!(list(&admin).expect("a list").items.len(), 2);
    assert!(ok(&exchange, &["status"]).contains("running"));
}

#[test]
fn one_address_cannot_take_all_connections() {
    let exchange = newcomer("", &[]);
    let at = exchange.listens("grpcs");
    let hoard: Vec<TcpStream> = (0..80).filter_map(|_| TcpStream::connect(at).ok()).collect();
    let closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("a live socket");
        let mut stream = stream;
        stream.read(&mut [0; 1]).is_ok_and(|n| n == 0)
    };
    wait_for("those beyond 64 to be turned away", Duration::from_secs(5), || {
        (hoard.iter().filter(|s| closed(s)).count() == 16).then_some(())
    });
    // The other door, and SIP, do not mind.
    assert_eq!(list(&Grpc::plain(exchange.listens("grpc"))).expect("a list").items.len(), 2);
    drop(hoard);
    wait_for("room again", Duration::from_secs(5), || {
        Grpc::tls(at, &certificate(&exchange), None).ok().filter(|grpc| code(list(grpc)) == UNAUTHENTICATED)
    });
}

#[test]
fn it_says_that_it_ends_and_ends_with_connections_open() {
    let mut exchange = Exchange::start_with(&super::agents(), "", &BOTH);
    let grpc = Grpc::plain(exchange.listens("grpc"));
    for service in [&b"\x0a\x2cfonoster.routr.connect.agents.v2beta1.Agents"[..], b""] {
        assert_eq!(grpc.call_bytes(HEALTH, service).expect("healthy"), [8, 1]);
    }
    // A phone that rings keeps the exchange for a moment.
    let mut callee = super::registered(&exchange, "1002");
    let mut caller = super::registered(&exchange, "1001");
    let invite = caller.invite(&callee.aor());
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    exchange.signal("TERM");
    wait_for("health to say NOT_SERVING", Duration::from_secs(4), || {
        (grpc.call_bytes(HEALTH, &[]).ok()? == [8, 2]).then_some(())
    });
    assert_eq!(list(&grpc).expect("still served").items.len(), 3);
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
    let start = std::time::Instant::now();
    assert_eq!(exchange.stop(), Some(0), "{}", exchange.log());
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn a_caller_is_told_when_its_patience_is_over() {
    let exchange = newcomer("", &[]);
    let grpc = Grpc::plain(exchange.listens("grpc")).waiting("200m");
    assert_eq!(code(grpc.call_forever(LIST_AGENTS)), DEADLINE_EXCEEDED);
    assert_eq!(list(&grpc.waiting("5S")).expect("a list").items.len(), 2);
}

#[test]
fn a_first_start_that_finds_a_port_taken_keeps_its_secrets_for_the_next() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("bound").to_string();
    let exchange = Exchange::start(&super::agents());
    let folder = trunkline_tests::Scratch::new("first");
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
    let said = wait_for("the secrets", Duration::from_secs(10), || {
        let said = std::fs::read_to_string(folder.path().join("log")).ok()?;
        said.contains("shown this once").then_some(said)
    });
    let _ = second.kill();
    let _ = second.wait();
    assert!(said.contains("user 1001   password "), "{said}");
    assert!(said.contains("Programs change this over gRPC: 127.0.0.1:"), "{said}");
}
