//! A Redis server of a test, with its data in a scratch folder, filled key by key.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::ports::free_port;
use crate::routr_v1::V1Document;
use crate::scratch::Scratch;
use crate::wait_for;

/// A running Redis; dropped, it is ended.
#[derive(Debug)]
pub struct RedisServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    secret: String,
    scratch: Scratch,
    child: Child,
}

impl RedisServer {
    /// On a free port, without a password.
    pub fn start() -> RedisServer {
        RedisServer::start_at(free_port(), "")
    }

    /// On a port of the caller's, with a password unless that is empty.
    pub fn start_at(port: u16, secret: &str) -> RedisServer {
        let scratch = Scratch::new("redis");
        let child = spawn(port, secret, &scratch);
        let server = RedisServer { port, secret: secret.to_owned(), scratch, child };
        server.wait_ready();
        server
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Has it hang: connections are taken, and nothing is answered until it is continued.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Ends a pause; it does now what was asked of it meanwhile.
    pub fn resume(&self) {
        self.signal("-CONT");
        self.wait_ready();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
    }

    /// Starts it again with the data it had.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.secret, &self.scratch);
        self.wait_ready();
    }

    fn wait_ready(&self) {
        wait_for("Redis to answer", || (self.ask(&["PING"]) == "PONG").then_some(()));
    }

    /// Sends a command and gives what `redis-cli` prints.
    pub fn ask(&self, words: &[&str]) -> String {
        let out = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .env("REDISCLI_AUTH", &self.secret)
            .args(if self.secret.is_empty() { &[][..] } else { &["--no-auth-warning"][..] })
            .args(["--raw"])
            .args(words)
            .output()
            .expect("`redis-cli` starts: cargo xtask install");
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// The members of a set, in order.
    pub fn members(&self, set: &str) -> Vec<String> {
        let mut members: Vec<String> = self.ask(&["SMEMBERS", set]).lines().map(str::to_owned).collect();
        members.sort();
        members
    }

    /// The document under a ref; null where there is none.
    pub fn document(&self, reference: &str) -> Value {
        serde_json::from_str(&self.ask(&["GET", reference])).unwrap_or_default()
    }

    /// Puts documents in as a Routr v1 does: SET and SADD.
    pub fn fill(&self, documents: &[V1Document]) {
        for (set, reference, document) in documents {
            assert_eq!(self.ask(&["SET", reference, &document.to_string()]), "OK");
            assert_eq!(self.ask(&["SADD", set, reference]), "1");
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, secret: &str, scratch: &Scratch) -> Child {
    let port = port.to_string();
    let log = std::fs::File::options().create(true).append(true).open(scratch.path().join("redis.log"));
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--dir"]);
    command.arg(scratch.path());
    if !secret.is_empty() {
        command.args(["--requirepass", secret]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.expect("the log file opens")))
        .stderr(Stdio::null())
        .spawn()
        .expect("`redis-server` starts: cargo xtask install")
}
