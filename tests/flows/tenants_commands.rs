//! What the phones of one domain do for the agents and servers of another one: they take calls and messages, and what is part of a call.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, free_port, wait_for};

use super::DOMAIN;
use super::dialogs::connect;
use super::strangers::carrier;

const BRANCH: &str = "branch.test";
const NUMBER: &str = "+15550001";
const QUIET: Duration = Duration::from_millis(100);
const COMMANDS: [(&str, &str); 6] = [
    ("Answer-Mode", "Auto"),
    ("Alert-Info", "<http://x>;info=alert-autoanswer"),
    ("Call-Info", "<sip:x>;answer-after=0"),
    ("Replaces", "a;to-tag=b;from-tag=c"),
    ("Join", "a;to-tag=b;from-tag=c"),
    ("P-Auto-Answer", "normal"),
];

fn resources(inter_domain: &str, port: u16, second: &str) -> Resources {
    Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], &format!("    interDomain: {inter_domain}\n"))
        .domain(BRANCH, "all")
        .agent(DOMAIN, "1003", "pw-1003")
        .agent(DOMAIN, "1004", "pw-1004")
        .agent(BRANCH, "2001", "pw-2001")
        .agent_with(BRANCH, "2002", "pw-2002", second)
        .peer("branch-server", "sip:branch-server@branch.test", "pw-branch-server", "")
        .trunk("head", "head.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
        .number(NUMBER, "head", "sip:1003@sip.test")
}

fn start(inter_domain: &str) -> Exchange {
    let config = "domain: sip.test\nrouting: {qualifySeconds: 0}\n";
    Exchange::start_with(&resources(inter_domain, free_port(), ""), config, &[])
}

fn phone(exchange: &Exchange, user: &str, domain: &str) -> Ua {
    let mut ua = Ua::udp(exchange.udp(), user, domain, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200, "{user}");
    ua
}

/// What a phone would do under its own name, to others of its domain or outside.
const REFUSED: [&str; 28] = [
    "<sip:+1900@sip.test>",
    "<sip:+1900@branch.test>",
    "<tel:+1900>",
    "<sip:alice@192.0.2.7>",
    "<sip:1004@evil.example>",
    "<sip:1004@127.0.0.99:5060>",
    "<sip:1004@sip.test:1>",
    "<sip:1004@sip.test?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:1004@127.0.0.99?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:+15550001@branch.test?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:1004@sip.test?Answer-Mode=Auto>",
    "<sip:1004@sip.test?%41nswer-Mode=Auto>",
    "<sip:1004@sip.test?Require=replaces&Join=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "<sip:1004@sip.test?Alert-Info=%3Chttp%3A%2F%2Fx%3E%3Binfo%3Dalert-autoanswer>",
    "<sip:1004@sip.test?Route=%3Csip%3A127.0.0.99%3Blr%3E>",
    "<sip:1004@sip.test?To=%3Csip%3A%2B1900%40x%3E>",
    "<sip:1004@sip.test?body=x>",
    "<sip:2002@branch.test?Answer-Mode=Auto>",
    "<sip:1004@sip.test;method=NOTIFY?Event=check-sync>",
    "<sip:1004@sip.test;method=MESSAGE>",
    "<sip:1004@sip.test;METHOD=REFER>",
    "<sip:1004@sip.test;%6dethod=MESSAGE>",
    "<sip:1004@sip.test;method=INVITE;method=MESSAGE>",
    "<sip:1004@sip.test>;method=MESSAGE",
    "sip:1004@sip.test;method=MESSAGE",
    "sip:1004@sip.test;x=y?Answer-Mode=Auto",
    "<sip:1004@sip.test;maddr=127.0.0.99>",
    "<sip:1004@sip.test;m%61ddr=127.0.0.99>",
];

/// A request with what some methods need.
fn filled(request: Message, event: &str) -> Message {
    let request = request.with("Subscription-State", "active");
    if event.is_empty() { request } else { request.with("Event", event) }
}

