//! Gateways of Routr v1: where they are registered at, for how long, under which name.

use std::time::Duration;

use trunkline_tests::V1Edition::{Late, Rc2};
use trunkline_tests::{Exchange, Ua, V1Folder, Wire, free_port, wait_for};

/// An exchange on the folder, with more lines of the gateway's `spec`.
fn start(folder: &V1Folder, more: &str) -> Exchange {
    let mut files = folder.files();
    for (path, text) in &mut files {
        if path.ends_with("gateways.yml") {
            text.push_str(more);
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Exchange::start_routr_v1(folder.sip, &files, &[("HOME", "."), ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")])
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
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let exchange = Exchange::start_routr_v1(folder.sip, &files, &[]);
    wait_for("the warning", Duration::from_secs(5), || {
        exchange.log().contains("the gateway's transport is tls, and nothing listens for it").then_some(())
    });
}
