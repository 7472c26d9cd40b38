//! `trace.hep`: a copy of every message to a capture server, in HEP3.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use trunkline_tests::{Exchange, Scratch, free_port, wait_for};

use super::{agents, registered};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What hep-js makes of packets.
fn decoded(packets: &[Vec<u8>]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hep/decode.js");
    let mut command = Command::new("node");
    let mut node = command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts: cargo xtask install brings it and hep-js");
    let lines: String = packets.iter().map(|packet| format!("{}\n", hex(packet))).collect();
    node.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("node reads");
    let out = node.wait_with_output().expect("node ends");
    assert!(out.status.success());
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn hep_js_reads_what_a_capture_server_gets() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    server.set_read_timeout(Some(Duration::from_secs(10))).expect("a live socket");
    let at = server.local_addr().expect("bound");
    let config = format!("trace: {{hep: '{at}', captureId: 2001, password: sesame}}\n");
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    let phone = registered(&exchange, "1001");
    let mut packets = Vec::new();
    let mut buffer = [0; 65_536];
    while packets.len() < 4 {
        let length = server.recv(&mut buffer).expect("a packet for each message");
        let packet = &buffer[..length];
        // The exchange is also asked whether it is there.
        if !packet.windows(11).any(|part| part == b"<sip:ready@") {
            packets.push(packet.to_vec());
        }
    }
    let all = decoded(&packets);
    let own = exchange.udp();
    let remote = phone.wire.local();
    for (n, message) in all.iter().enumerate() {
        let rc = &message["rcinfo"];
        let (source, destination) = if n % 2 == 0 { (remote, own) } else { (own, remote) };
        assert_eq!(rc["srcIp"], source.ip().to_string(), "{message:#}");
        assert_eq!(rc["srcPort"], source.port(), "{message:#}");
        assert_eq!(rc["dstIp"], destination.ip().to_string(), "{message:#}");
        assert_eq!(rc["dstPort"], destination.port(), "{message:#}");
        assert_eq!(rc["captureId"], 2001, "{message:#}");
        assert_eq!(rc["capturePass"], "sesame", "{message:#}");
        let payload = message["payload"].as_str().expect("the message");
        let call_id = rc["correlation_id"].as_str().expect("the Call-ID");
        assert!(payload.contains(&format!("Call-ID: {call_id}\r\n")), "{message:#}");
        assert!(!payload.contains("response=\""), "{payload}");
    }
    assert!(all[3]["payload"].as_str().is_some_and(|m| m.starts_with("SIP/2.0 200 OK")), "{all:#?}");
}

/// Kamailio with its module `sipcapture`, which stores what it gets in a file; ended when dropped.
struct Kamailio {
    process: Child,
    folder: Scratch,
    at: SocketAddr,
    log: Lines<BufReader<ChildStderr>>,
}

/// The columns of the table that `sipcapture` fills.
const COLUMNS: &str = "id(int,auto) date(time,null) micro_ts(int,null) method(string,null) correlation_id(string,null) \
    reply_reason(string,null) ruri(string,null) ruri_user(string,null) ruri_domain(string,null) from_user(string,null) \
    from_domain(string,null) from_tag(string,null) to_user(string,null) to_domain(string,null) to_tag(string,null) \
    pid_user(string,null) contact_user(string,null) auth_user(string,null) callid(string,null) callid_aleg(string,null) \
    via_1(string,null) via_1_branch(string,null) cseq(string,null) diversion(string,null) reason(string,null) \
    content_type(string,null) auth(string,null) user_agent(string,null) source_ip(string,null) source_port(int,null) \
    destination_ip(string,null) destination_port(int,null) contact_ip(string,null) contact_port(int,null) \
    originator_ip(string,null) originator_port(int,null) proto(int,null) family(int,null) rtp_stat(string,null) \
    type(int,null) node(string,null) msg(string,null) custom_field1(string,null) custom_field2(string,null) \
    custom_field3(string,null)";

