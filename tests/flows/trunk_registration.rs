//! We register at carriers, so that the calls for our numbers come.

use trunkline_tests::{
    Exchange, Message, Resources, Ua, Wire, exchange_command, free_port, param, uri, wait_for,
};

use super::operator::get;
use super::{DOMAIN, at, registered};

pub(super) const NUMBER: &str = "+17066041487";
pub(super) const LOGIN: (&str, &str) = ("pbx-1", "trunk-secret");

/// Agents 1001 and 1002, a number for 1002, and a trunk that is registered at.
pub(super) fn resources(carrier: u16, transport: &str, password: &str) -> Resources {
    let uris = [(format!("127.0.0.1:{carrier}"), 1, transport)];
    let uris: Vec<(&str, u16, &str)> = uris.iter().map(|(at, n, t)| (at.as_str(), *n, *t)).collect();
    Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .trunk_with("provider", "trunk.test", &uris, Some((LOGIN.0, password)), "sendRegister: true")
        .number(NUMBER, "provider", &at("1002"))
}

/// The carrier: answers what the exchange asks.
fn carrier(port: u16) -> Ua {
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    Ua::new(Wire::udp_at(nobody, port), "carrier", "carrier.test", "")
}

fn speaks_to(carrier: &mut Ua, exchange: &Exchange) {
    let Wire::Udp { server, .. } = &mut carrier.wire else { unreachable!("made above") };
    *server = exchange.udp();
}

/// An exchange that registers at a carrier of ours, without OPTIONS in between.
pub(super) fn start(password: &str, more: &[(&str, &str)]) -> (Exchange, Ua) {
    let port = free_port();
    let mut carrier = carrier(port);
    let config = "routing: {qualifySeconds: 0}\n";
    let exchange = Exchange::start_with(&resources(port, "udp", password), config, more);
    speaks_to(&mut carrier, &exchange);
    (exchange, carrier)
}

pub(super) fn grant(carrier: &mut Ua, register: &Message, seconds: u32) {
    let contact = format!("{};expires={seconds}", register.get("Contact").expect("a Contact"));
    let answer = carrier.response(register, 200, "OK").set("Contact", contact);
    carrier.send(&answer);
}

pub(super) const CHALLENGE: &str =
    "Digest realm=\"carrier.test\", nonce=\"n0nce\", algorithm=MD5, qop=\"auth\"";

/// Challenges the next REGISTER and gives the one that answers.
fn challenged(carrier: &mut Ua) -> Message {
    let first = carrier.request_of("REGISTER");
    assert!(first.get("Authorization").is_none(), "{first:?}");
    let refusal = carrier.response(&first, 401, "Unauthorized").with("WWW-Authenticate", CHALLENGE);
    carrier.send(&refusal);
    let second = carrier.expect("a REGISTER with credentials", |m| {
        m.method() == "REGISTER" && m.get("Authorization").is_some()
    });
    assert_eq!(second.call_id(), first.call_id());
    assert!(second.cseq().0 > first.cseq().0);
    assert_ne!(second.branch(), first.branch());
    let given = second.get("Authorization").expect("looked at").to_owned();
    let field = |name: &str| param_of(&given, name);
    assert_eq!((&*field("username"), &*field("realm")), (LOGIN.0, "carrier.test"));
    let offer = trunkline_tests::Challenge::parse(CHALLENGE).expect("a challenge");
    let wanted = offer.answer_with(LOGIN.0, LOGIN.1, "REGISTER", &field("uri"), 1, &field("cnonce"));
    assert!(wanted.contains(&format!("response=\"{}\"", field("response"))), "{given}, wanted {wanted}");
    second
}

fn param_of(credentials: &str, name: &str) -> String {
    let text = credentials.split(&format!("{name}=")).nth(1).unwrap_or("").trim_start_matches('"');
    text.split(['"', ',']).next().unwrap_or("").to_owned()
}

