//! Phones behind an edge proxy (RFC 3327) that is a peer itself, or lies in a network of a trunk's list: the whole call goes
//! by the proxy.

use std::net::{IpAddr, UdpSocket};

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, exchange_command};

use super::{DOMAIN, agents, at, registered};

/// Where its phones are: nobody reaches them but by the proxy.
const PHONE: &str = "sip:1002@10.77.0.2:5060";

/// An edge proxy; it speaks for the phone of 1002 behind it.
struct Proxy {
    ua: Ua,
    route: String,
}

impl Proxy {
    fn new(socket: UdpSocket, exchange: &Exchange) -> Proxy {
        let ua = Ua::new(Wire::udp_on(socket, exchange.udp()), "1002", DOMAIN, "pw-1002");
        let route = format!("<sip:{};lr>", ua.wire.local());
        Proxy { ua, route }
    }

    fn registers(&mut self) {
        let request = self.ua.register_request(600).set("Contact", format!("<{PHONE}>"));
        let request = request.with("Path", &self.route).with("Supported", "path");
        assert_eq!(self.ua.ask(&request).0.status(), 200);
    }

    /// The phone accepts, and the proxy stays in the way.
    fn accepts(&mut self, invite: &Message) -> Message {
        let ok = self.ua.response(invite, 200, "OK").set("Contact", format!("<{PHONE}>"));
        let ours: Vec<String> = ok.all("Record-Route").map(str::to_owned).collect();
        let ok = ok.without("Record-Route").with("Record-Route", &self.route);
        let ok = ours.into_iter().fold(ok, |ok, route| ok.with("Record-Route", route));
        self.ua.send(&ok);
        ok
    }

    fn invite(&mut self, to: &str) -> Message {
        let invite = self.ua.invite(to).set("Contact", format!("<{PHONE}>"));
        self.ua.call(&invite.with("Record-Route", &self.route))
    }
}

fn goes_by_the_proxy(resources: &Resources, socket: UdpSocket, config: &str) {
    let exchange = Exchange::start_with(resources, &format!("{config}routing: {{qualifySeconds: 0}}\n"), &[]);
    let mut proxy = Proxy::new(socket, &exchange);
    proxy.registers();
    let mut phone = registered(&exchange, "1001");
    // It is called.
    let invite = phone.call(&phone.invite(&at("1002")));
    let arrived = proxy.ua.request_of("INVITE");
    proxy.accepts(&arrived);
    let ok = phone.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    for method in ["ACK", "INFO", "BYE"] {
        let request = dialog.request(&phone, method);
        phone.send(&request);
        let got = proxy.ua.request_of(method);
        assert_eq!((got.uri(), got.get("Route")), (PHONE, Some(&*proxy.route)), "{config}{method}");
        if method != "ACK" {
            proxy.ua.respond(&got, 200, "OK");
            phone.status_for(&request, 200);
        }
    }
    // It calls.
    let invite = proxy.invite(&at("1001"));
    let arrived = phone.request_of("INVITE");
    let accepted = phone.accept(&arrived);
    let ok = proxy.ua.status_for(&invite, 200);
    let mut calling = Dialog::of_caller(&invite, &ok);
    // The phone's own first Route is the proxy.
    assert_eq!(calling.routes.remove(0), proxy.route);
    let ack = calling.request(&proxy.ua, "ACK");
    proxy.ua.send(&ack);
    phone.request_of("ACK");
    let mut dialog = Dialog::of_callee(&arrived, &accepted);
    for method in ["INFO", "BYE"] {
        let request = dialog.request(&phone, method);
        phone.send(&request);
        let got = proxy.ua.request_of(method);
        assert_eq!((got.uri(), got.get("Route")), (PHONE, Some(&*proxy.route)), "{config}{method}");
        proxy.ua.respond(&got, 200, "OK");
        phone.status_for(&request, 200);
    }
}

