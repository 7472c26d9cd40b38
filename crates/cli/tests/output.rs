//! What commands print: nothing a terminal obeys, no secrets, nothing into the void.

mod place;

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use place::{Arguments, Place};
use trunkline_cli::{Common, Terminal, run};
use trunkline_config::Env;

#[test]
fn a_terminal_obeys_no_name() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("agents create 1003");
    for name in ["\x1b]0;pwned\x07", "a\u{9b}31m", "two\nlines"] {
        let error = place
            .wrong(&format!("agents update 1003 --set metadata.name=\"{name}\"").replace('\n', "\\n"), 64);
        assert!(!error.contains(['\x1b', '\u{9b}']), "{error:?}");
    }
    // What cannot be refused is shown harmlessly.
    let error = place.wrong("agents get \x1b[31mred", 1);
    assert!(error.contains("there is no Agent `\\u{1b}[31mred`"), "{error:?}");
}

#[test]
fn no_secret_is_in_an_error() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("agents create 1003");
    for (line, about) in [
        ("agents create 1003 --password-stdin", "agent 1003 exists: use `agents update`"),
        (
            "agents create a␣b --password-stdin",
            "Agent agent-a-b, spec.username: the username must not contain spaces",
        ),
        ("agents create 1004 --password-stdin --set nonsense=1", "unknown key `nonsense`"),
        ("agents update 1003 --password-stdin --set maxContacts=many", "expected a whole number"),
    ] {
        let said = place.said(line, "hunter2\n");
        assert_eq!(said.code, 64, "{}", said.err);
        assert!(said.err.contains(about), "{}", said.err);
        assert!(!said.err.contains("hunter2") && !said.out.contains("hunter2"), "{}", said.err);
    }
    let text = "- {apiVersion: v2, kind: Credentials, ref: c, metadata: {name: c},\n   \
                spec: {credentials: {username: u, password: hunter2, colour: red}}}\n";
    std::fs::write(place.path("bad.yaml"), text).expect("written");
    let error = place.wrong(&format!("import {}", place.path("bad.yaml").display()), 64);
    assert!(error.contains("colour") && !error.contains("hunter2"), "{error}");
}

/// A reader who has left.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let place = Place::new();
    place.ok("domains create sip.local");
    for line in ["domains list", "domains list --json", "domains get sip.local", "export", "status", "check"]
    {
        let arguments =
            Arguments::try_parse_from(["trunkline"].into_iter().chain(line.split(' '))).expect("a command");
        let common = Common { config: Some(place.path("trunkline.yaml")), ..arguments.common };
        let mut err = Vec::new();
        let mut terminal = Terminal { input: &mut io::empty(), out: &mut Gone, err: &mut err };
        let offline: trunkline_cli::Offline<'_> = &|_, store| Box::new(store);
        assert_eq!(run(&arguments.command, &common, &Env::default(), &mut terminal, offline), 0, "{line}");
        assert!(err.is_empty(), "{line}: {}", String::from_utf8_lossy(&err));
    }
}

#[test]
fn json_is_json_everywhere() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("agents create 1003 --name Ann␣Lee");
    for line in [
        "domains list",
        "agents get 1003",
        "users list",
        "status",
        "export",
        "check",
        "agents update 1003 --set maxContacts=2",
    ] {
        let text = place.ok(&format!("{line} --json"));
        serde_json::from_str::<serde_json::Value>(&text)
            .unwrap_or_else(|error| panic!("{line}: {error}\n{text}"));
    }
    // And what is exported so can be imported.
    let other = Place::new();
    std::fs::write(other.path("all.json"), place.ok("export --json")).expect("written");
    assert_eq!(other.ok(&format!("import {}", other.path("all.json").display())), "3 created\n");
    assert_eq!(other.ok("export"), place.ok("export"));
}

#[test]
fn an_export_is_for_its_owner_alone() {
    let place = Place::new();
    place.ok("credentials create pbx");
    let file = place.path("backup.yaml");
    std::fs::write(&file, "what was there before, for all to read").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
    place.ok(&format!("export --output {}", file.display()));
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).expect("read").contains("password"));
    let left = std::fs::read_dir(place.path("")).expect("a folder").count();
    assert_eq!(left, 3, "backup.yaml, trunkline.db, trunkline.yaml");
    let link = place.path("link.yaml");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    place.ok(&format!("export --output {}", link.display()));
    assert!(link.is_symlink(), "what it leads to is written");
    let pipe = place.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).expect("read")
    });
    place.ok(&format!("export --output {}", pipe.display()));
    assert!(reader.join().expect("no panic").contains("password"), "a pipe is written to, not replaced");
    let error = place.wrong("export --output /nowhere/backup.yaml", 1);
    assert!(error.contains("cannot write /nowhere/backup.yaml"), "{error}");
}

#[test]
fn check_looks_for_what_the_configuration_names() {
    let place = Place::new();
    let config = place.path("trunkline.yaml");
    for (text, about) in [
        ("tls: {cert: /nowhere/a.pem, key: /nowhere/a.key}\n", "`tls.cert`: cannot read /nowhere/a.pem"),
        ("tls:\n  pkcs12: {file: /nowhere/a.p12}\n", "trunkline.yaml:2:18"),
        ("data: sqlite:/nowhere/t.db\n", "`data`: there is no folder /nowhere"),
    ] {
        std::fs::write(&config, text).expect("written");
        let error = place.wrong("check", 64);
        assert!(error.contains(about), "{error}");
    }
}

#[test]
fn a_replacement_without_anything_removes_nothing() {
    let place = Place::new();
    place.ok("domains create sip.local");
    std::fs::create_dir(place.path("empty")).expect("a folder");
    let error = place.wrong(&format!("import --replace {}", place.path("empty").display()), 64);
    assert!(error.contains("contain no resources"), "{error}");
    assert!(place.ok("domains list").contains("sip.local"));
}
