//! Limits of calls, at once and in a minute, of trunks, agents and domains.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, exchange_command, free_port};

use super::trunks::{NUMBER, provider};
use super::{DOMAIN, at, registered};

/// 1001, 1002 and 1003, the first with `agent` in its spec; trunks at these ports, each with its line of `trunk`.
fn scene(domain: &str, agent: &str, trunks: &[(u16, &str)]) -> Exchange {
    let numbers = ["+17066041487", "+17066041488"];
    let policies: Vec<(&str, &str)> =
        trunks.iter().zip(numbers).map(|(_, number)| (r"^\+|^911$", number)).collect();
    let mut resources = Resources::new()
        .domain_with(DOMAIN, "all", &policies, domain)
        .agent_with(DOMAIN, "1001", "pw-1001", agent)
        .agent(DOMAIN, "1002", "pw-1002")
        .agent(DOMAIN, "1003", "pw-1003");
    for (n, (port, line)) in trunks.iter().enumerate() {
        let (name, uri) = (format!("trunk{n}"), format!("127.0.0.1:{port}"));
        resources = resources
            .trunk(&name, &format!("{name}.test"), &[(&uri, 1, "udp")], None)
            .raw("trunks.yaml", &format!("    {line}\n"))
            .number(numbers[n], &name, &at("1002"));
    }
    Exchange::start(&resources)
}

/// A call that was taken, as its caller keeps it.
struct Call {
    invite: Message,
    ours: Dialog,
}

/// Calls, and is taken.
fn talk(caller: &mut Ua, callee: &mut Ua, to: &str) -> Call {
    let invite = caller.call(&caller.invite(to));
    let arrived = callee.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut ours = Dialog::of_caller(&invite, &ok);
    caller.send(&ours.request(caller, "ACK"));
    callee.request_of("ACK");
    Call { invite, ours }
}

impl Call {
    fn hang_up(mut self, caller: &mut Ua, callee: &mut Ua) {
        let bye = self.ours.request(caller, "BYE");
        caller.send(&bye);
        let got = callee.expect("BYE", |m| m.method() == "BYE" && m.call_id() == self.invite.call_id());
        callee.respond(&got, 200, "OK");
        caller.status_for(&bye, 200);
    }
}

/// Calls, and is refused with this status.
fn refused(caller: &mut Ua, to: &str, status: u16) -> Message {
    let invite = caller.call(&caller.invite(to));
    let failure = caller.status_for(&invite, status);
    caller.acknowledge_failure(&invite, &failure);
    failure
}

