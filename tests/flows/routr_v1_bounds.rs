//! Routr v1: values at the edge of what is taken, and what an operator hears of those that are not.

use serde_json::{Value, json};
use trunkline_tests::V1Edition::Late;
use trunkline_tests::{Exchange, RedisServer, Rest, Scratch, Ua, V1Folder, wait_for};

use super::routr_v1::{at, phone, registered};
use super::routr_v1_providers::{agent, client, on_redis};
use super::routr_v1_stored::run_in as run;

/// A client of the API of an exchange on Redis.
struct Api {
    redis: RedisServer,
    exchange: Exchange,
    rest: Rest,
    token: String,
}

impl Api {
    fn start() -> Api {
        let redis = RedisServer::start();
        let folder = on_redis(Late, &redis, "");
        redis.fill(&folder.documents());
        let exchange = folder.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
        let (rest, token) = client(&folder);
        Api { redis, exchange, rest, token }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> trunkline_tests::RestReply {
        self.rest.send(method, &format!("{path}?token={}", self.token), headers, body)
    }

    fn agents(&self) -> Vec<Value> {
        self.ask("GET", "/agents", "", "").json["data"].as_array().cloned().unwrap_or_default()
    }

    /// Sends a form whose part `file` has so many agents.
    fn form(&self, count: usize) -> trunkline_tests::RestReply {
        let list: Vec<Value> = (0..count).map(|n| agent(&format!("2{n:03}"))).collect();
        let file = "Content-Disposition: form-data; name=\"file\"; filename=\"agents.yml\"";
        let body = format!("--limit\r\n{file}\r\n\r\n{}\r\n--limit--\r\n", Value::Array(list));
        self.ask("POST", "/agents", "Content-Type: multipart/form-data; boundary=limit\r\n", &body)
    }
}

#[test]
fn a_form_makes_a_thousand_documents_at_most() {
    let api = Api::start();
    let refused = api.form(1001);
    assert_eq!((refused.status, &refused.json["status"]), (413, &413.into()), "{}", refused.body);
    let message = refused.json["message"].as_str().unwrap_or_default();
    assert!(message.contains("1001 documents") && message.contains("1000"), "{message}");
    assert_eq!(api.agents().len(), 2, "none of them is made");
    let made = api.form(3);
    assert_eq!((made.status, &made.json["message"]), (200, &"done".into()), "{}", made.body);
    assert_eq!(api.agents().len(), 5);
    let mut last = Ua::udp(api.exchange.udp(), "2002", "sip.local", "pw-2002");
    assert_eq!(last.register(60).status(), 200);
}

/// JSON may have characters in its strings that YAML, as which documents are read, has in none.
#[test]
fn characters_that_yaml_does_not_have_are_read_from_redis() {
    let api = Api::start();
    let (name, note) = ("An\u{2028}n\u{feff}\u{1f600}", "\u{7f}\u{85}\u{9f}\u{fffe}\u{ffff}");
    let mut third = agent("1003");
    third["metadata"] = json!({"name": name, "note": note, "ref": "third"});
    api.redis.fill(&[("agents".into(), "third".into(), third)]);
    wait_for("the third agent", || (api.agents().len() == 3).then_some(()));
    registered(&api.exchange, "1003");
    let shown = api.ask("GET", "/agents/third", "", "").json["data"].clone();
    assert_eq!((&shown["metadata"]["name"], &shown["metadata"]["note"]), (&name.into(), &note.into()));
    let put = api.ask("PUT", "/agents/third", "", &shown.to_string());
    assert_eq!(put.status, 200, "{}", put.body);
    let kept = api.redis.document("third");
    assert_eq!((&kept["metadata"]["name"], &kept["metadata"]["note"]), (&name.into(), &note.into()));
    registered(&api.exchange, "1003");
}

#[test]
fn a_location_entry_is_an_address_that_can_be_reached() {
    let api = Api::start();
    let phone = phone(&api.exchange, "1001");
    let entry = |address: &str, port: u16| {
        let body = json!({"user": "1001", "address": address, "port": port, "expires": 600});
        api.ask("POST", "/location/sip:1001@sip.local", "", &body.to_string())
    };
    for (address, port) in [("127.0.0.1", 0), ("0.0.0.0", 5060), ("::", 5060), ("nowhere", 5060), ("", 5060)]
    {
        let refused = entry(address, port);
        assert_eq!(refused.status, 400, "{address} {port}: {}", refused.body);
    }
    assert_eq!(api.ask("GET", "/location", "", "").json["data"], json!([]));
    let added = entry("127.0.0.1", phone.wire.local().port());
    assert!(added.status == 200 && added.body.contains("Added location entry"), "{}", added.body);
    let shown = api.ask("GET", "/location", "", "").json;
    assert_eq!(shown["data"][0]["addressOfRecord"], "sip:1001@sip.local", "{shown}");
    // It is called there.
    let (mut caller, mut phone) = (registered(&api.exchange, "1002"), phone);
    let invite = caller.invite(&at("1001"));
    caller.send(&invite);
    let seen = phone.request_of("INVITE");
    phone.respond(&seen, 486, "Busy Here");
    let answer = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &answer);
}

