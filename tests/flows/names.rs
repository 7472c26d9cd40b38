//! Names with several addresses, RFC 3263: which is tried, and what happens when it fails.

use std::fmt::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use trunkline_tests::{
    Authority, Dialog, Exchange, Message, NameServer, Record, Resources, Ua, Wire, free_port, wait_for,
};

use super::{DOMAIN, agents, at, phone, registered};

const NUMBER: &str = "+17066041487";
pub const DIALLED: &str = "+17853178070";
/// Where silence is what is tried; whoever is to answer gets [`PATIENT`], or a busy machine makes it silent.
const FAILOVER: &str = ", failoverMs: 300";
/// How long a gateway may stay silent, in milliseconds, before the next address is tried: the longest there is, and the
/// shortest.
const PATIENT: u32 = 4_000;
const IMPATIENT: u32 = 500;
const QUIET: Duration = Duration::from_millis(400);

/// A domain whose calls out go to one destination: a host, with port and transport or without.
pub fn with_trunk(uri: &str) -> Resources {
    with_trunk_that_waits(PATIENT, uri)
}

/// The same with a trunk that gives an address so many milliseconds.
fn with_trunk_that_waits(ms: u32, uri: &str) -> Resources {
    let domain = Resources::new().domain_with(DOMAIN, "all", &[(".*", NUMBER)], "");
    let agents = domain.agent(DOMAIN, "1001", "pw-1001").agent(DOMAIN, "1002", "pw-1002");
    let trunk = format!(
        "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test}}\n    outbound: {{timeoutMs: {ms}, uris: [{{uri: {{{uri}}}}}]}}\n"
    );
    agents.raw("trunks.yaml", &trunk).number(NUMBER, "provider", &at("1002"))
}

fn start(resources: &Resources, config: &str) -> Exchange {
    Exchange::start_with(resources, &format!("{config}routing: {{qualifySeconds: 0}}\n"), &[])
}

/// A trunk whose name has two addresses, each of which is given so many milliseconds.
fn start_at_two(port: u16, ms: u32) -> Exchange {
    let uri = format!("host: sip.provider.test, port: {port}, transport: udp");
    let hosts = "dns: {hosts: {sip.provider.test: [127.0.0.2, 127.0.0.3]}}\n";
    start(&with_trunk_that_waits(ms, &uri), hosts)
}

/// A gateway of the provider on one of loopback's many addresses.
fn gateway(exchange: &Exchange, address: &str) -> Ua {
    let socket = UdpSocket::bind(address).expect("an address of loopback");
    Ua::new(Wire::Udp { socket, server: exchange.udp() }, "gateway", "provider.test", "")
}

fn out(caller: &mut Ua) -> Message {
    let invite = caller.invite(&at(DIALLED));
    caller.call(&invite)
}

#[test]
fn a_trunk_without_a_port_is_found_by_its_srv_records_in_their_order() {
    let port = free_port();
    let names = NameServer::start(&[
        ("_sip._udp.sip.provider.test", Record::Srv(20, 1, port, "b.provider.test")),
        ("_sip._udp.sip.provider.test", Record::Srv(10, 1, port, "a.provider.test")),
        ("a.provider.test", Record::A([127, 0, 0, 2].into())),
        ("b.provider.test", Record::A([127, 0, 0, 3].into())),
    ]);
    let exchange = start(&with_trunk("host: sip.provider.test, transport: udp"), &names.config(""));
    let [mut a, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| gateway(&exchange, &format!("{ip}:{port}")));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let arrived = a.request_of("INVITE");
    assert_eq!(arrived.uri(), format!("sip:{DIALLED}@sip.provider.test"));
    a.accept(&arrived);
    caller.status_for(&invite, 200);
    assert!(b.silent(QUIET, |_| true), "the second is asked only when the first fails");
    // The next call needs no further question.
    let asked = names.asked();
    let invite = out(&mut caller);
    let arrived = a.request_of("INVITE");
    a.accept(&arrived);
    caller.status_for(&invite, 200);
    assert_eq!(names.asked(), asked);
}