#[test]
fn agents_and_servers_of_another_domain_command_no_phone() {
    let exchange = start("authenticated");
    let mut rung = phone(&exchange, "1003", DOMAIN);
    for user in ["2001", "branch-server"] {
        let mut caller = Ua::udp(exchange.udp(), user, BRANCH, &format!("pw-{user}"));
        for to in ["sip:1003@sip.test".to_owned(), format!("sip:{NUMBER}@branch.test")] {
            for (method, event) in [
                ("REFER", ""),
                ("NOTIFY", "check-sync;reboot=true"),
                ("SUBSCRIBE", "dialog"),
                ("SUBSCRIBE", "presence"),
                ("PUBLISH", "presence"),
                ("INFO", ""),
                ("FROB", ""),
            ] {
                let request =
                    filled(caller.request(method, &to), event).with("Refer-To", "<sip:+1900@sip.test>");
                let (answer, _) = caller.ask(&request);
                assert_eq!(answer.start, "SIP/2.0 403 Calls and Messages Only", "{user} {method} {to}");
                assert!(rung.silent(QUIET, |m| m.method() == method), "{user} {method} {to}");
            }
            for method in ["MESSAGE", "OPTIONS"] {
                caller.send(&caller.request(method, &to));
                let challenge = caller.expect("a challenge", |m| m.start.starts_with("SIP/2.0 401"));
                let again =
                    caller.authorise(&caller.request(method, &to), &challenge, 1).expect("a challenge");
                caller.send(&again);
                let arrived = rung.request_of(method);
                rung.respond(&arrived, 200, "OK");
                caller.status_for(&again, 200);
            }
            let invite =
                COMMANDS.iter().fold(caller.invite(&to), |all, (name, value)| all.with(name, *value));
            let invite = caller.call(&invite.with("X-Other", "1"));
            let arrived = rung.request_of("INVITE");
            for (name, _) in COMMANDS {
                assert_eq!(arrived.get(name), None, "{user} {to}");
            }
            assert_eq!(arrived.get("X-Other"), Some("1"));
            rung.respond(&arrived, 486, "Busy Here");
            let refused = caller.status_for(&invite, 486);
            caller.acknowledge_failure(&invite, &refused);
        }
    }
}

#[test]
fn nor_do_they_inside_a_call() {
    let exchange = start("authenticated");
    for back in [false, true] {
        let (mut other, mut rung) = (phone(&exchange, "2001", BRANCH), phone(&exchange, "1003", DOMAIN));
        // Who called whom is the same.
        let mut dialog = match back {
            false => connect(&mut other, &mut rung).0,
            true => connect(&mut rung, &mut other).1,
        };
        for to in REFUSED {
            let refer = dialog.request(&other, "REFER").with("Refer-To", to);
            other.send(&refer);
            assert_eq!(other.final_for(&refer).start, "SIP/2.0 403 Transfer Not Allowed", "{to}");
        }
        for (method, event) in
            [("NOTIFY", "check-sync"), ("NOTIFY", "talk"), ("SUBSCRIBE", "dialog"), ("PUBLISH", "presence")]
        {
            let request = filled(dialog.request(&other, method), event);
            other.send(&request);
            let status = other.final_for(&request).status();
            // PUBLISH belongs to no dialog.
            assert!([403, 481].contains(&status), "{method} {event}: {status}");
        }
        assert!(rung.silent(QUIET, |m| ["REFER", "NOTIFY", "SUBSCRIBE", "PUBLISH"].contains(&m.method())));
        // Whom the phone reaches without a trunk, at nobody's expense, it may be connected with.
        for (method, event, refer_to) in [
            ("REFER", "", "<sip:2002@branch.test>"),
            ("REFER", "", "<sip:2002@branch.test?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3&Require=replaces>"),
            ("REFER", "", "<sip:1004@sip.test;method=INVITE;transport=udp>"),
            ("REFER", "", "sip:1004@sip.test"),
            ("REFER", "", "<tel:+15550001>"),
            ("NOTIFY", "refer", ""),
            ("SUBSCRIBE", "kpml", ""),
            ("INFO", "", ""),
            ("MESSAGE", "", ""),
        ] {
            let mut request = filled(dialog.request(&other, method), event);
            if !refer_to.is_empty() {
                request = request.with("Refer-To", refer_to);
            }
            other.send(&request);
            let arrived = rung.request_of(method);
            rung.respond(&arrived, 200, "OK");
            other.status_for(&request, 200);
        }
        reinvites_without_commands(&mut dialog, &mut other, &mut rung);
    }
}

/// A re-INVITE with commands arrives without them.
fn reinvites_without_commands(dialog: &mut Dialog, other: &mut Ua, rung: &mut Ua) {
    let again = dialog.request(other, "INVITE");
    let again = COMMANDS.iter().fold(again, |all, (name, value)| all.with(name, *value));
    other.send(&again);
    let arrived = rung.request_of("INVITE");
    assert!(COMMANDS.iter().all(|(name, _)| arrived.get(name).is_none()), "{arrived:?}");
    rung.respond(&arrived, 488, "Not Acceptable Here");
    let refused = other.status_for(&again, 488);
    other.acknowledge_failure(&again, &refused);
}

