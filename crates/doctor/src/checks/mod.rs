//! The checks.

mod certificates;
mod clock;
mod dns;
mod limits;
mod modes;
mod nat;
mod ports;
mod secrets;
mod sockets;
mod stores;
mod transports;
mod trust;

pub use certificates::expiries;

use crate::facts::Facts;
use crate::finding::{Finding, Findings};

type Check = fn(&Facts, &mut Findings);

/// All checks with their names, in the order of the report.
const ALL: [(&str, Check); 12] = [
    ("exchange", exchange),
    ("ports", ports::check),
    ("nat", nat::check),
    ("transports", transports::check),
    ("certificates", certificates::check),
    ("clock", clock::check),
    ("dns", dns::check),
    ("stores", stores::check),
    ("modes", modes::check),
    ("secrets", secrets::check),
    ("trust", trust::check),
    ("limits", limits::check),
];

/// Runs all checks.
pub(crate) fn all(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    for (name, check) in ALL {
        let mut found = Findings::of(name);
        check(facts, &mut found);
        all.extend(found.list);
    }
    all
}

/// Does it run, and what does it say of itself?
fn exchange(facts: &Facts, out: &mut Findings) {
    let Some(status) = &facts.status else {
        let means =
            "what only a running exchange knows was not checked: listeners, trunk states, descriptors in use";
        return out.note("no exchange with this configuration is running", means, "start `trunkline serve`");
    };
    out.ok(format!("running, version {}, process {}", status.version, status.pid));
    for part in &status.degraded {
        out.error(
            format!("degraded: {part}"),
            "this part fails now; calls that need it fail",
            "see `trunkline status` and the log",
        );
    }
    for known in status.trunks.iter().filter(|known| known.state == "unknown") {
        let means = "it was not asked yet, or has not answered yet; calls to it are tried";
        out.note(
            format!("{} {} ({}) is unknown", known.kind, known.reference, known.target),
            means,
            "ask again",
        );
    }
}
