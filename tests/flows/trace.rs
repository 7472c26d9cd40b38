//! `trunkline trace`: the messages of every transport, as they come and go.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trunkline_tests::{Exchange, PATIENCE, Scratch, Ua, exchange_command, wait_for};

use super::transports::Everywhere;
use super::{DOMAIN, agents, at, registered};

/// The command at work, with its output in files.
pub struct Tracer {
    process: Child,
    folder: Scratch,
}

impl Tracer {
    /// Starts it and waits until it watches.
    pub fn start(exchange: &Exchange, arguments: &[&str]) -> Tracer {
        Tracer::with(exchange, arguments, |folder| File::create(folder.join("out")).expect("a file").into())
    }

    /// The same, and nobody reads its output yet.
    fn unread(exchange: &Exchange, arguments: &[&str]) -> Tracer {
        Tracer::with(exchange, arguments, |_| Stdio::piped())
    }

    fn with(exchange: &Exchange, arguments: &[&str], out: impl Fn(&Path) -> Stdio) -> Tracer {
        let folder = Scratch::new("trace");
        let errors = File::create(folder.path().join("err")).expect("a file");
        let mut command = exchange_command(exchange);
        command.arg("trace").args(arguments).stdin(Stdio::null()).stdout(out(folder.path())).stderr(errors);
        let tracer = Tracer { process: command.spawn().expect("the command starts"), folder };
        wait_for("the command to watch", || tracer.errors().contains("as they come").then_some(()));
        tracer
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join(name)).expect("a file")).into_owned()
    }

    /// What it has printed.
    pub fn text(&self) -> String {
        self.read("out")
    }

    pub fn errors(&self) -> String {
        self.read("err")
    }

    /// What it has printed once that contains these words.
    pub fn until(&self, words: &str) -> String {
        wait_for(words, || Some(self.text()).filter(|text| text.contains(words)))
    }

    /// The messages it has printed, with `--json`.
    pub fn messages(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits for its end; its exit status, none after a signal.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("the command to end", || self.process.try_wait().expect("a child")).code()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The text has these words, in this order.
fn follow(text: &str, all: &[&str]) {
    let mut rest = text;
    for words in all {
        let at = rest.find(words).unwrap_or_else(|| panic!("`{words}` does not follow in\n{text}"));
        rest = &rest[at + words.len()..];
    }
}

#[test]
fn every_transport_is_shown_both_ways() {
    let everywhere = Everywhere::start();
    let tracer = Tracer::start(&everywhere.exchange, &["--json"]);
    let listeners = [
        ("udp", everywhere.udp),
        ("udp6", everywhere.udp6),
        ("tcp", everywhere.udp),
        ("tls", everywhere.tls),
        ("ws", everywhere.ws),
        ("wss", everywhere.wss),
    ];
    for (wire, local) in listeners {
        let ua = everywhere.phone(wire, "1001");
        let remote = ua.wire.local().to_string();
        let of_phone = || -> Vec<Value> {
            tracer.messages().into_iter().filter(|m| m["remote"] == remote.as_str()).collect()
        };
        let all = wait_for("its messages", || Some(of_phone()).filter(|all| all.len() >= 4));
        let told: Vec<_> = all
            .iter()
            .map(|m| {
                (
                    m["direction"].as_str().unwrap_or(""),
                    m["method"].as_str().unwrap_or(""),
                    m["status"].as_u64(),
                )
            })
            .collect();
        let (received, sent) = ("received", "sent");
        assert_eq!(
            told,
            [
                (received, "REGISTER", None),
                (sent, "REGISTER", Some(401)),
                (received, "REGISTER", None),
                (sent, "REGISTER", Some(200))
            ],
            "{wire}"
        );
        assert_eq!(all[1]["reason"], "auth.required");
        for message in &all {
            assert_eq!(message["transport"], wire.trim_end_matches('6'), "{message}");
            assert_eq!(message["local"], local.to_string(), "{message}");
            assert!(message["callId"].as_str().is_some_and(|id| !id.is_empty()), "{message}");
        }
        let credentials = all[2]["message"].as_str().expect("text");
        assert!(
            credentials.contains("username=\"1001\"") && credentials.contains("response=***"),
            "{credentials}"
        );
        assert!(!credentials.contains("response=\""), "{credentials}");
    }
}

#[test]
fn a_call_is_a_ladder_and_a_refusal_has_its_reason() {
    let exchange = Exchange::start(&agents());
    let ladder = Tracer::start(&exchange, &["--user", "1001"]);
    let raw = Tracer::start(&exchange, &["--raw", "--method", "invite", "--source", "127.0.0.1"]);
    let failed = Tracer::start(&exchange, &["--failed"]);
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    super::dialogs::connect(&mut caller, &mut callee);
    let one = Tracer::start(&exchange, &["--limit", "2", "--for", "1h"]);
    let invite = caller.invite(&at("+99"));
    let invite = caller.call(&invite);
    let answer = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &answer);
    let text = ladder.until("[route.no-policy]");
    let (from, to) = (caller.wire.local().to_string(), callee.wire.local().to_string());
    let own = exchange.udp().to_string();
    let line = |remote: &str, arrow: char, what: &str| format!("UDP {remote:<21} {arrow} {own:<21}  {what}");
    let invited = line(&to, '←', "INVITE sip:1002@");
    let lines = [
        line(&from, '→', "REGISTER sip:sip.test"),
        line(&from, '←', "401 Unauthorized (REGISTER)  [auth.required]"),
        line(&from, '←', "200 OK (REGISTER)"),
        line(&from, '→', "INVITE sip:1002@sip.test"),
        invited.clone(),
        line(&to, '→', "200 OK (INVITE)"),
        line(&from, '←', "200 OK (INVITE)"),
        line(&from, '→', "ACK "),
        line(&to, '←', "ACK "),
        line(&from, '→', "INVITE sip:+99@sip.test"),
        line(&from, '←', "404 Not Found (INVITE)  [route.no-policy]"),
    ];
    follow(&text, &lines.each_ref().map(String::as_str));
    assert!(!text.contains(&line(&to, '→', "REGISTER")), "only what concerns 1001: {text}");
    let text = raw.until("404 Not Found");
    assert!(!text.contains("REGISTER sip:sip.test") && text.contains("\nm=audio "), "{text}");
    assert!(text.contains("response=***") && !text.contains("response=\""), "{text}");
    let text = failed.until("[route.no-policy]");
    follow(&text, &["INVITE sip:+99@sip.test", "404 Not Found (INVITE)", invite.call_id()]);
    assert!(!text.contains("REGISTER") && !text.contains("sip:1002@"), "{text}");
    let mut one = one;
    assert_eq!(one.ended(), Some(0));
    assert_eq!(one.text().lines().count(), 2);
    assert!(one.errors().contains("2 messages"), "{}", one.errors());
}

