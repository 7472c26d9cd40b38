//! The first start without any configuration: what it prints is enough for two phones.

use trunkline_tests::{Exchange, Ua};

use super::dialogs::connect;

/// The secret printed for a user.
fn secret(output: &str, user: &str) -> String {
    let line = output
        .lines()
        .find(|line| line.contains("password") && line.split_whitespace().any(|word| word == user));
    let line = line.unwrap_or_else(|| panic!("no password of {user} in:\n{output}"));
    line.split_whitespace().skip_while(|word| *word != "password").nth(1).expect("a password").to_owned()
}

/// Two phones that were told `host` as their server register and call each other.
fn two_phones(exchange: &Exchange, secrets: &[String; 2], host: &str) {
    let mut phones = ["1001", "1002"].map(|user| {
        let password = if user == "1001" { &secrets[0] } else { &secrets[1] };
        let mut ua = Ua::udp(exchange.udp(), user, host, password);
        let answer = ua.register(600);
        assert_eq!(answer.status(), 200, "{user}@{host}: {}", answer.start);
        ua
    });
    let [caller, callee] = &mut phones;
    let (mut dialog, _) = connect(caller, callee);
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    let remove = callee.register_request(0).set("Contact", "*");
    assert_eq!(callee.ask(&remove).0.status(), 200);
}

#[test]
fn two_phones_with_what_was_printed() {
    let mut exchange = Exchange::first_start();
    let output = exchange.log();
    let secrets = [secret(&output, "1001"), secret(&output, "1002")];
    assert!(output.lines().count() < 20, "a few lines:\n{output}");
    two_phones(&exchange, &secrets, "sip.local");
    // The machine's address counts as the default domain.
    two_phones(&exchange, &secrets, &exchange.udp().ip().to_string());
    two_phones(&exchange, &secrets, &exchange.udp().to_string());
    // The next start keeps them and prints no secret again.
    assert_eq!(exchange.stop(), Some(0), "{}", exchange.log());
    exchange.restart();
    assert_eq!(exchange.log().matches(&secrets[0]).count(), 1);
    two_phones(&exchange, &secrets, "sip.local");
}
