//! Calls, bans and draining over the REST API of Routr v1.

use trunkline_tests::V1Edition::Late;
use trunkline_tests::V1Folder;

use super::dialogs::connect;
use super::routr_v1::registered;
use super::routr_v1_api::client;

#[test]
fn an_operator_ends_a_call_and_drains_over_rest() {
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[]);
    let (rest, token) = client(&folder, &exchange);
    let ask = |method: &str, path: &str| rest.send(method, &format!("{path}?token={token}"), "", "");
    let (mut callee, mut caller) = (registered(&exchange, "1002"), registered(&exchange, "1001"));
    let _dialogs = connect(&mut caller, &mut callee);
    let all = ask("GET", "/calls");
    assert_eq!(all.json["data"][0]["state"], "up", "{}", all.body);
    let id = all.json["data"][0]["id"].as_u64().expect("a number");
    let ended = ask("DELETE", &format!("/calls/{id}"));
    assert_eq!((ended.status, &ended.json["data"]["id"]), (200, &id.into()), "{}", ended.body);
    for phone in [&mut caller, &mut callee] {
        let bye = phone.request_of("BYE");
        phone.respond(&bye, 200, "OK");
    }
    assert_eq!(ask("DELETE", &format!("/calls/{id}")).status, 404);

    assert_eq!(ask("POST", "/system/drain").json["data"]["draining"], true);
    let invite = caller.invite(&callee.aor());
    let (refused, _) = caller.ask(&invite);
    assert_eq!(refused.status(), 503, "{}", refused.start);
    assert_eq!(ask("DELETE", "/system/drain").json["data"]["draining"], false);
    let _dialogs = connect(&mut caller, &mut callee);
    assert_eq!(ask("GET", "/bans").json["data"].as_array().map(Vec::len), Some(0));
    assert_eq!(ask("DELETE", "/bans/192.0.2.9").status, 404);
}
