//! What the rules of trust must not stop: Routes written anew, forks before us, requests that cross, chats through another
//! exchange, long names.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire};

use super::dialogs::talking;
use super::forged::{MODES, QUIET};
use super::marks::phone_from;
use super::{DOMAIN, agents, at, registered};

/// A request of this dialog passes.
pub fn passes(from: &mut Ua, request: &Message, to: &mut Ua) -> Message {
    from.send(request);
    let arrived = to.request_of(request.method());
    to.respond(&arrived, 200, "OK");
    from.status_for(request, 200);
    arrived
}

/// A user agent keeps a URI, not its letters: it may write the Route of the proxy behind us in another way that RFC 3261
/// §19.1.4 calls equal.
#[test]
fn a_route_that_is_written_anew_is_the_same() {
    let written = |port: u16| {
        [
            format!("<sip:edge@PROXY.Sip.Test:{port};lr;transport=udp;room=7>"),
            format!("<sip:edge@proxy.sip.test:{port};room=7;transport=UDP;lr>"),
            format!("<sip:%65dge@proxy.sip.test:{port};transport=udp;LR=on;room=7>"),
            format!("<SIP:edge@proxy.sip.test:{port};transport=udp;room=7;lr=true>"),
            format!("\"Edge\" <sip:edge@proxy.sip.test:{port};transport=udp;lr=on;room=7>"),
        ]
    };
    for mode in MODES {
        let config = format!("{mode}dns: {{hosts: {{proxy.sip.test: [127.0.0.1]}}}}\n");
        let exchange = Exchange::start_with(&agents(), &config, &[]);
        let mut callee = registered(&exchange, "1002");
        let mut caller = registered(&exchange, "1001");
        let mut proxy = Ua::udp(exchange.udp(), "edge", DOMAIN, "");
        let port = proxy.wire.local().port();
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        let mut ok = callee.response(&arrived, 200, "OK");
        let own = format!("<sip:edge@proxy.sip.test:{port};transport=udp;lr=on;room=7>");
        let place = ok.headers.iter().position(|(name, _)| name == "Record-Route").expect("our Record-Route");
        ok.headers.insert(place, ("Record-Route".into(), own.clone()));
        callee.send(&ok);
        let ok = caller.status_for(&invite, 200);
        let mut a = Dialog::of_caller(&invite, &ok);
        assert_eq!(a.routes.last(), Some(&own));
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        assert_eq!(proxy.request_of("ACK").list("Route"), [own]);
        let kept = a.routes.clone();
        let last = kept.len() - 1;
        for route in written(port) {
            a.routes[last].clone_from(&route);
            let info = a.request(&caller, "INFO");
            let arrived = passes(&mut caller, &info, &mut proxy);
            assert_eq!((arrived.uri(), arrived.list("Route")), (&*a.target, vec![route]), "{mode}");
        }
        // Another user, port, parameter or scheme is another Route; and none is none.
        let foreign = [
            format!("<sip:other@proxy.sip.test:{port};transport=udp;lr;room=7>"),
            format!("<sip:edge@proxy.sip.test:{};transport=udp;lr;room=7>", caller.wire.local().port()),
            format!("<sip:edge@proxy.sip.test:{port};transport=tcp;lr;room=7>"),
            format!("<sip:edge@proxy.sip.test:{port};transport=udp;room=7>"),
            format!("<sips:edge@proxy.sip.test:{port};transport=udp;lr;room=7>"),
        ];
        for route in foreign {
            a.routes[last].clone_from(&route);
            let info = a.request(&caller, "INFO");
            caller.send(&info);
            assert_eq!(caller.final_for(&info).status(), 481, "{mode}{route}");
        }
        a.routes[last] = written(port)[0].clone();
        let bye = a.request(&caller, "BYE");
        passes(&mut caller, &bye, &mut proxy);
        assert!(callee.silent(QUIET, |m| m.status() == 0), "{mode}");
    }
}

