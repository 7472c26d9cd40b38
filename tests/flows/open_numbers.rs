//! Anybody may call the numbers of a trunk that asks nobody who it is. Only who comes from the trunk's own addresses is its
//! carrier.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Resources, Ua, Wire};

use super::redirects::redirect;
use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(300);
const ASSERTED: &str = "<sip:+19005550000@carrier.test>";

/// A trunk of this carrier with an access list, if there is one.
pub(super) fn trunk(all: Resources, carrier: SocketAddr, list: Option<&str>) -> Resources {
    let list = list.map(|list| format!(", accessControlListRef: {list}")).unwrap_or_default();
    let (host, port) = (carrier.ip(), carrier.port());
    all.raw(
        "trunks.yaml",
        &format!(
            "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test{list}}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: {host}, port: {port}, transport: udp}}, weight: 10, priority: 1, enabled: true}}]}}\n"
        ),
    )
    .number(NUMBER, "provider", &at("1002"))
}

pub(super) fn ua_on(exchange: &Exchange, host: [u8; 4], port: u16, user: &str) -> Ua {
    let socket = std::net::UdpSocket::bind((IpAddr::from(host), port)).expect("a UDP port");
    Ua::new(Wire::udp_on(socket, exchange.udp()), user, "far.test", "")
}

const CARRIER: [u8; 4] = [127, 3, 0, 1];

pub(super) fn carrier_at() -> SocketAddr {
    let free = std::net::UdpSocket::bind((IpAddr::from(CARRIER), 0)).expect("a UDP port");
    free.local_addr().expect("its address")
}

/// Lists that let everybody call, in all spellings, and one that says of nobody who it is.
fn open_lists() -> Vec<(&'static str, Vec<&'static str>, Vec<&'static str>)> {
    vec![
        ("no list", vec![], vec![]),
        ("all", vec!["0.0.0.0/0", "::/0"], vec![]),
        ("halves", vec!["0.0.0.0/1", "128.0.0.0/1"], vec![]),
        ("all but one", vec!["0.0.0.0/0"], vec!["203.0.113.7"]),
        ("deny alone", vec![], vec!["203.0.113.7"]),
    ]
}

#[test]
fn a_list_of_all_makes_nobody_the_carrier() {
    for (name, allow, deny) in open_lists() {
        let at_carrier = carrier_at();
        let list = (name != "no list").then_some("open");
        let all = list.map_or_else(agents, |list| agents().acl(list, &allow, &deny));
        let all = trunk(all, at_carrier, list);
        let exchange = Exchange::start_with(&all, "routing: {qualifySeconds: 0}\n", &[]);
        let mut carrier = ua_on(&exchange, CARRIER, at_carrier.port(), "carrier");
        let mut callee = registered(&exchange, "1002");
        for (mut caller, is_carrier) in [
            (ua_on(&exchange, [127, 3, 0, 9], 0, "stranger"), false),
            (ua_on(&exchange, CARRIER, 0, "x"), true),
        ] {
            let premium = format!("<sip:+19005550000@{at_carrier}>");
            let invite = caller.invite(&format!("sip:{NUMBER}@trunk.test"));
            let invite = invite.set("Contact", premium).with("P-Asserted-Identity", ASSERTED);
            caller.send(&invite);
            let arrived = callee.request_of("INVITE");
            // Believed of the carrier alone.
            let said = arrived.get("P-Asserted-Identity");
            assert_eq!(said, is_carrier.then_some(ASSERTED), "{name}, carrier: {is_carrier}");
            let accepted = callee.accept(&arrived);
            let ok = caller.status_for(&invite, 200);
            let ack = Dialog::of_caller(&invite, &ok).request(&caller, "ACK");
            caller.send(&ack);
            callee.request_of("ACK");
            let mut dialog = Dialog::of_callee(&arrived, &accepted);
            let bye = dialog.request(&callee, "BYE");
            callee.send(&bye);
            if is_carrier {
                let got = carrier.request_of("BYE");
                carrier.respond(&got, 200, "OK");
                callee.status_for(&bye, 200);
            } else {
                assert_eq!(callee.final_for(&bye).status(), 480, "{name}");
                assert!(carrier.silent(QUIET, |m| m.status() == 0), "{name}");
            }
            callee.forget();
        }
        let log = exchange.log();
        assert!(!log.contains("is very wide"), "{name}: a list of all has no owner\n{log}");
    }
}