/// A server that proves itself by a digest and has a port of its own on the proxy's host: what is said to it later comes
/// by the proxy's port, which is that of another peer. So it is from the first request on, and after it has moved there.
#[test]
fn a_server_on_the_host_of_a_proxy_that_is_a_peer() {
    for (config, moves) in super::forged::MODES.iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let socket = socket([127, 3, 3, 2]);
        let local = socket.local_addr().expect("its address");
        let edge = format!(", contactAddr: \"{local}\"");
        let all = agents().peer("edge", "backend:edge", "pw", &edge).peer("pbx", &at("pbx"), "pw-pbx", "");
        let exchange = Exchange::start_with(&all, &format!("{config}routing: {{qualifySeconds: 0}}\n"), &[]);
        let mut phone = registered(&exchange, "1001");
        let ua = Ua::new(Wire::udp_on(socket, exchange.udp()), "pbx", DOMAIN, "pw-pbx");
        let mut pbx = Proxy { route: format!("<sip:{local};lr>"), ua };
        let beside = format!("sip:pbx@{}:5999", local.ip());
        let first = if moves { "sip:pbx@10.77.0.2:5060" } else { &beside };
        let invite = pbx.ua.invite(&at("1001")).set("Contact", format!("<{first}>"));
        let invite = pbx.ua.call(&invite.with("Record-Route", &pbx.route));
        let arrived = phone.request_of("INVITE");
        let accepted = phone.accept(&arrived);
        let ok = pbx.ua.status_for(&invite, 200);
        let mut calling = Dialog::of_caller(&invite, &ok);
        assert_eq!(calling.routes.remove(0), pbx.route);
        let ack = calling.request(&pbx.ua, "ACK");
        pbx.ua.send(&ack);
        phone.request_of("ACK");
        let mut dialog = Dialog::of_callee(&arrived, &accepted);
        if moves {
            let update = calling.request(&pbx.ua, "UPDATE").set("Contact", format!("<{beside}>"));
            pbx.ua.send(&update);
            let got = phone.request_of("UPDATE");
            phone.respond(&got, 200, "OK");
            pbx.ua.status_for(&update, 200);
            dialog.target.clone_from(&beside);
        }
        for method in ["INFO", "BYE"] {
            let request = dialog.request(&phone, method);
            phone.send(&request);
            let got = pbx.ua.request_of(method);
            assert_eq!((got.uri(), got.get("Route")), (&*beside, Some(&*pbx.route)), "{config}{moves}");
            pbx.ua.respond(&got, 200, "OK");
            phone.status_for(&request, 200);
        }
    }
}

fn socket(host: [u8; 4]) -> UdpSocket {
    UdpSocket::bind((IpAddr::from(host), 0)).expect("a UDP port")
}

#[test]
fn a_proxy_that_is_a_peer() {
    for config in super::forged::MODES {
        let socket = socket([127, 3, 3, 1]);
        let at = socket.local_addr().expect("its address");
        let all = agents().peer("edge", "backend:edge", "pw", &format!(", contactAddr: \"{at}\""));
        goes_by_the_proxy(&all, socket, config);
    }
}

#[test]
fn a_proxy_in_a_trunks_network() {
    for config in super::forged::MODES {
        let socket = socket([127, 3, 3, 65]);
        let all = agents().acl("net", &["127.3.3.64/26"], &["0.0.0.0/0"]).raw(
            "trunks.yaml",
            "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {name: provider}\n  spec:\n    inbound: {uri: trunk.test, accessControlListRef: net}\n    outbound: {sendRegister: false, uris: [{uri: {host: 127.3.3.66, port: 5060, transport: udp}, weight: 10, priority: 1, enabled: true}]}\n",
        );
        goes_by_the_proxy(&all, socket, config);
    }
}

/// Twenty accounts whose secrets are `pw-` and their name.
fn many() -> Resources {
    (0..20)
        .map(|n| format!("20{n:02}"))
        .fold(agents(), |all, user| all.agent(DOMAIN, &user, &format!("pw-{user}")))
}

