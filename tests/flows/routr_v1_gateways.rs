//! Gateways of Routr v1: where they are registered at, for how long, under which name.

use std::time::Duration;

use trunkline_tests::V1Edition::{Late, Rc2};
use trunkline_tests::{Exchange, Ua, V1Folder, Wire, free_port, wait_for};

use super::routr_v1::{at, registered, talk};

/// An exchange on the folder, with more lines of the gateway's `spec`.
fn start(folder: &V1Folder, more: &str) -> Exchange {
    let mut files = folder.files();
    for (path, text) in &mut files {
        if path.ends_with("gateways.yml") {
            text.push_str(more);
        }
    }
    folder.start_on(&files, &[("HOME", "."), ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")])
}

#[test]
fn a_gateway_is_registered_at_each_of_its_registries() {
    for (edition, more, expires) in [
        (Rc2, "    expires: 1200\n", 1200),
        (Rc2, "", 3600),
        (Late, "    sendRegister: true\n", 600),
        (Late, "    expires: 900\n    sendRegister: true\n", 900),
    ] {
        let folder = V1Folder::new(edition);
        let other = free_port();
        let exchange = start(&folder, &format!("{more}    registries: ['127.0.0.1:{other}']\n"));
        let at = |port| Ua::new(Wire::udp_at(exchange.udp(), port), "gateway", "provider.test", "");
        for mut registrar in [at(folder.gateway), at(other)] {
            let register = registrar.request_of("REGISTER");
            assert_eq!(register.get("Expires"), Some(expires.to_string().as_str()), "{edition:?} {more}");
            assert_eq!(register.get("User-Agent"), Some("Test v1"));
            assert!(register.get("To").is_some_and(|to| to.contains("sip:account@127.0.0.1")));
            registrar.respond(&register, 200, "OK");
        }
    }
}

#[test]
fn the_user_agent_is_that_of_the_configuration() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "");
    let mut ua = Ua::udp(exchange.udp(), "1001", "sip.local", "pw-1001");
    let options = ua.request("OPTIONS", "sip:sip.local");
    ua.send(&options);
    assert_eq!(ua.final_for(&options).get("Server"), Some("Test v1"));
    // Also of the requests that ask whether a gateway is there.
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "1")]);
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    assert_eq!(gateway.request_of("OPTIONS").get("User-Agent"), Some("Test v1"));
}

#[test]
fn a_gateway_that_nothing_listens_for_is_a_warning() {
    let folder = V1Folder::new(Late);
    let mut files = folder.files();
    for (path, text) in &mut files {
        if path.ends_with("gateways.yml") {
            *text = text.replace("transport: udp", "transport: tls");
        }
    }
    let exchange = folder.start_on(&files, &[]);
    wait_for("the warning", || {
        exchange.log().contains("the gateway uses the transport tls, but no listener has it").then_some(())
    });
}

/// An INVITE out by the egress policy, and the first answer to it that says something.
fn calls_out(caller: &mut Ua) -> u16 {
    let invite = caller.invite(&at("17853178070"));
    caller.send(&invite);
    let call = invite.call_id().to_owned();
    let first = caller.expect("an answer", |m| m.status() > 100 && m.call_id() == call);
    caller.acknowledge_failure(&invite, &first);
    first.status()
}

/// A call of this phone reaches the gateway, which is busy.
fn passes(phone: &mut Ua, gateway: &mut Ua) {
    let invite = phone.invite(&at("17853178070"));
    phone.send(&invite);
    let seen = gateway.request_of("INVITE");
    gateway.respond(&seen, 486, "Busy Here");
    let answer = phone.status_for(&invite, 486);
    phone.acknowledge_failure(&invite, &answer);
}

#[test]
fn a_stranger_calls_nowhere_out() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "");
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    // Who names an agent in From, from wherever, over whatever.
    for mut stranger in [
        Ua::udp(exchange.udp(), "1001", "sip.local", ""),
        Ua::udp(exchange.udp(), "1001", "sip.local", "guess"),
        Ua::tcp(exchange.tcp(), "1001", "sip.local", ""),
        Ua::udp(exchange.udp(), "nobody", "sip.local", ""),
    ] {
        assert_eq!(calls_out(&mut stranger), 401);
    }
    // The agent itself is asked over UDP, and its answer lets it out; inside nobody is asked.
    assert_eq!(calls_out(&mut one), 401);
    talk(&mut one, &at("17853178070"), &mut gateway);
    let inside = one.invite(&at("1002"));
    one.send(&inside);
    let seen = two.request_of("INVITE");
    two.respond(&seen, 486, "Busy Here");
    let answer = one.status_for(&inside, 486);
    one.acknowledge_failure(&inside, &answer);
    assert!(
        gateway.silent(Duration::from_millis(200), |m| m.method() == "INVITE"),
        "no stranger's call came out"
    );
}

/// A phone that registered over TCP and calls over that connection is not asked.
#[test]
fn a_phone_on_its_own_connection_is_not_asked() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "");
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    let mut phone = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-1001");
    assert_eq!(phone.register(600).status(), 200);
    passes(&mut phone, &mut gateway);
    let mut another = Ua::tcp(exchange.tcp(), "1001", "sip.local", "");
    assert_eq!(calls_out(&mut another), 401, "another connection says nothing");
}

/// Who has proven a secret that was replaced since is asked for the new one, also on its connection.
#[test]
fn a_replaced_secret_ends_what_was_proven_with_it() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "");
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    let mut thief = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-1001");
    assert_eq!(thief.register(600).status(), 200);
    passes(&mut thief, &mut gateway);
    // Something else changes: nobody is asked for that.
    let agents = ["1001", "1002", "1003"].map(trunkline_tests::v1_agent).concat();
    let file = exchange.folder().join("config/agents.yml");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    write(&agents);
    wait_for("the new agent", || exchange.log().contains("resources changed").then_some(()));
    passes(&mut thief, &mut gateway);
    write(&agents.replace("pw-1001", "pw-other"));
    wait_for("the new secret", || (exchange.log().matches("resources changed").count() == 2).then_some(()));
    assert_eq!(calls_out(&mut thief), 401);
    // It is still called there until its registration ends; its owner proves the new secret.
    let mut owner = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-other");
    assert_eq!(owner.register(600).status(), 200);
    passes(&mut owner, &mut gateway);
    assert_eq!(calls_out(&mut thief), 401, "still not by the owner's registration");
}

#[test]
fn who_wants_it_as_it_was_is_warned_at_each_start() {
    let folder = V1Folder::new(Late);
    let mut files = folder.files();
    files[0].1.push_str("  auth: {calls: never}\n");
    let exchange = folder.start_on(&files, &[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
    assert!(exchange.log().contains("spec.auth.calls: never"), "{}", exchange.log());
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    let mut stranger = Ua::udp(exchange.udp(), "1001", "sip.local", "");
    let invite = stranger.invite(&at("17853178070"));
    stranger.send(&invite);
    let seen = gateway.request_of("INVITE");
    gateway.respond(&seen, 486, "Busy Here");
    let answer = stranger.status_for(&invite, 486);
    stranger.acknowledge_failure(&invite, &answer);
}
