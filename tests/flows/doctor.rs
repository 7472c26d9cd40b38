//! `trunkline doctor`: what it finds, with and without a running exchange, and the probes of `--attack`.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::Value;
use trunkline_tests::{
    Authority, Exchange, NameServer, Record, Resources, binary, exchange_command, free_port,
};

use super::{DOMAIN, at};

/// Long enough, and nobody's name.
const SECRET: &str = "kT7-mq2VxPz9";

fn sound() -> Resources {
    Resources::new().domain(DOMAIN, "all").agent(DOMAIN, "1001", SECRET)
}

fn doctor(exchange: &Exchange, arguments: &[&str]) -> Output {
    let mut command = exchange_command(exchange);
    command.arg("doctor").args(["--config", "trunkline.yaml"]).args(arguments);
    command.output().expect("the command runs")
}

fn findings(output: &Output) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    report["findings"].as_array().cloned().unwrap_or_default()
}

/// The finding of this check that contains this text.
fn find<'f>(all: &'f [Value], check: &str, text: &str) -> &'f Value {
    let fits = |f: &&Value| f["check"] == check && f["what"].as_str().is_some_and(|what| what.contains(text));
    all.iter().find(fits).unwrap_or_else(|| panic!("no finding of {check} with `{text}` in {all:#?}"))
}

fn of(all: &[Value], severity: &str) -> usize {
    all.iter().filter(|f| f["severity"] == severity).count()
}

fn private(exchange: &Exchange) {
    for file in ["domains.yaml", "agents.yaml", "credentials.yaml"] {
        let file = exchange.folder().join("resources").join(file);
        if file.exists() {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        }
    }
}

#[test]
fn a_sound_exchange_has_no_errors_running_or_not() {
    let server = NameServer::start(&[]);
    let config = server.config("");
    let mut exchange = Exchange::start_with(&sound(), &config, &[]);
    private(&exchange);
    let output = doctor(&exchange, &["--json"]);
    let all = findings(&output);
    assert_eq!((output.status.code(), of(&all, "error")), (Some(0), 0), "{all:#?}");
    let bound = find(&all, "ports", "listen.udp");
    assert!(
        bound["what"].to_string().contains(&format!("bound by the exchange (process {})", exchange.pid())),
        "{bound}"
    );
    find(&all, "exchange", "running");
    find(&all, "dns", "answers");
    find(&all, "secrets", "no password");
    find(&all, "trust", "every caller");
    find(&all, "limits", "more connections fit");
    exchange.stop();
    let output = doctor(&exchange, &["--json"]);
    let all = findings(&output);
    assert_eq!((output.status.code(), of(&all, "error")), (Some(0), 0), "{all:#?}");
    assert_eq!(find(&all, "ports", "listen.udp")["severity"], "ok");
    find(&all, "exchange", "no exchange");
    let text = String::from_utf8(doctor(&exchange, &[]).stdout).expect("text");
    assert!(text.contains("0 errors") && !text.contains(SECRET), "{text}");
}

