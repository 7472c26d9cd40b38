//! Transfers: the exchange passes REFER and Replaces through and routes the new call.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Sipp, Ua, Wire, exchange_command, free_port, wait_for};

use super::calls::{callee, caller, seat};
use super::dialogs::{connect, talking};
use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

/// NOTIFY of a transfer's progress, from the transferee to the transferor.
fn notify(from: &mut Ua, dialog: &mut trunkline_tests::Dialog, to: &mut Ua, line: &str) {
    let request = dialog
        .request(from, "NOTIFY")
        .with("Event", "refer")
        .with("Subscription-State", "terminated;reason=noresource")
        .body("message/sipfrag", format!("{line}\r\n"));
    from.send(&request);
    let arrived = to.request_of("NOTIFY");
    assert_eq!(arrived.body, request.body);
    to.respond(&arrived, 200, "OK");
    from.status_for(&request, 200);
}

#[test]
fn blind() {
    let exchange = Exchange::start(&agents());
    let (mut alice, mut a, mut bob, mut b) = talking(&exchange, "1001", "1002");
    let mut carol = registered(&exchange, "1003");
    let refer = a.request(&alice, "REFER").with("Refer-To", format!("<{}>", at("1003")));
    alice.send(&refer);
    let arrived = bob.request_of("REFER");
    assert_eq!(arrived.get("Refer-To"), refer.get("Refer-To"));
    bob.respond(&arrived, 202, "Accepted");
    alice.status_for(&refer, 202);
    let (mut c, _) = connect(&mut bob, &mut carol);
    notify(&mut bob, &mut b, &mut alice, "SIP/2.0 200 OK");
    let bye = a.request(&alice, "BYE");
    alice.send(&bye);
    let arrived = bob.request_of("BYE");
    bob.respond(&arrived, 200, "OK");
    alice.status_for(&bye, 200);
    let bye = c.request(&bob, "BYE");
    bob.send(&bye);
    let arrived = carol.request_of("BYE");
    carol.respond(&arrived, 200, "OK");
    bob.status_for(&bye, 200);
}

/// A phone answers a request and sends others of its own at once, as REFER and NOTIFY ask for. They arrive in that order, whichever
/// worker has which transaction and sends which message: some phones refuse the request otherwise, and the call is lost.
fn in_order(phone: fn(&Exchange) -> Ua, phones: usize, workers: usize) {
    let exchange = Exchange::start_with(&agents(), &format!("workers: {workers}\n"), &[]);
    let mut bob = registered(&exchange, "1002");
    // Over several connections, or from several ports, which all workers have.
    for _ in 0..phones {
        let mut alice = phone(&exchange);
        assert_eq!(alice.register(600).status(), 200);
        let (mut a, mut b) = connect(&mut alice, &mut bob);
        for round in 0..10 {
            let refer = a.request(&alice, "REFER").with("Refer-To", format!("<{}>", at("1003")));
            alice.send(&refer);
            let arrived = bob.request_of("REFER");
            let mut notify =
                || b.request(&bob, "NOTIFY").with("Event", "refer").with("Subscription-State", "active");
            let mut sent = [notify(), notify(), notify()].to_vec();
            if round == 9 {
                sent.push(b.request(&bob, "BYE"));
            }
            bob.respond(&arrived, 202, "Accepted");
            sent.iter().for_each(|request| bob.send(request));
            let next = |alice: &mut Ua| {
                alice.expect("a response or request", |m| {
                    m.status() == 202 || matches!(m.method(), "NOTIFY" | "BYE")
                })
            };
            let first = next(&mut alice);
            assert_eq!(first.status(), 202, "{}", first.start);
            for request in &sent {
                let arrived = next(&mut alice);
                assert_eq!(arrived.cseq(), request.cseq(), "{}", arrived.start);
                alice.respond(&arrived, 200, "OK");
            }
            sent.iter().for_each(|request| drop(bob.status_for(request, 200)));
        }
        assert_eq!(alice.register(0).status(), 200);
    }
}

