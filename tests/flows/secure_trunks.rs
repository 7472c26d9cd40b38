//! Trunks over TLS: out, in, and a gateway that cannot prove who it is.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use trunkline_tests::{
    Authority, Exchange, PATIENCE, Resources, Ua, Wire, exchange_command, free_port, wait_for,
};

use super::transports::{reinvite, within};
use super::{DOMAIN, at, registered};

const NUMBER: &str = "+17066041487";
const CALLED: &str = "+17853178070";
const GATEWAY: &str = "sip.provider.test";

/// A domain whose other calls leave over TLS to the gateway's name, which `dns.hosts` knows.
fn start(authority: &Authority, gateway: SocketAddr) -> (Exchange, SocketAddr) {
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let uri = format!("{GATEWAY}:{}", gateway.port());
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("provider", "trunk.test", &[(&uri, 1, "tls")], None)
        .number(NUMBER, "provider", &at("1001"));
    let config = format!(
        "{}dns: {{hosts: {{{GATEWAY}: [127.0.0.1]}}}}\nrouting: {{qualifySeconds: 0}}\n",
        authority.config(&["127.0.0.1"])
    );
    let exchange = Exchange::start_with(&resources, &config, &[("TRUNKLINE_LISTEN_TLS", &tls.to_string())]);
    (exchange, tls)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    (listener, at)
}

#[test]
fn out_over_tls_to_a_gateway_that_proves_its_name() {
    let authority = Authority::new();
    let (listener, gateway) = listener();
    let (exchange, _) = start(&authority, gateway);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at(CALLED));
    let invite = caller.call(&invite);
    let stream = authority.accept(&listener, &[GATEWAY]).expect("the exchange likes our certificate");
    let mut provider = Ua::new(Wire::over(stream), CALLED, GATEWAY, "");
    let arrived = provider.request_of("INVITE");
    assert!(arrived.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/TLS ")), "{arrived:?}");
    assert_eq!(arrived.list("Record-Route").len(), 2, "{arrived:?}");
    let sent = provider.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = trunkline_tests::Dialog::of_caller(&invite, &ok);
    let mut b = trunkline_tests::Dialog::of_callee(&arrived, &sent);
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    provider.request_of("ACK");
    reinvite(&mut caller, &mut a, &mut provider);
    reinvite(&mut provider, &mut b, &mut caller);
    within("BYE", &mut provider, &mut b, &mut caller);
}

#[test]
fn in_over_tls_from_a_gateway() {
    let authority = Authority::new();
    let (_listener, gateway) = listener();
    let (exchange, tls) = start(&authority, gateway);
    let mut callee = registered(&exchange, "1001");
    let mut provider = Ua::new(Wire::tls(tls, &authority), "+4930123456", "trunk.test", "");
    let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
    provider.send(&invite);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    let ok = provider.status_for(&invite, 200);
    let mut a = trunkline_tests::Dialog::of_caller(&invite, &ok);
    let mut b = trunkline_tests::Dialog::of_callee(&arrived, &sent);
    let ack = a.request(&provider, "ACK");
    provider.send(&ack);
    callee.request_of("ACK");
    reinvite(&mut provider, &mut a, &mut callee);
    reinvite(&mut callee, &mut b, &mut provider);
    within("BYE", &mut callee, &mut b, &mut provider);
}

/// Calls out to a gateway whose certificate somebody signed for some name: the caller's answer. The gateway must see
/// no SIP.
fn refused(signer: &Authority, believed: &Authority, name: &str) -> u16 {
    let (listener, gateway) = listener();
    let (exchange, _) = start(believed, gateway);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at(CALLED));
    let invite = caller.call(&invite);
    let heard = match signer.accept(&listener, &[name]) {
        // TLS 1.3 lets the server finish first; the client's refusal comes behind.
        Ok(stream) => Wire::over(stream).recv(PATIENCE).is_ok_and(|m| m.is_some()),
        Err(_) => false,
    };
    assert!(!heard, "a gateway that did not prove its name got a request");
    let failure = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &failure);
    failure.status()
}

#[test]
fn a_gateway_with_a_certificate_for_another_name_gets_no_call() {
    let authority = Authority::new();
    assert!(refused(&authority, &authority, "sip.other.test") >= 500);
}

#[test]
fn a_gateway_whose_certificate_nobody_known_signed_gets_no_call() {
    let (stranger, believed) = (Authority::new(), Authority::new());
    assert!(refused(&stranger, &believed, GATEWAY) >= 500);
}

/// The bytes of a PEM file.
fn der(path: &std::path::Path) -> Vec<u8> {
    use trunkline_tests::PemObject;
    trunkline_tests::CertificateDer::from_pem_file(path).expect("a certificate").to_vec()
}

