//! A phone in a private network, behind a NAT that changes addresses and ports and lets nobody in unasked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use trunkline_tests::{Exchange, Message, Network, Side, Ua, Wire, free_port, param, wait_for};

use super::transports::call_both_ways;
use super::{DOMAIN, agents};

/// The exchange on the public address, a phone beside it, and one behind the NAT.
struct Apart {
    outside: Ua,
    inside: Ua,
    // Before the network: its process lives there.
    _exchange: Exchange,
    _network: Network,
}

impl Apart {
    fn start(transport: &str) -> Apart {
        let network = Network::behind_a_nat();
        let exchange = network.on(Side::Outside, || {
            let port = free_port();
            // Loopback is for the question whether it has started.
            let at = format!("127.0.0.1:{port},{}:{port}", Network::EXCHANGE);
            let env = [("TRUNKLINE_LISTEN_UDP", at.as_str()), ("TRUNKLINE_LISTEN_TCP", at.as_str())];
            Exchange::start_at(port, &agents(), &env)
        });
        let server = SocketAddr::from((Network::EXCHANGE, exchange.udp().port()));
        let outside = network.on(Side::Outside, || Wire::udp_from(Network::OUTSIDE.into(), server));
        let inside = network.on(Side::Inside, || match transport {
            "tcp" => Wire::tcp(server),
            _ => Wire::udp_from(Network::INSIDE.into(), server),
        });
        assert_eq!(inside.local().ip(), IpAddr::from(Network::INSIDE));
        let ua = |wire, user| Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
        Apart {
            outside: ua(outside, "1001"),
            inside: ua(inside, "1002"),
            _exchange: exchange,
            _network: network,
        }
    }

    fn register(&mut self) {
        for ua in [&mut self.outside, &mut self.inside] {
            let (answer, sent) = ua.ask(&ua.register_request(600));
            assert_eq!(answer.status(), 200, "{}: {}", ua.user, answer.start);
            assert!(sent.get("Contact").is_some_and(|c| c.contains(&ua.wire.local().to_string())));
        }
    }
}

/// The topmost Via's parameter.
fn via(message: &Message, name: &str) -> Option<String> {
    let via = message.get("Via")?;
    via.split(';').find_map(|p| p.strip_prefix(&format!("{name}="))).map(str::to_owned)
}

#[test]
fn over_udp_it_calls_is_called_and_both_sides_speak_within_the_dialog() {
    let mut apart = Apart::start("udp");
    apart.register();
    let Apart { outside, inside, .. } = &mut apart;
    call_both_ways(outside, inside, |_, b| {
        assert!(b.target.contains(&Network::OUTSIDE.to_string()), "{}", b.target);
    });
    call_both_ways(inside, outside, |_, b| {
        // What the phone says of itself is no address of the public network: only the flow leads back.
        assert!(b.target.contains(&Network::INSIDE.to_string()), "{}", b.target);
    });
}

#[test]
fn over_tcp_it_calls_is_called_and_both_sides_speak_within_the_dialog() {
    let mut apart = Apart::start("tcp");
    apart.register();
    let Apart { outside, inside, .. } = &mut apart;
    call_both_ways(outside, inside, |_, _| {});
    call_both_ways(inside, outside, |_, b| {
        assert!(b.target.contains(&Network::INSIDE.to_string()), "{}", b.target);
    });
}

#[test]
fn it_learns_its_public_address_and_is_answered_there_even_without_rport() {
    let mut apart = Apart::start("udp");
    let request = apart.inside.register_request(600);
    let (answer, _) = apart.inside.ask(&request);
    assert_eq!(answer.status(), 200);
    assert_eq!(via(&answer, "received"), Some(Network::NAT.to_string()));
    let port = via(&answer, "rport").and_then(|p| p.parse::<u16>().ok());
    assert!(port.is_some_and(|p| (30_000..31_000).contains(&p)), "{:?}", answer.get("Via"));
    // RFC 3261 §18.2.2 alone would answer to the private port, which is nobody's out there.
    let request = apart.inside.register_request(600);
    let bare = request.get("Via").map(|via| via.replace(";rport", "")).expect("a Via");
    apart.inside.send(&request.set("Via", bare));
    apart.inside.expect("401 without rport", |m| m.status() == 401);
}

#[test]
fn who_writes_its_public_address_in_its_contact_is_behind_the_nat_all_the_same() {
    let mut apart = Apart::start("udp");
    apart.register();
    let Apart { outside, inside, .. } = &mut apart;
    let request = inside.register_request(3600);
    let (answer, _) = inside.ask(&request);
    assert_eq!(inside.register(0).status(), 200, "it is known by one Contact alone");
    let [host, port] = ["received", "rport"].map(|name| via(&answer, name).expect("where it is seen"));
    let learned = format!("<sip:1002@{host}:{port}>");
    let (answer, _) = inside.ask(&inside.register_request(3600).set("Contact", &learned));
    let granted = answer.all("Contact").find(|c| c.contains(&learned)).and_then(|c| param(c, "expires"));
    // The NAT forgets a phone that is silent for longer.
    assert_eq!(granted, Some("60"), "{answer:?}");
    call_both_ways(outside, inside, |_, _| {});
    call_both_ways(inside, outside, |_, _| {});
}

/// Two phones of one account have the same private address, each in a network of its own behind one NAT, and say nothing else of
/// themselves: each keeps its binding while its connection lives.
#[test]
fn phones_with_one_private_address_are_two_while_their_connections_live() {
    const CONTACT: &str = "<sip:1002@192.168.7.20:5060;transport=tcp>";
    let exchange = Exchange::start(&agents());
    let mut caller = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(caller.register(600).status(), 200);
    let connect = || Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
    let register = |ua: &mut Ua, expires: u32| {
        let request = ua.register_request(expires).set("Contact", CONTACT);
        let (answer, _) = ua.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.start);
        answer.all("Contact").count()
    };
    let rings = |caller: &mut Ua, phones: &mut [&mut Ua]| {
        let invite = caller.call(&caller.invite("sip:1002@sip.test"));
        let arrived: Vec<Message> = phones.iter_mut().map(|ua| ua.request_of("INVITE")).collect();
        for (ua, invite) in phones.iter_mut().zip(&arrived) {
            ua.respond(invite, 486, "Busy Here");
            ua.request_of("ACK");
        }
        let failure = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &failure);
    };
    let (mut one, mut two) = (connect(), connect());
    assert_eq!(register(&mut one, 600), 1);
    assert_eq!(register(&mut two, 600), 2);
    rings(&mut caller, &mut [&mut one, &mut two]);
    assert_eq!((register(&mut one, 600), register(&mut two, 600)), (2, 2));
    assert_eq!(register(&mut two, 0), 1);
    rings(&mut caller, &mut [&mut one]);
    assert!(two.silent(Duration::from_millis(100), |m| m.method() == "INVITE"));
    assert_eq!(register(&mut two, 600), 2);
    drop(one);
    // Of a connection that has ended nothing is left.
    wait_for("the first one's binding to end", || (register(&mut two, 600) == 1).then_some(()));
    rings(&mut caller, &mut [&mut two]);
}
