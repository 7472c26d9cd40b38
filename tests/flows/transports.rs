//! The two sides of a call on different transports or address families: what travels within the dialog crosses over
//! in both directions, and the exchange stands in the way twice (RFC 5658).

use std::net::{Ipv6Addr, SocketAddr};

use trunkline_tests::{Authority, Dialog, Exchange, Rtpengine, Ua, Wire, free_port};

use super::dialogs::connect;
use super::{DOMAIN, agents};

/// An exchange on every transport and both families of loopback, whose certificate `authority` signed.
pub struct Everywhere {
    pub exchange: Exchange,
    /// Phones on WebSockets count as browsers: to reach others they need a relay.
    _rtpengine: Rtpengine,
    authority: Authority,
    pub udp: SocketAddr,
    pub udp6: SocketAddr,
    pub tls: SocketAddr,
    pub ws: SocketAddr,
    pub wss: SocketAddr,
}

impl Everywhere {
    pub fn start() -> Everywhere {
        let authority = Authority::new();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let port = free_port();
        let (udp, udp6) = (at(port), SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        let [tls, ws, wss] = [(); 3].map(|()| at(free_port()));
        let both = format!("{udp},{udp6}");
        let [tls_at, ws_at, wss_at] = [tls, ws, wss].map(|at| at.to_string());
        let rtpengine = Rtpengine::start();
        let media = rtpengine.at().to_string();
        let env = [
            ("TRUNKLINE_RTPENGINE", media.as_str()),
            ("TRUNKLINE_LISTEN_UDP", both.as_str()),
            ("TRUNKLINE_LISTEN_TCP", both.as_str()),
            ("TRUNKLINE_LISTEN_TLS", tls_at.as_str()),
            ("TRUNKLINE_LISTEN_WS", ws_at.as_str()),
            ("TRUNKLINE_LISTEN_WSS", wss_at.as_str()),
        ];
        let config = authority.config(&["127.0.0.1"]);
        let exchange = Exchange::start_configured_at(port, &agents(), &config, &env);
        Everywhere { exchange, _rtpengine: rtpengine, authority, udp, udp6, tls, ws, wss }
    }

    /// A registered phone: `udp`, `udp6`, `tcp`, `tcp6`, `tls`, `ws` or `wss`.
    pub fn phone(&self, wire: &str, user: &str) -> Ua {
        let mut ua = self.unregistered(wire, user, &format!("pw-{user}"));
        let answer = ua.register(600);
        assert_eq!(answer.status(), 200, "{user}: {}", answer.start);
        ua
    }

    /// A phone with this password.
    pub fn unregistered(&self, wire: &str, user: &str, password: &str) -> Ua {
        let wire = match wire {
            "udp" => Wire::udp(self.udp),
            "udp6" => Wire::udp(self.udp6),
            "tcp" => Wire::tcp(self.udp),
            "tcp6" => Wire::tcp(self.udp6),
            "tls" => Wire::tls(self.tls, &self.authority),
            "ws" => Wire::ws(self.ws),
            "wss" => Wire::wss(self.wss, &self.authority),
            other => unreachable!("no wire {other}"),
        };
        Ua::new(wire, user, DOMAIN, password)
    }

    /// How the exchange writes its own address of that side into Record-Route.
    fn shown(&self, wire: &str) -> String {
        match wire {
            "udp" => format!("sip:{};lr", self.udp),
            "udp6" => format!("sip:{};lr", self.udp6),
            "tcp" => format!("sip:{};transport=tcp;lr", self.udp),
            "tcp6" => format!("sip:{};transport=tcp;lr", self.udp6),
            "tls" => format!("sip:{};transport=tls;lr", self.tls),
            "ws" => format!("sip:{};transport=ws;lr", self.ws),
            "wss" => format!("sip:{};transport=ws;lr", self.wss),
            other => unreachable!("no wire {other}"),
        }
    }
}

/// A new offer within the dialog, answered and acknowledged.
pub fn reinvite(from: &mut Ua, dialog: &mut Dialog, to: &mut Ua) {
    let offer = from.invite("sip:nobody@nowhere.test");
    let invite = dialog.request(from, "INVITE").body("application/sdp", offer.body);
    from.send(&invite);
    let arrived = to.request_of("INVITE");
    assert!(!arrived.body.is_empty());
    assert!(arrived.get("Route").is_none(), "our Routes are taken off: {arrived:?}");
    to.accept(&arrived);
    from.status_for(&invite, 200);
    let ack = dialog.request(from, "ACK");
    from.send(&ack);
    let arrived = to.request_of("ACK");
    assert_eq!(arrived.cseq().0, invite.cseq().0);
}

/// Any other request within the dialog.
pub fn within(method: &str, from: &mut Ua, dialog: &mut Dialog, to: &mut Ua) {
    let request = dialog.request(from, method);
    from.send(&request);
    let arrived = to.request_of(method);
    to.respond(&arrived, 200, "OK");
    from.status_for(&request, 200);
}

/// A call; new offers, UPDATE from both sides; the caller hangs up. Then one that the callee ends.
pub fn call_both_ways(caller: &mut Ua, callee: &mut Ua, check: impl Fn(&Dialog, &Dialog)) {
    for caller_ends in [true, false] {
        let (mut a, mut b) = connect(caller, callee);
        check(&a, &b);
        reinvite(caller, &mut a, callee);
        reinvite(callee, &mut b, caller);
        within("UPDATE", caller, &mut a, callee);
        within("UPDATE", callee, &mut b, caller);
        match caller_ends {
            true => within("BYE", caller, &mut a, callee),
            false => within("BYE", callee, &mut b, caller),
        }
    }
}

/// Calls between the two transports, each side calling.
fn cross(one: &str, other: &str) {
    let all = Everywhere::start();
    let (mut first, mut second) = (all.phone(one, "1001"), all.phone(other, "1002"));
    let expect = |a: &str, b: &str| [all.shown(a), all.shown(b)];
    let check = |near: [String; 2]| {
        move |a: &Dialog, b: &Dialog| {
            let same = |routes: &[String], want: &[String]| {
                assert_eq!(routes.len(), 2, "one Record-Route per side: {routes:?}");
                for (route, want) in routes.iter().zip(want) {
                    assert!(route.contains(want), "{route} should name {want}");
                }
            };
            // Each side meets the exchange where it can speak to it.
            same(&a.routes, &near);
            same(&b.routes, &[near[1].clone(), near[0].clone()]);
        }
    };
    call_both_ways(&mut first, &mut second, check(expect(one, other)));
    call_both_ways(&mut second, &mut first, check(expect(other, one)));
}

#[test]
fn wss_and_udp() {
    cross("wss", "udp");
}

#[test]
fn ws_and_tcp() {
    cross("ws", "tcp");
}

#[test]
fn tls_and_udp() {
    cross("tls", "udp");
}

#[test]
fn wss_and_tls() {
    cross("wss", "tls");
}

#[test]
fn tcp_and_udp() {
    cross("tcp", "udp");
}

#[test]
fn ipv6_and_ipv4() {
    cross("udp6", "udp");
}

#[test]
fn ipv6_over_tcp_and_ipv4_over_udp() {
    cross("tcp6", "udp");
}

#[test]
fn two_phones_on_tls() {
    let all = Everywhere::start();
    let (mut a, mut b) = (all.phone("tls", "1001"), all.phone("tls", "1002"));
    call_both_ways(&mut a, &mut b, |a, b| {
        assert_eq!((a.routes.len(), b.routes.len()), (1, 1), "{:?}", a.routes);
        assert!(a.routes[0].contains(&all.shown("tls")), "{:?}", a.routes);
    });
}

#[test]
fn two_browsers_on_wss() {
    let all = Everywhere::start();
    let (mut a, mut b) = (all.phone("wss", "1001"), all.phone("wss", "1002"));
    call_both_ways(&mut a, &mut b, |a, _| assert_eq!(a.routes.len(), 1, "{:?}", a.routes));
}
