//! Data providers of Routr v1 that lose their data, give half of it, or are changed by others at the same moment.

use std::net::SocketAddr;

use serde_json::{Value, json};
use trunkline_tests::V1Edition::Late;
use trunkline_tests::{
    Exchange, Mood, RedisServer, Rest, RestReply, V1Folder, V1Service, free_port, wait_for,
};

use super::routr_v1::{at, phone, registered, talk};
use super::routr_v1_providers::{agent, client, on_redis, on_service};

/// An exchange on a Redis with the resources of a folder.
struct Site {
    redis: RedisServer,
    folder: V1Folder,
    exchange: Exchange,
    rest: Rest,
    token: String,
    http: Rest,
}

impl Site {
    fn start() -> Site {
        let redis = RedisServer::start();
        let folder = on_redis(Late, &redis, "");
        redis.fill(&folder.documents());
        let http = free_port();
        let exchange = folder.start(&[("TRUNKLINE_HTTP_ADDR", &format!("127.0.0.1:{http}"))]);
        let (rest, token) = client(&folder);
        let http = Rest::http(SocketAddr::from(([127, 0, 0, 1], http)), "");
        Site { redis, folder, exchange, rest, token, http }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> RestReply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.rest.send(method, &format!("{path}?token={}", self.token), "", &body)
    }

    /// Waits until `/readyz` gives a reason that contains this; all is well for an empty one.
    fn degraded(&self, reason: &str) {
        wait_for(&format!("/readyz to say `{reason}`"), || {
            let ready = self.http.get("/readyz").json;
            let parts = ready["parts"].as_array().cloned().unwrap_or_default();
            let part = parts.into_iter().find(|part| part["name"] == "resources")?;
            let said = part["reason"].as_str().unwrap_or_default();
            (part["ok"] == reason.is_empty() && said.contains(reason)).then_some(())
        });
    }

    /// What the copy on disk has.
    fn kept(&self) -> usize {
        let text = std::fs::read(self.exchange.folder().join("trunkline.routr-v1")).expect("kept");
        let kept: Value = serde_json::from_slice(&text).expect("JSON");
        kept["documents"].as_array().map_or(0, Vec::len)
    }
}