/// A call by one of two trunks at one gateway, up to its answer; the gateway's side, and what it was shown.
fn taken(
    authority: &Authority,
    (listener, caller): (&TcpListener, &mut Ua),
    called: &str,
) -> (Ua, Option<Vec<u8>>, trunkline_tests::Dialog) {
    let invite = caller.call(&caller.invite(&at(called)));
    let stream = authority.accept(listener, &[GATEWAY]).expect("a connection");
    let shown = stream.shown();
    let mut gateway = Ua::new(Wire::over(stream), called, GATEWAY, "");
    let arrived = gateway.request_of("INVITE");
    gateway.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = trunkline_tests::Dialog::of_caller(&invite, &ok);
    caller.send(&dialog.request(caller, "ACK"));
    gateway.request_of("ACK");
    (gateway, shown, dialog)
}

/// A trunk is shown its own certificate, and nobody else is: not even another trunk at the same address, nor over a connection that is
/// there already.
#[test]
fn a_certificate_is_for_its_trunk() {
    let authority = Authority::new();
    let (listener, gateway) = listener();
    let (chain, key) = authority.sign(&["pbx.tenant.test"]);
    let own = format!("clientCertificate: {{certificate: {}, key: {}}}", chain.display(), key.display());
    let uri = format!("{GATEWAY}:{}", gateway.port());
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(r"^\+1", "+17066041487"), (r"^\+49", "+17066041488")], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk_with("tenant", "tenant.test", &[(&uri, 1, "tls")], None, &own)
        .trunk("other", "other.test", &[(&uri, 1, "tls")], None)
        .number("+17066041487", "tenant", &at("1001"))
        .number("+17066041488", "other", &at("1001"));
    let config = authority.config(&["127.0.0.1"]);
    let usual = der(&authority.file().with_file_name("127.0.0.1.pem"));
    let config =
        format!("{config}dns: {{hosts: {{{GATEWAY}: [127.0.0.1]}}}}\nrouting: {{qualifySeconds: 0}}\n");
    let exchange = Exchange::start_with(&resources, &config, &[("TRUNKLINE_LISTEN_TLS", &tls.to_string())]);
    let mut caller = registered(&exchange, "1001");
    let (mut first, shown, mut dialog) = taken(&authority, (&listener, &mut caller), "+17853178070");
    assert_eq!(shown, Some(der(&chain)));
    let (mut second, shown, mut other) = taken(&authority, (&listener, &mut caller), "+49301234567");
    assert_eq!(shown, Some(usual));
    // What belongs to a call goes by its own connection.
    for (gateway, dialog) in [(&mut first, &mut dialog), (&mut second, &mut other)] {
        let bye = dialog.request(&caller, "BYE");
        caller.send(&bye);
        let arrived = gateway.request_of("BYE");
        gateway.respond(&arrived, 200, "OK");
        caller.status_for(&bye, 200);
    }
    // A certificate that cannot be read is no reason to show another one.
    drop((first, second));
    std::fs::remove_file(&key).expect("the key");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let failure = caller.final_for(&invite);
    assert!(failure.status() >= 480, "{}", failure.start);
    caller.acknowledge_failure(&invite, &failure);
    assert!(exchange.log().contains("clientCertificate cannot be used"));
}

/// What the exchange itself asks a trunk goes with the trunk's certificate too: its registration and OPTIONS.
#[test]
fn our_registration_and_questions_show_the_trunks_certificate() {
    let authority = Authority::new();
    let (listener, gateway) = listener();
    listener.set_nonblocking(true).expect("a live socket");
    let (chain, key) = authority.sign(&["pbx.tenant.test"]);
    let certificate = format!("{{certificate: {}, key: {}}}", chain.display(), key.display());
    let own = format!("sendRegister: true, clientCertificate: {certificate}");
    let uri = format!("{GATEWAY}:{}", gateway.port());
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let login = Some(("tenant", "pw-tenant"));
    let resources = Resources::new().trunk_with("tenant", "tenant.test", &[(&uri, 1, "tls")], login, &own);
    let config = authority.config(&["127.0.0.1"]) + &format!("dns: {{hosts: {{{GATEWAY}: [127.0.0.1]}}}}\n");
    let exchange = Exchange::start_with(&resources, &config, &[("TRUNKLINE_LISTEN_TLS", &tls.to_string())]);
    let (mut connections, mut seen): (Vec<Ua>, Vec<String>) = (Vec::new(), Vec::new());
    wait_for("a registration and a question", || {
        if let Ok(stream) = authority.accept(&listener, &[GATEWAY]) {
            assert_eq!(stream.shown(), Some(der(&chain)), "after {seen:?}");
            connections.push(Ua::new(Wire::over(stream), "tenant", GATEWAY, "pw-tenant"));
        }
        for gateway in &mut connections {
            let Some(request) = gateway.wait(Duration::from_millis(10), |m| m.status() == 0) else {
                continue;
            };
            let contact = request.get("Contact").unwrap_or_default().to_owned() + ";expires=600";
            let answer = gateway.response(&request, 200, "OK").set("Contact", contact);
            gateway.send(&answer);
            seen.push(request.method().to_owned());
        }
        ["REGISTER", "OPTIONS"].iter().all(|method| seen.iter().any(|m| m == method)).then_some(())
    });
    wait_for("the trunk to be up and registered", || {
        let out = exchange_command(&exchange).args(["status", "--json"]).output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        (text.contains("\"state\": \"up\"") && text.contains("registered")).then_some(())
    });
}
