//! `trunkline explain` names the cause of failures that operators look for longest: each test makes one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use trunkline_tests::{
    Authority, Exchange, Message, Network, Resources, Rtpengine, Side, Ua, Wire, exchange_command, free_port,
};

use super::explain::{ended, explain, fails, follow};
use super::trunks::{NUMBER, with_trunk};
use super::{DOMAIN, agents, at, registered};

const CALLED: &str = "+17853178070";
const GATEWAY: &str = "sip.provider.test";

/// What was found about this call, and the text.
fn found(exchange: &Exchange, call: &Message) -> (Vec<String>, String) {
    let told = ended(exchange, call);
    let names = told["findings"].as_array().expect("a list").iter();
    let names = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    (names, explain(exchange, &[call.call_id()]))
}

/// Exactly this was found, and it says so in these words.
fn is_found(exchange: &Exchange, call: &Message, names: &[&str], words: &[&str]) {
    let (found, text) = found(exchange, call);
    assert_eq!(found, names, "{text}");
    for words in words {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
}

/// The exchange and a phone on a public network, another phone behind a NAT.
struct Apart {
    outside: Ua,
    inside: Ua,
    // Before the network: its process lives there.
    exchange: Exchange,
    network: Network,
}

/// An exchange with these agents outside of the NAT, over UDP and TCP.
pub fn exchange_outside(network: &Network) -> Exchange {
    network.on(Side::Outside, || {
        let port = free_port();
        // Loopback is for the question whether it has started.
        let at = format!("127.0.0.1:{port},{}:{port}", Network::EXCHANGE);
        let env = [("TRUNKLINE_LISTEN_UDP", at.as_str()), ("TRUNKLINE_LISTEN_TCP", at.as_str())];
        Exchange::start_at(port, &agents(), &env)
    })
}

impl Apart {
    fn start() -> Apart {
        let network = Network::behind_a_nat();
        let exchange = exchange_outside(&network);
        let server = SocketAddr::from((Network::EXCHANGE, exchange.udp().port()));
        let outside = network.on(Side::Outside, || Wire::udp_from(Network::OUTSIDE.into(), server));
        let inside = network.on(Side::Inside, || Wire::udp_from(Network::INSIDE.into(), server));
        let ua = |wire, user| Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
        let mut apart = Apart { outside: ua(outside, "1001"), inside: ua(inside, "1002"), exchange, network };
        for phone in [&mut apart.outside, &mut apart.inside] {
            assert_eq!(phone.register(600).status(), 200);
        }
        apart
    }

    fn explained(&self, call: &Message, names: &[&str], words: &[&str]) {
        self.network.on(Side::Outside, || is_found(&self.exchange, call, names, words));
    }
}

/// The SDP of a phone behind a NAT names its private address, and nothing relays media: the call is answered, and nobody hears
/// anything. The same where the callee is behind the NAT.
#[test]
fn a_call_through_a_nat_without_a_media_relay() {
    let mut apart = Apart::start();
    let invite = apart.inside.invite(&at("1001"));
    let invite = apart.inside.call(&invite);
    let arrived = apart.outside.request_of("INVITE");
    apart.outside.accept(&arrived);
    apart.inside.status_for(&invite, 200);
    let names = ["sdp.private-address", "nat.no-media-relay", "contact.nat"];
    let words = ["The SDP of the caller, from 198.18.0.2,", "(key rtpengine)"];
    apart.explained(&invite, &names, &words);

    let invite = apart.outside.invite(&at("1002"));
    let invite = apart.outside.call(&invite);
    let arrived = apart.inside.request_of("INVITE");
    apart.inside.accept(&arrived);
    apart.outside.status_for(&invite, 200);
    apart.explained(
        &invite,
        &["sdp.private-address", "nat.no-media-relay"],
        &["The SDP of the callee names"],
    );
}

/// A call that fails is no matter of media, but its SDP is shown to be wrong.
#[test]
fn a_private_address_in_the_sdp_of_a_call_that_fails() {
    let mut apart = Apart::start();
    let invite = apart.inside.invite(&at("1003"));
    let invite = fails(&mut apart.inside, &invite, 480);
    apart.explained(&invite, &["sdp.private-address", "contact.nat"], &["callee.not-registered"]);
}

/// A router with a SIP ALG writes another address into Contact than the phone has, and leaves Via as it was.
#[test]
fn a_router_that_changes_contact() {
    let mut apart = Apart::start();
    let mut invite = apart.inside.invite(&at("1003"));
    invite.body.clear();
    let port = apart.inside.wire.local().port();
    let contact = format!("<sip:1002@192.168.77.1:{port}>");
    let invite = invite.without("Content-Type").set("Contact", contact);
    let invite = fails(&mut apart.inside, &invite, 480);
    let words = ["Contact names 192.168.77.1", "came from 198.18.0.2", "SIP ALG"];
    apart.explained(&invite, &["contact.alg"], &words);
}

/// Calls out over a trunk to the gateway's name, which `dns.hosts` knows.
fn start(transport: &str, port: u16, authority: &Authority, env: &[(&str, &str)]) -> (Exchange, Ua) {
    let uri = format!("{GATEWAY}:{port}");
    let config = format!(
        "{}dns: {{hosts: {{{GATEWAY}: [127.0.0.1]}}}}\nrouting: {{qualifySeconds: 0}}\n",
        authority.config(&["127.0.0.1"])
    );
    let exchange = Exchange::start_with(&with_trunk(&[(&uri, 1, transport)]), &config, env);
    let caller = registered(&exchange, "1001");
    (exchange, caller)
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

fn tls() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// The caller's INVITE, sent.
fn calls_out(caller: &mut Ua) -> Message {
    let invite = caller.invite(&at(CALLED));
    caller.call(&invite)
}

/// The call fails without an answer of a carrier.
fn fails_out(caller: &mut Ua, invite: &Message) {
    let answer = caller.final_for(invite);
    caller.acknowledge_failure(invite, &answer);
    assert_eq!(answer.status(), 500, "{}", answer.start);
}

#[test]
fn a_transport_that_the_carrier_does_not_have() {
    let authority = Authority::new();
    for (transport, name) in [("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS")] {
        let port = free_port();
        let (exchange, mut caller) =
            start(transport, port, &authority, &[("TRUNKLINE_LISTEN_TLS", tls().as_str())]);
        let invite = calls_out(&mut caller);
        fails_out(&mut caller, &invite);
        let words = format!("Nothing listens at 127.0.0.1:{port} over {name}: compare");
        let words = [words.as_str(), "in the address of trunk provider"];
        is_found(&exchange, &invite, &["transport.nothing-listens"], &words);
    }
}

/// The port of the trunk is that for TCP.
#[test]
fn a_port_without_tls() {
    let authority = Authority::new();
    let (listener, port) = listener();
    let (exchange, mut caller) = start("tls", port, &authority, &[("TRUNKLINE_LISTEN_TLS", tls().as_str())]);
    let invite = calls_out(&mut caller);
    let (mut socket, _) = listener.accept().expect("a connection");
    let _ = socket.read(&mut [0; 4096]);
    socket.write_all(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n").expect("written");
    fails_out(&mut caller, &invite);
    let words = format!("127.0.0.1:{port} speaks no TLS: set the port for TLS");
    is_found(&exchange, &invite, &["transport.no-tls"], &[&words, "the address of trunk provider"]);
}

/// Calls out over TLS to a gateway with this certificate.
fn with_certificate(
    signer: &Authority,
    names: &str,
    year: Option<i32>,
    trusted: &Authority,
    want: (&str, &str),
) {
    let (listener, port) = listener();
    let (exchange, mut caller) = start("tls", port, trusted, &[("TRUNKLINE_LISTEN_TLS", tls().as_str())]);
    let invite = calls_out(&mut caller);
    let files = match year {
        Some(year) => signer.sign_for_year(names, year),
        None => signer.sign(&[names]),
    };
    // TLS 1.3 lets the server finish first.
    let _stream = signer.accept_as(&listener, files);
    fails_out(&mut caller, &invite);
    is_found(&exchange, &invite, &[want.0], &[want.1, &format!("127.0.0.1:{port}")]);
}

#[test]
fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let want = ("certificate.name", "is for another name than that in the address of trunk provider");
    with_certificate(&authority, "sip.other.test", None, &authority, want);
}

#[test]
fn a_certificate_from_an_authority_that_is_not_trusted() {
    let (stranger, trusted) = (Authority::new(), Authority::new());
    with_certificate(
        &stranger,
        GATEWAY,
        None,
        &trusted,
        ("certificate.untrusted", "add its authority to tls.trustedCa"),
    );
}

#[test]
fn a_certificate_that_has_expired() {
    let authority = Authority::new();
    let want = ("certificate.expired", "has expired, or the clock of this machine is wrong");
    with_certificate(&authority, GATEWAY, Some(2020), &authority, want);
}

/// The clock of this machine, or of the one that signs, is wrong by years.
#[test]
fn a_certificate_that_is_not_valid_yet() {
    let authority = Authority::new();
    let want = ("clock.certificate", "the clock of this machine is behind");
    with_certificate(&authority, GATEWAY, Some(2099), &authority, want);
}

/// A carrier on UDP that the exchange calls.
fn over_udp(config: &str) -> (Exchange, Ua, Ua) {
    let port = free_port();
    let uri = format!("127.0.0.1:{port}");
    let config = format!("{config}routing: {{qualifySeconds: 0}}\n");
    let exchange = Exchange::start_with(&with_trunk(&[(&uri, 1, "udp")]), &config, &[]);
    let carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "provider.test", "");
    let caller = registered(&exchange, "1001");
    (exchange, carrier, caller)
}

/// The carrier answers the call out like this.
fn answers(
    carrier: &mut Ua,
    caller: &mut Ua,
    invite: &Message,
    answer: impl FnOnce(&Ua, &Message) -> Message,
) {
    let arrived = carrier.request_of("INVITE");
    let answer = answer(carrier, &arrived);
    carrier.send(&answer);
    let answer = caller.final_for(invite);
    caller.acknowledge_failure(invite, &answer);
}

#[test]
fn clocks_that_differ() {
    let (exchange, mut carrier, mut caller) = over_udp("");
    let invite = calls_out(&mut caller);
    answers(&mut carrier, &mut caller, &invite, |carrier, arrived| {
        carrier.response(arrived, 403, "Stale Date").with("Date", "Sat, 13 Nov 2010 23:29:00 GMT")
    });
    let words = [
        "The clock of the other side, which answered 403, is",
        "seconds behind the one of this machine",
        "NTP",
    ];
    is_found(&exchange, &invite, &["clock.skew"], &words);
    // A clock that is right is not mentioned, nor one that cannot be read.
    let now = {
        let out = std::process::Command::new("date")
            .args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"])
            .env("LC_ALL", "C")
            .output();
        String::from_utf8(out.expect("date runs").stdout).expect("text").trim().to_owned()
    };
    for date in [now.as_str(), "yesterday"] {
        let invite = calls_out(&mut caller);
        answers(&mut carrier, &mut caller, &invite, |carrier, arrived| {
            carrier.response(arrived, 403, "No").with("Date", date)
        });
        is_found(&exchange, &invite, &[], &["trunk.rejected"]);
    }
}

/// The call goes out, but nothing could come in.
#[test]
fn a_trunk_whose_transport_has_no_listener() {
    let authority = Authority::new();
    let (listener, port) = listener();
    let (exchange, mut caller) = start("tls", port, &authority, &[]);
    let invite = calls_out(&mut caller);
    let stream = authority.accept(&listener, &[GATEWAY]).expect("the exchange likes our certificate");
    let mut carrier = Ua::new(Wire::over(stream), CALLED, GATEWAY, "");
    answers(&mut carrier, &mut caller, &invite, |carrier, arrived| {
        carrier.response(arrived, 486, "Busy Here")
    });
    let words = [
        "The call goes to trunk provider over TLS, and the exchange does not listen there",
        "Set listen.tls.",
    ];
    is_found(&exchange, &invite, &["transport.no-listener"], &words);
}

#[test]
fn a_number_in_another_form_than_wanted() {
    let (exchange, mut carrier, mut caller) = over_udp("");
    let invite = calls_out(&mut caller);
    answers(&mut carrier, &mut caller, &invite, |carrier, arrived| {
        carrier.response(arrived, 484, "Address Incomplete")
    });
    let words =
        [format!("The carrier does not know sip:{CALLED}@"), "with a plus".into(), "routing.e164".into()];
    is_found(&exchange, &invite, &["number.format"], &words.each_ref().map(String::as_str));

    // The carrier calls a number without the code of its country.
    let invite = carrier.invite(&format!("sip:{}@trunk.test", &NUMBER[2..]));
    let invite = fails(&mut carrier, &invite, 404);
    let words = ["number.unknown", "telUrl of a number must have the same digits"];
    is_found(&exchange, &invite, &["number.format"], &words);
}

#[test]
fn a_wrong_password_and_whose_it_is() {
    let (exchange, mut carrier, mut caller) = over_udp("");
    let mut guesser = Ua::udp(exchange.udp(), "1002", DOMAIN, "wrong");
    let invite = guesser.invite(&at("1001"));
    guesser.ask(&invite);
    is_found(&exchange, &invite, &["password.phone"], &["the one in the phone", "trunkline credentials"]);

    let invite = calls_out(&mut caller);
    let challenge = "Digest realm=\"provider.test\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    let refuse = |carrier: &Ua, arrived: &Message| {
        let refusal = carrier.response(arrived, 407, "Proxy Authentication Required");
        refusal.with("Proxy-Authenticate", challenge)
    };
    let arrived = carrier.request_of("INVITE");
    carrier.send(&refuse(&carrier, &arrived));
    carrier.request_of("ACK");
    answers(&mut carrier, &mut caller, &invite, refuse);
    is_found(&exchange, &invite, &["password.trunk"], &["the one of the trunk here", "outbound credentials"]);
}

