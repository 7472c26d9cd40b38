//! Web pages that speak SIP from their browser's address: what that address is trusted for is not theirs (RFC 6455 §10.2).

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::{Exchange, Message, PATIENCE, Resources, Stream, Ua, WebSocket, Wire, free_port};

use super::trunks::NUMBER;
use super::{DOMAIN, at, phone};

const OURS: &str = "https://phones.example";
const FOREIGN: [&str; 4] =
    ["https://evil.example", "null", "https://phones.example.evil.example", "http://phones.example"];
const LAN: &str = "lan.test";
const QUIET: Duration = Duration::from_millis(250);

/// Everything that a source address is trusted for: a domain that asks nobody and has a list, one that asks for no
/// registration either, a peer and a carrier that are known by their lists.
fn office(carrier: u16) -> Resources {
    let policies = [(r"^\+", NUMBER)];
    let lan = "    accessControlListRef: here\n";
    let list = ["127.0.0.0/8"];
    Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .domain_with(LAN, "register", &policies, lan)
        .agent(LAN, "2001", "pw-2001")
        .domain_with("open.test", "never", &policies, lan)
        .agent("open.test", "3001", "pw-3001")
        .acl("here", &list, &["0.0.0.0/0"])
        .raw(
            "peers.yaml",
            &format!("- {{apiVersion: v2, kind: Peer, ref: pbx, metadata: {{name: pbx}}, spec: {{username: pbx, aor: \"sip:pbx@{LAN}\", accessControlListRef: here}}}}\n"),
        )
        .raw(
            "trunks.yaml",
            &format!(
                "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test, accessControlListRef: here}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: 127.0.0.1, port: {carrier}, transport: UDP}}, weight: 10, priority: 1, enabled: true}}]}}\n"
            ),
        )
        .number(NUMBER, "provider", &at("1002"))
}

struct Scene {
    exchange: Exchange,
    ws: SocketAddr,
    carrier: Ua,
    callee: Ua,
}

impl Scene {
    fn set() -> Scene {
        let (port, ws) = (free_port(), SocketAddr::from(([127, 0, 0, 1], free_port())));
        let config = "routing: {qualifySeconds: 0}\n";
        let env = [("TRUNKLINE_LISTEN_WS", ws.to_string()), ("TRUNKLINE_LISTEN_ORIGINS", OURS.to_owned())];
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let exchange = Exchange::start_with(&office(port), config, &env);
        let carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "carrier", "trunk.test", "");
        let mut callee = phone(&exchange, "1002");
        assert_eq!(callee.register(600).status(), 200);
        Scene { exchange, ws, carrier, callee }
    }

    /// A WebSocket of a page of this origin; of a program that is no browser where there is none.
    fn page(&self, origin: Option<&str>, user: &str, domain: &str, password: &str) -> Ua {
        let fields = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let wire = Wire::Ws(WebSocket::connect_with(Stream::tcp(self.ws), &fields));
        Ua::new(wire, user, domain, password)
    }

    /// Does the call reach the carrier? The answer to the caller where it does not.
    fn reaches_the_carrier(&mut self, ua: &mut Ua, invite: &Message) -> Result<(), u16> {
        ua.send(invite);
        let arrived = self.carrier.wait(QUIET, |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        if let Some(arrived) = &arrived {
            self.carrier.respond(arrived, 486, "Busy Here");
        }
        let answer = ua.final_for(invite);
        ua.acknowledge_failure(invite, &answer);
        arrived.map(|_| ()).ok_or(answer.status())
    }
}

/// The calls that a source address alone allows.
fn calls(scene: &Scene, origin: Option<&str>) -> Vec<(Ua, Message)> {
    [("2001", LAN), ("3001", "open.test"), ("pbx", LAN), ("pbx", "elsewhere.example")]
        .into_iter()
        .map(|(user, domain)| {
            let ua = scene.page(origin, user, domain, "");
            let host = if domain == "open.test" { domain } else { LAN };
            let invite = ua.invite(&format!("sip:+19005551234@{host}"));
            (ua, if user == "pbx" { invite.with("X-DOD-Number", NUMBER) } else { invite })
        })
        .collect()
}

