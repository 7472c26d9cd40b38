//! A source address of UDP is forged easily. Where nobody proves anything, nobody is reached at the address of a carrier by
//! sending in its name.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire};

use super::trunks::NUMBER;
use super::{DOMAIN, at};

const QUIET: Duration = Duration::from_millis(300);
const CARRIER: [u8; 4] = [127, 3, 2, 1];
/// A network of the carrier's list.
const NETWORK: &str = "127.3.2.64/26";
const GATEWAY: [u8; 4] = [127, 3, 2, 70];

fn socket(host: [u8; 4]) -> UdpSocket {
    UdpSocket::bind((IpAddr::from(host), 0)).expect("a UDP port")
}

/// A domain that asks as `authenticate` says, a trunk at this address with a list of a network, and a peer at the other.
fn resources(authenticate: &str, carrier: SocketAddr, pbx: SocketAddr) -> Resources {
    let (host, port) = (carrier.ip(), carrier.port());
    let users = ["1001", "1002", "1003"];
    let all = users.iter().fold(Resources::new().domain(DOMAIN, authenticate), |all, user| {
        all.agent(DOMAIN, user, &format!("pw-{user}"))
    });
    all.acl("net", &[NETWORK], &["0.0.0.0/0"])
        .raw(
            "trunks.yaml",
            &format!(
                "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test, accessControlListRef: net}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: {host}, port: {port}, transport: udp}}, weight: 10, priority: 1, enabled: true}}]}}\n"
            ),
        )
        .number(NUMBER, "provider", &at("1002"))
        .peer("pbx", "backend:pbx", "pw", &format!(", contactAddr: \"{pbx}\""))
}

struct Scene {
    exchange: Exchange,
    /// The carrier, a gateway of its network, and a peer: what they get is a call at somebody's expense.
    victims: [Ua; 3],
}

impl Scene {
    fn set(authenticate: &str) -> Scene {
        let sockets = [socket(CARRIER), socket(GATEWAY), socket([127, 3, 2, 2])];
        let addresses = [0, 2].map(|n: usize| sockets[n].local_addr().expect("an address"));
        let all = resources(authenticate, addresses[0], addresses[1]);
        let exchange = Exchange::start_with(&all, "routing: {qualifySeconds: 0}\n", &[]);
        let server = exchange.udp();
        let victims = sockets.map(|socket| Ua::new(Wire::udp_on(socket, server), "1003", DOMAIN, "pw-1003"));
        Scene { exchange, victims }
    }
}

fn phone(exchange: &Exchange, user: &str) -> Ua {
    Ua::new(Wire::udp(exchange.udp()), user, DOMAIN, &format!("pw-{user}"))
}

/// As if sent by the victim, by somebody who sees no answer.
fn forged(victim: &Ua, contact: &str) -> Message {
    victim.register_request(600).set("Contact", format!("<{contact}>"))
}

#[test]
fn a_forged_register_leads_no_call_to_a_carrier() {
    let mut scene = Scene::set("never");
    let mut caller = phone(&scene.exchange, "1001");
    for victim in &mut scene.victims {
        let own = format!("sip:+19005550000@{}", victim.wire.local());
        for contact in ["sip:+19005550000@10.0.0.1", "sip:+19005550000@phone.invalid", &own] {
            let request = forged(victim, contact);
            victim.send(&request);
            assert_eq!(victim.final_for(&request).status(), 403, "{contact}");
            let invite = caller.invite(&at("1003"));
            let (answer, _) = caller.ask(&invite);
            assert_eq!(answer.status(), 480, "{contact}");
            assert!(victim.silent(QUIET, |m| m.method() == "INVITE"), "{contact}");
        }
    }
}

/// Who shows that it is there is reached there: by a digest, whose nonce was sent there, or by a connection.
#[test]
fn a_phone_beside_a_carrier_is_reached_where_it_shows_to_be() {
    let mut scene = Scene::set("all");
    let mut caller = phone(&scene.exchange, "1001");
    for victim in &mut scene.victims[1..] {
        assert_eq!(victim.register(600).status(), 200, "by a digest");
        let invite = caller.call(&caller.invite(&at("1003")));
        let arrived = victim.request_of("INVITE");
        victim.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
        assert_eq!(victim.register(0).status(), 200);
    }
    // In a domain that asks nobody, a phone at an address that is nobody's, and one on a connection.
    let scene = Scene::set("never");
    let mut caller = phone(&scene.exchange, "1001");
    let tcp = Ua::tcp(scene.exchange.tcp(), "1002", DOMAIN, "pw-1002");
    for mut callee in [phone(&scene.exchange, "1002"), tcp] {
        assert_eq!(callee.register(600).status(), 200);
        let invite = caller.call(&caller.invite(&at("1002")));
        let arrived = callee.request_of("INVITE");
        callee.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
        assert_eq!(callee.register(0).status(), 200);
    }
}

/// The same for a call: who is called sends nothing to a carrier by which the call was forged.
#[test]
fn a_forged_caller_leads_no_request_of_the_dialog_to_a_carrier() {
    for authenticate in ["never", "register"] {
        let mut scene = Scene::set(authenticate);
        let mut callee = phone(&scene.exchange, "1002");
        assert_eq!(callee.register(600).status(), 200);
        for victim in &mut scene.victims {
            for contact in [format!("sip:+19005550000@{}", victim.wire.local()), "sip:+1900@10.0.0.1".into()]
            {
                // Its Via has another address, as behind a NAT.
                let invite = victim.invite(&at("1002")).set("Contact", format!("<{contact}>"));
                let via = victim.via().replace(&victim.wire.local().to_string(), "10.0.0.1:5060");
                let invite = invite.set("Via", via);
                victim.send(&invite);
                let arrived = callee.request_of("INVITE");
                let accepted = callee.accept(&arrived);
                victim.status_for(&invite, 200);
                let mut dialog = Dialog::of_callee(&arrived, &accepted);
                let info = dialog.request(&callee, "INFO");
                callee.send(&info);
                if contact.ends_with("10.0.0.1") {
                    // Where the Contact leads nobody is; what matters is where nothing comes.
                    assert!(victim.silent(QUIET, |m| m.method() == "INFO"), "{authenticate} {contact}");
                } else {
                    let answer = callee.final_for(&info);
                    assert_eq!(answer.status(), 480, "{authenticate} {contact}");
                    assert!(victim.silent(QUIET, |m| m.method() == "INFO"), "{authenticate} {contact}");
                }
                callee.forget();
            }
        }
    }
}

/// A carrier that calls a number of its own from its own address is that carrier, whatever name of ours stands in From.
#[test]
fn a_carrier_that_names_an_agent_is_reached_in_its_dialog() {
    for authenticate in ["never", "register", "all"] {
        let mut scene = Scene::set(authenticate);
        let mut callee = phone(&scene.exchange, "1002");
        assert_eq!(callee.register(600).status(), 200);
        let carrier = &mut scene.victims[1];
        let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
        assert!(invite.get("From").is_some_and(|from| from.contains(&at("1003"))));
        carrier.send(&invite);
        let arrived = callee.request_of("INVITE");
        let accepted = callee.accept(&arrived);
        carrier.status_for(&invite, 200);
        let mut dialog = Dialog::of_callee(&arrived, &accepted);
        let bye = dialog.request(&callee, "BYE");
        callee.send(&bye);
        let heard = carrier.request_of("BYE");
        carrier.respond(&heard, 200, "OK");
        assert_eq!(callee.final_for(&bye).status(), 200, "{authenticate}");
    }
}
