//! What is known of the destinations of trunks and peers: unknown until they were asked, up after an answer, down with the
//! reason; calls to one that is down fail fast.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;
use trunkline_grpc::connect::trunks::{CreateTrunkRequest, Trunk, TrunkUri};
use trunkline_tests::{
    Exchange, Grpc, Resources, Rest, Ua, Wire, exchange_command, free_port, wait_for, wait_for_every,
};

use super::trunks::{provider, with_trunk};
use super::{at, registered};

/// What `status --json` says of the destination at this port.
fn known(exchange: &Exchange, port: u16) -> Option<Value> {
    let out = exchange_command(exchange).args(["status", "--json"]).output().expect("the command runs");
    let status: Value = serde_json::from_slice(&out.stdout).expect("JSON of status");
    let all = status["trunks"].as_array().into_iter().flatten();
    let is_it = |t: &&Value| t["target"].as_str().is_some_and(|t| t.ends_with(&format!(":{port}")));
    all.into_iter().find(is_it).cloned()
}

fn wait_state(exchange: &Exchange, port: u16, state: &str) -> Value {
    let mut last = None;
    let wanted = |known: &Value| known["state"] == state;
    wait_for(state, || {
        last = known(exchange, port);
        last.clone().filter(wanted)
    })
}

/// The carrier at this port, and the OPTIONS that it got first.
fn asked(exchange: &Exchange, port: u16) -> (Ua, trunkline_tests::Message) {
    asked_at(exchange, provider(port))
}

/// The same with a carrier that was there before the exchange asked.
pub fn asked_at(exchange: &Exchange, mut carrier: Ua) -> (Ua, trunkline_tests::Message) {
    let Wire::Udp { server, .. } = &mut carrier.wire else { unreachable!("made by provider") };
    *server = exchange.udp();
    let question = carrier.request_of("OPTIONS");
    (carrier, question)
}

fn uri(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[test]
fn a_trunk_is_unknown_until_it_answers_and_asked_at_once_when_it_changes() {
    let (first, second) = (free_port(), free_port());
    let carriers = (provider(first), provider(second));
    let one = with_trunk(&[(&uri(first), 1, "udp")]);
    // The default: a question each 30 s.
    let exchange = Exchange::start(&one);
    let (mut carrier, question) = asked_at(&exchange, carriers.0);
    let before = known(&exchange, first).expect("it is listed");
    assert_eq!((before["state"].as_str(), before.get("lastError")), (Some("unknown"), None), "{before}");
    assert!(before["since"].is_i64() && before["next"].is_i64(), "{before}");
    carrier.respond(&question, 200, "OK");
    let up = wait_state(&exchange, first, "up");
    assert_eq!((&up["kind"], &up["reference"]), (&Value::from("trunk"), &Value::from("provider")), "{up}");

    // Another address is another destination.
    let two = with_trunk(&[(&uri(second), 1, "udp")]);
    let changed = Instant::now();
    exchange.rewrite("trunks.yaml", two.file("trunks.yaml"));
    let (mut carrier, question) = asked_at(&exchange, carriers.1);
    assert!(changed.elapsed() < Duration::from_secs(25), "not with the next round");
    assert_eq!(known(&exchange, second).expect("it is listed")["state"], "unknown");
    assert_eq!(known(&exchange, first), None);
    carrier.respond(&question, 503, "Service Unavailable");
    let down = wait_state(&exchange, second, "down");
    assert_eq!(down["lastError"], "503 Service Unavailable", "{down}");
}

#[test]
fn a_silent_trunk_is_down_with_the_reason_and_a_call_to_it_fails_fast() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let env = [("TRUNKLINE_HTTP_ADDR", &*http.to_string())];
    let exchange = Exchange::start_with(&with_trunk(&[(&uri(port), 1, "udp")]), "", &env);
    let http = Rest::http(http, "");
    let unknown = "trunkline_trunk_destinations_unknown{trunk=\"provider\"} 1";
    let metrics = wait_for("the trunk is listed", || {
        let metrics = http.get("/metrics").body;
        metrics.contains("trunkline_trunk_up{trunk=").then_some(metrics)
    });
    assert!(
        metrics.contains(unknown) && metrics.contains("trunkline_trunk_up{trunk=\"provider\"} 0"),
        "{metrics}"
    );
    let down = wait_state(&exchange, port, "down");
    let error = down["lastError"].as_str().unwrap_or_default();
    assert!(error.starts_with("no answer to OPTIONS") && down["lastErrorAt"].is_i64(), "{down}");

    let target = format!("{{kind=\"trunk\",ref=\"provider\",target=\"udp 127.0.0.1:{port}\"");
    let metrics = http.get("/metrics").body;
    for line in [
        format!("trunkline_destination_state{target},state=\"down\"}} 1"),
        format!("trunkline_destination_state{target},state=\"up\"}} 0"),
        format!("trunkline_destination_since_seconds{target}}} "),
        format!("trunkline_destination_last_error_seconds{target}}} "),
        format!("trunkline_destination_next_question_seconds{target}}} "),
    ] {
        assert!(metrics.contains(&line), "no `{line}` in {metrics}");
    }
    let ready = http.get("/readyz");
    let parts = ready.json["parts"].as_array().cloned().unwrap_or_default();
    let part = parts.iter().find(|part| part["name"] == "trunk provider").expect("the trunk is a part");
    assert!(part["ok"] == false && part["reason"].to_string().contains("no answer to OPTIONS"), "{part}");
    assert!(part["state"] == "down" && part["since"].is_i64() && part["next"].is_i64(), "{part}");
    let list = exchange_command(&exchange).args(["trunks", "list"]).output().expect("the command runs");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("STATE") && list.contains("DOWN"), "{list}");
    let status = exchange_command(&exchange).arg("status").output().expect("the command runs");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("NEXT QUESTION") && status.contains("no answer to OPTIONS"), "{status}");

    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let begun = Instant::now();
    let failure = caller.final_for(&invite);
    assert!(failure.status() >= 400, "{}", failure.start);
    assert!(begun.elapsed() < Duration::from_secs(15), "64*T1 is 32 s: {:?}", begun.elapsed());
    caller.acknowledge_failure(&invite, &failure);
}

