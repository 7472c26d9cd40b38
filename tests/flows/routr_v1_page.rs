//! The example of Routr's own documentation, started unchanged: Redis at its defaults, SIP at 5060, the API at 4567, in a
//! network of the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use trunkline_tests::{Exchange, Network, RedisServer, Rest, Side, Ua, V1Document, Wire};

use super::routr_v1::talk;

/// General configuration, as the page has it.
const CONFIG: &str = "apiVersion: v1beta1
metadata:
  userAgent: Routr v1.0
spec:
  transport:
    - protocol: udp
      port: 5060
  dataSource:
    provider: redis_data_provider
  logging:
    traceLevel: 10
";

/// The resources of the page's examples, key by key.
fn documents() -> Vec<V1Document> {
    let one = |set: &str, reference: &str, kind: &str, metadata: Value, spec: Value| {
        let mut metadata = metadata;
        metadata["ref"] = reference.into();
        let document = json!({"apiVersion": "v1beta1", "kind": kind, "metadata": metadata, "spec": spec});
        (set.to_owned(), reference.to_owned(), document)
    };
    let login = |username: &str, secret: &str| json!({"username": username, "secret": secret});
    vec![
        one(
            "users",
            "us1",
            "User",
            json!({"name": "Administrator"}),
            json!({"credentials": login("admin", "changeit")}),
        ),
        one(
            "agents",
            "ag1",
            "Agent",
            json!({"name": "John Doe"}),
            json!({"credentials": login("john", "1234"), "domains": ["sip.local"]}),
        ),
        one(
            "agents",
            "ag2",
            "Agent",
            json!({"name": "Jane Doe"}),
            json!({"credentials": login("jane", "4321"), "domains": ["sip.local"]}),
        ),
        one(
            "domains",
            "dm1",
            "Domain",
            json!({"name": "Local Server"}),
            json!({"context": {
                "domainUri": "sip.local",
                "egressPolicy": {"rule": ".*", "didRef": "DID0001"},
                "accessControlList": {"deny": ["0.0.0.0/1"], "allow": ["192.168.0.1/31"]},
            }}),
        ),
        one(
            "gateways",
            "GW0001",
            "Gateway",
            json!({"name": "Provider, Inc"}),
            json!({"host": "sip.provider.com", "transport": "udp", "credentials": login("user", "changeit")}),
        ),
        one(
            "dids",
            "DID0001",
            "DID",
            json!({"gwRef": "GW0001", "geoInfo": {"city": "Columbus, GA", "country": "USA", "countryISOCode": "US"}}),
            json!({"location": {"telUrl": "tel:17066041487", "aorLink": "sip:john@sip.local"}}),
        ),
        one(
            "peers",
            "pr1",
            "Peer",
            json!({"name": "Asterisk (Media Server)"}),
            json!({"credentials": login("ast", "astsecret"), "device": "astserver", "contactAddr": "192.168.1.2:6060"}),
        ),
    ]
}

const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PROVIDER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 0);

#[test]
fn the_example_of_the_page_starts_unchanged() {
    let network = Network::behind_a_nat();
    for address in ["192.168.0.0/31", "192.168.0.1/31", "10.0.0.1/32"] {
        network.loopback(Side::Outside, address);
    }
    network.on(Side::Outside, || {
        let redis = RedisServer::start_at(6379, "");
        redis.fill(&documents());
        let env = [
            ("HOME", "."),
            ("TRUNKLINE_DNS_HOSTS", "{sip.provider.com: ['192.168.0.0:5070']}"),
            ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0"),
        ];
        let exchange = Exchange::start_routr_v1(5060, &[("config/config.yml", CONFIG)], &env);
        let at = SocketAddr::from((INSIDE, 5060));
        let ua = |host: Ipv4Addr, user: &str, secret: &str| {
            Ua::new(Wire::udp_from(IpAddr::V4(host), at), user, "sip.local", secret)
        };
        // The provider: registered at, called, calling.
        let provider = std::net::UdpSocket::bind((PROVIDER, 5070)).expect("the provider's address");
        let mut provider = Ua::new(Wire::udp_on(provider, at), "gateway", "sip.provider.com", "");
        let register = provider.request_of("REGISTER");
        assert_eq!(register.get("User-Agent"), Some("Routr v1.0"));
        assert_eq!(register.get("Expires"), Some("3600"));
        provider.respond(&register, 200, "OK");
        let (mut john, mut jane) = (ua(INSIDE, "john", "1234"), ua(INSIDE, "jane", "4321"));
        assert_eq!(john.register(600).status(), 200);
        assert_eq!(jane.register(600).status(), 200);
        talk(&mut jane, "sip:john@sip.local", &mut john);
        talk(&mut jane, "sip:17853178070@sip.local", &mut provider);
        talk(&mut provider, "sip:17066041487@sip.local", &mut john);
        // Whom the domain's list denies is told so, whatever it sends.
        let mut stranger = ua(STRANGER, "jane", "4321");
        assert_eq!(stranger.register(600).status(), 403);
        for to in ["sip:john@sip.local", "sip:17853178070@sip.local"] {
            let invite = stranger.invite(to);
            stranger.send(&invite);
            let answer = stranger.status_for(&invite, 403);
            stranger.acknowledge_failure(&invite, &answer);
        }
        let rest = Rest::https(
            SocketAddr::from(([127, 0, 0, 1], 4567)),
            "/api/v1beta1",
            &exchange.folder().join("trunkline.crt"),
        );
        assert_eq!(rest.get_as("/credentials", "YWRtaW46Y2hhbmdlaXQ=").status, 200);
    });
}