#[test]
fn a_foreign_page_is_nobody_by_its_address() {
    let mut scene = Scene::set();
    for origin in FOREIGN {
        for (mut ua, invite) in calls(&scene, Some(origin)) {
            let answer = scene.reaches_the_carrier(&mut ua, &invite);
            assert_eq!(answer, Err(401), "{origin} as {}", ua.aor());
        }
        // As the carrier, by both ways in.
        for target in [format!("sip:{NUMBER}@trunk.test"), format!("sip:{NUMBER}@{}", scene.exchange.udp())] {
            let mut ua = scene.page(Some(origin), "+1785", "carrier.example", "");
            let invite = ua.invite(&target);
            ua.send(&invite);
            assert_eq!(ua.final_for(&invite).status(), 401, "{origin} {target}");
            assert!(scene.callee.silent(QUIET, |m| m.method() == "INVITE"), "{origin} {target}");
        }
        // It takes nobody's calls.
        for (user, domain) in [("3001", "open.test"), ("pbx", LAN)] {
            let mut ua = scene.page(Some(origin), user, domain, "guess");
            let register = ua.register_request(600);
            ua.send(&register);
            assert_eq!(ua.final_for(&register).status(), 401, "{origin}: REGISTER of {user}");
        }
    }
}

#[test]
fn allowed_pages_and_programs_are_what_they_were() {
    let mut scene = Scene::set();
    for origin in [Some(OURS), Some("HTTPS://phones.EXAMPLE"), None] {
        for (mut ua, invite) in calls(&scene, origin).into_iter().take(3) {
            assert_eq!(scene.reaches_the_carrier(&mut ua, &invite), Ok(()), "{origin:?} as {}", ua.aor());
        }
        let mut ua = scene.page(origin, "3001", "open.test", "");
        assert_eq!(ua.register(600).status(), 200, "{origin:?}");
    }
}

/// Who shows a digest may use a phone of any page.
#[test]
fn a_foreign_page_with_a_digest_is_a_phone() {
    let mut scene = Scene::set();
    for (user, domain, to) in [
        ("1001", DOMAIN, at("1002")),
        ("2001", LAN, format!("sip:+15551234@{LAN}")),
        ("3001", "open.test", "sip:+1555@open.test".to_owned()),
    ] {
        let mut ua = scene.page(Some(FOREIGN[0]), user, domain, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200, "{user}");
        let invite = ua.invite(&to);
        let invite = ua.call(&invite);
        let other = if user == "1001" { &mut scene.callee } else { &mut scene.carrier };
        let arrived = other.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        other.respond(&arrived, 486, "Busy Here");
        let busy = ua.status_for(&invite, 486);
        ua.acknowledge_failure(&invite, &busy);
    }
}

/// A page may have its browser send HTTP to any port, with a body of its own: nothing behind an HTTP line is read.
#[test]
fn http_on_a_sip_port_ends_the_connection() {
    let mut scene = Scene::set();
    let invite = |scene: &Scene| {
        let ua = Ua::tcp(scene.exchange.tcp(), "2001", LAN, "");
        ua.invite(&format!("sip:+19005551234@{LAN}"))
    };
    for head in [
        "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2ff\r\n\r\n\r\n",
        "POST /?x=SIP/2.0 HTTP/1.0\nHost: h\n\n\r\n\r\n",
        "PUT / http/1.1\r\nContent-Length: 0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let message = invite(&scene);
        let mut stream = Stream::tcp(scene.exchange.tcp());
        stream.write_all(&[head.as_bytes(), &message.bytes()[..]].concat()).expect("sent");
        stream.wait(PATIENCE);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let reset = ended.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || reset, "{head:?}: the connection stays: {ended:?}");
        assert_eq!(String::from_utf8_lossy(&answer), "", "{head:?}");
        assert!(scene.carrier.silent(QUIET, |m| m.method() == "INVITE"), "{head:?}");
    }
}