#[test]
fn without_a_transport_naptr_says_which() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.2", port)).expect("a TCP port");
    let names = NameServer::start(&[
        ("sip.provider.test", Record::Naptr(10, 10, "SIP+D2T", "_sip._tcp.provider.test")),
        ("sip.provider.test", Record::Naptr(20, 10, "SIP+D2U", "_sip._udp.provider.test")),
        ("_sip._tcp.provider.test", Record::Srv(10, 1, port, "a.provider.test")),
        ("_sip._udp.provider.test", Record::Srv(10, 1, port, "b.provider.test")),
        ("a.provider.test", Record::A([127, 0, 0, 2].into())),
        ("b.provider.test", Record::A([127, 0, 0, 3].into())),
    ]);
    let exchange = start(&with_trunk("host: sip.provider.test"), &names.config(""));
    let mut udp = gateway(&exchange, &format!("127.0.0.3:{port}"));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let mut tcp = Ua::new(Wire::accept(&listener), "gateway", "provider.test", "");
    let arrived = tcp.request_of("INVITE");
    assert!(arrived.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")), "{arrived:?}");
    tcp.accept(&arrived);
    caller.status_for(&invite, 200);
    // Nobody takes connections any more: UDP is next, and Via and Record-Route say so.
    drop((tcp, listener));
    let invite = out(&mut caller);
    let arrived = udp.request_of("INVITE");
    assert!(arrived.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP ")), "{arrived:?}");
    assert!(!arrived.list("Record-Route").concat().contains("transport=tcp"), "{arrived:?}");
    let answered = udp.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    udp.request_of("ACK");
    // And a request of the other side finds its way back.
    let mut b = Dialog::of_callee(&arrived, &answered);
    let bye = b.request(&udp, "BYE");
    udp.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    udp.status_for(&bye, 200);
}

#[test]
fn over_tls_who_cannot_prove_the_trunks_name_gives_way_to_who_can() {
    let authority = Authority::new();
    let [bad, good] = ["127.0.0.2:0", "127.0.0.3:0"].map(|at| TcpListener::bind(at).expect("a TCP port"));
    let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    let names = NameServer::start(&[
        ("_sips._tcp.sip.provider.test", Record::Srv(10, 1, port(&bad), "a.hoster.test")),
        ("_sips._tcp.sip.provider.test", Record::Srv(20, 1, port(&good), "b.hoster.test")),
        ("a.hoster.test", Record::A([127, 0, 0, 2].into())),
        ("b.hoster.test", Record::A([127, 0, 0, 3].into())),
    ]);
    let config =
        format!("{}{}routing: {{qualifySeconds: 0}}\n", authority.config(&["127.0.0.1"]), names.config(""));
    let tls = format!("127.0.0.1:{}", free_port());
    let trunk = with_trunk("host: sip.provider.test, transport: tls");
    let exchange = Exchange::start_with(&trunk, &config, &[("TRUNKLINE_LISTEN_TLS", &tls)]);
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    // The certificate must hold the trunk's name, not that of an SRV record (RFC 5922 §7.3).
    assert!(authority.accept(&bad, &["a.hoster.test"]).is_err(), "the exchange does not like it");
    let stream = authority.accept(&good, &["sip.provider.test"]).expect("the exchange likes this one");
    let mut provider = Ua::new(Wire::over(stream), DIALLED, "sip.provider.test", "");
    let arrived = provider.request_of("INVITE");
    assert_eq!(arrived.uri(), format!("sip:{DIALLED}@sip.provider.test;transport=tls"));
    provider.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn a_silent_address_gives_way_to_the_next_and_is_avoided() {
    let port = free_port();
    // Who answers the second call must not be slower than this.
    let exchange = start_at_two(port, 3 * IMPATIENT);
    let [mut mute, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| gateway(&exchange, &format!("{ip}:{port}")));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let first = mute.request_of("INVITE");
    let second = b.request_of("INVITE");
    assert_ne!(first.branch(), second.branch(), "a client transaction of its own");
    assert_eq!((first.call_id(), first.cseq(), first.uri()), (second.call_id(), second.cseq(), second.uri()));
    assert_eq!(first.list("Record-Route"), second.list("Record-Route"));
    assert_eq!(first.all("Via").count(), second.all("Via").count(), "{second:?}");
    b.accept(&second);
    caller.status_for(&invite, 200);
    // The next call goes where somebody answered.
    mute.forget();
    let invite = out(&mut caller);
    let arrived = b.request_of("INVITE");
    b.accept(&arrived);
    caller.status_for(&invite, 200);
    assert!(
        mute.silent(QUIET, |m| m.call_id() == invite.call_id()),
        "the silent one is left alone for a while"
    );
}

#[test]
fn who_wakes_up_too_late_is_cancelled() {
    let port = free_port();
    let exchange = start_at_two(port, IMPATIENT);
    let [mut late, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| gateway(&exchange, &format!("{ip}:{port}")));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let first = late.request_of("INVITE");
    let second = b.request_of("INVITE");
    late.respond(&first, 180, "Ringing");
    let cancel = late.request_of("CANCEL");
    assert_eq!(cancel.branch(), first.branch());
    late.respond(&cancel, 200, "OK");
    late.respond(&first, 487, "Request Terminated");
    b.accept(&second);
    caller.status_for(&invite, 200);
}

/// A call whose first address was silent; the second has it as well.
fn turned() -> (Exchange, Ua, Message, [(Ua, Message); 2]) {
    let port = free_port();
    let exchange = start_at_two(port, IMPATIENT);
    let [mut a, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| gateway(&exchange, &format!("{ip}:{port}")));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let (on_a, on_b) = (a.request_of("INVITE"), b.request_of("INVITE"));
    (exchange, caller, invite, [(a, on_a), (b, on_b)])
}

#[test]
fn who_answers_late_has_the_call_and_the_other_is_cancelled() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = turned();
    b.respond(&on_b, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    a.accept(&on_a);
    let ok = caller.status_for(&invite, 200);
    let cancel = b.request_of("CANCEL");
    b.respond(&cancel, 200, "OK");
    b.respond(&on_b, 487, "Request Terminated");
    b.request_of("ACK");
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = a.request_of("BYE");
    a.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn the_callers_cancel_goes_where_the_call_went() {
    let (_exchange, mut caller, invite, [(mut a, _), (mut b, on_b)]) = turned();
    b.respond(&on_b, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    let arrived = b.request_of("CANCEL");
    assert_eq!(arrived.branch(), on_b.branch());
    b.respond(&arrived, 200, "OK");
    b.respond(&on_b, 487, "Request Terminated");
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
    assert!(a.silent(QUIET, |m| m.method() == "CANCEL"), "who said nothing is told nothing (RFC 3261 §9.1)");
}

#[test]
fn a_503_speaks_for_one_address() {
    let port = free_port();
    let exchange = start_at_two(port, PATIENT);
    let [mut a, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| gateway(&exchange, &format!("{ip}:{port}")));
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let first = a.request_of("INVITE");
    let refusal = a.respond(&first, 503, "Service Unavailable");
    let ack = a.request_of("ACK");
    assert_eq!(ack.branch(), first.branch());
    let second = b.request_of("INVITE");
    // The refusal again: its ACK was lost. What comes back is an ACK, not the INVITE.
    a.forget();
    a.send(&refusal);
    assert_eq!(a.expect_again("the ACK again", |m| m.branch() == first.branch()).method(), "ACK");
    b.respond(&second, 503, "Service Unavailable");
    let failure = caller.final_for(&invite);
    assert_eq!(failure.status(), 500, "both refused: {}", failure.start);
    caller.acknowledge_failure(&invite, &failure);
    // Any other refusal is the provider's word.
    let invite = out(&mut caller);
    let arrived = a.request_of("INVITE");
    a.respond(&arrived, 404, "Not Found");
    let failure = caller.status_for(&invite, 404);
    caller.acknowledge_failure(&invite, &failure);
    assert!(b.silent(QUIET, |m| m.call_id() == invite.call_id() && m.method() == "INVITE"));
}

#[test]
fn requests_within_a_dialog_take_the_next_address_too() {
    let port = free_port();
    let hosts = format!("dns: {{hosts: {{phone.test: [127.0.0.2, 127.0.0.3]}}{FAILOVER}}}\n");
    let exchange = start(&agents(), &hosts);
    let mut caller = registered(&exchange, "1001");
    let mut callee = gateway(&exchange, &format!("127.0.0.3:{port}"));
    (callee.user, callee.domain, callee.password) = ("1002".into(), DOMAIN.into(), "pw-1002".into());
    let contact = format!("<sip:1002@phone.test:{port}>");
    let request = callee.register_request(600).set("Contact", &contact);
    assert_eq!(callee.ask(&request).0.status(), 200);
    // 127.0.0.2 is mute: the INVITE comes to the second address.
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert_eq!(arrived.uri(), format!("sip:1002@phone.test:{port}"));
    let ok = callee.response(&arrived, 200, "OK").set("Contact", contact);
    callee.send(&ok);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let info = dialog.request(&caller, "INFO");
    caller.send(&info);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
    // It moves to the first address: what was avoided is tried once the other is silent.
    let mut moved = gateway(&exchange, &format!("127.0.0.2:{port}"));
    let info = dialog.request(&caller, "INFO");
    caller.send(&info);
    let arrived = moved.request_of("INFO");
    moved.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
}

#[test]
fn who_is_asked_how_it_is_and_stays_silent_is_not_called_first() {
    let port = free_port();
    let [mut mute, mut b] = ["127.0.0.2", "127.0.0.3"].map(|ip| {
        let socket = UdpSocket::bind(format!("{ip}:{port}")).expect("an address of loopback");
        let server = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        Ua::new(Wire::Udp { socket, server }, "gateway", "provider.test", "")
    });
    let config = "dns: {hosts: {sip.provider.test: [127.0.0.2, 127.0.0.3]}}\nrouting: {qualifySeconds: 1}\n";
    let trunk = with_trunk(&format!("host: sip.provider.test, port: {port}, transport: udp"));
    let exchange = Exchange::start_with(&trunk, config, &[]);
    let Wire::Udp { server, .. } = &mut b.wire else { unreachable!("made above") };
    *server = exchange.udp();
    mute.request_of("OPTIONS");
    // Its silence turns the next question to the other address.
    let asked = b.request_of("OPTIONS");
    b.respond(&asked, 200, "OK");
    mute.forget();
    let mut caller = registered(&exchange, "1001");
    let invite = out(&mut caller);
    let arrived = trunkline_tests::wait_for("the call", || {
        super::peers::answer_options(&mut b);
        b.wait(QUIET, |m| m.method() == "INVITE")
    });
    b.accept(&arrived);
    caller.status_for(&invite, 200);
    assert!(mute.silent(QUIET, |m| m.method() == "INVITE"));
}

#[test]
fn a_carrier_may_call_from_any_address_of_its_name() {
    let names = NameServer::start(&[
        ("_sip._udp.sip.provider.test", Record::Srv(10, 1, 5060, "a.provider.test")),
        ("_sip._udp.sip.provider.test", Record::Srv(20, 1, 5060, "b.provider.test")),
        ("a.provider.test", Record::A([127, 0, 0, 2].into())),
        ("b.provider.test", Record::A([127, 0, 0, 3].into())),
    ]);
    let qualify = format!("{}routing: {{qualifySeconds: 1}}\n", names.config(""));
    let exchange =
        Exchange::start_with(&with_trunk("host: sip.provider.test, transport: udp"), &qualify, &[]);
    let mut callee = registered(&exchange, "1002");
    // The name is looked up by the question whether anybody is there.
    trunkline_tests::wait_for("the name to be asked for", || (names.asked() > 0).then_some(()));
    for (ip, known) in [("127.0.0.3", true), ("127.0.0.9", false)] {
        let invite = trunkline_tests::wait_for("the call to be judged", || {
            let mut carrier = gateway(&exchange, &format!("{ip}:{}", free_port()));
            let invite = carrier.invite(&format!("sip:{NUMBER}@{}", exchange.udp()));
            carrier.send(&invite);
            let answer = carrier.expect("an answer", |m| m.status() >= 100);
            // Until the answer of the name server is there, nobody is known.
            (known == (answer.status() < 300)).then_some(invite)
        });
        if known {
            let arrived = callee.expect("the call", |m| m.call_id() == invite.call_id());
            callee.respond(&arrived, 486, "Busy Here");
        }
    }
}

#[test]
fn a_call_has_no_more_branches_than_their_names_can_count() {
    // 20 contacts by name, each with 16 addresses of which none takes a connection: 320 ways to nowhere. The last
    // contact would answer, as a branch of a number that another one had.
    let mut hosts = String::new();
    for n in 1..=20 {
        let addresses: Vec<_> = (1..=16).map(|i| format!("127.1.{n}.{i}")).collect();
        let _ = write!(hosts, "p{n}.phone.test: [{}], ", addresses.join(", "));
    }
    let config = format!("dns: {{hosts: {{{hosts}}}{FAILOVER}}}\nregistrar: {{maxContacts: 30}}\n");
    let exchange = start(&agents(), &config);
    let port = free_port();
    let mut callee = phone(&exchange, "1002");
    let dead = |n| format!("<sip:1002@p{n}.phone.test:{port};transport=tcp>");
    let contacts: Vec<_> = (1..=20).map(dead).chain([callee.contact() + ";q=0.1"]).collect();
    let request = callee.register_request(600).set("Contact", contacts.join(", "));
    assert_eq!(callee.ask(&request).0.status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let failure = caller.expect("the end of the call", |m| m.status() >= 300);
    assert_eq!(failure.cseq(), invite.cseq());
    caller.acknowledge_failure(&invite, &failure);
    assert!(callee.silent(QUIET, |m| m.method() == "INVITE"), "nobody is called who cannot answer");
}

/// Names that phones register take no place of a trunk's name.
#[test]
fn registrations_make_no_trunk_unknown() {
    let port = free_port();
    let names = NameServer::start(&[("sip.provider.test", Record::A([127, 0, 0, 2].into()))]);
    let trunk = with_trunk(&format!("host: sip.provider.test, port: {port}, transport: udp"));
    let exchange = start(&trunk, &names.config(""));
    let mut gateway = gateway(&exchange, &format!("127.0.0.2:{port}"));
    let mut caller = registered(&exchange, "1001");
    let mut call = |caller: &mut Ua| {
        let invite = out(caller);
        let arrived = gateway.request_of("INVITE");
        gateway.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
    };
    call(&mut caller);
    let asked = names.asked();
    // These are found without a name server; too many of them are refused.
    let mut other = phone(&exchange, "1002");
    for n in 0..320 {
        let contact = |k: usize| format!("<sip:1002@n{n}-{k}.localhost:9>");
        let mut request = other.register_request(600).set("Contact", contact(0));
        for k in 1..32 {
            request = request.with("Contact", contact(k));
        }
        let status = other.ask(&request).0.status();
        assert!(matches!(status, 200 | 403), "{status}");
    }
    call(&mut caller);
    assert_eq!(names.asked(), asked, "what was found out is known still");
}

/// Of a REGISTER that is refused no name is looked up, of one that is accepted each before it is called.
#[test]
fn what_is_refused_makes_no_question() {
    let names = NameServer::start(&[]);
    let exchange = start(&agents(), &names.config(""));
    let mut other = phone(&exchange, "1002");
    let mut register = |contacts: std::ops::Range<usize>| {
        let contact = |k: usize| format!("<sip:1002@n{k}.flood.test:9>");
        let request = other.register_request(600).without("Contact");
        let request = contacts.fold(request, |request, k| request.with("Contact", contact(k)));
        other.ask(&request).0.status()
    };
    assert_eq!(register(0..32), 403, "too many contacts");
    assert_eq!(register(32..33), 200);
    // Those that came first would have been asked for first.
    wait_for("questions", || (names.asked() >= 2).then_some(()));
    assert_eq!(names.asked(), 2, "addresses of both families, of one name");
}