/// A folder on disk, with more lines of `spec` and of the gateway's.
fn written(spec: &str, gateway: &str) -> Scratch {
    let scratch = Scratch::new("bounds");
    for (path, mut text) in V1Folder::new(Late).files() {
        match path {
            "config/config.yml" => text.push_str(spec),
            "config/gateways.yml" => text.push_str(gateway),
            _ => {}
        }
        scratch.write(path, text);
    }
    scratch
}

#[test]
fn an_expiry_that_is_not_used_as_written_is_warned_of() {
    for (written_as, used) in [
        ("30", "30 is too short: 60 seconds are used"),
        ("100000", "100000 is too long: 86400 seconds are used"),
        ("0", "0: the default is used"),
    ] {
        let line = format!("    expires: {written_as}\n");
        let scratch = written("", &line);
        let warning = format!("Gateway provider: `spec.expires`: {used}");
        for words in [&["check", "--config", "config/config.yml"][..], &["check", "config"]] {
            let (code, said) = run(scratch.path(), words);
            assert!(code == Some(0) && said.contains(&warning), "{words:?}: {said}");
        }
        let folder = V1Folder::new(Late);
        let mut files = folder.files();
        let gateways = files.iter_mut().find(|(path, _)| *path == "config/gateways.yml").expect("the file");
        gateways.1.push_str(&line);
        let exchange = folder.start_on(&files, &[]);
        wait_for("the warning", || exchange.log().contains(&warning).then_some(()));
    }
    let (_, said) =
        run(written("", "    expires: 900\n").path(), &["check", "--config", "config/config.yml"]);
    assert!(!said.contains("spec.expires"), "{said}");
}

/// `serve` and `check` name the key that the operator wrote, where it stands, and the line to type.
#[test]
fn a_key_store_that_cannot_be_opened_is_named_by_its_key() {
    let damaged = [&[0xfe, 0xed, 0xfe, 0xed][..], &[0; 40]].concat();
    for (lines, key) in [
        (
            "    - {protocol: tls, port: 5061}\n  securityContext: {keyStore: 'my certs/a.jks'}\n",
            "spec.securityContext.keyStore",
        ),
        ("  securityContext: {trustStore: 'my certs/a.jks'}\n", "spec.securityContext.trustStore"),
    ] {
        let scratch = written(lines, "");
        scratch.write("my certs/a.jks", &damaged);
        for command in ["check", "serve"] {
            let (code, said) = run(scratch.path(), &[command, "--config", "config/config.yml"]);
            assert_eq!(code, Some(64), "{command}: {said}");
            let line = "keytool -importkeystore -srckeystore 'my certs/a.jks' -destkeystore 'my certs/a.p12' \
                        -deststoretype pkcs12";
            assert!(
                said.contains(key) && said.contains("config/config.yml:") && said.contains(line),
                "{said}"
            );
        }
    }
}

#[test]
fn an_address_of_another_machine_is_named_with_its_key() {
    let scratch = written("", "");
    let config = V1Folder::new(Late).config().replacen("bindAddr: 127.0.0.1", "bindAddr: 203.0.113.9", 1);
    scratch.write("config/config.yml", config);
    let (code, said) = run(scratch.path(), &["serve", "--config", "config/config.yml"]);
    assert!(code == Some(1) && said.contains("spec.transport, protocol"), "{said}");
    assert!(said.contains("`spec.bindAddr`") && !said.contains("another program"), "{said}");
}

#[test]
fn a_list_that_denies_somebody_is_no_open_one() {
    let open = "allows every address";
    for (list, warned) in
        [("{allow: [0.0.0.0/0]}", true), ("{allow: [0.0.0.0/0], deny: [203.0.113.0/24]}", false)]
    {
        let scratch = written(&format!("  accessControlList: {list}\n"), "");
        let (code, said) = run(scratch.path(), &["check", "--config", "config/config.yml"]);
        assert!(code == Some(0) && said.contains(open) == warned, "{list}: {said}");
    }
}
