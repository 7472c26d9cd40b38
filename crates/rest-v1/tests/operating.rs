//! Calls, bans, draining, and conflicts of two operators.

#[allow(dead_code, reason = "each test file of the crate uses a part of it")]
mod client;

use client::Site;
use trunkline_model::dialect::v1::Edition::{Late, Rc2};

#[test]
fn calls_are_listed_and_ended() {
    for call in ["7", "a84b@h"] {
        let site = Site::start(Late);
        let all = site.with_token("GET", "/calls", "");
        assert_eq!(
            (&all.json["data"][0]["id"], &all.json["data"][0]["callId"]),
            (&7.into(), &"a84b@h".into())
        );
        assert_eq!(site.send("DELETE", &format!("/calls/{call}"), "", "").status, 401, "without a token");
        let ended = site.with_token("DELETE", &format!("/calls/{call}"), "");
        assert_eq!((ended.status, &ended.json["data"]["state"]), (200, &"up".into()), "{}", ended.body);
        let gone = site.with_token("DELETE", &format!("/calls/{call}"), "");
        assert_eq!((gone.status, &gone.json["message"]), (404, &"no call".into()), "{}", gone.body);
        assert_eq!(site.with_token("GET", "/calls", "").json["data"], serde_json::json!([]));
    }
}

#[test]
fn bans_are_listed_and_ended() {
    let site = Site::start(Late);
    assert_eq!(site.with_token("GET", "/bans", "").json["data"][0]["source"], "192.0.2.9");
    assert_eq!(site.with_token("DELETE", "/bans/192.0.2.10", "").status, 404);
    let ended = site.with_token("DELETE", "/bans/192.0.2.9", "");
    assert_eq!((ended.status, &ended.json["data"][0]["user"]), (200, &"1001".into()), "{}", ended.body);
    assert_eq!(site.with_token("DELETE", "/bans/1001", "").status, 404);
}

#[test]
fn new_calls_are_refused_and_taken_again() {
    let site = Site::start(Rc2);
    for (method, draining) in
        [("GET", false), ("POST", true), ("GET", true), ("DELETE", false), ("GET", false)]
    {
        let reply = site.with_token(method, "/system/drain", "");
        assert_eq!(
            (reply.status, &reply.json["result"]["draining"]),
            (200, &draining.into()),
            "{}",
            reply.body
        );
    }
}

#[test]
fn the_later_of_two_operators_gets_a_conflict() {
    for edition in [Rc2, Late] {
        let site = Site::writable(edition);
        let shown = site.with_token("GET", "/agents/agent-ann", "");
        let tag = shown
            .head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
        let tag = tag.expect("a version");
        assert!(!shown.body.contains("pw-1001") && tag.len() == 34, "{tag}");
        let other = site.with_token("GET", "/agents/agent-bo", "");
        assert!(!other.head.to_ascii_lowercase().contains(&tag), "another document has another version");
        let path = format!("/agents/agent-ann?token={}", site.token);
        let body = shown.json["data"].to_string();
        for method in ["PUT", "DELETE"] {
            let late = site.send(method, &path, "If-Match: \"0123\"\r\n", &body);
            let status = late.json["status"].as_u64();
            assert_eq!(
                (late.status, status),
                (if edition == Late { 412 } else { 200 }, Some(412)),
                "{}",
                late.body
            );
            assert_eq!(site.backend.written(), []);
            let good = site.send(method, &path, &format!("If-Match: {tag}\r\n"), &body);
            assert_eq!(good.json["status"], 200, "{}", good.body);
            assert_eq!(site.backend.written().len(), 1);
        }
    }
}
