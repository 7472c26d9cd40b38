//! `otlp`: traces for a collector, which reads their bytes by the definitions of OTLP alone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use trunkline_grpc::connect::agents::{ListAgentsRequest, ListAgentsResponse};
use trunkline_tests::{Exchange, Grpc, Ua, Wire, free_port, wait_for};

use super::operator::get;
use super::trunks::with_trunk;
use super::{DOMAIN, at, registered};

/// A field of a protobuf message.
#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Field {
    fn number(&self) -> u64 {
        match self {
            Field::Number(number) => *number,
            Field::Bytes(_) => panic!("no number: {self:?}"),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            Field::Number(_) => panic!("no bytes: {self:?}"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("UTF-8")
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a number");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number without an end")
}

/// The fields of a message by their numbers.
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Field>> {
    let mut all: BTreeMap<u64, Vec<Field>> = BTreeMap::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let take = |bytes: &mut &[u8], length: usize| {
            let (value, rest) = bytes.split_at(length);
            *bytes = rest;
            value.to_vec()
        };
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("eight bytes"))),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            other => panic!("no type {other} in traces"),
        };
        all.entry(tag >> 3).or_default().push(field);
    }
    all
}

/// The attributes (KeyValue, key 1, value 2: string 1, bool 2, int 3) as text.
fn attributes(all: Option<&Vec<Field>>) -> BTreeMap<String, String> {
    let read = |field: &Field| {
        let pair = fields(field.bytes());
        let value = fields(pair[&2][0].bytes());
        let text = match value.first_key_value().expect("a value") {
            (1, values) => values[0].text(),
            (_, values) => values[0].number().to_string(),
        };
        (pair[&1][0].text(), text)
    };
    all.into_iter().flatten().map(read).collect()
}

/// A span, by opentelemetry/proto/trace/v1/trace.proto.
#[derive(Clone, Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    kind: u64,
    time: (u64, u64),
    attributes: BTreeMap<String, String>,
    /// The status: 2 is an error.
    status: Option<(u64, String)>,
}

