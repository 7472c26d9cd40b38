//! Leaving Routr v1: what stands in its files or its Redis becomes a store of our own.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use trunkline_tests::V1Edition::{Late, Rc2};
use trunkline_tests::{Exchange, Mood, PostgresServer, RedisServer, Scratch, V1Folder, V1Service, binary};

use super::routr_v1::{at, calls_out_and_in, registered, talk};

fn run(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary()).args(words).current_dir(folder).output().expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

/// The migrated store serves phones, the gateway and the number, with the settings that were shown and without any: whoever
/// calls out shows who it is either way.
fn serves(scratch: &Scratch, folder: &V1Folder, settings: &str) {
    let database = std::fs::read(scratch.path().join("new.db")).expect("a database");
    for settings in [settings, "{}\n"] {
        let files = [("new.db", &database[..]), ("trunkline.yaml", settings.as_bytes())];
        let exchange = started(&files, &[("TRUNKLINE_DATA", "sqlite:new.db")]);
        calls(&exchange, folder);
    }
}

fn started(files: &[(&str, &[u8])], env: &[(&str, &str)]) -> Exchange {
    Exchange::start_on(files, &[env, &[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]].concat())
}

/// The phones call each other, out through the gateway and in by the number.
fn calls(exchange: &Exchange, folder: &V1Folder) {
    let (mut one, mut two) = (registered(exchange, "1001"), registered(exchange, "1002"));
    let invite = one.invite(&at("1002"));
    one.send(&invite);
    let seen = two.request_of("INVITE");
    two.respond(&seen, 486, "Busy Here");
    let answer = one.status_for(&invite, 486);
    one.acknowledge_failure(&invite, &answer);
    talk(&mut two, &at("1001"), &mut one);
    // Others register in their place.
    for ua in [&mut one, &mut two] {
        assert_eq!(ua.register(0).status(), 200);
    }
    calls_out_and_in(exchange, folder);
}