/// A proxy before us asks two agents at once: what one of them says ends nothing of the other's.
#[test]
fn of_a_fork_before_us_each_branch_is_a_call_of_its_own() {
    for mode in MODES {
        let numbers = [("+15550002222", "1002"), ("+15550003333", "1003")];
        let resources = agents().trunk("open", "did.carrier.test", &[("127.0.0.50:5060", 1, "udp")], None);
        let resources =
            numbers.iter().fold(resources, |all, (number, user)| all.number(number, "open", &at(user)));
        let config = format!("{mode}routing: {{qualifySeconds: 0}}\n");
        let exchange = Exchange::start_with(&resources, &config, &[]);
        let [mut one, mut two] = ["1002", "1003"].map(|user| registered(&exchange, user));
        let mut caller = phone_from(&exchange, [127, 0, 0, 9], "upstream");
        caller.domain = "far.test".to_owned();
        let invite = caller.invite("sip:+15550002222@did.carrier.test");
        let mut fork = invite.clone().set("Via", caller.via());
        fork.start = fork.start.replace("+15550002222", "+15550003333");
        caller.send(&invite);
        caller.send(&fork);
        let (on_one, on_two) = (one.request_of("INVITE"), two.request_of("INVITE"));
        let ringing = two.response(&on_two, 180, "Ringing").with("RSeq", "1").with("Require", "100rel");
        let ringing = ringing.set("Contact", format!("<{}>", two.contact()));
        two.send(&ringing);
        let heard = caller.status_for(&fork, 180);
        let mut a = Dialog::of_caller(&fork, &heard);
        let mut b = Dialog::of_callee(&on_two, &ringing);
        one.respond(&on_one, 486, "Busy Here");
        let failure = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &failure);
        one.request_of("ACK");
        let prack = a.request(&caller, "PRACK").with("RAck", "1 1 INVITE");
        passes(&mut caller, &prack, &mut two);
        let update = a.request(&caller, "UPDATE");
        passes(&mut caller, &update, &mut two);
        let update = b.request(&two, "UPDATE");
        passes(&mut two, &update, &mut caller);
        two.accept(&on_two);
        caller.status_for(&fork, 200);
        let mut ack = a.request(&caller, "ACK");
        ack = ack.set("CSeq", "1 ACK");
        caller.send(&ack);
        two.request_of("ACK");
        let bye = b.request(&two, "BYE");
        passes(&mut two, &bye, &mut caller);
        assert!(one.silent(QUIET, |m| m.status() == 0), "{mode}");
    }
}

/// What crosses a target refresh says nothing of it: neither of two requests is answered for the other.
#[test]
fn a_refresh_holds_whatever_is_said_meanwhile() {
    // Who says what while the re-INVITE of the caller waits, with which Contact, and how that is answered.
    let crossing = [
        ("callee", "UPDATE", 200),
        ("callee", "NOTIFY", 481),
        ("callee", "INFO", 200),
        ("caller", "INFO", 481),
        ("caller", "UPDATE", 200),
        ("caller", "REFER", 202),
        ("caller", "MESSAGE", 200),
    ];
    for (mode, (who, method, status)) in MODES.iter().flat_map(|m| crossing.map(|c| (m, c))) {
        let why = format!("{mode}{who}: {method} {status}");
        let exchange = Exchange::start_with(&agents(), &format!("{mode}workers: 1\n"), &[]);
        let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
        let mut later = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
        let invite = a.request(&caller, "INVITE").set("Contact", format!("<{}>", later.contact()));
        caller.send(&invite);
        let pending = callee.request_of("INVITE");
        let (from, dialog, to) = match who {
            "caller" => (&mut caller, &mut a, &mut callee),
            _ => (&mut callee, &mut b, &mut caller),
        };
        let request = dialog.request(from, method);
        let request = match who {
            "caller" => request.set("Contact", format!("<{}>", later.contact())),
            _ => request,
        };
        let request = if method == "NOTIFY" {
            request.with("Event", "refer").with("Subscription-State", "active;expires=60")
        } else {
            request
        };
        from.send(&request);
        let arrived = to.request_of(method);
        to.respond(&arrived, status, "Said");
        from.status_for(&request, status);
        callee.accept(&pending);
        caller.status_for(&invite, 200);
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        let old = b.request(&callee, "INFO");
        callee.send(&old);
        assert_eq!(callee.final_for(&old).status(), 481, "{why}: it has moved");
        b.target = later.contact();
        let info = b.request(&callee, "INFO");
        passes(&mut callee, &info, &mut later);
        assert!(caller.silent(Duration::from_millis(50), |m| m.status() == 0), "{why}");
    }
}