fn status(exchange: &Exchange) -> String {
    let out = exchange_command(exchange).arg("status").output().expect("status");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The row of a limited party in the status.
fn row(exchange: &Exchange, party: &str) -> Vec<String> {
    let text = status(exchange);
    let line = text.lines().find(|line| line.starts_with(party)).unwrap_or_else(|| panic!("{party}: {text}"));
    line.strip_prefix(party).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_agent_has_as_many_calls_as_it_may() {
    let exchange = scene("", ", maxCalls: 1", &[]);
    let [mut a, mut b, mut c] = ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    let first = talk(&mut a, &mut b, &at("1002"));
    let failure = refused(&mut a, &at("1003"), 403);
    assert!(failure.start.ends_with("403 Too Many Calls"), "{}", failure.start);
    // Whom it would get counts as well: it is busy, and nothing rings.
    refused(&mut c, &at("1001"), 486);
    assert_eq!(row(&exchange, "agent agent-r1001-sip-test"), ["1", "1", "-"]);
    first.hang_up(&mut a, &mut b);
    assert_eq!(row(&exchange, "agent agent-r1001-sip-test"), ["0", "1", "-"]);
    let second = talk(&mut c, &mut a, &at("1001"));
    refused(&mut a, &at("1002"), 403);
    second.hang_up(&mut c, &mut a);
    talk(&mut a, &mut b, &at("1002"));
    // A call that was not taken gives its place back.
    let exchange = scene("", ", maxCalls: 1", &[]);
    let [mut a, mut b] = ["1001", "1002"].map(|user| registered(&exchange, user));
    for _ in 0..3 {
        let invite = a.call(&a.invite(&at("1002")));
        let arrived = b.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        b.respond(&arrived, 480, "Temporarily Unavailable");
        let failure = a.status_for(&invite, 480);
        a.acknowledge_failure(&invite, &failure);
    }
}

/// A callee that has all its calls is busy: its fallback takes the call.
#[test]
fn a_full_agent_is_busy() {
    let exchange = scene("", &format!(", maxCalls: 1, fallback: {{busy: \"{}\"}}", at("1003")), &[]);
    let [mut a, mut b, mut c] = ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    talk(&mut a, &mut b, &at("1002"));
    talk(&mut b, &mut c, &at("1001"));
}

#[test]
fn a_domain_has_as_many_calls_as_it_may() {
    let exchange = scene("    maxCalls: 1\n", "", &[]);
    let [mut a, mut b, mut c] = ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    // One call within it is one.
    let first = talk(&mut a, &mut b, &at("1002"));
    refused(&mut c, &at("1002"), 403);
    first.hang_up(&mut a, &mut b);
    talk(&mut c, &mut a, &at("1001"));
}

/// A trunk that has all its calls is passed over; nothing but an emergency call goes out when none is left.
#[test]
fn a_trunk_has_as_many_calls_as_it_may() {
    let (one, two) = (free_port(), free_port());
    let exchange = scene("", "", &[(one, "maxCalls: 1"), (two, "maxCalls: 1")]);
    let (mut first, mut second) = (provider(one), provider(two));
    super::trunk_dialogs::speaks_to(&mut first, &exchange);
    super::trunk_dialogs::speaks_to(&mut second, &exchange);
    let [mut a, mut b] = ["1001", "1002"].map(|user| registered(&exchange, user));
    let call = talk(&mut a, &mut first, &at("+17853178070"));
    talk(&mut a, &mut second, &at("+17853178070"));
    let failure = refused(&mut a, &at("+17853178070"), 503);
    assert!(
        failure.start.ends_with("503 No Line Free") && failure.get("Retry-After").is_none(),
        "{failure:?}"
    );
    let spellings = ["911", "9-1-1", "9(1)1", "%39%311", "9/11", "911;phone-context=+1"].map(at);
    let others =
        ["tel:911;phone-context=sip.test".to_owned(), "tel:9.1.1".to_owned(), at("911") + ";user=phone"];
    for number in spellings.iter().chain(&others) {
        talk(&mut b, &mut first, number);
    }
    // The carrier's own calls count as well.
    let invite = first.invite(&format!("sip:{NUMBER}@trunk0.test"));
    first.send(&invite);
    let failure = first.status_for(&invite, 503);
    assert!(failure.start.ends_with("503 Too Many Calls"), "{}", failure.start);
    first.acknowledge_failure(&invite, &failure);
    assert_eq!(row(&exchange, "trunk trunk0"), ["10", "1", "-"]);
    call.hang_up(&mut a, &mut first);
    assert_eq!(row(&exchange, "trunk trunk0"), ["9", "1", "-"]);
}

#[test]
fn so_many_calls_in_a_minute() {
    let port = free_port();
    let exchange = scene("", "", &[(port, "maxCallsPerMinute: 2")]);
    let mut carrier = provider(port);
    super::trunk_dialogs::speaks_to(&mut carrier, &exchange);
    let [mut a, mut b] = ["1001", "1002"].map(|user| registered(&exchange, user));
    talk(&mut a, &mut carrier, &at("+17853178070")).hang_up(&mut a, &mut carrier);
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk0.test"));
    carrier.send(&invite);
    let arrived = b.request_of("INVITE");
    b.respond(&arrived, 486, "Busy Here");
    let failure = carrier.status_for(&invite, 486);
    carrier.acknowledge_failure(&invite, &failure);
    refused(&mut a, &at("+17853178070"), 503);
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk0.test"));
    carrier.send(&invite);
    let failure = carrier.status_for(&invite, 503);
    let wait: u32 = failure.get("Retry-After").and_then(|s| s.parse().ok()).expect("Retry-After");
    assert!((1..=30).contains(&wait), "{wait}");
    carrier.acknowledge_failure(&invite, &failure);
    talk(&mut a, &mut carrier, &at("911"));
    assert_eq!(row(&exchange, "trunk trunk0"), ["1", "-", "2"]);
}
