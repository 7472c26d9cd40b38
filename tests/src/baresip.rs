//! baresip, a softphone that people use: one process, one account, driven over its control port.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scratch::Scratch;
use crate::{PATIENCE, free_port, free_run, wait_for};

/// Debian's place for its modules.
const MODULES: &str = "/usr/lib/baresip/modules";

/// A running softphone. It ends with this value.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    control: TcpStream,
    /// What came over the control port and was not looked at.
    unread: Vec<u8>,
    events: Vec<Value>,
    scratch: Scratch,
}

impl Baresip {
    /// Starts one and waits until it is registered over `transport` (`udp`, `tcp`, `tls`).
    pub fn registered(user: &str, domain: &str, password: &str, at: SocketAddr, transport: &str) -> Baresip {
        Baresip::registered_from("127.0.0.1", (user, domain, password), at, (transport, 60))
    }

    /// The same at an address or link of this machine, registering anew after a part of so many seconds.
    pub fn registered_from(
        interface: &str,
        (user, domain, password): (&str, &str, &str),
        at: SocketAddr,
        (transport, expires): (&str, u32),
    ) -> Baresip {
        let scratch = Scratch::new("baresip");
        let (control, media) = (free_port(), free_run(9));
        // Sound goes from one bridge to the other; nothing needs a sound card.
        scratch.write(
            "config",
            format!(
                "net_interface {interface}\nsip_verify_server no\naudio_player aubridge,nil\naudio_source aubridge,nil\n\
                 audio_alert aubridge,nil\nmodule_path {MODULES}\nmodule g711.so\nmodule aubridge.so\n\
                 module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
                 ctrl_tcp_listen 127.0.0.1:{control}\nrtp_ports {media}-{}\n",
                media + 8
            ),
        );
        let way =
            format!("{user}@{domain};transport={transport}>;outbound=\"sip:{at};transport={transport}\"");
        let account = format!("<sip:{way};auth_pass={password};regint={expires};audio_codecs=PCMU/8000/1\n");
        scratch.write("accounts", account);
        let open = || {
            let log = File::options().create(true).append(true).open(scratch.path().join("log"));
            Stdio::from(log.expect("the log file opens"))
        };
        let mut child = Command::new("baresip")
            // Its messages are part of what it writes.
            .arg("-s")
            .arg("-f")
            .arg(scratch.path())
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("baresip starts: cargo xtask install");
        let control = wait_for("baresip's control port", || {
            if let Ok(Some(status)) = child.try_wait() {
                let log = std::fs::read_to_string(scratch.path().join("log")).unwrap_or_default();
                panic!("baresip ended with {status}:\n{log}");
            }
            TcpStream::connect(("127.0.0.1", control)).ok()
        });
        control.set_read_timeout(Some(Duration::from_millis(50))).expect("a live socket");
        let mut phone = Baresip { child, control, unread: Vec::new(), events: Vec::new(), scratch };
        wait_for("baresip to be registered", || phone.command("reginfo", "").contains("OK").then_some(()));
        phone
    }

    /// Gives a command and waits for its answer.
    pub fn command(&mut self, command: &str, params: &str) -> String {
        let text = json!({"command": command, "params": params, "token": command}).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("baresip lives");
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = |v: &Value| v["response"] == true && v["token"] == command;
            if let Some(i) = self.events.iter().position(answer) {
                let answer = self.events.remove(i);
                return answer["data"].as_str().unwrap_or_default().to_owned();
            }
            self.read(end, command);
        }
    }

    /// Waits for an event of its calls, `CALL_INCOMING` and its like; those before it are forgotten.
    pub fn event(&mut self, kind: &str) {
        self.wait(kind, |v| v["type"] == kind);
    }

    /// Waits for events of different kinds, in whatever order they come.
    pub fn events(&mut self, kinds: &[&str]) {
        let (end, mut missing) = (Instant::now() + PATIENCE, kinds.to_vec());
        while !missing.is_empty() {
            for event in std::mem::take(&mut self.events) {
                missing.retain(|kind| event["type"] != **kind);
            }
            if !missing.is_empty() {
                self.read(end, &missing.join(", "));
            }
        }
    }

    /// Forgets what has happened to it.
    pub fn forget(&mut self) {
        self.read(Instant::now() + PATIENCE, "what it says");
        self.events.clear();
    }

    /// Waits for the offer of a re-INVITE, or of the call itself.
    pub fn offer(&mut self) {
        self.wait("an offer", |v| v["type"] == "CALL_REMOTE_SDP" && v["param"] == "offer");
    }

    /// Waits for the answer to a re-INVITE of its own.
    pub fn offer_answered(&mut self) {
        self.wait("an answer", |v| v["type"] == "CALL_REMOTE_SDP" && v["param"] == "answer");
    }

    fn wait(&mut self, what: &str, is: impl Fn(&Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(i) = self.events.iter().position(&is) {
                self.events.drain(..=i);
                return;
            }
            self.read(end, what);
        }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.scratch.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads what has come, netstrings of JSON.
    fn read(&mut self, end: Instant, what: &str) {
        if Instant::now() >= end {
            let log = self.log();
            let last: Vec<_> = log.lines().rev().take(60).collect();
            let last: Vec<_> = last.into_iter().rev().collect();
            panic!("waited for {what}, saw {:?}; the last lines:\n{}", self.events, last.join("\n"));
        }
        let mut buffer = [0; 4096];
        if let Ok(n) = self.control.read(&mut buffer) {
            assert!(n > 0, "baresip has ended:\n{}", self.log());
            self.unread.extend_from_slice(&buffer[..n]);
        }
        while let Some(colon) = self.unread.iter().position(|b| *b == b':') {
            let length: usize = String::from_utf8_lossy(&self.unread[..colon]).parse().expect("a length");
            let Some(text) = self.unread.get(colon + 1..colon + 1 + length) else { return };
            self.events.push(serde_json::from_slice(text).expect("JSON"));
            self.unread.drain(..(colon + length + 2).min(self.unread.len()));
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // Each is a process of this test's own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
