//! Events as JSON lines: in a file, and by `trunkline events`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trunkline_tests::{
    Dialog, Exchange, Resources, Rest, Scratch, Ua, exchange_command, free_port, wait_for,
};

use super::destinations::asked_at;
use super::dialogs::{connect, talking};
use super::trunks::{provider, with_trunk};
use super::{DOMAIN, agents, at, phone, registered};

/// The events of a file, whole lines only.
pub fn read(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Those of a type.
pub fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

/// The first event of this type with this text somewhere in it, once it is there.
fn event(file: &Path, kind: &str, with: &str) -> Value {
    wait_for(&format!("{kind} with {with}"), || {
        read(file).into_iter().find(|event| event["type"] == kind && event.to_string().contains(with))
    })
}

fn file(exchange: &Exchange) -> std::path::PathBuf {
    exchange.folder().join("events.jsonl")
}

/// Ends a call that is up, by its caller.
fn hang_up(caller: &mut Ua, dialog: &mut Dialog, callee: &mut Ua) {
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

fn run(exchange: &Exchange, arguments: &[&str]) -> String {
    let out = exchange_command(exchange).args(arguments).output().expect("the command runs");
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn calls_are_told_from_their_start_to_their_end() {
    let exchange = Exchange::start_with(&agents(), "events: {file: events.jsonl, types: [call]}\n", &[]);
    let file = file(&exchange);
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let (mut a, _) = connect(&mut caller, &mut callee);
    let started = event(&file, "call.started", "1002");
    assert_eq!((started["from"].as_str(), started["to"].as_str()), (Some(&*at("1001")), Some(&*at("1002"))));
    assert_eq!(started["direction"], "agent-to-agent", "{started}");
    let answered = event(&file, "call.answered", "1002");
    assert_eq!(answered["id"], started["id"], "{answered}");
    hang_up(&mut caller, &mut a, &mut callee);
    let ended = event(&file, "call.ended", "1002");
    assert_eq!(
        (&ended["callId"], &ended["cause"], &ended["endedBy"]),
        (&started["callId"], &Value::from("NORMAL_CLEARING"), &Value::from("caller")),
        "{ended}"
    );
    assert!(ended["talkedMs"].is_u64() && ended["startedAt"] == started["startedAt"], "{ended}");
    assert!(ended["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{ended}");

    // One that the callee rejects, with headers of its own.
    let invite = caller.invite(&at("1002")).with("X-Tenant", "blue").with("X-Connect-Token", "secret.jwt");
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 486, "Busy Here");
    let busy = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &busy);
    let started = event(&file, "call.started", "X-Tenant");
    assert_eq!(started["headers"]["X-Tenant"], "blue", "{started}");
    let failed = event(&file, "call.ended", "USER_BUSY");
    assert_eq!((&failed["status"], &failed["endedBy"]), (&486.into(), &"callee".into()), "{failed}");
    assert_eq!(failed["callId"], started["callId"]);

    // One that the exchange refuses.
    let invite = caller.invite(&at("1003"));
    let (answer, _) = caller.ask(&invite);
    assert_eq!(answer.status(), 480);
    let refused = event(&file, "call.refused", "1003");
    assert_eq!(refused["reason"], "callee.not-registered", "{refused}");
    assert!(!std::fs::read_to_string(&file).expect("the file").contains("secret.jwt"));
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // Nothing else was asked for.
    let kinds: BTreeSet<_> =
        read(&file).iter().map(|e| e["type"].as_str().unwrap_or("").to_owned()).collect();
    assert!(kinds.iter().all(|kind| kind.starts_with("call.")), "{kinds:?}");
}

#[test]
fn calls_that_are_up_when_the_exchange_stops_are_told_as_ended() {
    let mut exchange = Exchange::start_with(&agents(), "events: {file: events.jsonl}\n", &[]);
    let file = file(&exchange);
    let _both = talking(&exchange, "1001", "1002");
    event(&file, "call.answered", "1002");
    assert_eq!(exchange.stop(), Some(0));
    let all = read(&file);
    assert_eq!(of(&all, "call.ended").first().expect("its end")["cause"], "SHUTDOWN", "{all:#?}");
}

#[test]
fn registrations_are_told_with_the_kind_of_their_end() {
    let ws = free_port();
    let listen = format!("127.0.0.1:{ws}");
    let exchange = Exchange::start_with(
        &agents(),
        "events: {file: events.jsonl, types: [registration]}\nregistrar: {minExpires: 1}\n",
        &[("TRUNKLINE_LISTEN_WS", &listen)],
    );
    let file = file(&exchange);
    let mut one = registered(&exchange, "1001");
    let added = event(&file, "registration.added", "1001");
    assert_eq!(
        (&added["aor"], &added["transport"]),
        (&Value::from(at("1001")), &Value::from("udp")),
        "{added}"
    );
    assert!(added["expiresAt"].is_string() && added["contact"].is_string(), "{added}");
    one.register(600);
    event(&file, "registration.refreshed", "1001");
    one.register(0);
    event(&file, "registration.removed", "1001");
    one.register(600);
    run(&exchange, &["registrations", "kick", "1001@sip.test"]);
    event(&file, "registration.kicked", "1001");
    let mut two = phone(&exchange, "1002");
    assert_eq!(two.register(1).status(), 200);
    let expired = event(&file, "registration.expired", "1002");
    assert!(expired["endedAt"].is_string(), "{expired}");
    let mut three = Ua::ws(([127, 0, 0, 1], ws).into(), "1003", DOMAIN, "pw-1003");
    assert_eq!(three.register(600).status(), 200);
    event(&file, "registration.added", "1003");
    drop(three);
    let lost = event(&file, "registration.connection-lost", "1003");
    assert_eq!(lost["transport"], "ws", "{lost}");
    let all = read(&file);
    let kinds: Vec<_> = all.iter().filter_map(|e| e["type"].as_str()).collect();
    let wanted =
        ["added", "refreshed", "removed", "added", "kicked", "added", "expired", "added", "connection-lost"];
    assert_eq!(kinds, wanted.map(|kind| format!("registration.{kind}")), "{all:#?}");
}

#[test]
fn trunks_bans_and_resources_are_told() {
    let port = free_port();
    let carrier = provider(port);
    let uri = format!("127.0.0.1:{port}");
    let config = "events: {file: events.jsonl}\nrouting: {qualifySeconds: 1}\n";
    let exchange = Exchange::start_with(&with_trunk(&[(&uri, 1, "udp")]), config, &[]);
    let file = file(&exchange);
    let (mut carrier, question) = asked_at(&exchange, carrier);
    carrier.respond(&question, 200, "OK");
    let up = event(&file, "trunk.state", "\"up\"");
    assert_eq!((&up["ref"], &up["before"]), (&Value::from("provider"), &Value::from("unknown")), "{up}");
    let question = carrier.request_of("OPTIONS");
    carrier.respond(&question, 503, "Service Unavailable");
    let down = event(&file, "trunk.state", "\"down\"");
    assert_eq!(down["error"], "503 Service Unavailable", "{down}");

    let mut guesser = Ua::udp(exchange.udp(), "1001", DOMAIN, "guessed");
    for _ in 0..32 {
        assert_ne!(guesser.register(600).status(), 200);
    }
    let began = event(&file, "ban.began", "127.0.0.1");
    assert_eq!(began["user"], "1001", "{began}");
    event(&file, "throttling.counted", "bannedDigests");
    run(&exchange, &["unban", "1001"]);
    event(&file, "ban.ended", "1001");

    let rewrite = |resources: &Resources| {
        resources.files().for_each(|(name, text)| exchange.rewrite(name, text));
    };
    let base = || with_trunk(&[(&uri, 1, "udp")]);
    rewrite(&base().agent(DOMAIN, "1009", "pw-1009"));
    let created = event(&file, "resource.created", "\"Agent\"");
    assert!(created["version"].is_u64(), "{created}");
    rewrite(&base().agent_with(DOMAIN, "1009", "pw-1009", ", maxContacts: 2"));
    let updated = event(&file, "resource.updated", "\"Agent\"");
    assert_eq!(updated["ref"], created["ref"]);
    assert!(updated["version"].as_u64() > created["version"].as_u64());
    rewrite(&base());
    assert_eq!(event(&file, "resource.deleted", "\"Agent\"")["ref"], created["ref"]);
    let all = read(&file);
    let of_agents = all.iter().filter(|e| e["kind"] == "Agent").count();
    assert_eq!(of_agents, 3, "what stayed the same is not told: {all:#?}");
}

#[test]
fn every_step_of_a_request_is_told_and_full_files_are_kept() {
    let config = "events: {file: events.jsonl, types: [request], fileBytes: 65536, fileKeep: 2}\n";
    let http = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let env = [("TRUNKLINE_HTTP_ADDR", &*http.to_string())];
    let exchange = Exchange::start_with(&agents(), config, &env);
    let file = file(&exchange);
    let (mut caller, mut a, mut callee, _) = talking(&exchange, "1001", "1002");
    hang_up(&mut caller, &mut a, &mut callee);
    let call_id = a.request(&caller, "INFO").get("Call-ID").expect("a Call-ID").to_owned();
    let told = wait_for("the answer to BYE", || {
        let all: Vec<_> = read(&file).into_iter().filter(|e| e["callId"] == call_id.as_str()).collect();
        let bye = of(&all, "request.arrived").into_iter().find(|e| e["method"] == "BYE")?["request"].clone();
        of(&all, "request.answered").into_iter().any(|e| e["request"] == bye).then_some(all)
    });
    for kind in ["arrived", "fact", "sent", "response", "answered"] {
        assert!(!of(&told, &format!("request.{kind}")).is_empty(), "{kind}: {told:#?}");
    }
    let number = |event: &Value| event["request"].as_str().expect("a number").to_owned();
    let numbers: BTreeSet<_> = told.iter().map(number).collect();
    let arrived: BTreeSet<_> = of(&told, "request.arrived").into_iter().map(number).collect();
    assert_eq!(numbers, arrived, "each event has the number of its request");

    let second = file.with_extension("jsonl.2");
    let mut phone = registered(&exchange, "1003");
    wait_for("two full files", || {
        assert_eq!(phone.register(600).status(), 200);
        second.exists().then_some(())
    });
    for path in [&file, &file.with_extension("jsonl.1"), &second] {
        let about = std::fs::metadata(path).expect("the file");
        assert!(about.len() <= 65_536 && about.permissions().mode() & 0o777 == 0o600, "{path:?}");
        // The file is made a moment before its first event is written.
        wait_for("an event in each file", || (!read(path).is_empty()).then_some(()));
    }
    let metrics = Rest::http(http, "").get("/metrics").body;
    let published = metrics.lines().find_map(|line| {
        line.strip_prefix("trunkline_events_total{receiver=\"file\",outcome=\"published\"} ")
    });
    assert!(published.is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 100)), "{metrics}");
}

