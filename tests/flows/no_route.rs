//! Requests with a To tag and without the Route of their dialog: whoever has heard of a dialog reaches none of its sides by it.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua};

use super::dialogs::connect;
use super::forged::{MODES, OPEN_NUMBER, Scene};
use super::marks::phone_from;
use super::{agents, at, registered};

const QUIET: Duration = Duration::from_millis(50);

/// A request with the names of this dialog and no Route.
fn without_route(from: &Ua, dialog: &Dialog, method: &str, uri: &str) -> Message {
    let (own, _) = dialog.tags();
    from.request(method, uri)
        .set("From", format!("<{}>;tag={own}", from.aor()))
        .set("To", &dialog.remote)
        .set("Call-ID", &dialog.call_id)
        .set("CSeq", format!("500 {method}"))
}

/// The same tag in other spellings: some stacks take the first of two, or read it in any case.
fn spelled(dialog: &Dialog) -> Vec<String> {
    let (_, other) = dialog.tags();
    let uri = at("1002");
    vec![
        format!("<{uri}>;tag={other}"),
        format!("<{uri}>;tag={other};tag=x"),
        format!("<{uri}>;x=y;Tag={other}"),
        format!("<{uri}>;tag=\"{other}\""),
        format!("{uri};tag={other}"),
        format!("<{uri}>;tag="),
        format!("<{uri}>;tag"),
    ]
}

#[test]
fn who_knows_a_dialogs_names_reaches_neither_side() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let (dialog, _) = connect(&mut scene.caller, &mut scene.friend);
        let stranger = phone_from(&scene.exchange, [127, 0, 0, 9], "stranger");
        let agent = phone_from(&scene.exchange, [127, 0, 0, 4], "1003");
        for (mut other, uri) in [(stranger, OPEN_NUMBER.to_owned()), (agent, at("1002"))] {
            for method in ["INVITE", "UPDATE", "INFO", "MESSAGE", "OPTIONS", "NOTIFY", "REFER", "BYE", "FROB"]
            {
                for to in spelled(&dialog) {
                    let request = without_route(&other, &dialog, method, &uri).set("To", &to);
                    let answer = other.ask(&request).0.status();
                    assert_eq!(answer, 481, "{mode}{method} {uri} To: {to}");
                    let arrived = |m: &Message| m.method() == method;
                    assert!(scene.friend.silent(QUIET, arrived), "{mode}{method} {uri} To: {to}");
                }
            }
        }
        // The dialog is left as it was.
        let mut dialog = dialog;
        let info = dialog.request(&scene.caller, "INFO");
        scene.caller.send(&info);
        let arrived = scene.friend.request_of("INFO");
        scene.friend.respond(&arrived, 200, "OK");
        scene.caller.status_for(&info, 200);
    }
}

/// Some phones ignore Record-Route. Their BYE to an address of record is forwarded where it comes from the very place of one of
/// the two sides.
#[test]
fn the_bye_of_a_side_without_routes_reaches_the_other() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let (a, b) = connect(&mut caller, &mut callee);
    let mut beside = registered(&exchange, "1003");
    let own = [(a, "1002"), (b, "1001")];
    for (dialog, to) in &own {
        let bye = without_route(&beside, dialog, "BYE", &at(to));
        assert_eq!(beside.ask(&bye).0.status(), 481, "from beside");
    }
    let info = without_route(&caller, &own[0].0, "INFO", &at("1002"));
    assert_eq!(caller.ask(&info).0.status(), 481, "nothing but a BYE");
    let [(a, _), (b, _)] = &own;
    hangs_up((&mut caller, a), (&mut callee, "1002"));
    hangs_up((&mut callee, b), (&mut caller, "1001"));
}

fn hangs_up((from, dialog): (&mut Ua, &Dialog), (to, name): (&mut Ua, &str)) {
    let bye = without_route(from, dialog, "BYE", &at(name));
    from.send(&bye);
    let challenge = from.status_for(&bye, 401);
    let bye = from.authorise(&bye, &challenge, 1).expect("a challenge");
    from.send(&bye);
    let arrived = to.request_of("BYE");
    assert_eq!((arrived.call_id(), arrived.get("To")), (bye.call_id(), bye.get("To")));
    to.respond(&arrived, 200, "OK");
    from.status_for(&bye, 200);
}