#[test]
fn a_request_does_not_overtake_the_response_before_it() {
    in_order(|exchange| Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001"), 6, 2);
}

#[test]
fn nor_over_udp_where_each_worker_has_a_socket() {
    in_order(|exchange| Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001"), 20, 4);
}

#[test]
fn attended_with_replaces() {
    attended(registered);
}

#[test]
fn attended_with_replaces_over_tcp() {
    attended(|exchange, user| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    });
}

fn attended(phone: impl Fn(&Exchange, &str) -> Ua) {
    let exchange = Exchange::start(&agents());
    let [mut alice, mut bob, mut carol] = ["1001", "1002", "1003"].map(|user| phone(&exchange, user));
    let (mut a, mut b) = connect(&mut alice, &mut bob);
    let (second, mut on_carol) = connect(&mut alice, &mut carol);
    // Alice's dialog with Carol, as Carol names it: to-tag is Carol's, from-tag Alice's (RFC 3891 §3).
    let (local, remote) = second.tags();
    let escaped = format!("{}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{local}", second.call_id.replace('@', "%40"));
    let refer = a.request(&alice, "REFER").with("Refer-To", format!("<{}?Replaces={escaped}>", at("1003")));
    alice.send(&refer);
    let arrived = bob.request_of("REFER");
    assert_eq!(arrived.get("Refer-To"), refer.get("Refer-To"));
    bob.respond(&arrived, 202, "Accepted");
    alice.status_for(&refer, 202);

    let replaces = format!("{};to-tag={remote};from-tag={local}", second.call_id);
    let invite = bob.invite(&at("1003")).with("Replaces", &*replaces).with("Require", "replaces");
    let invite = bob.call(&invite);
    let arrived = carol.request_of("INVITE");
    assert_eq!(arrived.get("Replaces"), Some(&*replaces));
    assert_eq!(arrived.get("Require"), Some("replaces"));
    carol.accept(&arrived);
    bob.status_for(&invite, 200);
    // Carol ends the call that was replaced.
    let bye = on_carol.request(&carol, "BYE");
    carol.send(&bye);
    let arrived = alice.request_of("BYE");
    alice.respond(&arrived, 200, "OK");
    carol.status_for(&bye, 200);
    notify(&mut bob, &mut b, &mut alice, "SIP/2.0 200 OK");
    // Carol has hung up the call that Bob's took the place of; Alice's with Bob was transferred by Alice.
    let records = wait_for("the records of three calls", || {
        let mut command = exchange_command(&exchange);
        let output = command.args(["calls", "records", "--json"]).output().ok()?;
        let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
        let of = |from: &str, to: &str| {
            let is = |r: &&serde_json::Value| r["caller"] == at(from) && r["callee"] == at(to);
            records.iter().find(is).cloned()
        };
        let [first, replaced, new] =
            [("1001", "1002"), ("1001", "1003"), ("1002", "1003")].map(|(a, b)| of(a, b));
        Some([first?, replaced?, new?])
    });
    let [first, replaced, new] = records;
    assert_eq!(
        (&new["replaces"], &replaced["endedBy"]),
        (&replaced["id"], &"callee".into()),
        "{new} {replaced}"
    );
    assert!(new["transferredBy"].is_null() && replaced["transferredBy"].is_null(), "{new} {replaced}");
    let bye = a.request(&alice, "BYE");
    alice.send(&bye);
    let arrived = bob.request_of("BYE");
    bob.respond(&arrived, 200, "OK");
    alice.status_for(&bye, 200);
    let words = wait_for("the record of the transferred call", || {
        let mut command = exchange_command(&exchange);
        let output = command.args(["calls", "show", &first["id"].to_string()]).output().ok()?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        words.contains("transferred by").then_some(words)
    });
    assert!(words.contains("transferred by   the caller"), "{words}");
}

/// The same by SIPp alone: 1001 talks to 1002 and, in a second call, to 1003; its REFER names that call, and the INVITE
/// with Replaces that 1002 sends ends it.
fn attended_by_sipp(transport: &'static str) {
    let exchange = Exchange::start(&agents());
    let replaces = "second-1;to-tag=carol1;from-tag=alice";
    let carol = Sipp::new("uas_replaced")
        .port(seat(&exchange, "1003", transport))
        .transport(transport)
        .calls(2)
        .fill("USER", "1003")
        .fill("DOMAIN", DOMAIN)
        .fill("TAG", "carol")
        .fill("REPLACES", replaces)
        .start();
    let second = Sipp::new("uac_hung_up")
        .to(exchange.udp())
        .transport(transport)
        .arg("-cid_str")
        .arg("second-%u")
        .fill("FROM", "1001")
        .fill("TO", "1003")
        .fill("TAG", "alice")
        .fill("DOMAIN", DOMAIN)
        .fill("PASSWORD", "pw-1001")
        .start();
    wait_for("1001 and 1003 to talk", || carol.messages().contains("\nACK ").then_some(()));

    let bob = callee(&exchange, "uas_refer", transport, &[("TARGET", "1003")]);
    let escaped = format!("?Replaces={}", replaces.replace(';', "%3B").replace('=', "%3D"));
    caller(&exchange, "uac_refer", transport).fill("TARGET", "1003").fill("REPLACES", &escaped).run();
    assert!(bob.messages().contains(&format!("Refer-To: <{}{escaped}>", at("1003"))), "{}", bob.messages());
    bob.finish();

    Sipp::new("uac_call")
        .to(exchange.udp())
        .transport(transport)
        .headers(&[&format!("Replaces: {replaces}"), "Require: replaces"])
        .fill("FROM", "1002")
        .fill("TO", "1003")
        .fill("DOMAIN", DOMAIN)
        .fill("PASSWORD", "pw-1002")
        .run();
    second.finish();
    carol.finish();
}

#[test]
fn attended_by_sipp_over_udp() {
    attended_by_sipp("u1");
}

#[test]
fn attended_by_sipp_over_tcp() {
    attended_by_sipp("t1");
}

/// A number that anybody may call. A caller who has proven nothing could have the phone call an expensive number with its own
/// account; the carrier, a peer or an agent could not say more than they may themselves.
#[test]
fn strangers_transfer_no_calls() {
    const STRANGER: [u8; 4] = [127, 0, 0, 9];
    const CARRIER: [u8; 4] = [127, 0, 0, 8];
    for (setting, source, status) in [("off", STRANGER, 403), ("on", STRANGER, 202), ("off", CARRIER, 202)] {
        let port = free_port();
        let resources = agents()
            .trunk("provider", "trunk.test", &[(&format!("127.0.0.8:{port}"), 1, "udp")], None)
            .number(NUMBER, "provider", &at("1001"));
        let config = format!("routing: {{qualifySeconds: 0, strangersMayRefer: {setting}}}\n");
        let exchange = Exchange::start_with(&resources, &config, &[]);
        let mut phone = registered(&exchange, "1001");
        let wire = Wire::udp_from(source.into(), exchange.udp());
        let mut outside = Ua::new(wire, "+4930123456", "trunk.test", "");
        let invite = outside.invite(&format!("sip:{NUMBER}@trunk.test"));
        outside.send(&invite);
        let arrived = phone.request_of("INVITE");
        let sent = phone.accept(&arrived);
        let ok = outside.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let ack = dialog.request(&outside, "ACK");
        outside.send(&ack);
        phone.request_of("ACK");
        let inside = dialog.request(&outside, "REFER").with("Refer-To", "<sip:+19005551234@sip.test>");
        let first = outside
            .request("REFER", &format!("sip:{NUMBER}@trunk.test"))
            .with("Refer-To", "<sip:+19005551234@sip.test>");
        for refer in [inside, first] {
            outside.send(&refer);
            if status == 202 {
                let arrived = phone.request_of("REFER");
                assert_eq!(arrived.get("Refer-To"), Some("<sip:+19005551234@sip.test>"));
                phone.respond(&arrived, 202, "Accepted");
            }
            let answer = outside.final_for(&refer);
            assert_eq!(answer.status(), status, "{setting}, {source:?}");
            if status == 403 {
                assert_eq!(answer.start, "SIP/2.0 403 Transfer Not Allowed");
                assert!(phone.silent(Duration::from_millis(50), |m| m.method() == "REFER"));
            }
        }
        // The phone may transfer its caller.
        let refer = Dialog::of_callee(&arrived, &sent)
            .request(&phone, "REFER")
            .with("Refer-To", format!("<{}>", at("1002")));
        phone.send(&refer);
        let arrived = outside.request_of("REFER");
        outside.respond(&arrived, 202, "Accepted");
        phone.status_for(&refer, 202);
    }
}
