//! A phone is reached by its own registration, not by another account's Contact or Path with its address.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::DOMAIN;
use super::forged::MODES;

const APART: &str = "apart.test";
const OPEN: &str = "open.test";
const QUIET: Duration = Duration::from_millis(700);

/// `apart.test` with 3001 and `open.test`, which asks nobody, with 4001, beside the agents of `sip.test`.
fn start(inter_domain: &str, config: &str) -> Exchange {
    let users = ["1001", "1002", "1003"];
    let spec = format!("    interDomain: {inter_domain}\n");
    let resources = users
        .iter()
        .fold(Resources::new().domain(DOMAIN, "all"), |all, u| all.agent(DOMAIN, u, &format!("pw-{u}")))
        .domain_with(APART, "all", &[], &spec)
        .agent(APART, "3001", "pw-3001")
        .domain(OPEN, "never")
        .agent(OPEN, "4001", "pw-4001");
    Exchange::start_with(&resources, config, &[])
}

fn phone(exchange: &Exchange, host: u8, user: &str, domain: &str) -> Ua {
    let wire = Wire::udp_from([127, 0, 0, host].into(), exchange.udp());
    Ua::new(wire, user, domain, &format!("pw-{user}"))
}

fn registered(exchange: &Exchange, host: u8, user: &str, domain: &str) -> Ua {
    let mut ua = phone(exchange, host, user, domain);
    assert_eq!(ua.register(600).status(), 200, "{user}");
    ua
}

fn port_of(ua: &Ua) -> u16 {
    let Wire::Udp { socket, .. } = &ua.wire else { unreachable!("made on UDP") };
    socket.local_addr().expect("bound").port()
}

fn is_request(message: &Message) -> bool {
    !message.start.starts_with("SIP/2.0")
}

#[test]
fn no_contact_or_path_leads_to_another_accounts_phone() {
    for inter_domain in ["isolated", "authenticated"] {
        for mode in MODES {
            let exchange = start(inter_domain, mode);
            let mut rung = registered(&exchange, 31, "3001", APART);
            let port = port_of(&rung);
            for (user, domain) in [("1002", DOMAIN), ("4001", OPEN)] {
                let mut other = phone(&exchange, 9, user, domain);
                let contact = format!("<sip:3001@127.0.0.31:{port}>");
                let request = other.register_request(600).set("Contact", contact);
                assert_eq!(other.ask(&request).0.status(), 403, "{mode}{user}: Contact");
                let request = other.register_request(600).with("Supported", "path");
                let request = request.with("Path", format!("<sip:127.0.0.31:{port};lr>"));
                assert_eq!(other.ask(&request).0.status(), 403, "{mode}{user}: Path");
            }
            assert!(rung.silent(QUIET, is_request), "{inter_domain} {mode}");
        }
    }
}

/// What was registered before the phone came is judged again when a call goes there.
#[test]
fn a_contact_that_was_there_before_the_phone_leads_there_no_more() {
    for mode in MODES {
        let exchange = start("isolated", mode);
        let mut rung = phone(&exchange, 31, "3001", APART);
        let mut other = phone(&exchange, 9, "1002", DOMAIN);
        let contact = format!("<sip:3001@127.0.0.31:{}>", port_of(&rung));
        let request = other.register_request(600).set("Contact", contact);
        assert_eq!(other.ask(&request).0.status(), 200);
        assert_eq!(rung.register(600).status(), 200);
        let mut caller = registered(&exchange, 2, "1001", DOMAIN);
        let invite = caller.call(&caller.invite("sip:1002@sip.test"));
        let refused = caller.status_for(&invite, 480);
        caller.acknowledge_failure(&invite, &refused);
        assert!(rung.silent(QUIET, is_request), "{mode}");
    }
}