/// `trunkline events` at work.
struct Follower {
    process: Child,
    folder: Scratch,
}

impl Follower {
    fn start(exchange: &Exchange, arguments: &[&str]) -> Follower {
        let folder = Scratch::new("events");
        let open = |name: &str| std::fs::File::create(folder.path().join(name)).expect("a file");
        let mut command: Command = exchange_command(exchange);
        command.args(["events", "--follow"]).args(arguments).stdin(Stdio::null());
        let process = command.stdout(open("out")).stderr(open("err")).spawn().expect("the command starts");
        let follower = Follower { process, folder };
        wait_for("the command to follow", || follower.read("err").contains("as they happen").then_some(()));
        follower
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_command_follows_events() {
    let exchange = Exchange::start(&Resources::new().domain(DOMAIN, "all").agent(DOMAIN, "1001", "pw-1001"));
    let mut people = Follower::start(&exchange, &["--types", "registration", "--limit", "1"]);
    let json = Follower::start(&exchange, &["--json"]);
    registered(&exchange, "1001");
    let status = wait_for("its end", || people.process.try_wait().expect("a child"));
    assert!(status.success());
    let line = people.read("out");
    assert!(line.contains("registration.added") && line.contains("aor=sip:1001@sip.test"), "{line}");
    let out = json.folder.path().join("out");
    wait_for("both kinds", || {
        let all = read(&out);
        (!of(&all, "registration.added").is_empty() && !of(&all, "request.answered").is_empty()).then_some(())
    });
    // What is kept, and is over.
    let kept = run(&exchange, &["events", "--types", "request.answered"]);
    assert!(kept.lines().count() >= 2 && kept.contains("status=200"), "{kept}");
    let mut wrong = exchange_command(&exchange);
    let wrong = wrong.args(["events", "--types", "calls"]).output().expect("the command runs");
    assert_eq!(wrong.status.code(), Some(64));
    let help = run(&exchange, &["events", "--help"]);
    assert!(help.contains("registration.connection-lost") && help.contains("trunkline events --follow"));
}

#[test]
fn a_follower_that_does_not_read_costs_nothing_and_learns_what_it_lost() {
    let exchange = Exchange::start_with(&agents(), "events: {memory: 131072}\nworkers: 1\n", &[]);
    let follower = Follower::start(&exchange, &["--json", "--types", "request,registration"]);
    let signal = |name: &str| {
        let status = Command::new("kill").args(["-s", name, &follower.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    };
    signal("STOP");
    let mut phone = registered(&exchange, "1001");
    // More than the socket, the pipe and the memory of the exchange hold.
    for _ in 0..1_000 {
        assert_eq!(phone.register(600).status(), 200);
    }
    signal("CONT");
    let out = follower.folder.path().join("out");
    let lost = wait_for("the number of the lost ones", || {
        let all = read(&out);
        of(&all, "events.lost").first().and_then(|lost| lost["count"].as_u64())
    });
    assert!(lost > 100, "{lost}");
    wait_for("what came after them", || {
        assert_eq!(phone.register(600).status(), 200);
        let all = read(&out);
        let end = all.iter().rposition(|event| event["type"] == "events.lost")?;
        all[end..].iter().any(|event| event["type"] == "registration.refreshed").then_some(())
    });
}

#[test]
fn peers_and_our_registrations_at_carriers_are_told() {
    let file_in = |exchange: &Exchange| exchange.folder().join("events.jsonl");
    let to_file = [("TRUNKLINE_EVENTS_FILE", "events.jsonl")];
    let (exchange, mut carrier) = super::trunk_registration::start("trunk-secret", &to_file);
    let register = carrier.request_of("REGISTER");
    super::trunk_registration::grant(&mut carrier, &register, 600);
    let told = event(&file_in(&exchange), "trunk.registration", "provider");
    assert_eq!((&told["registered"], &told["answer"]), (&true.into(), &"200 OK".into()), "{told}");
    assert!(told["until"].is_string() && told["aor"].is_string(), "{told}");
    let (exchange, mut carrier) = super::trunk_registration::start("trunk-secret", &to_file);
    let register = carrier.request_of("REGISTER");
    carrier.respond(&register, 403, "Forbidden");
    let told = event(&file_in(&exchange), "trunk.registration", "provider");
    assert_eq!((&told["registered"], &told["answer"]), (&false.into(), &"403 Forbidden".into()), "{told}");

    let port = free_port();
    let peer = provider(port);
    let given = format!(", contactAddr: \"127.0.0.1:{port}\"");
    let resources = agents().peer("pbx", &at("pbx"), "pw-pbx", &given);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 1}\n", &to_file);
    let (mut peer, question) = asked_at(&exchange, peer);
    peer.respond(&question, 200, "OK");
    let up = event(&file_in(&exchange), "peer.state", "\"up\"");
    assert_eq!((&up["ref"], &up["before"]), (&"pbx".into(), &"unknown".into()), "{up}");
    let question = peer.request_of("OPTIONS");
    peer.respond(&question, 503, "Service Unavailable");
    assert_eq!(event(&file_in(&exchange), "peer.state", "\"down\"")["before"], "up");
}
