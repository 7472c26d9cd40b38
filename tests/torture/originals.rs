//! The messages of RFC 4475 themselves, where a copy of them lies beside the checkout.

use std::path::Path;

use trunkline_tests::{Exchange, Resources};

use super::{Outcome, QUIET, Way, answers, folder, send};
use crate::callee::Callee;

/// What an exchange that serves example.com (nobody of the RFC registered) may do with each on a stream:
/// `-` nothing or closing, `~` any final answer but 400, digits a status; more than one may stand.
const ALLOWED: &[(&str, &str)] = &[
    ("wsinv", "~"),
    ("intmeth", "~"),
    ("esc01", "~"),
    ("escnull", "~"),
    ("esc02", "~"),
    ("lwsdisp", "~"),
    ("longreq", "~"),
    ("dblreq", "~"),
    ("semiuri", "~"),
    ("transports", "~"),
    ("mpart01", "~"),
    ("unreason", "-"),
    ("noreason", "-"),
    ("badinv01", "400 -"),
    ("clerr", "-"),
    ("ncl", "400 -"),
    ("scalar02", "400"),
    ("scalarlg", "-"),
    ("quotbal", "400"),
    ("ltgtruri", "400 ~"),
    ("lwsruri", "400 ~"),
    ("lwsstart", "400 ~"),
    ("trws", "400 ~"),
    ("escruri", "400 ~"),
    ("baddate", "400 ~"),
    ("regbadct", "400 ~"),
    ("badaspec", "400 ~"),
    ("baddn", "400 ~"),
    ("badvers", "505"),
    ("mismatch01", "400"),
    ("mismatch02", "400 501"),
    ("bigcode", "-"),
    ("badbranch", "400 ~"),
    ("insuf", "400 -"),
    ("unkscm", "416"),
    ("novelsc", "416 404"),
    ("unksm2", "400"),
    ("bext01", "420"),
    ("invut", "~"),
    ("regaut01", "~"),
    ("multi01", "400"),
    ("mcl01", "400 -"),
    ("bcast", "-"),
    ("zeromf", "483 200"),
    ("cparam01", "~"),
    ("cparam02", "~"),
    ("regescrt", "400 ~"),
    ("sdp01", "~"),
    ("inv2543", "400 ~ -"),
];

fn allowed(name: &str, outcome: &Outcome) -> bool {
    let Some((_, rule)) = ALLOWED.iter().find(|(file, _)| *file == name) else { return false };
    rule.split(' ').any(|word| match (word, outcome) {
        ("-", Outcome::Drop | Outcome::Close) => true,
        ("~", Outcome::Answer(_)) => outcome.name() != "400",
        (code, Outcome::Answer(_)) => outcome.name() == code,
        (_, Outcome::Forward(_) | Outcome::Drop | Outcome::Close) => false,
    })
}

#[test]
fn the_originals_where_they_are() {
    let dir = folder().join("../../../shared/data/rfc4475");
    if !Path::new(&dir).is_dir() {
        println!("the originals of RFC 4475 are not here: not run");
        return;
    }
    let resources = Resources::new()
        .domain("example.com", "never")
        .domain("torture.test", "never")
        .agent("example.com", "user", "secret")
        .agent("torture.test", "bert", "b-secret");
    let mut exchange = Exchange::start(&resources);
    let callee = Callee::start(&exchange, "bert", "torture.test");
    let mut wrong = Vec::new();
    for (name, rule) in ALLOWED {
        let message = std::fs::read(dir.join(format!("{name}.dat"))).expect("a message of the RFC");
        // Over UDP the answers go to the port that their Via names, so only survival shows there.
        send(&exchange, &callee, Way::Udp, &message, QUIET);
        let outcome = send(&exchange, &callee, Way::Tcp, &message, QUIET);
        if !allowed(name, &outcome) {
            wrong.push(format!("{name}: {}, wanted {rule}", super::describe(&outcome)));
        }
        if !exchange.alive() || !answers(exchange.udp()) {
            wrong.push(format!("{name}: the exchange answers no more"));
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