impl Span {
    fn read(bytes: &[u8]) -> Span {
        let all = fields(bytes);
        let bytes = |n| all.get(&n).map_or(Vec::new(), |values: &Vec<Field>| values[0].bytes().to_vec());
        let number = |n| all.get(&n).map_or(0, |values: &Vec<Field>| values[0].number());
        let status = all.get(&15).map(|values| fields(values[0].bytes()));
        let status = status.map(|s| (s[&3][0].number(), s.get(&2).map_or(String::new(), |m| m[0].text())));
        Span {
            trace: bytes(1),
            id: bytes(2),
            parent: bytes(4),
            name: String::from_utf8(bytes(5)).expect("UTF-8"),
            kind: number(6),
            time: (number(7), number(8)),
            attributes: attributes(all.get(&9)),
            status,
        }
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A collector. It also keeps the heads of the requests.
struct Collector {
    at: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let (spans, heads) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (into, kept) = (spans.clone(), heads.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let Some((head, body)) = read(stream, "200 OK") else { continue };
                let resource = fields(&body)[&1].clone();
                for resource in resource.iter().map(|resource| fields(resource.bytes())) {
                    let about = attributes(fields(resource[&1][0].bytes()).get(&1));
                    assert_eq!(about["service.name"], "trunkline");
                    for scope in &resource[&2] {
                        let spans = fields(scope.bytes())[&2].clone();
                        let read = spans.iter().map(|span| Span::read(span.bytes()));
                        into.lock().expect("a lock").extend(read);
                    }
                }
                kept.lock().expect("a lock").push(head);
            }
        });
        Collector { at, spans, heads }
    }

    fn config(&self, more: &str) -> String {
        format!("otlp: {{url: 'http://{}/v1/traces'{more}}}\nrouting: {{qualifySeconds: 0}}\n", self.at)
    }

    /// The spans that match, once there are so many.
    fn spans(&self, count: usize, matches: impl Fn(&Span) -> bool) -> Vec<Span> {
        wait_for("the spans", || {
            let all = self.spans.lock().expect("a lock");
            let found: Vec<Span> = all.iter().filter(|span| matches(span)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }
}

/// Reads a request and answers it with this status line and no body.
fn read(mut stream: impl Read + Write, status: &str) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    drop(reader);
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()?;
    Some((head, body))
}

#[test]
fn calls_are_traces_with_a_span_for_each_target() {
    let collector = Collector::start();
    let (dead, alive) = (free_port(), free_port());
    let uris = [format!("127.0.0.1:{dead}"), format!("127.0.0.1:{alive}")];
    let resources = with_trunk(&[(&uris[0], 1, "udp"), (&uris[1], 2, "udp")]);
    let config = collector.config(", callsPercent: 100, authorization: 'Bearer s3same'");
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), alive), "provider", "provider.test", "");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let arrived = carrier.request_of("INVITE");
    carrier.send(&carrier.response(&arrived, 403, "No Credit"));
    let answer = caller.status_for(&invite, 403);
    caller.acknowledge_failure(&invite, &answer);

    let of_call = |span: &Span| span.attribute("sip.call_id") == invite.call_id();
    let invites = collector.spans(2, of_call);
    // The first one was challenged: both are one trace.
    let [challenged, invite] = invites.as_slice() else { panic!("{invites:#?}") };
    assert_eq!((&challenged.trace, challenged.trace.len()), (&invite.trace, 16));
    assert_eq!((challenged.attribute("sip.status"), &challenged.status), ("401", &None));
    assert_eq!(
        (invite.attribute("sip.status"), invite.attribute("trunkline.reason")),
        ("403", "trunk.rejected")
    );
    assert_eq!(invite.status, Some((2, "trunk.rejected".into())));
    assert_eq!((invite.name.as_str(), invite.kind, invite.parent.len()), ("INVITE", 2, 0));
    assert_eq!(invite.attribute("client.address"), "127.0.0.1");
    let mut targets = collector.spans(2, |span| span.parent == invite.id);
    targets.sort_by_key(|span| span.time);
    let ports: Vec<&str> = targets.iter().map(|span| span.attribute("server.port")).collect();
    assert_eq!(ports, [dead.to_string(), alive.to_string()]);
    assert_eq!(targets[0].status, Some((2, "unreachable".into())));
    assert_eq!(
        (targets[1].attribute("sip.status"), targets[1].attribute("trunkline.trunk")),
        ("403", "provider")
    );
    for target in &targets {
        assert_eq!((&target.trace, target.kind, target.id.len()), (&invite.trace, 3, 8));
        assert!(target.time.0 >= invite.time.0 && target.time.1 <= invite.time.1, "{target:?} in {invite:?}");
    }
    let heads = collector.heads.lock().expect("a lock").clone();
    let head = heads[0].to_lowercase();
    assert!(
        head.starts_with("post /v1/traces http/1.1\r\n")
            && head.contains("content-type: application/x-protobuf")
    );
    assert!(heads[0].contains("Bearer s3same"), "{head}");
    assert!(!exchange.log().contains("s3same"));
    // Who called whom is not for the collector.
    let all = format!("{:?}", collector.spans.lock().expect("a lock"));
    assert!(!all.contains("1001@") && !all.contains("785317"), "{all}");
}

