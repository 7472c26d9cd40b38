//! Peers: several contacts of one AOR taken in turn, session affinity, extra headers, message waiting.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, Resources, Ua};

use super::strangers::carrier;
use super::{DOMAIN, agents, at, registered};

const NUMBER: &str = "+17066041487";

fn with_peer(more: &str) -> Resources {
    agents().peer("asterisk", "sip:conference@sip.test", "pw-asterisk", more)
}

fn node(exchange: &Exchange) -> Ua {
    let mut ua = Ua::udp(exchange.udp(), "asterisk", DOMAIN, "pw-asterisk");
    let answer = ua.register(600);
    assert_eq!(answer.status(), 200, "{}", answer.start);
    ua
}

/// Answers the questions that have come: who leaves two in a row unanswered is taken for down.
pub fn answer_options(ua: &mut Ua) {
    while let Some(options) = ua.wait(Duration::from_millis(10), |m| m.method() == "OPTIONS") {
        ua.respond(&options, 200, "OK");
    }
}

/// Which of the nodes gets an INVITE to the peer's AOR; it answers busy. They answer questions meanwhile.
fn rings(caller: &mut Ua, invite: &Message, nodes: &mut [Ua]) -> usize {
    let invite = caller.call(invite);
    let found = trunkline_tests::wait_for("an INVITE at a node", || {
        nodes.iter_mut().enumerate().find_map(|(n, ua)| {
            answer_options(ua);
            let wait = Duration::from_millis(20);
            ua.wait(wait, |m| m.method() == "INVITE" && m.call_id() == invite.call_id()).map(|m| (n, m))
        })
    });
    nodes[found.0].respond(&found.1, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    found.0
}

#[test]
fn an_agent_calls_a_peers_nodes_in_turn() {
    let exchange = Exchange::start(&with_peer(", loadBalancing: {algorithm: round-robin}"));
    let mut nodes = [node(&exchange), node(&exchange)];
    let mut caller = registered(&exchange, "1001");
    let mut order = Vec::new();
    for _ in 0..4 {
        let invite = caller.invite(&at("conference"));
        order.push(rings(&mut caller, &invite, &mut nodes));
    }
    assert!(order == [0, 1, 0, 1] || order == [1, 0, 1, 0], "{order:?}");
}

#[test]
fn a_peer_calls_an_agent() {
    let exchange = Exchange::start(&with_peer(""));
    let mut node = node(&exchange);
    let mut agent = registered(&exchange, "1001");
    super::dialogs::connect(&mut node, &mut agent);
}

/// Whatever a domain asks of its phones: a stranger that has only the name of its server calls nobody, not out by the
/// server's numbers either, and gets none of its calls. The server does, by digest or over the connection it registered by.
#[test]
fn a_peer_shows_who_it_is_whatever_its_domain_asks() {
    for authenticate in ["never", "register", "egress"] {
        let port = trunkline_tests::free_port();
        let resources = Resources::new()
            .domain_with(DOMAIN, authenticate, &[(r"^\+49[2-9][0-9]+$", NUMBER)], "")
            .agent(DOMAIN, "1001", "pw-1001")
            .peer("asterisk", "sip:ivr@sip.test", "pw-asterisk", "")
            .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
            .number(NUMBER, "provider", &at("1001"));
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut provider = carrier(&exchange, port);
        let mut phone = registered(&exchange, "1001");
        let dod = |ua: &Ua| ua.invite(&at("+19005551234")).with("X-DOD-Number", NUMBER);
        let mut stranger = Ua::udp(exchange.udp(), "asterisk", DOMAIN, "guess");
        for host in [DOMAIN, "far.example"] {
            stranger.domain = host.to_owned();
            for request in
                [dod(&stranger), stranger.invite(&at("1001")), stranger.request("MESSAGE", &at("1001"))]
            {
                let (answer, _) = stranger.ask(&request);
                assert_eq!(answer.status(), 401, "{authenticate}, {host}: {}", answer.start);
            }
        }
        stranger.domain = DOMAIN.to_owned();
        for user in ["asterisk", "ivr"] {
            stranger.user = user.to_owned();
            let request = stranger.register_request(60);
            assert_eq!(stranger.ask(&request).0.status(), 401, "{authenticate}: REGISTER of {user}");
        }
        let mut server = Ua::tcp(exchange.tcp(), "asterisk", DOMAIN, "pw-asterisk");
        let mut out = |server: &mut Ua, by_digest: bool| {
            let invite = dod(server);
            let invite = if by_digest {
                server.call(&invite)
            } else {
                server.send(&invite);
                invite
            };
            let arrived = provider.request_of("INVITE");
            assert_eq!(arrived.call_id(), invite.call_id(), "nothing of the stranger's came before");
            provider.respond(&arrived, 486, "Busy Here");
            let refused = server.status_for(&invite, 486);
            server.acknowledge_failure(&invite, &refused);
        };
        out(&mut server, true);
        assert_eq!(server.register(600).status(), 200);
        out(&mut server, false);
        let invite = server.invite(&at("1001"));
        server.send(&invite);
        let arrived = phone.expect("anything", |m| matches!(m.method(), "INVITE" | "MESSAGE"));
        assert_eq!(arrived.call_id(), invite.call_id(), "no stranger reached the phone");
    }
}

#[test]
fn a_server_registers_once_for_all_its_numbers() {
    let resources = agents()
        .peer("asterisk", "sip:voice@sip.test", "pw-asterisk", "")
        .trunk("provider", "trunk.test", &[("127.0.0.1:9", 1, "udp")], None)
        .number(NUMBER, "provider", "sip:voice@sip.test");
    let exchange = Exchange::start(&resources);
    let mut server = Ua::udp(exchange.udp(), "asterisk", DOMAIN, "pw-asterisk");
    let at_all = format!("<sip:{};bnc>", server.wire.local());
    let gin = |request: Message| request.with("Require", "gin").with("Proxy-Require", "gin");
    let request = gin(server.register_request(600).set("Contact", &at_all));
    assert_eq!(server.ask(&request).0.status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at(NUMBER));
    let invite = caller.call(&invite);
    let arrived = server.request_of("INVITE");
    assert_eq!(arrived.uri(), format!("sip:{NUMBER}@{}", server.wire.local()));
    server.accept(&arrived);
    caller.status_for(&invite, 200);
    // Such a contact names nobody (RFC 6140 §5.2).
    let named = format!("<sip:somebody@{};bnc>", server.wire.local());
    let request = gin(server.register_request(600).set("Contact", named));
    assert_eq!(server.ask(&request).0.status(), 400);
}

#[test]
fn a_subscription_to_a_peers_aor_reaches_it() {
    let exchange = Exchange::start(&with_peer(""));
    let mut node = node(&exchange);
    let mut agent = registered(&exchange, "1001");
    let request = agent.request("SUBSCRIBE", &at("conference")).with("Event", "message-summary");
    agent.send(&request);
    let challenge = agent.final_for(&request);
    let retry = agent.authorise(&request, &challenge, 1).expect("a challenge");
    agent.send(&retry);
    let arrived = node.request_of("SUBSCRIBE");
    node.respond(&arrived, 200, "OK");
    agent.status_for(&retry, 200);
}

#[test]
fn a_numbers_extra_headers_and_affinity_reach_the_peer() {
    let resources = with_peer(", loadBalancing: {algorithm: least-sessions, withSessionAffinity: true}")
        .trunk("provider", "trunk.test", &[("127.0.0.1:9", 1, "udp")], None)
        .raw(
            "numbers.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Number, ref: n1, metadata: {{name: n, geoInfo: {{city: C, country: C, countryIsoCode: US}}}}, spec: {{trunkRef: provider, location: {{telUrl: \"tel:{NUMBER}\", aorLink: \"sip:conference@sip.test\", sessionAffinityHeader: X-Room-Id, extraHeaders: [{{name: X-Origin, value: number-one}}]}}}}}}\n"
            ),
        );
    let exchange = Exchange::start(&resources);
    let mut nodes = [node(&exchange), node(&exchange)];
    let mut caller = Ua::udp(exchange.udp(), "+4930123456", "trunk.test", "");
    let target = format!("sip:{NUMBER}@trunk.test");
    let mut rooms = Vec::new();
    for room in ["a", "b", "a", "b", "a"] {
        let invite = caller.invite(&target).with("X-Room-Id", room);
        rooms.push(rings(&mut caller, &invite, &mut nodes));
    }
    assert!(rooms[0] == rooms[2] && rooms[2] == rooms[4] && rooms[1] == rooms[3], "{rooms:?}");
    let invite = caller.invite(&target).with("X-Room-Id", "a");
    caller.send(&invite);
    let arrived = nodes[rooms[0]].request_of("INVITE");
    assert_eq!(arrived.get("X-Origin"), Some("number-one"));
    assert_eq!(arrived.get("X-Room-Id"), Some("a"));
    nodes[rooms[0]].respond(&arrived, 486, "Busy Here");
    caller.status_for(&invite, 486);
}