/// A call by the trunk, and how long its failure took.
fn failing_call(exchange: &Exchange) -> Duration {
    fails(&mut registered(exchange, "1001"))
}

fn fails(caller: &mut Ua) -> Duration {
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let begun = Instant::now();
    let failure = caller.final_for(&invite);
    assert!(failure.status() >= 400 && failure.status() != 503, "{}", failure.start);
    caller.acknowledge_failure(&invite, &failure);
    begun.elapsed()
}

#[test]
fn while_a_trunk_is_down_one_call_in_ten_seconds_waits_for_it() {
    // One that no client takes while nobody has it.
    let port = free_port();
    let silent = UdpSocket::bind(("127.0.0.1", port)).expect("it is free");
    let exchange = Exchange::start(&with_trunk(&[(&uri(port), 1, "udp")]));
    wait_state(&exchange, port, "down");
    let begun = Instant::now();
    let times: Vec<_> = (0..5).map(|_| failing_call(&exchange)).collect();
    let slow = times.iter().filter(|time| **time > Duration::from_millis(1_900)).count();
    // However slow the machine is, not more than there are intervals.
    assert!(slow <= 1 + begun.elapsed().as_secs() as usize / 10, "{times:?}");
    drop(silent);
    // A question brings it back.
    let (mut carrier, question) = asked(&exchange, port);
    carrier.respond(&question, 200, "OK");
    wait_state(&exchange, port, "up");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    // An earlier call may be asked for still.
    let arrived = carrier.expect("the INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    carrier.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn while_a_trunk_that_answers_options_is_down_calls_do_not_wait_for_it() {
    let port = free_port();
    let config = "routing: {qualifySeconds: 5}\n";
    let exchange = Exchange::start_with(&with_trunk(&[(&uri(port), 1, "udp")]), config, &[]);
    let (mut carrier, question) = asked(&exchange, port);
    carrier.respond(&question, 200, "OK");
    wait_state(&exchange, port, "up");
    let silent = carrier;
    wait_state(&exchange, port, "down");
    // It may have stopped answering OPTIONS alone: one call finds that out for five minutes.
    let (begun, mut caller) = (Instant::now(), registered(&exchange, "1001"));
    let mut times = Vec::new();
    wait_for_every(Duration::from_millis(300), "calls of more than ten seconds", || {
        times.push(fails(&mut caller));
        (begun.elapsed() > Duration::from_secs(13)).then_some(())
    });
    let slow = times.iter().filter(|time| **time > Duration::from_millis(1_900)).count();
    assert!(slow <= 1, "{times:?}");
    drop(silent);
    let (mut carrier, question) = asked(&exchange, port);
    carrier.respond(&question, 200, "OK");
    wait_state(&exchange, port, "up");
}

#[test]
fn a_carrier_that_answers_calls_alone_is_up_from_the_first_one_on() {
    let port = free_port();
    let mut carrier = provider(port);
    let exchange = Exchange::start(&with_trunk(&[(&uri(port), 1, "udp")]));
    wait_state(&exchange, port, "down");
    for _ in 0..3 {
        let mut caller = registered(&exchange, "1001");
        let invite = caller.call(&caller.invite(&at("+17853178070")));
        let arrived = carrier.request_of("INVITE");
        if let Wire::Udp { server, .. } = &mut carrier.wire {
            *server = exchange.udp();
        }
        carrier.accept(&arrived);
        caller.status_for(&invite, 200);
        wait_state(&exchange, port, "up");
    }
}

#[test]
fn the_connection_error_of_a_trunk_is_shown_and_the_next_trunk_gets_the_call() {
    let (refused, alive) = (free_port(), free_port());
    let uris = [uri(refused), uri(alive)];
    let exchange = Exchange::start(&with_trunk(&[(&uris[0], 1, "tcp"), (&uris[1], 2, "udp")]));
    let (mut carrier, question) = asked(&exchange, alive);
    carrier.respond(&question, 200, "OK");
    let down = wait_state(&exchange, refused, "down");
    assert!(down["lastError"].as_str().is_some_and(|e| e.contains("connection")), "{down}");
    wait_state(&exchange, alive, "up");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn a_call_to_a_peer_whose_address_is_down_fails_fast() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let resources = super::agents().peer(
        "pbx",
        &at("conference"),
        "pw-pbx-and-more",
        &format!(", contactAddr: \"127.0.0.1:{port}\""),
    );
    let exchange = Exchange::start(&resources);
    let down = wait_state(&exchange, port, "down");
    assert_eq!(down["kind"], "peer", "{down}");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("conference")));
    let begun = Instant::now();
    let failure = caller.final_for(&invite);
    assert!(failure.status() >= 400, "{}", failure.start);
    assert!(begun.elapsed() < Duration::from_secs(15), "64*T1 is 32 s: {:?}", begun.elapsed());
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_trunk_as_it_is_listed_can_be_imported() {
    let exchange = Exchange::start(&with_trunk(&[(&uri(free_port()), 1, "udp")]));
    wait_for("the trunk is listed", || {
        let status =
            exchange_command(&exchange).args(["status", "--json"]).output().expect("the command runs");
        String::from_utf8_lossy(&status.stdout).contains("\"reference\": \"provider\"").then_some(())
    });
    let list =
        exchange_command(&exchange).args(["trunks", "list", "--json"]).output().expect("the command runs");
    let documents: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let state = documents[0]["status"]["state"].as_str();
    assert!(state.is_some_and(|state| ["unknown", "down"].contains(&state)), "{documents}");
    let file = exchange.folder().join("list.json");
    std::fs::write(&file, &list.stdout).expect("written");
    let check = exchange_command(&exchange).arg("check").arg(&file).output().expect("the command runs");
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!said.contains("status"), "{said}");
}