#[test]
fn what_is_wrong_is_found_with_what_to_do() {
    let server = NameServer::start(&[("known.test", Record::A("192.0.2.7".parse().expect("an address")))]);
    let port = free_port();
    let resources = Resources::new()
        .domain(DOMAIN, "never")
        .domain("register.test", "register")
        .agent(DOMAIN, "1001", "1001")
        .agent(DOMAIN, "1002", "password")
        .agent(DOMAIN, "1003", SECRET)
        .agent(DOMAIN, "1004", SECRET)
        .trunk("known", "known.invalid", &[("known.test", 1, "udp")], None)
        .trunk("lost", "lost.invalid", &[("lost.test", 1, "tls")], None)
        .number("+15550001111", "known", &at("1001"))
        .acl("pbx-acl", &["192.0.2.9/32"], &[])
        .raw(
            "peers.yaml",
            "- {apiVersion: v2, kind: Peer, ref: pbx, metadata: {name: pbx}, spec: {username: pbx, \
             aor: \"sip:pbx@sip.test\", accessControlListRef: pbx-acl}}\n",
        );
    let config = format!("{}externalAddrs: [10.0.0.9]\n", server.config(""));
    let mut exchange = Exchange::start_configured_at(port, &resources, &config, &[]);
    exchange.stop();
    let databases = exchange.folder().join("trunkline.db");
    std::fs::set_permissions(&databases, std::fs::Permissions::from_mode(0o646)).expect("our own file");
    let taken = UdpSocket::bind(("127.0.0.1", port)).expect("the port of the exchange");
    let _listening = TcpListener::bind(("127.0.0.1", port)).expect("the same");
    let output = doctor(&exchange, &["--json"]);
    let all = findings(&output);
    assert_eq!(output.status.code(), Some(1), "{all:#?}");
    drop(taken);

    let me = format!("(process {})", std::process::id());
    for (check, text, severity, fix) in [
        ("ports", me.as_str(), "error", "listen.udp"),
        ("secrets", "is the user name", "error", "--generate-password"),
        ("secrets", "one of the most common", "error", "--generate-password"),
        ("secrets", "have the same password", "warning", "--generate-password"),
        ("trust", "authenticate: never", "error", "authenticate: all"),
        ("trust", "register.test: authenticate: register", "error", "authenticate: all"),
        ("trust", "anyone may call its numbers by known.invalid", "warning", "inbound.accessControlListRef"),
        ("trust", "peer pbx is known by its address only", "error", "TLS or TCP"),
        ("transports", "uses tls, and no listener", "warning", "listener"),
        ("dns", "lost.test does not resolve", "error", "dns.hosts"),
        ("modes", "trunkline.db can be written by all users", "error", "chmod 600"),
    ] {
        let found = find(&all, check, text);
        assert_eq!(found["severity"], severity, "{found}");
        assert!(found["do"].to_string().contains(fix) && found["means"].is_string(), "{found}");
    }
    assert_eq!(find(&all, "dns", "known.test")["severity"], "ok");
    let text = String::from_utf8(doctor(&exchange, &["--quiet"]).stdout).expect("text");
    assert!(text.starts_with("ERROR"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("note "), "{text}");
}

#[test]
fn certificates_are_examined() {
    let server = NameServer::start(&[]);
    let tls = format!("127.0.0.1:{}", free_port());
    let mut exchange = Exchange::start_with(&sound(), &server.config(""), &[("TRUNKLINE_LISTEN_TLS", &tls)]);
    let all = findings(&doctor(&exchange, &["--json"]));
    assert_eq!(find(&all, "certificates", "is self-signed")["severity"], "note");
    assert_eq!(find(&all, "certificates", "trunkline.crt is valid until 20")["severity"], "ok");
    exchange.stop();

    let authority = Authority::new();
    let (cert, key) = authority.sign_expired("pbx.test");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("our own file");
    let lines = format!("{}tls: {{cert: {}, key: {}}}\n", server.config(""), cert.display(), key.display());
    std::fs::write(exchange.folder().join("trunkline.yaml"), lines).expect("written");
    let output = doctor(&exchange, &["--json"]);
    let all = findings(&output);
    let expired = find(&all, "certificates", "expired on 2020-12-31");
    assert_eq!((output.status.code(), &expired["severity"]), (Some(1), &Value::from("error")), "{expired}");
    assert!(find(&all, "modes", "pbx.test-2020.key can be read")["do"].to_string().contains("chmod 600"));
}

#[test]
fn the_probes_hold_for_a_sound_domain_and_fail_for_an_open_one() {
    let resources = Resources::new().domain(DOMAIN, "all").domain("open.test", "never");
    let [tls, ws, wss] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let env = [("TLS", &*tls), ("WS", &ws), ("WSS", &wss)];
    let env = env.map(|(name, at)| (format!("TRUNKLINE_LISTEN_{name}"), at));
    let env: Vec<(&str, &str)> = env.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    let exchange = Exchange::start_with(&resources.agent(DOMAIN, "1001", SECRET), "", &env);
    let output = doctor(&exchange, &["--attack", "--json"]);
    assert_eq!(output.status.code(), Some(1), "an open domain: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let card = report["attack"].as_array().expect("a pass card").clone();
    let of = |domain: &str| {
        let prefix = format!("{domain}: ");
        let mine = card.iter().filter(|r| r["what"].as_str().is_some_and(|what| what.starts_with(&prefix)));
        mine.cloned().collect::<Vec<_>>()
    };
    let (sound, open) = (of(DOMAIN), of("open.test"));
    assert!(sound.len() >= 28, "{sound:#?}");
    // What an exchange of this configuration listens on is attacked too; nothing of it may be left out silently.
    for probe in
        ["ack/relay", "ack/offer", "ack/target", "tenants/works", "tenants/register", "tenants/identity"]
            .into_iter()
            .chain(["tenants/egress", "tenants/asserted", "tcp/length", "tcp/junk", "tcp/held", "tls/junk"])
            .chain(["tls/held", "ws/frames", "ws/held", "ws/page"])
    {
        let result = sound.iter().find(|r| r["probe"] == probe);
        assert!(result.is_some_and(|r| r["verdict"] == "HELD"), "{probe}: {result:?}");
    }
    // Those that need no forged address are tried over connections, too.
    let tried = |transport: &str| {
        let mine = sound.iter().filter(|r| r["transport"] == transport && r["verdict"] == "HELD");
        mine.filter_map(|r| r["probe"].as_str()).collect::<Vec<_>>()
    };
    for transport in ["TLS", "WS", "WSS"] {
        let held = tried(transport);
        let ours = tried("UDP").into_iter().filter(|probe| {
            !["tcp/", "tls/", "ws/", "amplification/", "lockout/"].iter().any(|kind| probe.starts_with(kind))
        });
        let missing: Vec<_> = ours.filter(|probe| !held.contains(probe)).collect();
        assert!(missing.is_empty() && held.len() >= 20, "{transport} lacks {missing:?} of {held:?}");
    }
    let failed: Vec<_> = sound.iter().filter(|r| r["verdict"] == "FAILED").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for probe in ["identity/calls-out", "identity/register", "identity/calls-phone"] {
        let result = open.iter().find(|r| r["probe"] == probe).expect("the probe ran");
        assert_eq!(result["verdict"], "FAILED", "{result}");
        assert!(result["means"].to_string().contains("authenticate: all"), "{result}");
    }
    let relay = open.iter().find(|r| r["probe"] == "relay/request-uri").expect("the probe ran");
    assert_eq!(relay["verdict"], "HELD", "{relay}");
}

#[test]
fn its_help_has_examples() {
    let output = std::process::Command::new(binary()).args(["doctor", "--help"]).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(help.contains("Examples:") && help.contains("--attack") && help.contains("--json"), "{help}");
}
