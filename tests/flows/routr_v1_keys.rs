//! Keys of a Routr v1 that show themselves in a running exchange alone.

use std::process::Command;

use trunkline_tests::V1Edition::Late;
use trunkline_tests::{Exchange, Scratch, Ua, V1Folder, Wire, binary, exchange_command, free_port, wait_for};

use super::routr_v1::{at, phone, registered, talk};
use super::routr_v1_api::client;

/// An exchange on the folder, with more lines of `spec` and peers.
fn start(folder: &V1Folder, spec: &str, peers: &str) -> Exchange {
    let mut files = folder.files();
    files[0].1.push_str(spec);
    files.push(("config/peers.yml", peers.to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Exchange::start_routr_v1(folder.sip, &files, &[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")])
}

#[test]
fn a_trace_level_shows_the_messages() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "  logging: {traceLevel: 10}\n", "[]\n");
    let mut phone = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-1001");
    assert_eq!(phone.register(600).status(), 200);
    let source = phone.wire.local().to_string();
    wait_for("the trace", || {
        let log = exchange.log();
        let both = log.contains("REGISTER sip:sip.local SIP/2.0") && log.contains("SIP/2.0 200 OK");
        (both && log.contains(&format!("received from tcp {source}"))).then_some(())
    });
    let log = exchange.log();
    assert!(log.contains("username=\"1001\"") && log.contains("response=***"), "{log}");
    assert!(!log.contains("response=\""), "what a secret can be guessed from is not shown: {log}");
    // Where it is off, nothing of it.
    let folder = V1Folder::new(Late);
    let quiet = start(&folder, "  logging: {traceLevel: 0}\n", "[]\n");
    registered(&quiet, "1001");
    assert!(!quiet.log().contains("REGISTER sip:"), "{}", quiet.log());
}

#[test]
fn a_trust_store_that_cannot_be_opened_is_an_error() {
    let stores = Scratch::new("trust-stores");
    let nonsense = stores.write("trust.p12", [0x30, 0x82, 0, 0]).display().to_string();
    let jks = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/transport/tests/keystore.jks");
    for (store, password) in [(nonsense.as_str(), "changeit"), (jks, "wrong")] {
        for (spec, of_rest) in [
            (format!("  securityContext: {{trustStore: {store}, trustStorePassword: {password}}}\n"), false),
            (
                format!(
                    "  securityContext: {{trustStore: {store}, trustStorePassword: {password}, client: {{authType: DisabledAll}}}}\n"
                ),
                false,
            ),
            (format!("    trueStore: {store}\n    trueStorePassword: {password}\n"), true),
        ] {
            let mut folder = V1Folder::new(Late);
            if of_rest {
                folder.more.clone_from(&spec);
            }
            let scratch = Scratch::new("trust-store");
            for (path, text) in folder.files() {
                scratch.write(path, text);
            }
            let more = if of_rest { "" } else { &spec };
            scratch.write("config/config.yml", folder.config() + more);
            let output = Command::new(binary())
                .args(["serve", "--config", "config/config.yml"])
                .current_dir(scratch.path())
                .envs(
                    ["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"]
                        .map(|key| (format!("TRUNKLINE_{key}"), "off")),
                )
                .output()
                .expect("the command runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(store), "{spec}: {said}");
        }
    }
    // One that can be opens nothing else: clients of the API are asked for no certificate.
    let mut folder = V1Folder::new(Late);
    folder.more = format!("    trueStore: {jks}\n    trueStorePassword: changeit\n");
    let exchange = start(&folder, "", "[]\n");
    let rest = trunkline_tests::Rest::https(
        std::net::SocketAddr::from(([127, 0, 0, 1], folder.rest)),
        "/api/v1beta1",
        &exchange.folder().join("trunkline.crt"),
    );
    assert_eq!(rest.get_as("/credentials", "YWRtaW46Y2hhbmdlaXQ=").status, 200);
}

/// A call between two phones up to its answer: does the exchange stay in the way?
fn stays_in_the_way(one: &mut Ua, two: &mut Ua, to: &str) -> bool {
    let invite = one.invite(to);
    let invite = one.call(&invite);
    let seen = two.request_of("INVITE");
    two.accept(&seen);
    let answer = one.status_for(&invite, 200);
    assert_eq!(seen.get("Record-Route").is_some(), answer.get("Record-Route").is_some());
    seen.get("Record-Route").is_some()
}

#[test]
fn without_record_route_the_exchange_leaves_where_it_can() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "  recordRoute: false\n", "[]\n");
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    assert!(!stays_in_the_way(&mut one, &mut two, &at("1002")), "both are at their addresses");
    // Nobody tells us of its end, so that its record ends with its answer.
    let records = || {
        let output = exchange_command(&exchange).args(["calls", "records", "--json"]).output();
        String::from_utf8_lossy(&output.expect("the command runs").stdout).into_owned()
    };
    let record = wait_for("the record", || Some(records()).filter(|text| text.contains("UNKNOWN")));
    assert!(record.contains("1002"), "{record}");
    // On a connection, and by the gateway's credentials, it is needed.
    let mut on_tcp = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-1001");
    assert_eq!(on_tcp.register(600).status(), 200);
    assert!(stays_in_the_way(&mut on_tcp, &mut two, &at("1002")));
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    assert!(stays_in_the_way(&mut two, &mut gateway, &at("17853178070")));
    // A phone that writes another address than it is at.
    let mut hidden = registered(&exchange, "1001");
    let invite = hidden.invite(&at("1002")).set("Contact", "<sip:1001@192.168.200.7:5060>");
    hidden.send(&invite);
    assert!(two.request_of("INVITE").get("Record-Route").is_some());
    for (key, lines) in [("true", "  recordRoute: true\n"), ("unset", "")] {
        let folder = V1Folder::new(Late);
        let exchange = start(&folder, lines, "[]\n");
        let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        assert!(stays_in_the_way(&mut one, &mut two, &at("1002")), "{key}");
    }
}

/// Registers a contact at a place where the phone is not, and shows what `/location` has of it.
fn registered_elsewhere(exchange: &Exchange, folder: &V1Folder, ua: &mut Ua, contact: &str) -> String {
    let register = ua.register_request(600).set("Contact", format!("<{contact}>"));
    let answer = ua.ask(&register).0;
    assert_eq!(answer.status(), 200);
    // The phone finds its own Contact in the answer (RFC 3261 §10.3), whatever it is reached at.
    assert!(answer.get("Contact").is_some_and(|own| own.contains(contact)), "{answer:?}");
    let (rest, token) = client(folder, exchange);
    let shown = rest.get(&format!("/location?token={token}")).json;
    let entries = shown["data"].as_array().cloned().unwrap_or_default();
    let aor = ua.aor();
    let entry = entries.iter().find(|entry| entry["addressOfRecord"] == aor.as_str());
    entry.and_then(|entry| entry["contactInfo"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn registrar_intf_says_whose_contact_is_rewritten() {
    for (lines, internal) in
        [("", false), ("  registrarIntf: External\n", false), ("  registrarIntf: internal\n", true)]
    {
        let folder = V1Folder::new(Late);
        let exchange = start(&folder, lines, "[]\n");
        let mut caller = registered(&exchange, "1002");
        let elsewhere = format!("sip:1001@127.0.0.1:{}", free_port());
        // Over UDP it is, with either word.
        let mut phone = phone(&exchange, "1001");
        let shown = registered_elsewhere(&exchange, &folder, &mut phone, &elsewhere);
        let place = format!("sip:1001@{};nat=true;", phone.wire.local());
        assert!(shown.starts_with(&place), "{lines}: {shown}");
        talk(&mut caller, &at("1001"), &mut phone);
        let unregister = phone.register_request(0).set("Contact", format!("<{elsewhere}>"));
        assert_eq!(phone.ask(&unregister).0.status(), 200, "by the Contact that it wrote");
        // Over a connection only Internal does, which leaves no way once that has ended.
        let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let elsewhere = format!("sip:1001@{};transport=tcp", listening.local_addr().expect("an address"));
        let mut phone = Ua::tcp(exchange.tcp(), "1001", "sip.local", "pw-1001");
        let shown = registered_elsewhere(&exchange, &folder, &mut phone, &elsewhere);
        let place = if internal {
            format!("sip:1001@{};transport=tcp;nat=true;", phone.wire.local())
        } else {
            format!("{elsewhere};nat=false;")
        };
        assert!(shown.starts_with(&place), "{lines}: {shown}");
        talk(&mut caller, &at("1001"), &mut phone);
        drop(phone);
        listening.set_nonblocking(true).expect("a socket");
        wait_for("the other way, or none", || {
            let invite = caller.invite(&at("1001"));
            caller.send(&invite);
            if !internal {
                return listening.accept().ok().map(drop);
            }
            let answer = caller.final_for(&invite);
            caller.acknowledge_failure(&invite, &answer);
            (answer.status() == 480).then_some(())
        });
    }
}

const PEER: &str = "- apiVersion: v1beta1\n  kind: Peer\n  metadata: {name: Media server}\n  spec:\n    credentials: {username: ast, secret: astsecret}\n";

#[test]
fn a_peer_without_a_device_is_called_by_the_address_it_registered_from() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "", PEER);
    let host = std::net::Ipv4Addr::new(127, 0, 0, 7).into();
    let mut peer = Ua::new(Wire::udp_from(host, exchange.udp()), "ast", "sip.local", "astsecret");
    let place = peer.wire.local();
    let mut one = registered(&exchange, "1001");
    let nobody = |one: &mut Ua, to: &str| {
        let invite = one.invite(to);
        one.send(&invite);
        let answer = one.status_for(&invite, 404);
        one.acknowledge_failure(&invite, &answer);
    };
    nobody(&mut one, &format!("sip:ast@{place}"));
    assert_eq!(peer.register(600).status(), 200);
    for to in [format!("sip:ast@{place}"), format!("sip:ast@{}", place.ip()), at("ast")] {
        talk(&mut one, &to, &mut peer);
    }
    nobody(&mut one, &format!("sip:ast@{}:{}", place.ip(), free_port()));
    nobody(&mut one, &format!("sip:1002@{place}"));
}

#[test]
fn a_peer_names_itself_by_its_own_address() {
    let folder = V1Folder::new(Late);
    let exchange = start(&folder, "", PEER);
    let host = std::net::Ipv4Addr::new(127, 0, 0, 7).into();
    let mut peer = Ua::new(Wire::udp_from(host, exchange.udp()), "ast", "127.0.0.7", "astsecret");
    let register = peer.request("REGISTER", &format!("sip:{}", exchange.udp()));
    let register = register.set("To", "<sip:ast@127.0.0.7>").with("Expires", "600");
    assert_eq!(peer.ask(&register).0.status(), 200);
    let mut one = registered(&exchange, "1001");
    talk(&mut one, &format!("sip:ast@{}", peer.wire.local()), &mut peer);
}
