//! An exchange with a public address and one in a private network, where its own servers are: nobody outside has it send
//! anything in there, by whatever name; those inside reach each other.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, NameServer, Network, Record, Side, Ua, Wire, free_port};

use super::{DOMAIN, agents, at};

/// The exchange's address in the private network, and the host of a server there.
const HERE: &str = "10.55.0.1/24";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 9);
/// A phone there.
const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 8);
const QUIET: Duration = Duration::from_millis(300);

/// A public phone, one in the private network, and a server there that is for neither.
struct Both {
    public: Ua,
    office: Ua,
    streams: TcpListener,
    datagrams: UdpSocket,
    port: u16,
    _exchange: Exchange,
    network: Network,
}

impl Both {
    /// `more`: lines of the configuration, in which `SERVER` is that server.
    fn start(more: &str) -> Both {
        let network = Network::behind_a_nat();
        network.ip_on(Side::Outside, &format!("address add {HERE} dev cable"));
        network.ip_on(Side::Nat, &format!("address add {SERVER}/24 dev public"));
        network.ip_on(Side::Nat, &format!("address add {OFFICE}/24 dev public"));
        network.within(Side::Nat, "iptables -t nat -I POSTROUTING -d 10.55.0.0/24 -j ACCEPT");
        let (streams, datagrams) = network.on(Side::Nat, || {
            let streams = TcpListener::bind((SERVER, 0)).expect("a port");
            let datagrams = UdpSocket::bind(streams.local_addr().expect("bound")).expect("the same port");
            (streams, datagrams)
        });
        streams.set_nonblocking(true).expect("a live socket");
        datagrams.set_read_timeout(Some(QUIET)).expect("a live socket");
        let port = streams.local_addr().expect("bound").port();
        let exchange = network.on(Side::Outside, || {
            let names = NameServer::start(&[
                ("rebound.example.test", Record::A(SERVER)),
                ("office.example.test", Record::A(OFFICE)),
            ]);
            let listen = free_port();
            let at = format!("127.0.0.1:{listen},{}:{listen},10.55.0.1:{listen}", Network::EXCHANGE);
            let env = [("TRUNKLINE_LISTEN_UDP", at.as_str()), ("TRUNKLINE_LISTEN_TCP", at.as_str())];
            let more = more.replace("SERVER", &format!("{SERVER}:{port}"));
            let config = format!("{}routing: {{qualifySeconds: 0}}\n{more}", names.config(""));
            Exchange::start_configured_at(listen, &agents(), &config, &env)
        });
        let listen = exchange.udp().port();
        let public = network.on(Side::Outside, || {
            Wire::udp_from(Network::OUTSIDE.into(), (Network::EXCHANGE, listen).into())
        });
        let office = network
            .on(Side::Nat, || Wire::udp_from(OFFICE.into(), (Ipv4Addr::new(10, 55, 0, 1), listen).into()));
        let ua = |wire, user: &str| Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
        let (public, office) = (ua(public, "1001"), ua(office, "1002"));
        Both { public, office, streams, datagrams, port, _exchange: exchange, network }
    }

    /// Has nothing reached the server?
    fn is_quiet(&self) -> bool {
        let asked = self.datagrams.recv(&mut [0; 2048]).is_ok();
        !asked && self.streams.accept().is_err()
    }

    /// The ways to write the server's address that a public phone has.
    fn spellings(&self) -> Vec<String> {
        let port = self.port;
        let hosts = [
            format!("rebound.example.test:{port}"),
            format!("phone.example;maddr={SERVER}:{port}").replace(&format!(":{port}"), ""),
            format!("[::ffff:{SERVER}]:{port}"),
            format!("{SERVER}:{port}"),
        ];
        let with_port = |host: &String| match host.split_once(";maddr") {
            Some((name, rest)) => format!("sip:x@{name}:{port};maddr{rest}"),
            None => format!("sip:x@{host}"),
        };
        hosts.iter().map(with_port).flat_map(|uri| [uri.clone(), format!("{uri};transport=tcp")]).collect()
    }
}

fn register_at(ua: &mut Ua, contact: &str) -> Message {
    let request = ua.register_request(600).set("Contact", format!("<{contact}>"));
    ua.ask(&request).0
}

/// Whatever was registered is called.
fn calls(caller: &mut Ua, user: &str) {
    let message = caller.request("MESSAGE", &at(user)).body("text/plain", "hello".to_owned());
    caller.ask(&message);
}

#[test]
fn a_public_phones_contact_leads_into_no_private_network() {
    let mut both = Both::start("");
    assert_eq!(both.office.register(600).status(), 200);
    for contact in both.spellings() {
        // Unknown yet, or a literal that only its flow stands for; or refused at once.
        let registered = register_at(&mut both.public, &contact).status();
        assert!(matches!(registered, 200 | 403), "{contact}: {registered}");
        if registered == 200 {
            let message = both.office.request("MESSAGE", &at("1001")).body("text/plain", "x".to_owned());
            both.office.send(&message);
            let challenge = both.office.final_for(&message);
            if let Some(message) = both.office.authorise(&message, &challenge, 1) {
                both.office.send(&message);
                if let Some(arrived) = both.public.wait(QUIET, |m| m.method() == "MESSAGE") {
                    both.public.respond(&arrived, 200, "OK");
                }
                both.office.final_for(&message);
            }
        }
        assert!(both.is_quiet(), "{contact}");
        let all = both.public.register_request(0).set("Contact", "*");
        assert_eq!(both.public.ask(&all).0.status(), 200);
    }
    let path = format!("<sip:rebound.example.test:{};lr>", both.port);
    let request = both.public.register_request(600).with("Path", path).with("Supported", "path");
    assert_eq!(both.public.ask(&request).0.status(), 403, "by a Path, whose name is known by now");
    assert_eq!(both.public.register(600).status(), 200, "where it is itself");
}

