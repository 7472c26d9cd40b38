//! Calls out through a trunk and in from one.

use std::net::UdpSocket;

use trunkline_tests::{Exchange, Resources, Sipp, Ua, Wire, free_port};

use super::{DOMAIN, agents, at, registered};

pub(super) const NUMBER: &str = "+17066041487";
pub(super) const LOGIN: (&str, &str) = ("pbx-1", "trunk-secret");

/// A domain whose every other call leaves by the number's trunk.
pub(super) fn with_trunk(uris: &[(&str, u16, &str)]) -> Resources {
    let users = ["1001", "1002"];
    let domain = Resources::new().domain_with(DOMAIN, "all", &[(".*", NUMBER)], "");
    let agents = users.iter().fold(domain, |all, user| all.agent(DOMAIN, user, &format!("pw-{user}")));
    agents.trunk("provider", "trunk.test", uris, Some(LOGIN)).number(NUMBER, "provider", &at("1002"))
}

/// A provider's socket, spoken to by the exchange.
pub(super) fn provider(port: u16) -> Ua {
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    Ua::new(Wire::udp_at(nobody, port), "provider", "provider.test", "")
}

fn sipp_out(transport: &'static str, kind: &'static str) {
    let port = free_port();
    // SIPp takes an OPTIONS for the call it waits for.
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, kind)]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let uas = Sipp::new("uas_trunk")
        .port(port)
        .transport(transport)
        .fill("LOGIN", LOGIN.0)
        .fill("SECRET", LOGIN.1)
        .start();
    let sipp = Sipp::new("uac_call").to(exchange.udp()).fill("FROM", "1001").fill("TO", "+17853178070");
    sipp.fill("DOMAIN", DOMAIN).fill("PASSWORD", "pw-1001").run();
    uas.finish();
}

#[test]
fn out_through_a_trunk_that_challenges_over_udp() {
    sipp_out("u1", "udp");
}

#[test]
fn out_through_a_trunk_that_challenges_over_tcp() {
    sipp_out("t1", "tcp");
}