#[test]
fn a_transport_without_a_listener_is_a_warning_at_the_start_and_when_a_trunk_changes() {
    let exchange = Exchange::start(&with_trunk(&[(&uri(free_port()), 1, "tls")]));
    let told = |transport: &str| format!("uses {transport}, and no listener has it");
    assert!(exchange.log().contains(&told("tls")), "{}", exchange.log());
    let changed = with_trunk(&[("127.0.0.1:9", 1, "ws")]);
    exchange.rewrite("trunks.yaml", changed.file("trunks.yaml"));
    wait_for("the warning", || exchange.log().contains("uses the transport ws").then_some(()));
    let check = exchange_command(&exchange).arg("check").output().expect("the command runs");
    assert!(String::from_utf8_lossy(&check.stderr).contains("uses the transport ws"), "{check:?}");
}

#[test]
fn a_trunk_created_over_the_api_is_asked_at_once_and_its_transport_judged() {
    let env = [("TRUNKLINE_GRPC_ADDR", "127.0.0.1:0"), ("TRUNKLINE_DATA", "sqlite:trunkline.db")];
    let exchange = Exchange::start_with(&Resources::new(), "", &env);
    let api = Grpc::plain(exchange.listens("grpc"));
    let create = |name: &str, port: u16, transport: &str| {
        let uri = TrunkUri {
            host: "127.0.0.1".into(),
            port: port.into(),
            transport: transport.into(),
            weight: Some(1),
            priority: 1,
            enabled: Some(true),
            ..TrunkUri::default()
        };
        let (name, inbound_uri) = (name.to_owned(), format!("{name}.example"));
        let request =
            CreateTrunkRequest { name, inbound_uri, uris: vec![uri], ..CreateTrunkRequest::default() };
        let path = "/fonoster.routr.connect.trunks.v2beta1.Trunks/Create";
        api.call::<Trunk>(path, &request).expect("created");
    };
    let port = free_port();
    create("one", port, "udp");
    assert_eq!(known(&exchange, port).expect("listed at once")["state"], "unknown");
    let (mut carrier, question) = asked(&exchange, port);
    carrier.respond(&question, 200, "OK");
    wait_state(&exchange, port, "up");
    create("two", free_port(), "tls");
    wait_for("the warning", || exchange.log().contains("uses tls, and no listener has it").then_some(()));
}