/// Nobody answers, so that nothing was accepted: what else is answered meanwhile says nothing of it, and the target is what
/// it was.
#[test]
fn a_refresh_that_nobody_answers_never_was() {
    for mode in MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
        let mut later = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
        let update = a.request(&caller, "UPDATE").set("Contact", format!("<{}>", later.contact()));
        caller.send(&update);
        callee.request_of("UPDATE");
        for method in ["INFO", "OPTIONS", "MESSAGE"] {
            let request = a.request(&caller, method);
            passes(&mut caller, &request, &mut callee);
            let request = b.request(&callee, method);
            passes(&mut callee, &request, &mut caller);
        }
        // The next one is answered.
        let again = a.request(&caller, "UPDATE");
        caller.send(&again);
        let arrived = callee.expect("the second", |m| m.method() == "UPDATE" && m.cseq() == again.cseq());
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&again, 200);
        let info = b.request(&callee, "INFO");
        passes(&mut callee, &info, &mut caller);
        b.target = later.contact();
        let info = b.request(&callee, "INFO");
        callee.send(&info);
        assert_eq!(callee.final_for(&info).status(), 481, "{mode}");
        assert!(later.silent(QUIET, |m| m.status() == 0), "{mode}");
    }
}

/// A mark has room for whoever an agent is, however long its name.
#[test]
fn an_agent_with_a_long_reference_is_itself() {
    let long = format!("agent-{}", "0123456789abcdef".repeat(5));
    let long = &long[..72];
    let resources = agents().credentials("long", "1009", "pw-1009").raw(
        "agents.yaml",
        &format!(
            "- {{apiVersion: v2, kind: Agent, ref: {long}, metadata: {{name: \"1009\"}}, spec: {{username: \"1009\", domainRef: rsip-test, credentialsRef: long, privacy: None}}}}\n"
        ),
    );
    for mode in MODES {
        let exchange = Exchange::start_with(&resources, mode, &[]);
        for (from, to) in [("1009", "1002"), ("1002", "1009")] {
            let (mut caller, mut a, mut callee, mut b) = talking(&exchange, from, to);
            let info = a.request(&caller, "INFO");
            passes(&mut caller, &info, &mut callee);
            let (dialog, other) = if from == "1009" { (&mut a, &mut callee) } else { (&mut b, &mut caller) };
            let mut thief = phone_from(&exchange, [127, 0, 0, 66], "1009");
            thief.password = "guess".into();
            let request = dialog.request(&thief, "INFO");
            let (refusal, _) = thief.ask(&request);
            assert!(matches!(refusal.status(), 401 | 403 | 407), "{mode}{}", refusal.start);
            assert!(other.silent(Duration::from_millis(50), |m| m.status() == 0), "{mode}");
            let mut moved = phone_from(&exchange, [127, 0, 0, 67], "1009");
            let request = dialog.request(&moved, "INFO");
            let request = request.set("CSeq", "300 INFO");
            moved.send(&request);
            let challenge = moved.final_for(&request);
            let request = moved.authorise(&request, &challenge, 1).expect("a challenge");
            passes(&mut moved, &request, other);
            let bye = b.request(&callee, "BYE").set("CSeq", "400 BYE");
            passes(&mut callee, &bye, &mut caller);
        }
    }
}

/// A Via that another exchange has written, whatever it looks like, is none of ours: what went through it comes here for the
/// first time.
#[test]
fn a_chat_through_another_exchange_is_no_spiral() {
    let resources = || {
        ["1001", "1002"].iter().fold(Resources::new().domain(DOMAIN, "never"), |all, user| {
            all.agent(DOMAIN, user, &format!("pw-{user}"))
        })
    };
    for mode in MODES {
        let (other, exchange) =
            (Exchange::start_with(&resources(), mode, &[]), Exchange::start_with(&resources(), mode, &[]));
        let mut caller = registered(&other, "1001");
        let mut between = registered(&other, "1002");
        let mut callee = registered(&exchange, "1002");
        let mut onward = Ua::new(Wire::udp(exchange.udp()), "1001", DOMAIN, "");
        let first = caller.request("MESSAGE", &at("1002"));
        for number in 1..=70 {
            let message = first.clone().set("Via", caller.via()).set("CSeq", format!("{number} MESSAGE"));
            caller.send(&message);
            let mut passed = between.request_of("MESSAGE");
            assert_eq!(passed.all("Via").count(), 2);
            passed.start = format!("MESSAGE {} SIP/2.0", at("1002"));
            onward.send(&passed);
            let arrived = callee.expect("the message", |m| m.cseq().0 == number && m.method() == "MESSAGE");
            callee.respond(&arrived, 200, "OK");
            // By the topmost Via it goes to the other exchange.
            caller.status_for(&message, 200);
        }
    }
}