impl Kamailio {
    fn start() -> Kamailio {
        let folder = Scratch::new("kamailio");
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let path = folder.path().display().to_string();
        folder.write("db/sip_capture", format!("{COLUMNS}\n"));
        folder.write("db/version", "table_name(string) table_version(int)\nsip_capture:4\n");
        let config = format!(
            "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nfork=yes\nchildren=1\nauto_aliases=no\ndisable_tcp=yes\nlisten=udp:{at}\n\
             loadmodule \"pv.so\"\nloadmodule \"xlog.so\"\nloadmodule \"db_text.so\"\nloadmodule \"sipcapture.so\"\n\
             modparam(\"db_text\", \"db_mode\", 1)\nmodparam(\"sipcapture\", \"db_url\", \"text://{path}/db\")\n\
             modparam(\"sipcapture\", \"capture_on\", 1)\nmodparam(\"sipcapture\", \"hep_capture_on\", 1)\n\
             route {{ sip_capture(); xlog(\"L_ERR\", \"stored $ci\\n\"); drop; }}\n\
             onreply_route {{ sip_capture(); xlog(\"L_ERR\", \"stored $ci\\n\"); drop; }}\n"
        );
        folder.write("kamailio.cfg", config);
        let start = |program: &str| {
            let mut command = Command::new(program);
            command
                .args(["-DD", "-E", "-f", "kamailio.cfg", "-w", &path, "-Y", &path])
                .current_dir(folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        };
        let process = start("/usr/sbin/kamailio").or_else(|_| start("kamailio"));
        let mut process = process.expect("kamailio starts: cargo xtask install brings it");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let port = format!(":{:04X} ", at.port());
        wait_for("kamailio to listen", || {
            let sockets = std::fs::read_to_string("/proc/net/udp").expect("a list of sockets");
            sockets.contains(&port).then_some(())
        });
        Kamailio { process, folder, at, log: log.lines() }
    }

    /// Asks it to end; it ends its children, and writes its table.
    fn stop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }

    /// What it has stored of a call, once it has so many messages: the columns of each by name, in the order of their numbers.
    fn stored(mut self, call_id: &str, count: usize) -> Vec<Vec<(String, String)>> {
        let stored = format!("stored {call_id}");
        let lines = self.log.by_ref().map(|line| line.expect("its log"));
        assert_eq!(lines.filter(|line| line.ends_with(&stored)).take(count).count(), count);
        self.stop();
        let text = std::fs::read_to_string(self.folder.path().join("db/sip_capture")).unwrap_or_default();
        let names = COLUMNS.split_ascii_whitespace().filter_map(|column| column.split('(').next());
        let rows = text.lines().skip(1).map(|line| {
            let values = line.replace("\\:", "\u{1}");
            let values: Vec<String> = values.split(':').map(|value| value.replace('\u{1}', ":")).collect();
            names.clone().map(str::to_owned).zip(values).collect::<Vec<_>>()
        });
        let mut rows: Vec<_> = rows.filter(|row| column(row, "callid") == call_id).collect();
        rows.sort_by_key(|row| column(row, "id").parse::<u32>().ok());
        rows
    }
}

fn column<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    row.iter().find(|(column, _)| column == name).map_or("", |(_, value)| value)
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

#[test]
fn kamailio_stores_what_a_capture_server_gets() {
    let kamailio = Kamailio::start();
    let config = format!("trace: {{hep: '{}', captureId: 2001, password: sesame}}\n", kamailio.at);
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    let mut phone = super::phone(&exchange, "1001");
    let (answer, request) = phone.ask(&phone.register_request(600));
    assert_eq!(answer.status(), 200);
    let rows = kamailio.stored(request.call_id(), 4);
    let (own, remote) = (exchange.udp(), phone.wire.local());
    let methods: Vec<&str> = rows.iter().map(|row| column(row, "method")).collect();
    assert_eq!(methods, ["REGISTER", "401", "REGISTER", "200"]);
    for (n, row) in rows.iter().enumerate() {
        let (source, destination) = if n % 2 == 0 { (remote, own) } else { (own, remote) };
        let address = |ip: &str, port: &str| format!("{}:{}", column(row, ip), column(row, port));
        assert_eq!(address("source_ip", "source_port"), source.to_string(), "{row:?}");
        assert_eq!(address("destination_ip", "destination_port"), destination.to_string(), "{row:?}");
        assert_eq!(column(row, "correlation_id"), request.call_id(), "{row:?}");
        assert!(column(row, "node").ends_with(":2001"), "{row:?}");
        assert_eq!(column(row, "from_user"), "1001", "{row:?}");
        assert!(column(row, "date").parse::<u64>().is_ok_and(|date| date > 1_700_000_000), "{row:?}");
        let text = column(row, "msg");
        assert!(text.contains("CSeq: ") && !text.contains("response=\""), "{text}");
    }
}
