//! What a running Routr v1 has in its Redis beside its resources is of use to the exchange that takes its place.

use serde_json::{Value, json};
use trunkline_tests::V1Edition::Late;
use trunkline_tests::{Exchange, RedisServer, Ua, V1Folder};

use super::routr_v1::{at, phone, registered, talk};
use super::routr_v1_providers::{client, on_redis};

/// A route as Routr 1.2.8 keeps it, of a phone that is there for ten minutes.
fn route(ua: &Ua, contact: &str) -> Value {
    let place = ua.wire.local();
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis();
    json!({
        "addressOfRecord": ua.aor(), "isLinkAOR": false, "thruGw": false, "sentByAddress": "10.0.0.9",
        "sentByPort": 5060, "received": place.ip().to_string(), "rport": place.port(), "contactURI": contact,
        "registeredOn": u64::try_from(now).expect("a time"), "expires": 600, "nat": true, "maxContact": 1,
        "isSynth": false, "transport": "udp",
    })
}

fn contacts(folder: &V1Folder, aor: &str) -> Option<String> {
    let (rest, token) = client(folder);
    let list = rest.get(&format!("/location?token={token}")).json;
    let entries = list["data"].as_array().cloned().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["addressOfRecord"] == aor)?;
    entry["contactInfo"].as_str().map(str::to_owned)
}

fn not_there(caller: &mut Ua, to: &str, status: u16) {
    let invite = caller.invite(to);
    caller.send(&invite);
    let answer = caller.status_for(&invite, status);
    caller.acknowledge_failure(&invite, &answer);
}

#[test]
fn phones_that_routr_knew_are_called_at_once() {
    let redis = RedisServer::start();
    let folder = on_redis(Late, &redis, "");
    redis.fill(&folder.documents());
    // The port of the exchange is known before it starts, so that a phone can be there already.
    let mut one = Ua::udp(([127, 0, 0, 1], folder.sip).into(), "1001", "sip.local", "pw-1001");
    let place = one.wire.local();
    let known = route(&one, &format!("sip:1001@{place}"));
    let (mut gone, mut out, mut browser) = (known.clone(), known.clone(), known.clone());
    gone["registeredOn"] = 1000.into();
    out["thruGw"] = true.into();
    (browser["transport"], browser["contactURI"]) = ("wss".into(), "sip:1002@abc.invalid".into());
    for (aor, routes) in [
        ("sip:1001@sip.local", json!([known])),
        ("sip:1002@sip.local", json!([gone, browser])),
        ("sip:.{5,}@sip.local", json!([out])),
        ("sip:1009@sip.local", json!([known])),
        ("nonsense", json!("nonsense")),
    ] {
        redis.ask(&["HSET", "location", aor, &routes.to_string()]);
    }
    let mut exchange: Exchange = folder.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
    let mut two = phone(&exchange, "1002");
    talk(&mut two, &at("1001"), &mut one);
    not_there(&mut one, &at("1002"), 480);
    not_there(&mut one, &at("1009"), 404);
    // It registers by another Contact than Routr kept: it is one phone, and rings once.
    let register = one.register_request(600).set("Contact", "<sip:1001@10.0.0.9:5060>");
    assert_eq!(one.ask(&register).0.status(), 200);
    let shown = contacts(&folder, "sip:1001@sip.local").expect("it is registered");
    assert!(shown.contains(&place.to_string()) && !shown.contains("[...]"), "{shown}");
    let unregister = one.register_request(0).set("Contact", "<sip:1001@10.0.0.9:5060>");
    assert_eq!(one.ask(&unregister).0.status(), 200);
    // Who left stays away, whatever Redis has of it.
    exchange.stop();
    exchange.restart();
    let mut two = registered(&exchange, "1002");
    not_there(&mut two, &at("1001"), 480);
    assert_eq!(contacts(&folder, "sip:1001@sip.local"), None);
}
