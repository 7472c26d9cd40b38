//! Resources change while the exchange runs: taken up all or nothing.

use std::time::Duration;

use trunkline_tests::{Exchange, Resources, Ua, wait_for, wait_for_every};

use super::{DOMAIN, agents, registered};

/// Registers with digest; the final status.
fn status(exchange: &Exchange, user: &str, password: &str) -> u16 {
    Ua::udp(exchange.udp(), user, DOMAIN, password).register(600).status()
}

#[test]
fn a_new_agent_registers_and_a_removed_one_no_more() {
    let exchange = Exchange::start(&agents());
    registered(&exchange, "1003");
    assert_ne!(status(&exchange, "1004", "pw-1004"), 200);
    let users = ["1001", "1002", "1004"];
    let after =
        users.iter().fold(Resources::new(), |all, user| all.agent(DOMAIN, user, &format!("pw-{user}")));
    // Credentials first: an agent may not refer to what is not there.
    let both = agents().agent(DOMAIN, "1004", "pw-1004");
    exchange.rewrite("credentials.yaml", both.file("credentials.yaml"));
    exchange.rewrite("agents.yaml", after.file("agents.yaml"));
    // Failed guesses are slowed, so they are few here.
    wait_for_every(Duration::from_millis(500), "the new agent", || {
        (status(&exchange, "1004", "pw-1004") == 200).then_some(())
    });
    assert_ne!(status(&exchange, "1003", "pw-1003"), 200);
}

#[test]
fn a_broken_file_changes_nothing() {
    let exchange = Exchange::start(&agents());
    let text = agents().agent(DOMAIN, "1004", "pw-1004");
    exchange.rewrite("agents.yaml", &format!("{}\n- {{kind: Agnet}}\n", text.file("agents.yaml")));
    wait_for("a word about the mistake", || exchange.log().contains("agents.yaml").then_some(()));
    assert_eq!(status(&exchange, "1001", "pw-1001"), 200);
    assert_ne!(status(&exchange, "1004", "pw-1004"), 200);
}