/// Neither the Contact of an INVITE nor that of its 200 does, nor one that changes during the call.
#[test]
fn inside_a_call_no_contact_leads_to_another_accounts_phone() {
    for mode in MODES {
        let exchange = start("isolated", mode);
        let mut rung = registered(&exchange, 31, "3001", APART);
        let contact = format!("<sip:3001@127.0.0.31:{}>", port_of(&rung));
        let mut caller = registered(&exchange, 2, "1001", DOMAIN);
        let mut callee = registered(&exchange, 3, "1002", DOMAIN);
        let invite = caller.call(&caller.invite("sip:1002@sip.test").set("Contact", contact.clone()));
        let arrived = callee.request_of("INVITE");
        let accepted = callee.response(&arrived, 200, "OK").set("Contact", contact.clone());
        callee.send(&accepted);
        let ok = caller.status_for(&invite, 200);
        let mut of_caller = Dialog::of_caller(&invite, &ok);
        let mut of_callee = Dialog::of_callee(&arrived, &accepted);
        let info = of_callee.request(&callee, "INFO");
        callee.send(&info);
        let info = of_caller.request(&caller, "INFO");
        caller.send(&info);
        let again = of_caller.request(&caller, "INVITE").set("Contact", contact.clone());
        caller.send(&again);
        let info = of_callee.request(&callee, "INFO");
        callee.send(&info);
        assert!(rung.silent(QUIET, is_request), "{mode}");
    }
}

#[test]
fn accounts_of_one_phone_and_phones_behind_one_nat_are_reached() {
    for mode in MODES {
        let exchange = start("isolated", mode);
        let first = registered(&exchange, 31, "1002", DOMAIN);
        let Wire::Udp { socket, .. } = &first.wire else { unreachable!("made on UDP") };
        let wire = Wire::udp_on(socket.try_clone().expect("a live socket"), exchange.udp());
        let mut second = Ua::new(wire, "3001", APART, "pw-3001");
        assert_eq!(second.register(600).status(), 200, "two accounts of one phone");
        drop(first);
        let mut neighbour = registered(&exchange, 31, "1003", DOMAIN);
        let mut caller = registered(&exchange, 2, "1001", DOMAIN);
        for (user, rung) in [("1002", &mut second), ("1003", &mut neighbour)] {
            let invite = caller.call(&caller.invite(&format!("sip:{user}@sip.test")));
            let arrived = rung.request_of("INVITE");
            rung.respond(&arrived, 486, "Busy Here");
            let busy = caller.status_for(&invite, 486);
            caller.acknowledge_failure(&invite, &busy);
        }
    }
}

/// A phone may send from another port than it listens at, and over TCP.
#[test]
fn where_a_phone_listens_is_its_own_too() {
    let exchange = start("isolated", "");
    let mut by_udp = phone(&exchange, 31, "3001", APART);
    let mut by_tcp = Ua::tcp(exchange.tcp(), "3001", APART, "pw-3001");
    let (udp, tcp) = (free_port(), free_port());
    for (rung, at) in
        [(&mut by_udp, format!("127.0.0.31:{udp}")), (&mut by_tcp, format!("127.0.0.1:{tcp};transport=tcp"))]
    {
        let request = rung.register_request(600).set("Contact", format!("<sip:3001@{at}>"));
        assert_eq!(rung.ask(&request).0.status(), 200, "{at}");
        let mut other = phone(&exchange, 9, "1002", DOMAIN);
        let request = other.register_request(600).set("Contact", format!("<sip:1002@{at}>"));
        assert_eq!(other.ask(&request).0.status(), 403, "{at}");
        // Another phone on that host says where it listens itself.
        let host = at.split(':').next().expect("a host");
        let mut beside = phone(&exchange, host.rsplit('.').next().unwrap().parse().unwrap(), "1003", DOMAIN);
        let request = beside.register_request(600).set("Contact", format!("<sip:1003@{at}>"));
        assert_eq!(beside.ask(&request).0.status(), 200, "{at}");
        let request = beside.register_request(0).set("Contact", format!("<sip:1003@{at}>"));
        assert_eq!(beside.ask(&request).0.status(), 200, "{at}");
    }
}

/// One account of a phone goes, the other stays: the address is its own still.
#[test]
fn the_second_account_of_a_phone_keeps_its_address() {
    let exchange = start("isolated", "");
    let mut rung = registered(&exchange, 31, "3001", APART);
    let at = format!("<sip:3001@127.0.0.31:{}>", port_of(&rung));
    (rung.user, rung.domain, rung.password) = ("1003".into(), DOMAIN.into(), "pw-1003".into());
    assert_eq!((rung.register(600).status(), rung.register(0).status()), (200, 200));
    let mut other = phone(&exchange, 9, "1002", DOMAIN);
    let request = other.register_request(600).set("Contact", at.clone());
    assert_eq!(other.ask(&request).0.status(), 403);
    (rung.user, rung.domain, rung.password) = ("3001".into(), APART.into(), "pw-3001".into());
    assert_eq!(rung.register(0).status(), 200);
    assert_eq!(other.ask(&request).0.status(), 200, "nobody is there any more");
}