/// What `trunkline status` says of the destination at this port: `up` or `DOWN`.
fn state(exchange: &Exchange, port: u16) -> Option<String> {
    let out = trunkline_tests::exchange_command(exchange).arg("status").output().expect("the command runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find(|line| line.contains(&port.to_string()))?;
    line.split_whitespace().find(|word| ["up", "DOWN"].contains(word)).map(str::to_owned)
}

/// Answers the questions that have come, for as long as `check` wants.
fn answering(ua: &mut Ua, what: &str, mut check: impl FnMut() -> bool) {
    trunkline_tests::wait_for(what, || {
        answer_options(ua);
        check().then_some(())
    });
}

const EVERY_SECOND: &str = "routing: {qualifySeconds: 1}\n";

#[test]
fn an_instance_that_answers_no_options_is_passed_over_while_another_does() {
    let resources = with_peer(", loadBalancing: {algorithm: round-robin}");
    let exchange = Exchange::start_with(&resources, EVERY_SECOND, &[]);
    let mut dead = node(&exchange);
    let mut nodes = [node(&exchange)];
    let ports = [dead.wire.local().port(), nodes[0].wire.local().port()];
    let live = &mut nodes[0];
    answering(live, "one up, one down", || {
        state(&exchange, ports[0]).as_deref() == Some("DOWN")
            && state(&exchange, ports[1]).as_deref() == Some("up")
    });
    let mut caller = registered(&exchange, "1001");
    for _ in 0..3 {
        let invite = caller.invite(&at("conference"));
        assert_eq!(rings(&mut caller, &invite, &mut nodes), 0);
    }
    assert!(dead.silent(Duration::from_millis(50), |m| m.method() == "INVITE"));
    // It answers again, and has its turn again.
    answering(&mut dead, "the other is back", || state(&exchange, ports[0]).as_deref() == Some("up"));
}

#[test]
fn alone_a_silent_instance_is_tried_all_the_same() {
    let exchange = Exchange::start_with(&with_peer(""), EVERY_SECOND, &[]);
    let mut node = node(&exchange);
    let port = node.wire.local().port();
    trunkline_tests::wait_for("down", || (state(&exchange, port).as_deref() == Some("DOWN")).then_some(()));
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("conference")));
    let arrived = node.request_of("INVITE");
    node.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_peers_given_address_is_asked_and_takes_over_from_instances_that_are_down() {
    let port = trunkline_tests::free_port();
    let http = format!("127.0.0.1:{}", trunkline_tests::free_port());
    let given = format!(", contactAddr: \"127.0.0.1:{port}\"");
    let env = [("TRUNKLINE_HTTP_ADDR", http.as_str())];
    let exchange = Exchange::start_with(&with_peer(&given), EVERY_SECOND, &env);
    let wire = trunkline_tests::Wire::udp_at(exchange.udp(), port);
    let mut nodes = [Ua::new(wire, "asterisk", DOMAIN, "")];
    let dead = node(&exchange);
    let silent = dead.wire.local().port();
    answering(&mut nodes[0], "the address up, the instance down", || {
        state(&exchange, port).as_deref() == Some("up") && state(&exchange, silent).as_deref() == Some("DOWN")
    });
    let (_, metrics) = super::operator::get(&http, "/metrics");
    assert!(metrics.contains("trunkline_peer_destinations_down{peer=\"asterisk\"} 1"), "{metrics}");
    assert!(metrics.contains("trunkline_peer_up{peer=\"asterisk\"} 1"), "{metrics}");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("conference"));
    assert_eq!(rings(&mut caller, &invite, &mut nodes), 0);
}