/// A carrier calls: one phone of 1002 is busy and the other one declines, so the call goes on to a gateway, whose first address is
/// dead and whose second one answers; media is relayed. All of it is one ladder.
#[test]
fn fork_diversion_failover_and_media_relay_in_one_ladder() {
    let port = free_port();
    let carrier_at = format!("127.0.0.1:{}", free_port());
    let fallback = format!(", fallback: {{busy: \"{}\"}}", at("gateway"));
    let contact = format!(", contactAddr: \"gateway.test:{port}\"");
    let resources = Resources::new()
        .domain(DOMAIN, "all")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback)
        .peer("gateway", &at("gateway"), "pw-gateway", &contact)
        .trunk("provider", "trunk.test", &[(&carrier_at, 1, "udp")], None)
        .number(NUMBER, "provider", &at("1002"));
    let rtpengine = Rtpengine::start();
    let config = format!(
        "rtpengine: '{}'\ndns: {{hosts: {{gateway.test: [127.0.0.2, 127.0.0.3]}}}}\nrouting: {{qualifySeconds: 0}}\n",
        rtpengine.at()
    );
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let mut phones = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let socket = UdpSocket::bind(("127.0.0.3", port)).expect("an address of loopback");
    let mut gateway = Ua::new(Wire::udp_on(socket, exchange.udp()), "gateway", DOMAIN, "");
    let mut carrier = Ua::udp(exchange.udp(), "+4930999", "carrier.test", "");
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
    let invite = carrier.call(&invite);
    for phone in &mut phones {
        let arrived = phone.request_of("INVITE");
        super::media::assert_relayed(&arrived);
        phone.send(&phone.response(&arrived, 486, "Busy Here"));
    }
    let arrived = gateway.request_of("INVITE");
    super::media::assert_relayed(&arrived);
    gateway.accept(&arrived);
    let ok = carrier.status_for(&invite, 200);
    super::media::assert_relayed(&ok);
    ended(&exchange, &invite);
    let text = explain(&exchange, &[invite.call_id()]);
    follow(
        &text,
        &[
            &format!("INVITE sip:+4930999@carrier.test → sip:{NUMBER}@trunk.test"),
            "trunk provider",
            "1002@sip.test is agent",
            "waits for the media relay",
            "→ sip:1002@127.0.0.1:",
            "→ sip:1002@127.0.0.1:",
            "← 486 Busy Here, branch",
            "← 486 Busy Here, branch",
            "goes on to sip:gateway@sip.test",
            "is peer gateway",
            &format!("at 127.0.0.2:{port} over UDP, branch 2"),
            "branch 2: the network says that the packet cannot be delivered (ICMP)",
            &format!("at 127.0.0.3:{port} over UDP, branch"),
            "← 200 OK, branch",
            "waits for the media relay",
            "the caller gets 200 OK",
            "The INVITE ended: 200 OK",
        ],
    );
    let out = exchange_command(&exchange).args(["explain", "--failed"]).output().expect("it runs");
    assert!(!String::from_utf8_lossy(&out.stdout).contains(invite.call_id()), "a call that went well");
}