/// A proxy sends short requests over UDP and long ones over TCP (RFC 3261 §18.1.1); its Path and Record-Route name its UDP port, also
/// for accounts that did not register by that, and however many did.
#[test]
fn a_proxy_speaks_for_all_accounts_behind_it_over_any_transport() {
    let exchange = Exchange::start_with(&many(), "routing: {qualifySeconds: 0}\n", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    let mut proxy = Proxy::new(socket, &exchange);
    let mut callee = registered(&exchange, "1001");
    for n in 0..19 {
        (proxy.ua.user, proxy.ua.password) = (format!("20{n:02}"), format!("pw-20{n:02}"));
        proxy.registers();
    }
    let by_path = |ua: &mut Ua| {
        let request = ua.register_request(600).set("Contact", format!("<{PHONE}>"));
        let request = request.with("Path", &proxy.route).with("Supported", "path");
        ua.ask(&request).0.status()
    };
    // Who is elsewhere does not go by that proxy: it would ring its phones for the exchange.
    let mut elsewhere =
        Ua::new(Wire::udp_from([127, 0, 0, 9].into(), exchange.udp()), "1003", DOMAIN, "pw-1003");
    assert_eq!(by_path(&mut elsewhere), 403);
    for user in ["2000", "2018", "2019", "1003"] {
        let mut caller = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        let invite = caller.invite(&at("1001")).set("Contact", format!("<{PHONE}>"));
        let invite = caller.call(&invite.with("Record-Route", &proxy.route));
        let arrived = callee.request_of("INVITE");
        let accepted = callee.accept(&arrived);
        caller.status_for(&invite, 200);
        let mut dialog = Dialog::of_callee(&arrived, &accepted);
        let bye = dialog.request(&callee, "BYE");
        callee.send(&bye);
        let got = proxy.ua.request_of("BYE");
        assert_eq!(got.get("Route"), Some(&*proxy.route), "{user}");
        proxy.ua.respond(&got, 200, "OK");
        callee.status_for(&bye, 200);
        assert_eq!(by_path(&mut caller), 200, "{user}");
    }
}

/// One account by UDP and another one by TCP, where a phone listens at one port for both.
#[test]
fn two_lines_of_one_phone_share_its_port() {
    let exchange = Exchange::start(&agents());
    let first = registered(&exchange, "1001");
    let listens = first.wire.local();
    let mut second = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
    let ask = |ua: &mut Ua, contact: String| {
        let request = ua.register_request(600).set("Contact", contact);
        ua.ask(&request).0.status()
    };
    assert_eq!(ask(&mut second, format!("<sip:1002@{listens};transport=tcp>")), 200);
    assert_eq!(ask(&mut second, format!("<sip:1002@{listens}>")), 403, "the other one's calls");
    let wire = Wire::udp_from([127, 0, 0, 9].into(), exchange.udp());
    let mut elsewhere = Ua::new(wire, "1003", DOMAIN, "pw-1003");
    assert_eq!(ask(&mut elsewhere, format!("<sip:1003@{listens};transport=tcp>")), 403);
}

/// An operator ends a registration: its phone is nowhere, and others may be where it was.
#[test]
fn an_address_is_free_once_its_registration_was_ended() {
    let exchange = Exchange::start(&agents());
    let first = registered(&exchange, "1001");
    let wire = Wire::udp_from([127, 0, 0, 9].into(), exchange.udp());
    let mut second = Ua::new(wire, "1002", DOMAIN, "pw-1002");
    let mut names_it = || {
        let contact = format!("<sip:1002@{}>", first.wire.local());
        let request = second.register_request(600).set("Contact", contact);
        second.ask(&request).0.status()
    };
    assert_eq!(names_it(), 403);
    let ended =
        exchange_command(&exchange).args(["registrations", "kick", "1001"]).output().expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(names_it(), 200);
}
