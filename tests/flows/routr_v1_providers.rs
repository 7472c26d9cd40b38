//! Routr v1 in Redis and behind a REST service: used in place, written in the same layout, absent, hostile, back again.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use trunkline_tests::V1Edition::{self, Late, Rc2};
use trunkline_tests::{
    Authority, Exchange, Mood, RedisServer, Rest, Scratch, Ua, V1_DOMAIN, V1_NUMBER, V1Folder, V1Service,
    Wire, binary, free_port, wait_for,
};

use super::routr_v1::{at, phone, registered, talk};

/// `admin:changeit`.
const LOGIN: &str = "YWRtaW46Y2hhbmdlaXQ=";

/// A folder whose resources are in Redis.
pub fn on_redis(edition: V1Edition, redis: &RedisServer, more: &str) -> V1Folder {
    let mut folder = V1Folder::new(edition);
    folder.more = "    unsecured: true\n".into();
    folder.source = match edition {
        Rc2 => format!(
            "{{provider: redis_data_provider, parameters: {{host: 127.0.0.1, port: {}{more}}}}}",
            redis.port
        ),
        Late => format!(
            "{{provider: redis_data_provider, parameters: 'host=127.0.0.1,port={}{more}'}}",
            redis.port
        ),
    };
    folder
}

/// The API, and a token.
pub fn client(folder: &V1Folder) -> (Rest, String) {
    let rest = Rest::http(SocketAddr::from(([127, 0, 0, 1], folder.rest)), "/api/v1beta1");
    let reply = rest.get_as("/credentials", LOGIN);
    assert_eq!(reply.status, 200, "{}", reply.body);
    (rest, reply.body)
}

pub fn agent(user: &str) -> Value {
    json!({"apiVersion": "v1beta1", "kind": "Agent", "metadata": {"name": format!("Agent {user}")},
           "spec": {"credentials": {"username": user, "secret": format!("pw-{user}")}, "domains": [V1_DOMAIN]}})
}

/// Agents call each other, out by the policy, in by the number.
fn calls(exchange: &Exchange, folder: &V1Folder) {
    let (mut one, mut two) = (registered(exchange, "1001"), registered(exchange, "1002"));
    talk(&mut one, &at("1002"), &mut two);
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    if folder.edition == Rc2 {
        // It is registered at.
        let register = gateway.request_of("REGISTER");
        gateway.respond(&register, 200, "OK");
    }
    talk(&mut one, &at("17853178070"), &mut gateway);
    talk(&mut gateway, &format!("sip:{V1_NUMBER}@{V1_DOMAIN}"), &mut two);
}