/// A carrier that is known by a network of its list calls from one host of it and goes on from another.
#[test]
fn a_listed_network_is_the_carriers_inside_a_dialog_too() {
    let at_carrier = carrier_at();
    let all = trunk(agents().acl("net", &["127.3.1.0/28"], &["0.0.0.0/0"]), at_carrier, Some("net"));
    let exchange = Exchange::start_with(&all, "routing: {qualifySeconds: 0}\n", &[]);
    let mut first = ua_on(&exchange, [127, 3, 1, 10], 0, "carrier");
    let mut second = ua_on(&exchange, [127, 3, 1, 11], 0, "carrier");
    let mut callee = registered(&exchange, "1002");
    let invite = first.invite(&format!("sip:{NUMBER}@trunk.test"));
    first.send(&invite);
    let arrived = callee.request_of("INVITE");
    let accepted = callee.accept(&arrived);
    let ok = first.status_for(&invite, 200);
    let mut theirs = Dialog::of_caller(&invite, &ok);
    let ack = theirs.request(&first, "ACK");
    first.send(&ack);
    callee.request_of("ACK");
    // It moves the call to the other host.
    let update = theirs.request(&second, "INVITE");
    second.send(&update);
    let got = callee.expect("the re-INVITE", |m| m.method() == "INVITE" && m.cseq() == update.cseq());
    callee.accept(&got);
    second.status_for(&update, 200);
    let ack = theirs.request(&second, "ACK");
    second.send(&ack);
    let mut ours = Dialog::of_callee(&arrived, &accepted);
    ours.target = second.contact();
    let bye = ours.request(&callee, "BYE");
    callee.send(&bye);
    let got = second.request_of("BYE");
    second.respond(&got, 200, "OK");
    callee.status_for(&bye, 200);
    assert!(first.silent(QUIET, |m| m.method() == "BYE"));
}

/// Without transactions a response is judged by whose it is, not by who else has its address.
#[test]
fn a_phone_at_the_carriers_address_asserts_nothing_in_responses() {
    for mode in super::forged::MODES {
        let at_carrier = carrier_at();
        let all = trunk(agents(), at_carrier, None);
        let config = format!("{mode}routing: {{qualifySeconds: 0}}\n");
        let exchange = Exchange::start_with(&all, &config, &[]);
        let mut caller = registered(&exchange, "1001");
        let socket = std::net::UdpSocket::bind((IpAddr::from(CARRIER), 0)).expect("a UDP port");
        let mut callee = Ua::new(Wire::udp_on(socket, exchange.udp()), "1002", DOMAIN, "pw-1002");
        assert_eq!(callee.register(600).status(), 200);
        let invite = caller.call(&caller.invite(&at("1002")));
        let arrived = callee.request_of("INVITE");
        let ringing = callee.response(&arrived, 180, "Ringing").with("P-Asserted-Identity", ASSERTED);
        callee.send(&ringing);
        assert_eq!(caller.status_for(&invite, 180).get("P-Asserted-Identity"), None, "{mode}");
        let accepted = callee.response(&arrived, 200, "OK").with("P-Asserted-Identity", ASSERTED);
        callee.send(&accepted);
        let ok = caller.status_for(&invite, 200);
        assert_eq!(ok.get("P-Asserted-Identity"), None, "{mode}");
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let ack = dialog.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        let info = dialog.request(&caller, "INFO");
        caller.send(&info);
        let got = callee.request_of("INFO");
        let answer = callee.response(&got, 200, "OK").with("P-Asserted-Identity", ASSERTED);
        callee.send(&answer);
        assert_eq!(caller.status_for(&info, 200).get("P-Asserted-Identity"), None, "{mode}");
    }
}

/// Who called is who it was: a carrier, or a stranger on an open number, that names one of ours in From and To becomes no
/// agent by a redirection.
#[test]
fn a_redirection_makes_nobody_an_agent() {
    for list in [Some("callers"), None] {
        let all = agents().acl("callers", &["127.0.0.1/32"], &["0.0.0.0/0"]);
        let resources = trunk(all, carrier_at(), list);
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut outside = Ua::new(Wire::udp(exchange.udp()), "1001", DOMAIN, "no-secret");
        let (mut callee, mut third) = (registered(&exchange, "1002"), registered(&exchange, "1003"));
        let invite =
            outside.invite(&format!("sip:{NUMBER}@trunk.test")).set("To", format!("<{}>", at("1000")));
        outside.send(&invite);
        if list.is_none() {
            // A stranger has no such name in the first place.
            assert_eq!(outside.final_for(&invite).status(), 403);
            assert!(callee.silent(QUIET, |m| m.method() == "INVITE"));
            continue;
        }
        redirect(&mut callee, &at("1003"));
        let arrived = third.request_of("INVITE");
        assert_eq!(arrived.get("X-Call-Direction"), Some("from-pstn"), "{list:?}");
        third.accept(&arrived);
        let ok = outside.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        outside.send(&dialog.request(&outside, "ACK"));
        third.request_of("ACK");
        let refer = dialog.request(&outside, "REFER").with("Refer-To", format!("<{}>", at("1001")));
        outside.send(&refer);
        // A carrier may.
        let heard = third.request_of("REFER");
        third.respond(&heard, 202, "Accepted");
        outside.status_for(&refer, 202);
    }
}