/// The settings that a dry run shows.
fn settings_of(scratch: &Scratch, from: &str) -> String {
    let (code, said) =
        run(scratch.path(), &["migrate", from, "--to", "sqlite:other.db", "--dry-run", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("JSON: {said}"));
    let settings = said["settings"].as_str().unwrap_or_default().to_owned();
    assert!(
        settings.contains("authenticate: egress") && settings.contains("peersUsePolicies: on"),
        "{settings}"
    );
    settings
}

#[test]
fn a_folder_becomes_a_store() {
    for edition in [Rc2, Late] {
        let folder = V1Folder::new(edition);
        let scratch = Scratch::new("migrate");
        for (path, text) in folder.files() {
            // A key that nobody knows.
            scratch.write(path, text.replace("    name: Office\n", "    name: Office\n    colour: blue\n"));
        }
        let (code, said) = run(scratch.path(), &["migrate", ".", "--to", "sqlite:new.db", "--dry-run"]);
        assert_eq!(code, Some(0), "{said}");
        for line in [
            "Main line",
            "Agent 1001",
            "no equivalent: Domain ",
            "`metadata.colour`",
            "userAgent: \"Test v1\"",
            "data: \"sqlite:new.db\"",
            "no equivalent: spec.restService.port",
            "would be written to sqlite:new.db",
            "nothing was changed",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        assert!(!said.contains("pw-1001") && !said.contains("hidden"), "{said}");
        assert!(!scratch.path().join("new.db").exists(), "nothing is written");
        let (code, said) =
            run(scratch.path(), &["migrate", "config/config.yml", "--to", "sqlite:new.db", "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("JSON: {said}"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said["done"]["created"].as_u64().is_some_and(|n| n > 5), "{said}");
        let (_, again) = run(scratch.path(), &["migrate", ".", "--to", "sqlite:new.db"]);
        assert!(again.contains("0 created, 0 updated"), "{again}");
        serves(&scratch, &folder, &settings_of(&scratch, "."));
    }
}

#[test]
fn a_redis_becomes_a_store() {
    let redis = RedisServer::start();
    let folder = V1Folder::new(Late);
    redis.fill(&folder.documents());
    let scratch = Scratch::new("migrate-redis");
    let from = format!("routr-v1-redis:127.0.0.1:{}", redis.port);
    let (code, said) = run(scratch.path(), &["migrate", &from, "--to", "sqlite:new.db"]);
    assert!(code == Some(0) && said.contains(" created, "), "{said}");
    serves(&scratch, &folder, &settings_of(&scratch, &from));
    for (from, code) in [("routr-v1-redis:127.0.0.1:1", 1), ("nowhere", 64), ("sqlite:new.db", 64)] {
        assert_eq!(run(scratch.path(), &["migrate", from]).0, Some(code), "{from}");
    }
}

#[test]
fn a_folder_becomes_a_postgresql_database() {
    let server = PostgresServer::start();
    let folder = V1Folder::new(Late);
    let scratch = Scratch::new("migrate-postgres");
    for (path, text) in folder.files() {
        scratch.write(path, text);
    }
    let (url, password) = (server.url(), server.password());
    let migrate = |to: &str, words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["migrate", ".", "--to", to]).args(words).current_dir(scratch.path());
        let output = command.env(password.0, password.1).output().expect("the command runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = migrate(&url, &["--dry-run"]);
    assert!(code == Some(0) && said.contains("nothing was changed"), "{said}");
    assert_eq!(server.ask("SELECT to_regclass('trunkline_resources') IS NULL"), "t");
    for to in [url.replace("trunkline@", "trunkline:hush@"), "postgres:x".into(), "mysql://x".into()] {
        let (code, said) = migrate(&to, &["--dry-run"]);
        assert!(code == Some(64) && !said.contains("hush"), "{to}: {said}");
    }
    let (code, said) = migrate(&url, &[]);
    assert!(code == Some(0) && said.contains(" created, "), "{said}");
    let (_, again) = migrate(&url, &[]);
    assert!(again.contains("0 created, 0 updated"), "{again}");
    let settings = settings_of(&scratch, ".");
    let env = [("TRUNKLINE_DATA", url.as_str()), password];
    let exchange = started(&[("trunkline.yaml", settings.as_bytes())], &env);
    calls(&exchange, &folder);
}

#[test]
fn a_rest_service_becomes_a_store() {
    let folder = V1Folder::new(Rc2);
    let service = V1Service::start(folder.documents());
    let scratch = Scratch::new("migrate-rest");
    let config = |secret: &str| {
        format!(
            "apiVersion: v1beta1\nspec:\n  dataSource:\n    provider: restful_data_provider\n    parameters: {{baseUrl: '{}', username: ann, secret: {secret}}}\n",
            service.base()
        )
    };
    scratch.write("config/config.yml", config("hush"));
    let (code, said) = run(scratch.path(), &["migrate", ".", "--to", "sqlite:new.db", "--dry-run"]);
    assert!(code == Some(0) && said.contains("Agent 1001") && !said.contains("hush"), "{said}");
    assert!(!scratch.path().join("new.db").exists(), "nothing is written");
    let (code, said) = run(scratch.path(), &["migrate", "config/config.yml", "--to", "sqlite:new.db"]);
    assert!(code == Some(0) && said.contains(" created, "), "{said}");
    assert!(service.heard().iter().all(|line| line.ends_with(" Basic YW5uOmh1c2g=")), "as ann");
    serves(&scratch, &folder, &settings_of(&scratch, "."));
    // By its URL; a second run changes nothing. What answers nonsense is no empty store.
    let from = format!("routr-v1-rest:{}", service.base());
    let (code, said) = run(scratch.path(), &["migrate", &from, "--to", "sqlite:new.db"]);
    assert!(code == Some(0) && said.contains("0 created, 0 updated"), "{said}");
    service.mood(Mood::Says("agents", 401, "<html>Who are you?</html>"));
    let (code, said) = run(scratch.path(), &["migrate", &from, "--to", "sqlite:other.db"]);
    assert!(code == Some(1) && said.contains("TRUNKLINE_ROUTR_V1_PROVIDER_SECRET"), "{said}");
    for mood in [Mood::Nonsense, Mood::Fails, Mood::Leaves] {
        service.mood(mood);
        let (code, said) = run(scratch.path(), &["migrate", &from, "--to", "sqlite:other.db"]);
        assert!(code == Some(1) && said.contains("REST service"), "{mood:?} {said}");
        assert!(!scratch.path().join("other.db").exists(), "{mood:?}");
    }
}

#[test]
fn a_folder_of_routr_is_not_started_by_mistake() {
    let folder = V1Folder::new(Late);
    let scratch = Scratch::new("serve-v1");
    for (path, text) in folder.files() {
        scratch.write(path, text);
    }
    let (code, said) = run(scratch.path(), &["serve"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(
        said.contains("trunkline serve --config config/config.yml") && said.contains("migrate"),
        "{said}"
    );
}