#[test]
fn a_trunks_407_is_answered_once_with_its_own_credentials() {
    let port = free_port();
    let exchange = Exchange::start(&with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = provider(port);
    let Wire::Udp { server, .. } = &mut provider.wire else { unreachable!("made above") };
    *server = exchange.udp();
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);

    let challenge = "Digest realm=\"provider.test\", nonce=\"n0nce\", algorithm=MD5, qop=\"auth\"";
    let first = provider.request_of("INVITE");
    assert!(first.uri().starts_with("sip:+17853178070@"), "{}", first.uri());
    assert!(first.get("Proxy-Authorization").is_none(), "the agent's own credentials stay here: {first:?}");
    assert!(first.get("Authorization").is_none());
    let refusal =
        provider.response(&first, 407, "Proxy Authentication Required").with("Proxy-Authenticate", challenge);
    provider.send(&refusal);
    provider.request_of("ACK");
    let second = provider.request_of("INVITE");
    let offer = trunkline_tests::Challenge::parse(challenge).expect("a challenge");
    let given = second.get("Proxy-Authorization").expect("credentials").to_owned();
    let field = |name: &str| {
        let text = given.split(&format!("{name}=")).nth(1).unwrap_or("").trim_start_matches('"');
        text.split(['"', ',']).next().unwrap_or("").to_owned()
    };
    assert_eq!(field("username"), LOGIN.0);
    let wanted = offer.answer_with(LOGIN.0, LOGIN.1, "INVITE", &field("uri"), 1, &field("cnonce"));
    let response = format!("response=\"{}\"", field("response"));
    assert!(wanted.contains(&response), "{given}, wanted {wanted}");
    assert_ne!(first.branch(), second.branch());
    assert!(second.cseq().0 >= first.cseq().0);
    // A gateway that missed the ACK says it again, and gets the ACK again: not the first INVITE.
    provider.send(&refusal);
    let again = provider.expect_again("what the repeated 407 gets", |m| m.branch() == first.branch());
    assert_eq!((again.method(), again.cseq().0), ("ACK", first.cseq().0), "{again:?}");
    // Wrong again: the caller hears of it, nobody loops.
    let refusal = provider
        .response(&second, 407, "Proxy Authentication Required")
        .with("Proxy-Authenticate", challenge);
    provider.send(&refusal);
    provider.request_of("ACK");
    let failure = caller.final_for(&invite);
    assert!(
        failure.status() >= 400 && failure.status() != 407,
        "a trunk's challenge is not the caller's: {}",
        failure.start
    );
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn in_from_a_trunk_to_the_numbers_agent() {
    sipp_in("u1");
}

#[test]
fn in_from_a_trunk_to_the_numbers_agent_over_tcp() {
    sipp_in("t1");
}

fn sipp_in(transport: &'static str) {
    let exchange = Exchange::start(&with_trunk(&[("127.0.0.1:9", 1, "udp")]));
    let uas = super::calls::callee(&exchange, "uas_call", transport, &[]);
    let sipp = Sipp::new("uac_trunk").to(exchange.udp()).transport(transport);
    let sipp = sipp.fill("FROM", "+4930123456").fill("TO", NUMBER);
    sipp.fill("DOMAIN", "trunk.test").run();
    uas.finish();
}

/// Two trunks, each with a number that a policy names: the first is dead, SIPp is the second.
fn sipp_beside_a_dead_one(transport: &'static str, kind: &'static str) {
    const SECOND: &str = "+17066041488";
    let (dead, port) = (format!("127.0.0.1:{}", free_port()), free_port());
    let alive = format!("127.0.0.1:{port}");
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER), (".*", SECOND)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .trunk("one", "one.test", &[(&dead, 1, kind)], Some(("pbx-one", "another-secret")))
        .number(NUMBER, "one", &at("1002"))
        .trunk("two", "two.test", &[(&alive, 1, kind)], Some(LOGIN))
        .number(SECOND, "two", &at("1002"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let uas = Sipp::new("uas_trunk").port(port).transport(transport);
    let uas = uas.fill("LOGIN", LOGIN.0).fill("SECRET", LOGIN.1).start();
    let sipp = Sipp::new("uac_call").to(exchange.udp()).transport(transport).fill("FROM", "1001");
    sipp.fill("TO", "+17853178070").fill("DOMAIN", DOMAIN).fill("PASSWORD", "pw-1001").run();
    let identity = format!("P-Asserted-Identity: <sip:{SECOND}@127.0.0.1");
    assert!(uas.messages().contains(&identity), "the second trunk's own number: {}", uas.messages());
    uas.finish();
}

#[test]
fn out_past_a_dead_trunk_over_udp() {
    sipp_beside_a_dead_one("u1", "udp");
}

#[test]
fn out_past_a_dead_trunk_over_tcp() {
    sipp_beside_a_dead_one("t1", "tcp");
}

#[test]
fn a_number_nobody_has_is_refused() {
    let exchange = Exchange::start(&with_trunk(&[("127.0.0.1:9", 1, "udp")]));
    let mut stranger = Ua::udp(exchange.udp(), "+4930123456", "trunk.test", "");
    let invite = stranger.invite("sip:+15550000@trunk.test");
    stranger.send(&invite);
    let failure = stranger.final_for(&invite);
    assert!(failure.status() == 404 || failure.status() == 403, "{}", failure.start);
}

/// Calls out; the second gateway must get the INVITE and answers it.
fn fails_over(first: &str, mut second: Ua, uris_second: u16) {
    let second_at = format!("127.0.0.1:{uris_second}");
    let exchange = Exchange::start(&with_trunk(&[(first, 1, "udp"), (&second_at, 2, "udp")]));
    let Wire::Udp { server, .. } = &mut second.wire else { unreachable!("made by the test") };
    *server = exchange.udp();
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let arrived = second.request_of("INVITE");
    second.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn the_second_gateway_takes_over_when_the_first_is_silent() {
    let mute = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = free_port();
    fails_over(&mute.local_addr().expect("bound").to_string(), provider(port), port);
}

#[test]
fn the_second_gateway_takes_over_when_the_first_is_gone() {
    let port = free_port();
    fails_over(&format!("127.0.0.1:{}", free_port()), provider(port), port);
}

/// The first gateway answers a status, upon which the second is tried or not: what the caller gets.
fn after(status: u16, moves_on: bool) -> u16 {
    let (one, two) = (free_port(), free_port());
    let uris = [format!("127.0.0.1:{one}"), format!("127.0.0.1:{two}")];
    let exchange = Exchange::start(&with_trunk(&[(&uris[0], 1, "udp"), (&uris[1], 2, "udp")]));
    let (mut first, mut second) = (provider(one), provider(two));
    for ua in [&mut first, &mut second] {
        let Wire::Udp { server, .. } = &mut ua.wire else { unreachable!("made above") };
        *server = exchange.udp();
    }
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let arrived = first.request_of("INVITE");
    first.respond(&arrived, status, "No");
    if moves_on {
        let invite = second.request_of("INVITE");
        second.accept(&invite);
    }
    let last = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &last);
    assert!(second.silent(std::time::Duration::from_millis(400), |m| m.method() == "INVITE"), "{status}");
    last.status()
}

#[test]
fn a_gateways_503_moves_on_and_its_486_does_not() {
    assert_eq!(after(503, true), 200);
    assert_eq!(after(486, false), 486);
    assert_eq!(after(603, false), 603);
}

#[test]
fn an_agent_is_called_even_where_the_policy_catches_all() {
    let exchange = Exchange::start(&with_trunk(&[("127.0.0.1:9", 1, "udp")]));
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    super::dialogs::connect(&mut caller, &mut callee);
}

#[test]
fn without_a_policy_a_number_is_404() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    assert_eq!(caller.ask(&invite).0.status(), 404);
}
