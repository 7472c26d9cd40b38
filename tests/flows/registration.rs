//! REGISTER: digest, bindings, their limits (RFC 3261 §10).

use trunkline_tests::{Challenge, Exchange, Sipp, Ua};

use super::{DOMAIN, agents, at, phone, registered};

fn sipp_registers(transport: &'static str) {
    let exchange = Exchange::start(&agents());
    let sipp = Sipp::new("register").to(exchange.udp()).transport(transport);
    sipp.fill("USER", "1001").fill("DOMAIN", DOMAIN).fill("PASSWORD", "pw-1001").run();
}

#[test]
fn sipp_over_udp() {
    sipp_registers("u1");
}

#[test]
fn sipp_over_tcp() {
    sipp_registers("t1");
}

#[test]
fn both_algorithms_are_offered_with_one_nonce_and_md5_first() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600);
    ua.send(&request);
    let response = ua.status_for(&request, 401);
    let offers: Vec<Challenge> = response.all("WWW-Authenticate").filter_map(Challenge::parse).collect();
    assert_eq!(offers.iter().map(|o| o.algorithm.as_str()).collect::<Vec<_>>(), ["MD5", "SHA-256"]);
    assert_eq!(offers[0].nonce, offers[1].nonce);
    let answer = offers[1].answer("1001", "pw-1001", "REGISTER", request.uri(), 1);
    let retry = request.clone().set("Via", ua.via()).set("CSeq", "2 REGISTER").set("Authorization", answer);
    ua.send(&retry);
    ua.status_for(&retry, 200);
}

#[test]
fn an_unknown_user_is_challenged_as_a_known_one_and_a_wrong_secret_refused() {
    let exchange = Exchange::start(&agents());
    for (user, secret) in [("nobody", "x"), ("1001", "wrong")] {
        let mut ua = Ua::udp(exchange.udp(), user, DOMAIN, secret);
        let request = ua.register_request(600);
        ua.send(&request);
        let challenge = ua.status_for(&request, 401);
        let retry = ua.authorise(&request, &challenge, 1).expect("a challenge");
        ua.send(&retry);
        let status = ua.final_for(&retry).status();
        assert!(status == 401 || status == 403, "{user}: {status}");
    }
}

#[test]
fn a_repeated_nonce_count_is_stale_and_a_foreign_nonce_is_not_taken() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600);
    ua.send(&request);
    let challenge = ua.status_for(&request, 401);
    let first = ua.authorise(&request, &challenge, 1).expect("a challenge");
    ua.send(&first);
    ua.status_for(&first, 200);
    // The same answer in a request of its own: a replay.
    let replay = first.clone().set("Via", ua.via()).set("CSeq", "9 REGISTER");
    ua.send(&replay);
    let again = ua.status_for(&replay, 401);
    let offer = again.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
    assert!(offer.stale, "{again:?}");
    // The next count of the first nonce goes through.
    let next = ua.authorise(&request, &challenge, 2).expect("a challenge").set("CSeq", "10 REGISTER");
    ua.send(&next);
    ua.status_for(&next, 200);

    let mut offer = offer;
    offer.nonce = "00000000000000000000000000000000".to_owned();
    let value = offer.answer("1001", "pw-1001", "REGISTER", request.uri(), 1);
    let forged = request.clone().set("Via", ua.via()).set("CSeq", "11 REGISTER").set("Authorization", value);
    ua.send(&forged);
    ua.status_for(&forged, 401);
}

#[test]
fn nobody_registers_another_users_address() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600).set("To", format!("<{}>", at("1002")));
    assert_eq!(ua.ask(&request).0.status(), 403);
}