/// A domain that is open to others has its phones do as they say.
#[test]
fn phones_of_an_open_domain_do_as_others_say() {
    let exchange = start("open");
    let (mut other, mut rung) = (phone(&exchange, "2001", BRANCH), phone(&exchange, "1003", DOMAIN));
    let invite = other.call(&other.invite("sip:1003@sip.test").with("Answer-Mode", "Auto"));
    let arrived = rung.request_of("INVITE");
    assert_eq!(arrived.get("Answer-Mode"), Some("Auto"));
    let sent = rung.accept(&arrived);
    let ok = other.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&other, "ACK");
    other.send(&ack);
    rung.request_of("ACK");
    drop(sent);
    let refer = dialog.request(&other, "REFER").with("Refer-To", "<sip:+1900@sip.test>");
    other.send(&refer);
    let arrived = rung.request_of("REFER");
    rung.respond(&arrived, 202, "Accepted");
    other.status_for(&refer, 202);
}

/// A disabled or deleted account keeps its calls, and has nobody call anybody by them.
#[test]
fn an_account_that_is_switched_off_transfers_no_call() {
    let port = free_port();
    let resources = |more: &str| {
        let all = resources("authenticated", port, "").agent_with(DOMAIN, "1005", "pw-1005", more);
        all.agent(DOMAIN, "1006", "pw-1006")
    };
    for deleted in [false, true] {
        let config = "domain: sip.test\nrouting: {qualifySeconds: 0}\n";
        let exchange = Exchange::start_with(&resources(""), config, &[]);
        let mut outside = carrier(&exchange, port);
        let (mut off, mut friend) = (phone(&exchange, "1005", DOMAIN), phone(&exchange, "1006", DOMAIN));
        let invite = off.call(&off.invite("sip:+15551234567@sip.test"));
        let arrived = outside.request_of("INVITE");
        outside.accept(&arrived);
        let ok = off.status_for(&invite, 200);
        let mut to_carrier = Dialog::of_caller(&invite, &ok);
        let ack = to_carrier.request(&off, "ACK");
        off.send(&ack);
        outside.request_of("ACK");
        let (mut to_friend, _) = connect(&mut off, &mut friend);
        let after = match deleted {
            false => resources(", enabled: false"),
            true => Resources::new().agent(DOMAIN, "1006", "pw-1006"),
        };
        exchange.rewrite("agents.yaml", after.file("agents.yaml"));
        wait_for("the account to be switched off", || {
            let (answer, _) = off.ask(&off.register_request(600));
            (answer.status() >= 400).then_some(())
        });
        for (dialog, other) in [(&mut to_carrier, &mut outside), (&mut to_friend, &mut friend)] {
            let refer = dialog.request(&off, "REFER").with("Refer-To", "<sip:+15559999999@sip.test>");
            off.send(&refer);
            assert_eq!(off.final_for(&refer).status(), 403, "deleted: {deleted}");
            assert!(other.silent(QUIET, |m| m.method() == "REFER"));
            let bye = dialog.request(&off, "BYE");
            off.send(&bye);
            let arrived = other.request_of("BYE");
            other.respond(&arrived, 200, "OK");
            off.status_for(&bye, 200);
        }
    }
}

/// The two far ends of one party's calls are connected, and no call of others is taken over.
#[test]
fn a_party_of_another_domain_transfers_its_own_calls() {
    let exchange = start("authenticated");
    let mut other = phone(&exchange, "2001", BRANCH);
    let (mut one, mut two) = (phone(&exchange, "1003", DOMAIN), phone(&exchange, "1004", DOMAIN));
    let (mut with_one, _) = connect(&mut other, &mut one);
    let (with_two, _) = connect(&mut other, &mut two);
    let (between, _) = connect(&mut one, &mut two);
    let replaces = |dialog: &Dialog| {
        let [local, remote] = [&dialog.local, &dialog.remote].map(|party| {
            let tag = party.split("tag=").nth(1).expect("a tag");
            tag.split(';').next().expect("a tag").to_owned()
        });
        format!("Replaces={}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{local}", dialog.call_id.replace('@', "%40"))
    };
    let (own, others) = (replaces(&with_two), replaces(&between));
    let contact = with_two.target.clone();
    for (to, passes) in [
        (format!("<sip:1004@sip.test?{own}&Require=replaces>"), true),
        (format!("<{contact}?{own}>"), true),
        (format!("<sip:1004@sip.test?{others}>"), false),
        (format!("<{contact}?{others}>"), false),
        (format!("<sip:1004@sip.test?{own}&{others}>"), false),
        (format!("<sip:1004@sip.test?{own}%3Bto-tag%3Dx>"), false),
        (format!("<sip:1004@127.0.0.99?{own}>"), false),
        (format!("<{contact}>"), false),
    ] {
        let refer = with_one.request(&other, "REFER").with("Refer-To", &to);
        other.send(&refer);
        if passes {
            let arrived = one.request_of("REFER");
            assert_eq!(arrived.get("Refer-To"), Some(&*to));
            one.respond(&arrived, 202, "Accepted");
            other.status_for(&refer, 202);
        } else {
            assert_eq!(other.final_for(&refer).start, "SIP/2.0 403 Transfer Not Allowed", "{to}");
            assert!(one.silent(QUIET, |m| m.method() == "REFER"), "{to}");
        }
    }
}