#[test]
fn requests_over_http_and_grpc_are_part_of_the_traces_of_their_clients() {
    let collector = Collector::start();
    let http = format!("127.0.0.1:{}", free_port());
    let env = [("TRUNKLINE_HTTP_ADDR", http.as_str()), ("TRUNKLINE_GRPC_ADDR", "127.0.0.1:0")];
    let exchange = Exchange::start_with(&super::agents(), &collector.config(", callsPercent: 0"), &env);
    assert!(get(&http, "/nowhere?token=s3cret").0.contains("404"));
    let spans = collector.spans(1, |span| span.attribute("url.path") == "/nowhere");
    assert_eq!((spans[0].name.as_str(), spans[0].attribute("http.response.status_code")), ("GET", "404"));
    assert!(spans[0].parent.is_empty() && spans[0].kind == 2, "{:?}", spans[0]);

    let path = "/fonoster.routr.connect.agents.v2beta1.Agents/List";
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let grpc = Grpc::plain(exchange.listens("grpc")).within(parent);
    let request = ListAgentsRequest { page_size: 10, ..ListAgentsRequest::default() };
    grpc.call::<ListAgentsResponse>(path, &request).expect("a list");
    let wrong = ListAgentsRequest { page_size: -1, ..ListAgentsRequest::default() };
    grpc.call::<ListAgentsResponse>(path, &wrong).expect_err("refused");
    let spans = collector.spans(2, |span| span.attribute("rpc.service") == "Agents");
    for span in &spans {
        let hex: String = span.trace.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((hex.as_str(), span.parent[7]), (&parent[3..35], 0xb7));
        assert_eq!((span.name.as_str(), span.attribute("rpc.method")), ("List", "List"));
    }
    let codes: Vec<&str> = spans.iter().map(|span| span.attribute("rpc.grpc.status_code")).collect();
    assert_eq!(codes, ["0", "3"]);
    assert!(spans[0].status.is_none() && spans[1].status.is_some(), "{spans:?}");

    // A share of none: calls are not traced. Nor is the query of a request.
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&format!("sip:nobody@{DOMAIN}"));
    assert_eq!(caller.ask(&invite).0.status(), 404);
    assert!(get(&http, "/later").0.contains("404"));
    collector.spans(1, |span| span.attribute("url.path") == "/later");
    let all = format!("{:?}", collector.spans.lock().expect("a lock"));
    assert!(!all.contains("INVITE") && !all.contains("s3cret"), "{all}");
    let (_, metrics) = get(&http, "/metrics");
    assert!(metrics.contains("trunkline_events_total{receiver=\"otlp\",outcome=\"published\"}"), "{metrics}");
}

/// One that refuses connections, one that answers 503, and one that answers nothing.
#[test]
fn a_collector_that_is_away_refuses_or_hangs_costs_a_line_in_the_log() {
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port");
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at_port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    for port in [free_port(), at_port(&refusing), at_port(&hanging)] {
        let config = format!("otlp: {{url: 'http://127.0.0.1:{port}/', callsPercent: 100}}\n");
        let http = format!("127.0.0.1:{}", free_port());
        let mut exchange = Exchange::start_with(&super::agents(), &config, &[("TRUNKLINE_HTTP_ADDR", &http)]);
        let mut caller = registered(&exchange, "1001");
        for _ in 0..20 {
            assert_eq!(caller.ask(&caller.invite(&at("nobody"))).0.status(), 404);
        }
        if port == at_port(&refusing) {
            let (stream, _) = refusing.accept().expect("a connection");
            let (answered, _) = read(stream, "503 Service Unavailable").expect("a request");
            assert!(answered.starts_with("POST / HTTP/1.1\r\n"), "{answered}");
        }
        let words = "the collector does not take traces (otlp.url)";
        wait_for("a warning", || exchange.log().contains(words).then_some(()));
        let lost = || {
            let (_, metrics) = get(&http, "/metrics");
            let line = metrics.lines().find(|line| line.contains("receiver=\"otlp\",outcome=\"lost\""));
            line.is_some_and(|line| !line.ends_with(" 0")).then_some(())
        };
        wait_for("a count of lost spans", lost);
        assert_eq!(caller.ask(&caller.invite(&at("nobody"))).0.status(), 404);
        assert_eq!(exchange.stop(), Some(0));
        assert_eq!(exchange.log().matches(words).count(), 1, "{}", exchange.log());
    }
}

/// Without a collector nothing is made: no thread, no metric.
#[test]
fn without_a_collector_there_is_no_thread() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&super::agents(), "", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let (_, metrics) = get(&http, "/metrics");
    assert!(metrics.contains("trunkline_ready") && !metrics.contains("\"otlp\""), "{metrics}");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", exchange.pid())).expect("threads");
    for task in tasks.filter_map(Result::ok) {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        assert!(!name.starts_with("otlp"), "{name}");
    }
}