#[test]
fn bindings_are_listed_refreshed_and_removed() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let contacts = "<sip:a@127.0.0.1:7001>;q=0.5, <sip:b@127.0.0.1:7002>;expires=120";
    let request = ua.register_request(600).set("Contact", contacts);
    let (response, _) = ua.ask(&request);
    assert_eq!(response.status(), 200);
    let listed = response.list("Contact");
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.iter().any(|c| c.contains("sip:a@127.0.0.1:7001") && c.contains("q=0.5")), "{listed:?}");
    assert!(
        listed.iter().any(|c| c.contains("sip:b@127.0.0.1:7002") && c.contains("expires=120")),
        "{listed:?}"
    );

    let query = ua.register_request(600).without("Contact").without("Expires");
    assert_eq!(ua.ask(&query).0.list("Contact").len(), 2);

    let remove = ua.register_request(0).set("Contact", "<sip:a@127.0.0.1:7001>");
    let (response, _) = ua.ask(&remove);
    assert_eq!(response.list("Contact").len(), 1, "{response:?}");

    let half = ua.register_request(60).set("Contact", "*");
    assert_eq!(ua.ask(&half).0.status(), 400, "a wildcard needs Expires: 0");
    let all = ua.register_request(0).set("Contact", "*");
    let (response, _) = ua.ask(&all);
    assert_eq!((response.status(), response.list("Contact").len()), (200, 0));
}

#[test]
fn an_older_cseq_of_the_same_call_id_changes_nothing() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600).set("CSeq", "50 REGISTER");
    let (response, sent) = ua.ask(&request);
    assert_eq!(response.status(), 200);
    let older = ua.register_request(0).set("Call-ID", sent.call_id()).set("CSeq", "7 REGISTER");
    assert!(ua.ask(&older).0.status() >= 400);
    let query = ua.register_request(600).without("Contact");
    assert_eq!(ua.ask(&query).0.list("Contact").len(), 1);
}

#[test]
fn too_short_an_expiry_is_423() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let response = ua.register(1);
    assert_eq!(response.status(), 423);
    let least: u32 = response.get("Min-Expires").and_then(|v| v.parse().ok()).expect("Min-Expires");
    assert_eq!(ua.register(least).status(), 200);
}

#[test]
fn max_contacts_refuses_one_more() {
    let resources = agents().agent_with(DOMAIN, "1009", "pw-1009", ", maxContacts: 1");
    let exchange = Exchange::start(&resources);
    let mut first = registered(&exchange, "1009");
    let mut second = phone(&exchange, "1009");
    assert_eq!(second.register(600).status(), 403);
    assert_eq!(first.register(600).status(), 200, "a refresh is no further contact");
}

/// `replaceOldestContact` lets the oldest contact go, of an agent or of all.
#[test]
fn one_more_contact_takes_the_place_of_the_oldest() {
    let more = ", maxContacts: 2, replaceOldestContact: true";
    let resources = agents()
        .agent_with(DOMAIN, "1008", "pw-1008", ", maxContacts: 2, replaceOldestContact: false")
        .agent_with(DOMAIN, "1009", "pw-1009", more)
        .agent_with(DOMAIN, "1010", "pw-1010", ", maxContacts: 2");
    let exchange = Exchange::start_with(&resources, "registrar: {replaceOldestContact: on}\n", &[]);
    for (user, replaces) in [("1008", false), ("1009", true), ("1010", true)] {
        let mut phones = [(); 3].map(|()| phone(&exchange, user));
        let [first, second, third] = &mut phones;
        assert_eq!((first.register(600).status(), second.register(600).status()), (200, 200));
        let answer = third.register(600);
        assert_eq!(answer.status(), if replaces { 200 } else { 403 }, "{user}");
        let query = second.register_request(600).without("Contact");
        let contacts = second.ask(&query).0.list("Contact").join(" ");
        let there = [&*first, &*second, &*third].map(|ua| contacts.contains(&ua.contact()));
        assert_eq!(there, [!replaces, true, replaces], "{user}: {contacts}");
        // A call rings those that are left.
        let mut caller = registered(&exchange, "1001");
        let invite = caller.call(&caller.invite(&at(user)));
        let rung = if replaces { third } else { first };
        let arrived = rung.request_of("INVITE");
        rung.accept(&arrived);
        caller.status_for(&invite, 200);
    }
}

#[test]
fn bindings_survive_an_orderly_restart() {
    let mut exchange = Exchange::start(&agents());
    let mut ua = registered(&exchange, "1001");
    assert_eq!(exchange.stop(), Some(0), "{}", exchange.log());
    exchange.restart();
    let query = ua.register_request(600).without("Contact");
    let (response, _) = ua.ask(&query);
    assert_eq!(response.list("Contact").len(), 1, "{response:?}");
}
