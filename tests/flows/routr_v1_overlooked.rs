//! Commands in the folder of a Routr v1 without `--config`, and passwords that everybody knows.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use trunkline_tests::V1Edition::Late;
use trunkline_tests::{Exchange, Scratch, V1Folder, binary, exchange_command, wait_for};

/// Runs a command in a folder: exit code, and what it says.
fn run(folder: &Path, words: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(binary())
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    // A command that reads nothing may have ended.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

/// The commands that would serve, change or judge something else than the operator means.
const COMMANDS: [&[&str]; 6] = [
    &["serve"],
    &["check"],
    &["doctor"],
    &["acl", "create", "office", "--allow", "192.0.2.0/24"],
    &["agents", "list"],
    &["status"],
];

fn overlooked(folder: &Path) {
    for words in COMMANDS {
        let (code, said) = run(folder, words, "");
        assert_eq!(code, Some(64), "{words:?} {said}");
        assert!(said.contains("--config config/config.yml"), "{words:?} {said}");
    }
}

#[test]
fn commands_say_that_a_routr_v1_is_meant() {
    let scratch = Scratch::new("overlooked");
    let folder = V1Folder::new(Late);
    for (path, text) in folder.files() {
        scratch.write(path, text);
    }
    overlooked(scratch.path());
    assert!(!scratch.path().join("trunkline.db").exists());
    // Also once an exchange has kept its registrations here.
    let mut exchange = folder.start(&[]);
    let running = exchange_command(&exchange).arg("status").output().expect("the command runs");
    assert!(running.status.success(), "the one that runs is meant: {running:?}");
    assert_eq!(exchange.stop(), Some(0));
    assert!(exchange.folder().join("trunkline.db").exists());
    overlooked(exchange.folder());
    let (code, said) = run(exchange.folder(), &["check", "config"], "");
    assert_eq!(code, Some(0), "{said}");
    // Who begins anew has resources of their own.
    let made = ["domains", "create", "office.example"];
    let made = Command::new(binary())
        .args(made)
        .current_dir(exchange.folder())
        .env("TRUNKLINE_DATA", "sqlite:trunkline.db")
        .output()
        .expect("the command runs");
    assert!(made.status.success(), "{made:?}");
    let (code, said) = run(exchange.folder(), &["check"], "");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn nothing_listens_that_the_configuration_does_not_name() {
    let scratch = Scratch::new("v1-grpc");
    let folder = V1Folder::new(Late);
    scratch.write("config/config.yml", folder.config());
    let (code, said) = run(scratch.path(), &["serve", "--config", "config/config.yml", "--print-config"], "");
    assert_eq!(code, Some(0), "{said}");
    let (_, grpc) = said.split_once("\ngrpc:\n").expect("the section");
    let lines: Vec<&str> = grpc.lines().take_while(|line| line.starts_with(' ')).collect();
    for key in ["addr: off", "externalAddr: off"] {
        assert!(lines.iter().any(|line| line.trim_start().starts_with(key)), "{key} {lines:?}");
    }
}

#[test]
fn passwords_that_everybody_knows_are_warned_of() {
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[]);
    let warning = "user admin: the password is one that programs are delivered with";
    wait_for("a warning at the start", || exchange.log().contains(warning).then_some(()));
    let of = |words: &[&str]| {
        let output = exchange_command(&exchange).args(words).output().expect("the command runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    for words in [
        &["check", "--config", "config/config.yml"][..],
        &["doctor", "--config", "config/config.yml"],
        &["check", "config"],
    ] {
        let said = of(words);
        assert!(said.contains(warning) && !said.contains("changeit"), "{words:?} {said}");
    }
    let ours = Exchange::first_start();
    let create = ["users", "create", "bob", "--role", "admin", "--password-stdin"];
    let (code, said) = run(ours.folder(), &create, "changeit\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: the password is one of the most common ones"), "{said}");
}