#[test]
fn it_ends_with_its_reader_with_a_signal_and_with_its_time() {
    let mut exchange = Exchange::start(&agents());
    for (arguments, status) in
        [(&["--for", "0s"][..], 0), (&["--source", "nowhere"], 64), (&["--json", "--write", "x"], 64)]
    {
        let out = exchange_command(&exchange).arg("trace").args(arguments).output().expect("it runs");
        assert_eq!(
            out.status.code(),
            Some(status),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
    // Not SIGINT, which is ignored where somebody runs the tests in the background.
    let mut tracer = Tracer::start(&exchange, &[]);
    tracer.signal("TERM");
    assert_eq!(tracer.ended(), None, "ended by the signal");
    // Whoever reads has gone: the next message ends the command, without an error.
    let mut command = exchange_command(&exchange);
    command.arg("trace").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the command starts");
    drop(process.stdout.take());
    let status = wait_for("the command to end", || {
        registered(&exchange, "1001");
        process.try_wait().expect("a child")
    });
    assert_eq!(status.code(), Some(0));
    // The exchange ends, and with it whoever watches it.
    let mut tracer = Tracer::start(&exchange, &[]);
    assert_eq!(exchange.stop(), Some(0));
    assert_eq!(tracer.ended(), Some(1));
    assert!(tracer.errors().contains("the exchange has ended"), "{}", tracer.errors());
}

/// Nothing is lost to the calls, and the reader learns what it has lost.
#[test]
fn a_reader_that_does_not_read_keeps_nobody_waiting() {
    let exchange = Exchange::start(&agents());
    let mut tracer = Tracer::unread(&exchange, &["--json"]);
    let mut phone = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let body = "x".repeat(50_000);
    // Several times what the ring of a shard takes.
    for n in 0..400 {
        let request = phone.request("OPTIONS", &format!("sip:{DOMAIN}")).body("text/plain", body.clone());
        phone.send(&request);
        assert_eq!(phone.final_for(&request).status() / 100, 2, "{n}");
    }
    let mut out = tracer.process.stdout.take().expect("a pipe");
    let (tell, read) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let first = out.read(&mut [0; 1])?;
        let _ = tell.send(first);
        std::io::copy(&mut out, &mut std::io::sink())
    });
    assert_eq!(read.recv_timeout(PATIENCE), Ok(1), "what came last is still there");
    wait_for("what was lost", || {
        let lost = |line: &str| {
            line.strip_suffix(" messages were not seen: the output is read too slowly")?.parse::<u32>().ok()
        };
        let lost: u32 = tracer.errors().lines().filter_map(lost).sum();
        (lost > 10).then_some(())
    });
    tracer.signal("TERM");
    tracer.ended();
    assert!(reader.join().expect("the reader").is_ok());
}