fn a_database_in_place(edition: V1Edition) {
    let redis = RedisServer::start_at(free_port(), "hush");
    let secret = if edition == Rc2 { ", secret: hush" } else { ",secret=hush" };
    let folder = on_redis(edition, &redis, secret);
    redis.fill(&folder.documents());
    let exchange = folder.start(&[("HOME", "."), ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
    calls(&exchange, &folder);

    let (rest, token) = client(&folder);
    let send =
        |method: &str, path: &str, body: &str| rest.send(method, &format!("{path}?token={token}"), "", body);
    // A new one: a key with an ObjectId for its name, and a member of the set.
    let made = send("POST", "/agents", &agent("1003").to_string());
    assert_eq!(made.json["status"], 201, "{}", made.body);
    let reference = made.json["result"].as_str().expect("a ref").to_owned();
    assert!(reference.len() == 24 && reference.bytes().all(|b| b.is_ascii_hexdigit()), "{reference}");
    assert!(redis.members("agents").contains(&reference));
    let stored = redis.document(&reference);
    assert_eq!(stored["metadata"]["ref"], reference.as_str());
    assert_eq!(stored["spec"], agent("1003")["spec"]);
    assert_eq!(stored["metadata"].get("createdOn").is_some(), edition == Late, "{stored}");
    // In force when the answer comes.
    registered(&exchange, "1003");
    let mut changed = send("GET", &format!("/agents/{reference}"), "").json["data"].clone();
    changed["metadata"]["name"] = "Third".into();
    let reply = send("PUT", &format!("/agents/{reference}"), &changed.to_string());
    assert_eq!((&reply.json["status"], &reply.json["data"]), (&200.into(), &reference.as_str().into()));
    assert_eq!(redis.document(&reference)["spec"]["credentials"]["secret"], "pw-1003", "it was not shown");
    assert_eq!(redis.document(&reference)["metadata"]["name"], "Third");
    let set = if edition == Rc2 { "dids" } else { "numbers" };
    let number = json!({"apiVersion": "v1beta1", "kind": if edition == Rc2 { "DID" } else { "Number" },
        "metadata": {"name": "Second", "ref": "second", "gwRef": "provider"},
        "spec": {"location": {"telUrl": "tel:0001", "aorLink": "sip:1001@sip.local"}}});
    assert_eq!(send("POST", &format!("/{set}"), &number.to_string()).json["status"], 201);
    assert_eq!(redis.members(set), ["main-line", "second"]);
    // What could not be used, or would overwrite what is no document, is not written.
    for (path, document, status) in [
        ("/agents", json!({"ref": "config"}), if edition == Rc2 { 400 } else { 422 }),
        ("/agents", json!({"ref": "agents"}), if edition == Rc2 { 400 } else { 422 }),
        ("/agents", json!({"ref": "provider"}), 409),
    ] {
        let mut one = agent("1009");
        one["metadata"]["ref"] = document["ref"].clone();
        assert_eq!(send("POST", path, &one.to_string()).json["status"], status, "{document}");
    }
    assert_eq!(redis.ask(&["TYPE", "agents"]), "set");
    for (path, status) in [
        (format!("/agents/{reference}"), 200),
        (format!("/agents/{reference}"), 404),
        ("/domains/office".into(), 409),
        ("/gateways/provider".into(), 409),
    ] {
        assert_eq!(send("DELETE", &path, "").json["status"], status, "{path}");
    }
    assert_eq!(redis.document(&reference), Value::Null);
    assert_ne!(phone(&exchange, "1003").register(600).status(), 200, "who is deleted is no longer known");
    // What others write is taken up.
    redis.fill(&[("agents".into(), "by-hand".into(), agent("1004"))]);
    wait_for("the agent from elsewhere", || {
        let found = rest.get(&format!("/agents/by-hand?token={token}"));
        (found.json["status"] == 200).then_some(())
    });
    registered(&exchange, "1004");
    // One mistake does not silence everybody.
    redis.fill(&[("agents".into(), "bad".into(), json!({"kind": "Agent", "spec": 1}))]);
    redis.ask(&["SET", "worse", "{"]);
    redis.ask(&["SADD", "agents", "worse", "nothing-under-it"]);
    redis.ask(&["RPUSH", "a-list", "x"]);
    redis.ask(&["SETRANGE", "too-long", "300000", "x"]);
    redis.ask(&["SADD", "agents", "a-list", "too-long", "two\nlines", "\u{1b}[31m", &"x".repeat(300), ""]);
    redis.ask(&["EVAL", "redis.call('SADD', 'agents', '\\255\\254')", "0"]);
    let told = [
        ", bad",
        "under the key worse is ignored",
        "under the key a-list is ignored",
        "under the key too-long is ignored: it has more than 262144 bytes",
        "`two\\nlines`",
        "`\\u{1b}[31m`",
        "`\\xff\\xfe`",
    ];
    wait_for("a word about the mistakes", || {
        let log = exchange.log();
        told.iter().all(|words| log.contains(words)).then_some(())
    });
    registered(&exchange, "1001");
    // A set that is none: what was known stays in force.
    redis.ask(&["RENAME", "agents", "kept"]);
    redis.ask(&["SET", "agents", "x"]);
    wait_for("a word about the set", || exchange.log().contains("WRONGTYPE").then_some(()));
    registered(&exchange, "1004");
    redis.ask(&["RENAME", "kept", "agents"]);
    redis.fill(&[("agents".into(), "after".into(), agent("1005"))]);
    wait_for("the agent that came afterwards", || {
        (rest.get(&format!("/agents/after?token={token}")).json["status"] == 200).then_some(())
    });
    assert!(!exchange.log().contains("hush"), "the password is no one's business");
}

#[test]
fn an_early_database_is_used_in_place() {
    a_database_in_place(Rc2);
}

#[test]
fn a_late_database_is_used_in_place() {
    a_database_in_place(Late);
}

#[test]
fn redis_goes_and_comes_back_in_traffic() {
    let mut redis = RedisServer::start();
    let folder = on_redis(Late, &redis, "");
    redis.fill(&folder.documents());
    let mut exchange = folder.start(&[]);
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let (rest, token) = client(&folder);
    redis.kill();
    talk(&mut one, &at("1002"), &mut two);
    registered(&exchange, "1001");
    let path = format!("/agents?token={token}");
    let refused = rest.send("POST", &path, "", &agent("1003").to_string());
    let said = refused.json["message"].as_str().unwrap_or_default();
    assert!(refused.status == 500 && said.contains("Redis at 127.0.0.1"), "{}", refused.body);
    assert_eq!(rest.get(&path).json["data"].as_array().map(Vec::len), Some(2), "what is known is listed");
    wait_for("a word about Redis", || {
        exchange
            .log()
            .contains("the resources were not reloaded: cannot read resources from Redis at")
            .then_some(())
    });
    // A restart without it: what was kept is in force, for its owner's eyes only.
    let kept = exchange.folder().join("trunkline.routr-v1");
    assert_eq!(std::fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    registered(&exchange, "1001");
    redis.restart();
    wait_for("Redis to be written again", || {
        let reply = rest.send("POST", &path, "", &agent("1003").to_string());
        (reply.status == 201).then_some(())
    });
    registered(&exchange, "1003");
    // It hangs: calls go on, a change is refused and is not made when it goes on.
    redis.pause();
    talk(&mut one, &at("1002"), &mut two);
    for _ in 0..2 {
        let refused = rest.send("POST", &path, "", &agent("1004").to_string());
        assert_eq!(refused.status, 500, "{}", refused.body);
        assert!(refused.body.contains("no answer in time"), "{}", refused.body);
    }
    redis.resume();
    assert_eq!(redis.members("agents").len(), 3, "1001, 1002, 1003");
    wait_for("Redis to be written again", || {
        let reply = rest.send("POST", &path, "", &agent("1004").to_string());
        (reply.status == 201).then_some(())
    });
    assert_eq!(redis.members("agents").len(), 4);
    // A key of something else is not overwritten.
    redis.ask(&["SET", "session", "of-another-program"]);
    let mut other = agent("1005");
    other["metadata"]["ref"] = "session".into();
    let refused = rest.send("POST", &path, "", &other.to_string());
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(redis.ask(&["GET", "session"]), "of-another-program");
    // One that comes back empty has lost its data, more likely than all phones have gone.
    redis.ask(&["FLUSHALL"]);
    wait_for("a word about the empty database", || {
        exchange.log().contains("has no resources any more").then_some(())
    });
    registered(&exchange, "1002");
}

/// An exchange does not start on the folder: exit code and what is said.
fn refused(folder: &V1Folder) -> (Option<i32>, String) {
    refused_with(&folder.config(), "5")
}

/// The same with this configuration, after so many attempts.
fn refused_with(config: &str, tries: &str) -> (Option<i32>, String) {
    let scratch = Scratch::new("no-provider");
    scratch.write("config/config.yml", config);
    let output = Command::new(binary())
        .args(["serve", "--config", "config/config.yml"])
        .current_dir(scratch.path())
        .envs(["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|key| (format!("TRUNKLINE_{key}"), "off")))
        .env("TRUNKLINE_ROUTR_V1_PROVIDER_TRIES", tries)
        .output()
        .expect("the command runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn a_provider_that_never_answers_is_an_error_with_its_name() {
    let mut folder = V1Folder::new(Late);
    let nobody = free_port();
    folder.source = format!(
        "{{provider: redis_data_provider, parameters: 'port={nobody},max_retry=1,retry_interval=0'}}"
    );
    let (code, said) = refused(&folder);
    assert!(code == Some(1) && said.contains(&format!("Redis at localhost:{nobody}")), "{code:?} {said}");
    let redis = RedisServer::start_at(free_port(), "hush");
    folder.source = format!(
        "{{provider: redis_data_provider, parameters: 'host=127.0.0.1,port={},max_retry=1,secret=wrong-one'}}",
        redis.port
    );
    let (code, said) = refused(&folder);
    assert!(code == Some(1) && said.contains("`secret`") && !said.contains("wrong-one"), "{code:?} {said}");
}

#[test]
fn an_empty_database_gets_its_first_user() {
    for (given, edition) in [("", Late), ("of-the-operator", Late), ("", Rc2)] {
        let redis = RedisServer::start();
        let folder = on_redis(edition, &redis, "");
        let env: &[(&str, &str)] = &[("HOME", "."), ("INITIAL_API_SECRET", given)];
        let exchange = folder.start(env);
        let users = redis.members("users");
        let [reference] = &users[..] else { panic!("one user: {users:?}") };
        let user = redis.document(reference);
        let secret = user["spec"]["credentials"]["secret"].as_str().expect("a secret").to_owned();
        assert_eq!(user["metadata"]["name"], if edition == Rc2 { "Ctl" } else { "Default" });
        if given.is_empty() {
            assert!(secret.len() >= 16 && exchange.log().matches(&secret).count() == 1, "{}", exchange.log());
        } else {
            assert!(secret == given && !exchange.log().contains(given));
        }
        let rest = Rest::http(SocketAddr::from(([127, 0, 0, 1], folder.rest)), "/api/v1beta1");
        let pair = trunkline_tests::base64(&format!("admin:{secret}"));
        let token = rest.get_as("/credentials", &pair).body;
        // An installation that is new here has tokens that end.
        assert!(trunkline_tests::token_claims(&token).get("exp").is_some(), "{token}");
        assert_eq!(rest.get_as("/credentials", LOGIN).status, 401, "the secret of old is not accepted");
        let domain = json!({"apiVersion": "v1beta1", "kind": "Domain", "metadata": {"name": "First"},
            "spec": {"context": {"domainUri": V1_DOMAIN}}});
        let made = rest.send("POST", &format!("/domains?token={token}"), "", &domain.to_string());
        assert_eq!(made.json["status"], 201, "{}", made.body);
        let made = rest.send("POST", &format!("/agents?token={token}"), "", &agent("1001").to_string());
        assert_eq!(made.json["status"], 201, "{}", made.body);
        registered(&exchange, "1001");
    }
}

/// A folder whose resources are behind a REST service that is looked at every second.
pub fn on_service(service: &V1Service) -> V1Folder {
    let mut folder = V1Folder::new(Rc2);
    folder.more = "    unsecured: true\n".into();
    folder.source = format!(
        "{{provider: restful_data_provider, parameters: {{baseUrl: '{}', username: ann, secret: hush}}}}",
        service.base()
    );
    folder
}

/// A service whose certificate is signed by a CA in the trust store of `securityContext`, in each of its formats.
#[test]
fn a_rest_service_over_tls_is_believed_by_the_trust_store() {
    let authority = Arc::new(Authority::new());
    let service = V1Service::start_over_tls(Vec::new(), &authority);
    let [p12, jks] = authority.trust_stores("hush-hush");
    for (key, store) in [("trustStore", Some(&p12)), ("trueStore", Some(&jks)), ("trustStore", None)] {
        let folder = on_service(&service);
        service.change(|documents| *documents = folder.documents());
        let store = store.map(|file| {
            let file = file.display();
            format!("  securityContext: {{{key}: {file}, trustStorePassword: hush-hush}}\n")
        });
        let config = folder.config() + store.as_deref().unwrap_or_default();
        let env = [("HOME", "."), ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")];
        if store.is_none() {
            let (code, said) = refused_with(&config, "1");
            assert!(code == Some(1) && said.contains("UnknownIssuer"), "{code:?} {said}");
            continue;
        }
        let exchange = Exchange::start_routr_v1(folder.sip, &[("config/config.yml", &config)], &env);
        registered(&exchange, "1001");
        let (rest, token) = client(&folder);
        let mut made = agent("1003");
        made["metadata"]["ref"] = format!("by-{key}").into();
        let made = rest.send("POST", &format!("/agents?token={token}"), "", &made.to_string());
        assert_eq!(made.json["status"], 201, "{}", made.body);
    }
}

#[test]
fn a_rest_service_in_good_moods_and_bad_ones() {
    let service = V1Service::start(Vec::new());
    let folder = on_service(&service);
    service.change(|documents| *documents = folder.documents());
    let mut exchange = folder.start(&[
        ("HOME", "."),
        ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0"),
        ("TRUNKLINE_ROUTR_V1_PROVIDER_POLL_SECONDS", "1"),
        ("TRUNKLINE_ROUTR_V1_PROVIDER_TIMEOUT_MS", "1500"),
    ]);
    calls(&exchange, &folder);
    let (rest, token) = client(&folder);
    let send =
        |method: &str, path: &str, body: &str| rest.send(method, &format!("{path}?token={token}"), "", body);
    service.heard();
    let made = send("POST", "/agents", &agent("1003").to_string());
    assert_eq!((&made.json["status"], &made.json["result"]), (&201.into(), &"made-by-the-service".into()));
    registered(&exchange, "1003");
    let mut changed = agent("1003");
    changed["metadata"]["name"] = "Third".into();
    assert_eq!(send("PUT", "/agents/made-by-the-service", &changed.to_string()).json["status"], 200);
    let third = |documents: &[trunkline_tests::V1Document]| {
        documents.iter().find(|(_, own, _)| own == "made-by-the-service").cloned()
    };
    let (_, _, kept) = third(&service.documents()).expect("the document");
    assert_eq!(kept["metadata"], json!({"name": "Third", "ref": "made-by-the-service"}));
    assert_eq!(send("DELETE", "/agents/made-by-the-service", "").json["status"], 200);
    assert_eq!(third(&service.documents()), None);
    let heard = service.heard();
    // `ann:hush`.
    assert!(heard.iter().all(|line| line.ends_with(" Basic YW5uOmh1c2g=")), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("DELETE /v1/ctl/agents/made-by-the-service HTTP/1.1")));
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let bad = [Mood::Fails, Mood::Hangs, Mood::Endless, Mood::Nonsense, Mood::OtherShape, Mood::Leaves];
    for mood in bad {
        service.mood(mood);
        let lines = exchange.log().matches("cannot read resources from").count();
        wait_for("a word about the service", || {
            (exchange.log().matches("cannot read resources from").count() > lines).then_some(())
        });
        talk(&mut one, &at("1002"), &mut two);
        let reply = send("POST", "/agents", &agent("1004").to_string());
        assert_eq!(reply.json["status"], 500, "{mood:?} {}", reply.body);
        service.mood(Mood::Good);
        wait_for("the service to be written again", || {
            (send("POST", "/agents", &agent("1004").to_string()).json["status"] == 201).then_some(())
        });
        assert_eq!(send("DELETE", "/agents/made-by-the-service", "").json["status"], 200);
        let mut fifth = agent("1005");
        fifth["metadata"]["ref"] = format!("{mood:?}").into();
        service.change(|documents| documents.push(("agents".into(), format!("{mood:?}"), fifth)));
        wait_for("what changed at the service", || {
            (send("GET", &format!("/agents/{mood:?}"), "").json["status"] == 200).then_some(())
        });
        service.change(|documents| documents.retain(|(_, own, _)| *own != format!("{mood:?}")));
    }
    // A start while it is out of its mind: what was kept is in force.
    service.mood(Mood::Nonsense);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    registered(&exchange, "1001");
    assert!(!exchange.log().contains("hush"));
}