/// What the operator sees of it.
fn state(exchange: &Exchange) -> serde_json::Value {
    let output = exchange_command(exchange).args(["status", "--json"]).output().expect("the command runs");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    status["trunkRegistrations"][0].clone()
}

pub(super) fn wait_state(exchange: &Exchange, registered: bool) -> serde_json::Value {
    wait_for("the operator to see it", || {
        let state = state(exchange);
        (state["registered"] == registered && state["answer"] != "").then_some(state)
    })
}

#[test]
fn registered_called_refreshed_and_left() {
    let http = format!("127.0.0.1:{}", free_port());
    let (mut exchange, mut carrier) = start(LOGIN.1, &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let register = challenged(&mut carrier);
    // RFC 6140: for all numbers at once; the Contact has no user.
    assert_eq!(uri(register.get("To").expect("To")), "sip:pbx-1@127.0.0.1");
    assert_eq!(register.get("Require"), Some("gin"));
    assert_eq!(register.get("Expires"), Some("600"));
    let contact = uri(register.get("Contact").expect("a Contact")).to_owned();
    assert_eq!(contact, format!("sip:{};bnc", exchange.udp()));
    grant(&mut carrier, &register, 4);
    let seen = wait_state(&exchange, true);
    assert_eq!((&seen["trunk"], &seen["aor"]), (&"provider".into(), &"pbx-1@127.0.0.1".into()));
    assert!(get(&http, "/metrics").1.contains("trunkline_trunk_registered{trunk=\"provider\"} 1\n"));

    // The carrier calls the number: in the Request-URI, or, if it knows no gin, in To.
    let mut callee = registered(&exchange, "1002");
    for target in [format!("sip:{NUMBER}@{}", exchange.udp()), format!("sip:{}", exchange.udp())] {
        let mut invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
        invite.start = format!("INVITE {target} SIP/2.0");
        let invite = carrier.call(&invite);
        let arrived = callee.request_of("INVITE");
        callee.accept(&arrived);
        carrier.status_for(&invite, 200);
    }
    let again = challenged(&mut carrier);
    assert_eq!(again.call_id(), register.call_id(), "a refresh");
    grant(&mut carrier, &again, 600);

    // A graceful stop tells the carrier to send no more calls.
    let stopping = std::thread::spawn(move || {
        let left = challenged(&mut carrier);
        assert_eq!(left.get("Expires"), Some("0"));
        let answer = carrier.response(&left, 200, "OK");
        carrier.send(&answer);
    });
    assert_eq!(exchange.stop(), Some(0));
    stopping.join().expect("the carrier heard of it");
}

#[test]
fn what_the_carrier_wants_otherwise() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let first = carrier.request_of("REGISTER");
    let refusal = carrier.response(&first, 420, "Bad Extension").with("Unsupported", "gin");
    carrier.send(&refusal);
    let second =
        carrier.expect("one without gin", |m| m.method() == "REGISTER" && m.get("Require").is_none());
    assert_eq!(uri(second.get("Contact").unwrap()), format!("sip:pbx-1@{}", exchange.udp()));
    let refusal = carrier.response(&second, 423, "Interval Too Brief").with("Min-Expires", "1800");
    carrier.send(&refusal);
    let third =
        carrier.expect("a longer one", |m| m.method() == "REGISTER" && m.get("Expires") == Some("1800"));
    // A stranger's answer is none.
    let forged = carrier.response(&third, 403, "Forbidden").set("Via", {
        let via = third.get("Via").expect("Via");
        let branch = param(via, "branch").expect("a branch");
        let (begin, last) = branch.split_at(branch.len() - 1);
        via.replace(branch, &format!("{begin}{}", if last == "0" { '1' } else { '0' }))
    });
    carrier.send(&forged);
    grant(&mut carrier, &third, 1800);
    let seen = wait_state(&exchange, true);
    assert_eq!(seen["answer"], "200 OK");
}