#[test]
fn inside_a_dialog_it_does_not_either() {
    let mut both = Both::start("");
    for ua in [&mut both.public, &mut both.office] {
        assert_eq!(ua.register(600).status(), 200);
    }
    let contacts = both.spellings().into_iter().map(|contact| (format!("<{contact}>"), None));
    let route = format!("<sip:rebound.example.test:{};lr>", both.port);
    let own = format!("<{}>", both.public.contact());
    for (contact, route) in contacts.chain([(own, Some(route))]) {
        let mut invite = both.public.invite(&at("1002")).set("Contact", contact.clone());
        if let Some(route) = &route {
            invite = invite.with("Record-Route", route);
        }
        let invite = both.public.call(&invite);
        let arrived = both.office.request_of("INVITE");
        let ok = both.office.accept(&arrived);
        let got = both.public.status_for(&invite, 200);
        // Its own Record-Route is not for itself.
        let mut caller = Dialog::of_caller(&invite, &got);
        caller.routes.retain(|known| Some(known) != route.as_ref());
        let ack = caller.request(&both.public, "ACK");
        both.public.send(&ack);
        both.office.request_of("ACK");
        let mut dialog = Dialog::of_callee(&arrived, &ok);
        let bye = dialog.request(&both.office, "BYE");
        both.office.send(&bye);
        if let Some(arrived) = both.public.wait(QUIET, |m| m.method() == "BYE") {
            both.public.respond(&arrived, 200, "OK");
        }
        both.office.final_for(&bye);
        assert!(both.is_quiet(), "{contact} {route:?}");
    }
}

#[test]
fn those_inside_are_reached_by_names_and_at_other_hosts() {
    let mut both = Both::start("");
    let port = both.office.wire.local().port();
    // Known once it was asked for.
    let contact = format!("sip:1002@office.example.test:{port}");
    assert_eq!(register_at(&mut both.office, &contact).status(), 200);
    assert_eq!(both.public.register(600).status(), 200);
    let message = both.public.call(&both.public.request("MESSAGE", &at("1002")));
    let arrived = both.office.request_of("MESSAGE");
    both.office.respond(&arrived, 200, "OK");
    both.public.status_for(&message, 200);
    // Another host of that network: a server that registers for its phones.
    let all = both.office.register_request(0).set("Contact", "*");
    assert_eq!(both.office.ask(&all).0.status(), 200);
    assert_eq!(register_at(&mut both.office, &format!("sip:1002@{SERVER}:{}", both.port)).status(), 200);
    let message = both.public.call(&both.public.request("MESSAGE", &at("1002")));
    let mut bytes = [0; 4096];
    let (length, from) = both.datagrams.recv_from(&mut bytes).expect("it is sent there");
    let arrived = Message::parse(&bytes[..length]).expect("a message");
    let answer =
        Ua::new(Wire::udp_on(both.datagrams.try_clone().expect("a socket"), from), "1002", DOMAIN, "")
            .response(&arrived, 200, "OK");
    both.datagrams.send_to(&answer.bytes(), from).expect("sent");
    both.public.status_for(&message, 200);
}

#[test]
fn what_the_exchange_itself_uses_is_nobodys() {
    let mut both = Both::start("trace: {hep: \"SERVER\"}\n");
    let port = both.port;
    for host in [
        format!("{SERVER}:{port}"),
        format!("[::ffff:{SERVER}]:{port}"),
        "rebound.example.test:".to_owned() + &port.to_string(),
    ] {
        for contact in [format!("sip:x@{host}"), format!("sip:x@{host};transport=tcp")] {
            let answer = register_at(&mut both.office, &contact);
            let refused = answer.start.ends_with("403 Contact Leads to a Server of the Exchange");
            // A name is looked up once it was registered.
            assert!(
                refused || host.starts_with("rebound") && answer.status() == 200,
                "{contact}: {}",
                answer.start
            );
        }
    }
    calls(&mut both.public, "1002");
    assert!(both.streams.accept().is_err(), "a name leads there no more than an address");
    let free = SocketAddr::from((SERVER, both.network.on(Side::Nat, free_port)));
    assert_eq!(register_at(&mut both.office, &format!("sip:x@{free}")).status(), 200, "another port");
}

/// Both ways of the ari-proxy to Asterisk are: the one for requests, and that of events, which may be another host's. So are the
/// collectors of traces, its own and that of the exchange.
#[test]
fn what_the_ari_proxy_uses_is_nobodys() {
    let ports = [(); 5].map(|()| free_port());
    let [http, events, nats, traces, collector] = ports.map(|port| format!("127.0.0.1:{port}"));
    let config = format!(
        "roles: [exchange, health, control, ari-proxy]\notlp: {{url: 'http://{collector}/v1/traces'}}\n"
    );
    let exchange = Exchange::start_with(
        &agents(),
        &config,
        &[
            ("ARI_HTTP_URL", &format!("http://{http}/ari")),
            ("ARI_WEBSOCKET_URL", &format!("ws://{events}/ari/events")),
            ("ARI_USERNAME", "user"),
            ("ARI_PASSWORD", "secret"),
            ("ARI_APPLICATION", "app"),
            ("NATS_URL", &format!("nats://{nats}")),
            ("ARI_PROXY_OTLP_URL", &format!("http://{traces}/v1/traces")),
        ],
    );
    let mut phone = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    for server in [http, events, nats, traces, collector] {
        let answer = register_at(&mut phone, &format!("sip:x@{server}"));
        assert!(answer.start.ends_with("403 Contact Leads to a Server of the Exchange"), "{}", answer.start);
    }
    assert_eq!(phone.register(600).status(), 200);
}