/// A caller says of itself that its number is verified: the carrier may, and nobody else.
#[test]
fn nobody_but_a_carrier_says_that_a_number_is_verified() {
    let at_carrier = carrier_at();
    let all = trunk(agents().acl("list", &["127.3.0.1"], &[]), at_carrier, Some("list"));
    let open = trunk(agents(), at_carrier, None);
    let claim = "verstat=TN-Validation-Passed";
    for (resources, host, port, passes) in
        [(all, CARRIER, at_carrier.port(), true), (open, [127, 3, 0, 9], 0, false)]
    {
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut callee = registered(&exchange, "1002");
        let mut phone = registered(&exchange, "1001");
        let mut caller = ua_on(&exchange, host, port, "x");
        for from in [
            format!("<sip:+15550001;{claim}@far.test;user=phone>;tag=1"),
            format!("<sip:+15550001@far.test;{claim}>;tag=1"),
            format!("<tel:+15550001;{claim}>;tag=1;{claim}"),
        ] {
            let invite = caller.invite(&format!("sip:{NUMBER}@trunk.test")).set("From", &from);
            caller.send(&invite);
            let arrived = callee.request_of("INVITE");
            let said = arrived.get("From").is_some_and(|from| from.contains("verstat"));
            assert_eq!(said, passes, "{from}: {arrived:?}");
            callee.respond(&arrived, 486, "Busy Here");
            let answer = caller.final_for(&invite);
            let (own, _) = from.split_once(";tag=1").expect("a tag");
            assert!(
                answer.get("From").is_some_and(|said| said.starts_with(own)),
                "as it was sent: {answer:?}"
            );
            caller.acknowledge_failure(&invite, &answer);
        }
        // Nor does a phone, in and inside its call.
        let from = format!("<{};{claim}>;tag=2", phone.aor());
        let invite = phone.call(&phone.invite(&at("1002")).set("From", &from));
        let arrived = callee.request_of("INVITE");
        let accepted = callee.accept(&arrived);
        let ok = phone.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        phone.send(&dialog.request(&phone, "ACK"));
        callee.request_of("ACK");
        phone.send(&dialog.request(&phone, "UPDATE"));
        let update = callee.request_of("UPDATE");
        for request in [&arrived, &update] {
            assert!(!request.get("From").is_some_and(|from| from.contains("verstat")), "{request:?}");
        }
        let mut other = Dialog::of_callee(&arrived, &accepted);
        callee.send(&other.request(&callee, "BYE"));
        let bye = phone.request_of("BYE");
        assert_eq!(bye.get("To"), Some(&*from), "as the phone knows itself");
    }
}

/// Under a name at a host of ours a phone would show a stranger as a caller inside, whether somebody has that name or not.
#[test]
fn a_stranger_is_nobody_inside() {
    let at_carrier = carrier_at();
    for mode in ["", "stateless: on\n"] {
        let config = format!("{mode}domain: {DOMAIN}\nrouting: {{qualifySeconds: 0}}\n");
        let exchange = Exchange::start_with(&trunk(agents(), at_carrier, None), &config, &[]);
        let own = exchange.udp();
        let mut callee = registered(&exchange, "1002");
        let mut stranger = ua_on(&exchange, [127, 3, 0, 9], 0, "stranger");
        let mut carrier = ua_on(&exchange, CARRIER, at_carrier.port(), "carrier");
        let names = [
            (format!("<sip:1001@{DOMAIN}>"), false),
            ("\"Reception\" <sip:%31003@SIP.TEST;user=phone>".into(), false),
            (format!("<sips:nobody@{DOMAIN}>"), false),
            (format!("<sip:1001@{own}>"), false),
            (format!("<sip:+1001@{DOMAIN}>"), false),
            ("<sip:1001@far.test>".into(), true),
            (format!("<sip:+4930123456@{DOMAIN}>"), true),
            (format!("<sip:030-123456@{own}>"), true),
            (format!("\"Anonymous\" <sip:anonymous@{DOMAIN}>"), true),
            (format!("<sip:Unknown@{own}>"), true),
            ("<tel:+4930123456>".into(), true),
        ];
        for (from, passes) in &names {
            for (ua, passes) in [(&mut stranger, *passes), (&mut carrier, true)] {
                let invite = ua.invite(&format!("sip:{NUMBER}@trunk.test"));
                let invite = invite.set("From", format!("{from};tag={}", trunkline_tests::fresh()));
                ua.send(&invite);
                if passes {
                    let arrived = callee.request_of("INVITE");
                    callee.respond(&arrived, 486, "Busy Here");
                }
                let answer = ua.final_for(&invite);
                let wanted =
                    if passes { "SIP/2.0 486 Busy Here" } else { "SIP/2.0 403 From Names Somebody Inside" };
                assert_eq!(answer.start, wanted, "{mode}{from}");
                ua.acknowledge_failure(&invite, &answer);
                if passes {
                    callee.request_of("ACK");
                } else {
                    assert!(callee.silent(Duration::from_millis(50), |m| m.method() == "INVITE"));
                }
            }
        }
    }
}