#[test]
fn a_wrong_password_is_told_and_mended_live() {
    let http = format!("127.0.0.1:{}", free_port());
    let (exchange, mut carrier) = start("wrong", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    for credentials in [false, true] {
        let register = carrier.expect("a REGISTER", |m| {
            m.method() == "REGISTER" && m.get("Authorization").is_some() == credentials
        });
        let refusal = carrier.response(&register, 401, "Unauthorized").with("WWW-Authenticate", CHALLENGE);
        carrier.send(&refusal);
    }
    let seen = wait_state(&exchange, false);
    assert_eq!(seen["answer"], "401 Unauthorized");
    let ready = get(&http, "/readyz").1;
    assert!(ready.contains("registration at trunk provider") && ready.contains("401"), "{ready}");
    assert!(!exchange.log().contains("wrong"), "no secret in the log");

    let port = carrier.wire.local().port();
    let right = resources(port, "udp", LOGIN.1);
    exchange.rewrite("credentials.yaml", right.file("credentials.yaml"));
    let register = challenged(&mut carrier);
    grant(&mut carrier, &register, 600);
    wait_state(&exchange, true);
}

#[test]
fn a_silent_carrier_is_asked_again_and_told_of() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let first = carrier.request_of("REGISTER");
    // Timer E: the same bytes.
    let repeated = carrier.expect_again("a repetition", |m| m.method() == "REGISTER");
    assert_eq!((repeated.branch(), repeated.cseq()), (first.branch(), first.cseq()));
    assert!(state(&exchange)["answer"] == "", "nothing is wrong yet");
    grant(&mut carrier, &repeated, 600);
    wait_state(&exchange, true);
}

/// Two of ours: one is the carrier of the other, over UDP and TCP.
#[test]
fn at_another_exchange_of_ours() {
    for transport in ["udp", "tcp"] {
        let theirs = Resources::new().domain("sip.local", "all").agent("sip.local", LOGIN.0, LOGIN.1).agent(
            "sip.local",
            "2001",
            "pw-2001",
        );
        let carrier = Exchange::start(&theirs);
        let port = if transport == "udp" { carrier.udp().port() } else { carrier.tcp().port() };
        let exchange = Exchange::start(&resources(port, transport, LOGIN.1));
        wait_state(&exchange, true);

        let list = exchange_command(&carrier).args(["registrations", "--json"]).output().expect("runs");
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(list.contains("pbx-1@sip.local") && list.contains("bnc"), "{list}");
        drop(exchange);
    }
}

/// A registration without gin, whose Contact names the account.
fn by_account(carrier: &mut Ua) -> Message {
    let first = carrier.request_of("REGISTER");
    let refusal = carrier.response(&first, 420, "Bad Extension").with("Unsupported", "gin");
    carrier.send(&refusal);
    carrier.expect("one without gin", |m| m.method() == "REGISTER" && m.get("Require").is_none())
}

#[test]
fn a_carrier_that_calls_our_account_says_the_number_in_to() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let register = by_account(&mut carrier);
    let contact = uri(register.get("Contact").expect("a Contact")).to_owned();
    assert_eq!(contact, format!("sip:pbx-1@{}", exchange.udp()));
    grant(&mut carrier, &register, 600);
    wait_state(&exchange, true);
    let mut callee = registered(&exchange, "1002");
    let call = |to: &str, from: &mut Ua| {
        let mut invite = from.invite(to);
        invite.start = format!("INVITE {contact} SIP/2.0");
        from.call(&invite)
    };
    let number = format!("sip:{NUMBER}@trunk.test");
    let invite = call(&number, &mut carrier);
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    carrier.status_for(&invite, 200);
    // Neither a number that is not ours, nor the account alone, nor anybody elsewhere calls somebody so.
    for to in ["sip:+17066041488@trunk.test", "sip:pbx-1@trunk.test"] {
        let invite = call(to, &mut carrier);
        assert!(carrier.final_for(&invite).status() >= 400, "{to}");
    }
    let mut stranger =
        Ua::new(Wire::udp_from([127, 0, 0, 9].into(), exchange.udp()), "carrier", "carrier.test", "");
    let mut invite = stranger.invite(&number);
    invite.start = format!("INVITE {contact} SIP/2.0");
    stranger.send(&invite);
    assert!(stranger.final_for(&invite).status() >= 400);
    assert!(callee.silent(std::time::Duration::from_millis(200), |m| m.method() == "INVITE"
        && m.call_id() != arrived.call_id()));
}