#[test]
fn an_emptied_redis_takes_no_writes_and_takes_nothing_away() {
    let mut site = Site::start();
    let all = site.kept();
    site.redis.ask(&["FLUSHALL"]);
    // At once, before anybody has looked.
    let refused = site.ask("POST", "/agents", &agent("1003"));
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(refused.body.contains("probably lost its data"), "{}", refused.body);
    site.degraded("probably lost its data");
    let first = site.ask("GET", "/agents/ref-1001", &Value::Null).json["data"].clone();
    for (method, path, body) in [
        (
            "POST",
            "/peers",
            json!({"apiVersion": "v1beta1", "kind": "Peer", "metadata": {"name": "First one"},
            "spec": {"credentials": {"username": "ast", "secret": "1234"}}}),
        ),
        ("PUT", "/agents/ref-1001", first),
        ("DELETE", "/agents/ref-1001", Value::Null),
        ("PUT", "/system/config", json!({"apiVersion": "v1beta1", "spec": {}})),
    ] {
        let refused = site.ask(method, path, &body);
        assert_eq!(refused.status, 500, "{method} {path} {}", refused.body);
    }
    assert_eq!(site.redis.ask(&["DBSIZE"]), "0");
    // Routr, started on it, makes its first user and its configuration.
    let (set, reference, mut user) = site.folder.documents().remove(0);
    user["metadata"]["name"] = "Default".into();
    site.redis.fill(&[(set, reference, user)]);
    site.redis.ask(&["SET", "config", r#"{"apiVersion": "v1beta1", "spec": {}}"#]);
    site.degraded("probably lost its data");
    registered(&site.exchange, "1001");
    assert_eq!(site.kept(), all);
    // Nor does a restart end the phones.
    for empty in [false, true] {
        if empty {
            site.redis.ask(&["FLUSHALL"]);
        }
        assert_eq!(site.exchange.stop(), Some(0));
        site.exchange.restart();
        site.degraded("probably lost its data");
        let (mut one, mut two) = (registered(&site.exchange, "1001"), registered(&site.exchange, "1002"));
        talk(&mut one, &at("1002"), &mut two);
        assert_eq!(site.kept(), all);
        assert_eq!(site.ask("POST", "/agents", &agent("1003")).status, 500);
    }
    site.redis.fill(&site.folder.documents());
    site.degraded("");
    assert_eq!(site.ask("POST", "/agents", &agent("1003")).status, 201);
    registered(&site.exchange, "1003");
    // An operator who wants to begin anew deletes the copy.
    site.redis.ask(&["FLUSHALL"]);
    assert_eq!(site.exchange.stop(), Some(0));
    std::fs::remove_file(site.exchange.folder().join("trunkline.routr-v1")).expect("deleted");
    site.exchange.restart();
    site.degraded("");
    let mut gone = phone(&site.exchange, "1001");
    assert_eq!(gone.register(60).status(), 404);
}

#[test]
fn a_key_of_another_type_costs_its_own_collection_only() {
    let site = Site::start();
    site.redis.ask(&["DEL", "numbers"]);
    site.redis.ask(&["SET", "numbers", "junk"]);
    site.degraded("the key `numbers` is not a set");
    // A single ref in the set of the other edition does not change the edition, nor does it flood the log.
    site.redis.ask(&["SADD", "dids", "nobody"]);
    let odd: Vec<String> = (0..100).map(|n| format!("\u{1}{n}")).collect();
    let words: Vec<&str> = ["SADD", "peers"].into_iter().chain(odd.iter().map(String::as_str)).collect();
    site.redis.ask(&words);
    site.redis.fill(&[("agents".into(), "ref-1003".into(), agent("1003"))]);
    wait_for("the other collections to be read", || {
        (site.ask("GET", "/agents", &Value::Null).json["data"].as_array()?.len() == 3).then_some(())
    });
    registered(&site.exchange, "1003");
    let numbers = site.ask("GET", "/numbers", &Value::Null);
    assert_eq!(numbers.json["data"].as_array().map(Vec::len), Some(1), "{}", numbers.body);
    wait_for("the rest of the odd members", || {
        site.exchange.log().contains("more keys and members are ignored").then_some(())
    });
    assert!(site.exchange.log().matches("is no ref").count() <= 60, "{}", site.exchange.log());
    site.redis.ask(&["DEL", "numbers"]);
    site.redis.ask(&["SADD", "numbers", "main-line"]);
    site.degraded("");
    // Documents that are none do not replace those known.
    for junk in ["{}", "[1]", r#"{"kind": "Peer", "spec": {}}"#] {
        site.redis.ask(&["SET", "office", junk]);
        site.degraded("`domains`: 1 of 1 documents");
        registered(&site.exchange, "1001");
    }
}

#[test]
fn what_another_program_changed_is_not_reverted() {
    let site = Site::start();
    // Redis was written a moment ago: nobody has read that yet.
    let write = |reference: &str, change: &dyn Fn(&mut Value)| {
        let mut document = site.redis.document(reference);
        change(&mut document);
        assert_eq!(site.redis.ask(&["SET", reference, &document.to_string()]), "OK");
    };
    for round in 0..5 {
        let secret = format!("changed-{round}");
        let mut shown = site.ask("GET", "/agents/ref-1001", &Value::Null).json["data"].clone();
        write("ref-1001", &|document| document["spec"]["credentials"]["secret"] = secret.clone().into());
        shown["metadata"]["name"] = format!("Name {round}").into();
        let put = site.ask("PUT", "/agents/ref-1001", &shown);
        assert_eq!(put.status, 200, "{}", put.body);
        let now = site.redis.document("ref-1001");
        assert_eq!(now["spec"]["credentials"]["secret"], secret, "{now}");
        assert_eq!(now["metadata"]["name"], format!("Name {round}"));
    }
    // A condition is checked against what Redis has.
    let path = format!("/agents/ref-1002?token={}", site.token);
    let tag = site.rest.head_value("GET", &path, "etag").expect("a version");
    let shown = site.rest.get(&path).json["data"].to_string();
    write("ref-1002", &|document| document["metadata"]["name"] = "Elsewhere".into());
    let put = site.rest.send("PUT", &path, &format!("If-Match: {tag}\r\n"), &shown);
    assert_eq!(put.status, 412, "{}", put.body);
    let unnamed = format!("/agents/?token={}", site.token);
    for condition in [tag.as_str(), "\"\u{e9}\""] {
        let put = site.rest.send("PUT", &unnamed, &format!("If-Match: {condition}\r\n"), &shown);
        assert_eq!(put.status, 412, "{}", put.body);
    }
    assert_eq!(site.redis.document("ref-1002")["metadata"]["name"], "Elsewhere");
    // The same agent from elsewhere, and one that is gone.
    site.redis.fill(&[("agents".into(), "ref-1003".into(), agent("1003"))]);
    assert_eq!(site.ask("POST", "/agents", &agent("1003")).status, 409);
    site.redis.ask(&["DEL", "ref-1003"]);
    site.redis.ask(&["SREM", "agents", "ref-1003"]);
    let mut third = agent("1003");
    third["metadata"]["ref"] = "ref-1003".into();
    let put = site.ask("PUT", "/agents/ref-1003", &third);
    assert_eq!(put.status, 422, "{}", put.body);
    assert_eq!(site.redis.ask(&["EXISTS", "ref-1003"]), "0");
    assert_eq!(site.ask("DELETE", "/agents/ref-1003", &Value::Null).status, 404);
    // More than is read again.
    let mut long = agent("1004");
    long["metadata"]["name"] = "Long one".into();
    long["note"] = "x".repeat(300_000).into();
    let refused = site.ask("POST", "/agents", &long);
    assert!(refused.status == 422 && refused.body.contains("262144"), "{}", refused.body);
    assert_eq!(site.redis.members("agents"), ["ref-1001", "ref-1002"]);
}

#[test]
fn two_exchanges_on_one_redis_make_an_agent_once() {
    let site = Site::start();
    let second = on_redis(Late, &site.redis, "");
    let _second = second.start(&[]);
    let (other, token) = client(&second);
    for n in 0..10 {
        let body = agent(&format!("2{n:03}")).to_string();
        let statuses = std::thread::scope(|scope| {
            let one = scope.spawn(|| site.ask("POST", "/agents", &agent(&format!("2{n:03}"))).status);
            let two = scope.spawn(|| other.send("POST", &format!("/agents?token={token}"), "", &body).status);
            let mut both = [one.join().expect("asked"), two.join().expect("asked")];
            both.sort_unstable();
            both
        });
        assert_eq!(statuses, [201, 409]);
    }
    assert_eq!(site.redis.members("agents").len(), 12);
}

#[test]
fn a_rest_service_that_gives_half_takes_nothing_away() {
    let service = V1Service::start(Vec::new());
    let folder = on_service(&service);
    service.change(|documents| *documents = folder.documents());
    let http = free_port();
    let exchange = folder.start(&[
        ("HOME", "."),
        ("TRUNKLINE_HTTP_ADDR", &format!("127.0.0.1:{http}")),
        ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0"),
        ("TRUNKLINE_ROUTR_V1_PROVIDER_POLL_SECONDS", "1"),
    ]);
    let http = Rest::http(SocketAddr::from(([127, 0, 0, 1], http)), "");
    let state = |ok: bool| {
        wait_for(&format!("/readyz to be {ok}"), || {
            let ready = http.get("/readyz").json;
            let parts = ready["parts"].as_array().cloned().unwrap_or_default();
            parts.iter().any(|part| part["name"] == "resources" && part["ok"] == ok).then_some(())
        });
    };
    for (http_status, body) in [
        (200, r#"{"status": 404, "message": "Not found", "result": []}"#),
        (200, r#"{"status": 500, "message": "Oh", "result": []}"#),
        (500, r#"{"status": 200, "message": "ok", "result": []}"#),
        (503, "<html>"),
        (200, r#"{"status": 200, "message": "ok", "result": [{}, {}, 1]}"#),
        (200, r#"{"status": 200, "message": "ok", "result": [{"kind": "Peer", "spec": {}}]}"#),
    ] {
        service.mood(Mood::Says("agents", http_status, body));
        state(false);
        registered(&exchange, "1001");
        service.mood(Mood::Good);
        state(true);
    }
    // One that has nothing at all any more.
    service.change(Vec::clear);
    state(false);
    registered(&exchange, "1001");
    service.change(|documents| *documents = folder.documents());
    state(true);
    // A million documents that are none are no long work.
    let many = format!(r#"{{"status": 200, "result": [{}{{}}]}}"#, "{},".repeat(1_000_000));
    service.mood(Mood::Says("agents", 200, Box::leak(many.into_boxed_str())));
    state(false);
    registered(&exchange, "1002");
}