/// What tshark reads in a capture file: these fields of each message.
fn tshark(file: &std::path::Path, fields: &[&str]) -> Vec<Vec<String>> {
    let fields: Vec<&str> = fields.iter().flat_map(|field| ["-e", field]).collect();
    let out = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(file)
        .args(["-Y", "sip", "-T", "fields"])
        .args(&fields)
        .env("HOME", file.parent().expect("a folder"))
        .output()
        .expect("tshark runs: cargo xtask install brings it");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout);
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn wireshark_reads_the_file() {
    let everywhere = Everywhere::start();
    let files = Scratch::new("pcap");
    let file = files.path().join("trace.pcap");
    // Others could read one that was there before.
    std::fs::write(&file, "old").expect("a file");
    let name = file.display().to_string();
    let mut tracer = Tracer::start(&everywhere.exchange, &["--write", &name, "--limit", "26"]);
    for wire in ["udp6", "tcp", "tls", "ws", "wss"] {
        everywhere.phone(wire, "1001");
    }
    let mut phone = everywhere.unregistered("tls", "1002", "pw-1002");
    let long = phone.request("OPTIONS", &format!("sip:{DOMAIN}"));
    let room = 65_000 - long.bytes().len();
    let long = long.body("text/plain", "x".repeat(room));
    phone.send(&long);
    assert_eq!(phone.final_for(&long).status(), 200);
    let mut busy = everywhere.phone("udp", "1003");
    busy.ask(&busy.request("OPTIONS", &format!("sip:{DOMAIN}")));
    assert_eq!(tracer.ended(), Some(0), "{}", tracer.errors());
    assert_eq!(tracer.text(), "", "the messages are in the file");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let fields =
        ["sip.Method", "sip.Status-Code", "ip.addr", "sip.Call-ID", "sip.Content-Length", "frame.len"];
    let all = tshark(&file, &fields);
    assert_eq!(all.len(), 26, "{all:?}");
    let registers = all.iter().filter(|m| m[0] == "REGISTER").count();
    let accepted = all.iter().filter(|m| m[1] == "200").count();
    assert_eq!((registers, accepted >= 6), (12, true), "{all:?}");
    let long = all.iter().find(|m| m[3] == long.call_id() && m[0] == "OPTIONS").expect("the long one");
    assert_eq!(long[4], room.to_string());
    assert!(long[5].parse::<usize>().is_ok_and(|length| length > 65_000), "{long:?}");
    let secrets = std::fs::read(&file).expect("a file");
    assert!(!String::from_utf8_lossy(&secrets).contains("response=\""));
    let addresses =
        tshark(&file, &["exported_pdu.ipv4_src", "exported_pdu.src_port", "exported_pdu.ipv4_dst"]);
    let from_tls = [everywhere.tls.ip().to_string(), everywhere.tls.port().to_string()];
    assert!(addresses.iter().any(|m| m[..2] == from_tls), "{from_tls:?} in {addresses:?}");
}

/// The log shows the messages at `trace`, the facts of routing at `debug`.
#[test]
fn the_log_has_messages_and_facts() {
    let config = "log: {level: trace}\n";
    let exchange = Exchange::start_with(&agents(), config, &[]);
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    super::dialogs::connect(&mut caller, &mut callee);
    let from = format!("received from udp {}", caller.wire.local());
    let to = format!("sent to udp {}", callee.wire.local());
    let log = wait_for("the messages", || {
        Some(exchange.log())
            .filter(|log| log.contains(&from) && log.contains(&to) && log.contains("ACK sip:"))
    });
    assert!(log.contains("response=***") && !log.contains("response=\""), "{log}");
    let invite = caller.invite(&at("+99"));
    let invite = caller.call(&invite);
    let answer = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &answer);
    let call = format!("call_id=\"{}\"", invite.call_id());
    let fact = |log: &str, words: &str| {
        log.lines()
            .any(|line| line.contains("DEBUG request: ") && line.contains(words) && line.contains(&call))
    };
    let log = wait_for("the facts", || {
        Some(exchange.log()).filter(|log| {
            // The message that is sent because of it, too.
            fact(log, "the caller gets 404 Not Found") && log.contains("(route.no-policy)")
        })
    });
    for words in ["INVITE sip:+99@sip.test arrived", "1001@sip.test is agent", "egress policy"] {
        assert!(fact(&log, words), "{words}: {log}");
    }
    // At `info` there is neither.
    let quiet = Exchange::start(&agents());
    registered(&quiet, "1001");
    assert!(!quiet.log().contains("REGISTER sip:") && !quiet.log().contains(" request: "), "{}", quiet.log());
}
