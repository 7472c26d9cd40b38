//! svcrack of SIPVicious, which guesses the password of a phone by the words of a list.

use std::path::{Path, PathBuf};
use std::process::Command;

use trunkline_tests::{Exchange, Scratch};

use super::{DOMAIN, agents, phone};

fn svcrack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipvicious/venv/bin/sipvicious_svcrack")
}

/// What svcrack prints that goes through a list of that many words, of which one is right.
fn crack(exchange: &Exchange, words: usize, right: usize) -> String {
    let scratch = Scratch::new("svcrack");
    let list = (0..words).map(|n| if n == right { "pw-1001\n".to_owned() } else { format!("guess-{n}\n") });
    let dictionary = scratch.write("words.txt", list.collect::<String>());
    let port = exchange.udp().port().to_string();
    let out = Command::new(svcrack())
        .args([
            "-v",
            "-u",
            "1001",
            "-b",
            "127.0.0.1",
            "-p",
            &*port,
            "-t",
            "0.002",
            "--maximumtime",
            "60",
            "-d",
        ])
        .arg(&dictionary)
        .arg("127.0.0.1")
        .env("HOME", scratch.path())
        .output()
        .expect("svcrack: cargo xtask install brings it");
    let text = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn svcrack_is_stopped_before_it_gets_to_the_right_word() {
    let exchange = Exchange::start_with(&agents(), &format!("domain: {DOMAIN}\n"), &[]);
    let stopped = crack(&exchange, 1_000, 500);
    assert!(!stopped.contains("pw-1001"), "{stopped}");
    // The phone itself gets in.
    assert_eq!(phone(&exchange, "1001").register(600).status(), 200);
    // svcrack can do it: the same word near the beginning is found, on an exchange that has no ban.
    let exchange = Exchange::start_with(&agents(), &format!("domain: {DOMAIN}\n"), &[]);
    let found = crack(&exchange, 20, 5);
    assert!(found.contains("pw-1001"), "{found}");
}