const ANOTHER_SERVER: &str = "- {apiVersion: v2, kind: Peer, ref: server-2, metadata: {name: server-2}, \
    spec: {username: server-2, aor: \"sip:server-2@sip.test\", credentialsRef: peer-branch-server}}\n";

/// Who was of another domain, and is of none any more, commands no phone, not in a domain that is open to others either.
#[test]
fn who_is_deleted_commands_nobody() {
    for (inter_domain, user) in [
        ("authenticated", "2001"),
        ("authenticated", "branch-server"),
        ("open", "2001"),
        ("open", "branch-server"),
    ] {
        let exchange = start(inter_domain);
        let (mut other, mut rung) = (phone(&exchange, user, BRANCH), phone(&exchange, "1003", DOMAIN));
        let (mut dialog, _) = connect(&mut other, &mut rung);
        let (file, left) = match user {
            "2001" => ("agents.yaml", Resources::new().agent(DOMAIN, "1003", "pw-1003")),
            _ => ("peers.yaml", Resources::new().raw("peers.yaml", ANOTHER_SERVER)),
        };
        exchange.rewrite(file, left.file(file));
        wait_for("the account to be deleted", || {
            let (answer, _) = other.ask(&other.register_request(600));
            (answer.status() >= 400).then_some(())
        });
        for (method, event) in [
            ("NOTIFY", "check-sync"),
            ("NOTIFY", "talk"),
            ("SUBSCRIBE", "dialog"),
            ("FROB", ""),
            ("REFER", ""),
        ] {
            let mut request = filled(dialog.request(&other, method), event);
            if method == "REFER" {
                request = request.with("Refer-To", "<sip:1004@sip.test>");
            }
            other.send(&request);
            let answer = other.final_for(&request);
            assert_eq!(answer.status(), 403, "{inter_domain} {user} {method} {event}: {}", answer.start);
        }
        let ours = ["REFER", "NOTIFY", "SUBSCRIBE", "FROB"];
        assert!(rung.silent(QUIET, |m| ours.contains(&m.method())));
        reinvites_without_commands(&mut dialog, &mut other, &mut rung);
        let bye = dialog.request(&other, "BYE");
        other.send(&bye);
        let arrived = rung.request_of("BYE");
        rung.respond(&arrived, 200, "OK");
        other.status_for(&bye, 200);
    }
}

/// A phone of another domain redirects its callers, and has their phones command nobody by that.
#[test]
fn a_redirection_into_another_domain_is_no_command() {
    for (inter_domain, cut) in [("authenticated", true), ("open", false)] {
        let exchange = start(inter_domain);
        let (mut caller, mut other) = (phone(&exchange, "1003", DOMAIN), phone(&exchange, "2001", BRANCH));
        for (contact, is_command) in [
            ("<sip:1004@sip.test>", false),
            ("<sip:1004@sip.test>;q=0.5, <sip:1005@sip.test>", false),
            ("<sip:2002@elsewhere.test?Diversion=%3Csip%3A2001%40branch.test%3E>", false),
            ("<sip:1004@sip.test;method=NOTIFY?Event=check-sync>", true),
            ("<sip:1005@sip.test>, <sip:1004@sip.test?Answer-Mode=Auto>", true),
            ("<sip:1004@sip.test?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>", true),
            ("<sip:1004@sip.test;maddr=127.0.0.99>", true),
            ("sip:1004@sip.test;method=MESSAGE", true),
        ] {
            let invite = caller.call(&caller.invite("sip:2001@branch.test"));
            let arrived = other.request_of("INVITE");
            let answer = other.response(&arrived, 302, "Moved Temporarily").with("Contact", contact);
            other.send(&answer);
            other.expect("ACK to the 302", |m| m.method() == "ACK" && m.branch() == arrived.branch());
            let answer = caller.final_for(&invite);
            assert_eq!(answer.status(), 302);
            let seen = answer.get("Contact").filter(|seen| seen.contains(contact));
            assert_eq!(seen.is_none(), is_command && cut, "{inter_domain} {contact}: {answer:?}");
            caller.acknowledge_failure(&invite, &answer);
        }
    }
}
