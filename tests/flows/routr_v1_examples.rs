//! The examples of Routr's documentation, cut out of its page, started as they stand: in files, and in a Redis at its
//! defaults that the REST API fills with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

use serde_json::Value;
use trunkline_tests::{
    Exchange, Network, RedisServer, Rest, Side, Stream, Ua, Wire, exchange_command, wait_for,
};

use super::routr_v1::talk;

/// Pages with the examples: our own, and that of Routr's documentation where it is at hand.
fn pages() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/seeds");
    let beside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let named = std::env::var_os("TRUNKLINE_ROUTR_V1_PAGE").map(PathBuf::from);
    let texts = named.into_iter().chain(beside).filter_map(|file| std::fs::read_to_string(file).ok());
    let page = texts.filter(|text| text.contains("\nGeneral Configuration\n")).take(1);
    [include_str!("routr_v1_examples.txt").to_owned()].into_iter().chain(page).collect()
}

/// File names and texts of the examples of a page.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut file = "";
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(named) = line.split('\'').nth(1).filter(|name| name.starts_with("config/")) {
            file = named;
        }
        if line.trim() != "Example" {
            continue;
        }
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        let mut text = String::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            text.push_str(line);
            text.push('\n');
        }
        let name = if file == "config/config.yaml" { "config/config.yml" } else { file };
        found.push((name.to_owned(), text));
    }
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let all = [
        "config.yml",
        "users.yaml",
        "agents.yaml",
        "domains.yaml",
        "gateways.yaml",
        "dids.yaml",
        "peers.yaml",
    ];
    assert_eq!(names, all.map(|name| format!("config/{name}")), "an example of each kind");
    found
}

const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const PROVIDER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 0);
const ENV: [(&str, &str); 5] = [
    ("HOME", "."),
    // The gateway's connection is one shard's.
    ("TRUNKLINE_WORKERS", "1"),
    ("INITIAL_API_SECRET", "changeit"),
    ("TRUNKLINE_DNS_HOSTS", "{sip.provider.com: ['192.168.0.0:5070']}"),
    ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0"),
];

/// The network that the examples name: the agents' two addresses, a stranger's, the media server's.
fn network() -> Network {
    let network = Network::behind_a_nat();
    for address in ["192.168.0.0/31", "192.168.0.1/31", "10.0.0.1/32", "192.168.1.2/32"] {
        network.loopback(Side::Outside, address);
    }
    network
}

fn phone(host: impl Into<IpAddr>, user: &str, domain: &str, secret: &str) -> Ua {
    Ua::new(Wire::udp_from(host.into(), SocketAddr::from((INSIDE, 5060))), user, domain, secret)
}

/// John's calls: out by the policy, in by the number, to the media server and from it. The gateway wants TCP.
fn calls(listener: &TcpListener) {
    listener.set_nonblocking(true).expect("a live socket");
    let (stream, _) = wait_for("the exchange to connect", || listener.accept().ok());
    stream.set_nonblocking(false).expect("a live socket");
    let mut provider = Ua::new(Wire::over(Stream::Tcp(stream)), "gateway", "sip.provider.com", "");
    let register = provider.request_of("REGISTER");
    assert_eq!((register.get("User-Agent"), register.get("Expires")), (Some("Routr v1.0"), Some("3600")));
    provider.respond(&register, 200, "OK");
    let mut john = phone(INSIDE, "john", "sip.local", "1234");
    assert_eq!(john.register(600).status(), 200);
    talk(&mut john, "sip:17853178070@sip.local", &mut provider);
    let mut from_outside = phone(PROVIDER, "17853178070", "sip.provider.com", "");
    talk(&mut from_outside, "sip:17066041487@sip.local", &mut john);
    let media = UdpSocket::bind("192.168.1.2:6060").expect("the media server's address");
    let mut media =
        Ua::new(Wire::udp_on(media, SocketAddr::from((INSIDE, 5060))), "ast", "astserver", "astsecret");
    talk(&mut john, "sip:ast@astserver", &mut media);
    let mut peer = phone(INSIDE, "ast", "astserver", "astsecret");
    talk(&mut peer, "sip:17853178070@sip.local", &mut provider);
    let mut stranger = phone(Ipv4Addr::new(10, 0, 0, 1), "john", "sip.local", "1234");
    assert_eq!(stranger.register(600).status(), 403);
    for to in ["sip:john@sip.local", "sip:17853178070@sip.local"] {
        let invite = stranger.invite(to);
        stranger.send(&invite);
        let answer = stranger.status_for(&invite, 403);
        assert!(answer.get("Warning").is_some(), "the reason is told: {answer:?}");
        stranger.acknowledge_failure(&invite, &answer);
    }
}

#[test]
fn the_examples_start_as_files() {
    pages().iter().for_each(|page| as_files(page));
}

fn as_files(page: &str) {
    network().on(Side::Outside, || {
        let listener = TcpListener::bind((PROVIDER, 5070)).expect("the provider's address");
        let files = examples(page);
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let env = [&ENV[..], &[("ROUTR_DS_PROVIDER", "files_data_provider")]].concat();
        let exchange = Exchange::start_routr_v1(5060, &files, &env);
        calls(&listener);
        // Who is denied is in the log and in a record, with the reason.
        wait_for("the refusals in the log", || {
            let log = exchange.log();
            let of_stranger = |line: &&str| line.contains("refused") && line.contains("source=10.0.0.1");
            let refused = log.lines().filter(of_stranger).filter(|line| line.contains("reason=\"acl."));
            (refused.count() >= 3).then_some(())
        });
        let records = wait_for("the records", || {
            let mut command = exchange_command(&exchange);
            let output = command.args(["calls", "records", "--json"]).output().expect("the command runs");
            let records: Value = serde_json::from_slice(&output.stdout).ok()?;
            let records = records.as_array()?.iter().filter(|record| record["source"] == "10.0.0.1");
            let records: Vec<Value> = records.cloned().collect();
            (records.len() == 2).then_some(records)
        });
        for record in records {
            assert_eq!(record["status"], 403, "{record}");
            assert!(record["reason"].as_str().is_some_and(|reason| reason.starts_with("acl.")), "{record}");
        }
    });
}

#[test]
fn the_examples_start_in_redis() {
    pages().iter().for_each(|page| in_redis(page));
}

fn in_redis(page: &str) {
    network().on(Side::Outside, || {
        let listener = TcpListener::bind((PROVIDER, 5070)).expect("the provider's address");
        let redis = RedisServer::start_at(6379, "");
        let files = examples(page);
        let exchange = Exchange::start_routr_v1(5060, &[(&files[0].0, &files[0].1)], &ENV);
        let rest = Rest::https(
            SocketAddr::from(([127, 0, 0, 1], 4567)),
            "/api/v1beta1",
            &exchange.folder().join("trunkline.crt"),
        );
        let token = rest.get_as("/credentials", "YWRtaW46Y2hhbmdlaXQ=").body;
        for kind in ["gateways", "dids", "domains", "agents", "peers"] {
            let named = |(name, _): &&(String, String)| name == &format!("config/{kind}.yaml");
            let text = &files.iter().find(named).expect("an example").1;
            let body = format!(
                "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{kind}.yaml\"\r\n\r\n{text}\r\n--x--\r\n"
            );
            let header = "Content-Type: multipart/form-data; boundary=x\r\n";
            let made = rest.send("POST", &format!("/{kind}?token={token}"), header, &body);
            assert_eq!((made.status, redis.members(kind).len()), (200, 1), "{kind}: {}", made.body);
        }
        calls(&listener);
    });
}