#[test]
fn a_contact_that_the_carrier_rewrote_is_refreshed_in_time() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let register = by_account(&mut carrier);
    assert_eq!(register.get("Expires"), Some("600"));
    let rewritten = "<sip:pbx-1@203.0.113.77:61234;transport=udp;fs_nat=yes>;expires=2";
    carrier.send(&carrier.response(&register, 200, "OK").set("Contact", rewritten));
    let granted = std::time::Instant::now();
    wait_state(&exchange, true);
    let again = carrier.expect("a refresh", |m| m.method() == "REGISTER" && m.cseq() > register.cseq());
    assert!(granted.elapsed() < std::time::Duration::from_secs(2), "{:?}", granted.elapsed());
    grant(&mut carrier, &again, 600);
}

#[test]
fn trunks_are_asked_by_their_names() {
    let port = free_port();
    let mut carrier = carrier(port);
    let uris = [(format!("localhost:{port}"), 1, "udp")];
    let uris: Vec<(&str, u16, &str)> = uris.iter().map(|(at, n, t)| (at.as_str(), *n, *t)).collect();
    let resources = Resources::new().domain(DOMAIN, "all").trunk("provider", "trunk.test", &uris, None);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 1}\n", &[]);
    speaks_to(&mut carrier, &exchange);
    let options = carrier.request_of("OPTIONS");
    assert_eq!(options.uri(), format!("sip:localhost:{port}"));
    assert_eq!(uri(options.get("To").expect("a To")), format!("sip:localhost:{port}"));
}

/// A call to the account goes on as any other does: when the phone is busy, and when it redirects.
#[test]
fn a_call_to_our_account_goes_on() {
    let port = free_port();
    let mut carrier = carrier(port);
    let fallback = format!(", fallback: {{busy: \"{}\"}}", at("1001"));
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback);
    let at_carrier = format!("127.0.0.1:{port}");
    let trunk = [(at_carrier.as_str(), 1, "udp")];
    let resources = resources
        .trunk_with("provider", "trunk.test", &trunk, Some(LOGIN), "sendRegister: true")
        .number(NUMBER, "provider", &at("1002"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    speaks_to(&mut carrier, &exchange);
    let register = by_account(&mut carrier);
    let contact = uri(register.get("Contact").expect("a Contact")).to_owned();
    grant(&mut carrier, &register, 600);
    wait_state(&exchange, true);
    let (mut callee, mut other) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    // To may have the host of the carrier, or one that nobody here knows.
    for (host, redirects) in
        [("trunk.test", false), ("else.test", false), ("trunk.test", true), ("else.test", true)]
    {
        let mut invite = carrier.invite(&format!("sip:{NUMBER}@{host}"));
        invite.start = format!("INVITE {contact} SIP/2.0");
        carrier.send(&invite);
        if redirects {
            super::redirects::redirect(&mut callee, &at("1001"));
        } else {
            let arrived = callee.request_of("INVITE");
            callee.respond(&arrived, 486, "Busy Here");
            callee.request_of("ACK");
        }
        let arrived = other.request_of("INVITE");
        assert_eq!(arrived.get("X-Call-Direction"), Some("from-pstn"), "{host} {redirects}");
        other.accept(&arrived);
        let ok = carrier.status_for(&invite, 200);
        let ack = trunkline_tests::Dialog::of_caller(&invite, &ok).request(&carrier, "ACK");
        carrier.send(&ack);
        other.request_of("ACK");
    }
}
