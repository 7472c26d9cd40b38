//! Trunks and peers whose transport has no listener.

use crate::facts::Facts;
use crate::finding::Findings;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let Some(tables) = facts.tables() else { return };
    let listens = trunkline_cli::transports(facts.config());
    let warnings = tables.without_listener(&listens);
    if warnings.is_empty() {
        out.ok("every trunk and peer uses a transport that has a listener");
    }
    for warning in warnings {
        let means = "calls from there do not arrive, or calls to there cannot be sent";
        out.warning(warning, means, "add the listener, or change the transport of the trunk or peer");
    }
}
