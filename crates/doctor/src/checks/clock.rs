//! The clock: times in records, certificates, nonces and tokens depend on it.

use std::time::{Duration, SystemTime};

use crate::facts::Facts;
use crate::finding::Findings;

/// Before this second of Unix time (2026-01-01) this program did not exist.
const THEN: u64 = 1_767_225_600;
/// Differences up to this are no finding.
const TOLERANCE: Duration = Duration::from_secs(60);

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let now = SystemTime::now();
    let means =
        "certificates are refused, tokens expire at the wrong time, and call records have wrong times";
    let fix = "set the clock, and keep it right with chrony or systemd-timesyncd (timedatectl set-ntp true)";
    let since = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    if since < THEN {
        return out.error("the clock is in the past", means, fix);
    }
    let database = facts.config().database_file();
    let modified = database.and_then(|file| file.metadata().ok()).and_then(|data| data.modified().ok());
    if modified.is_some_and(|modified| modified > now + TOLERANCE) {
        out.error("the database was changed in the future: the clock was set back", means, fix);
    }
    let started = facts.status.as_ref().and_then(|status| u64::try_from(status.started).ok()).unwrap_or(0);
    if started > since + TOLERANCE.as_secs() {
        out.error("the exchange was started in the future: the clock was set back", means, fix);
    }
    match trunkline_transport::clock_is_synchronised() {
        Some(true) => out.ok("the clock is synchronised"),
        Some(false) => out.warning("the clock is not synchronised", "it drifts by seconds a day", fix),
        None => out.note("the kernel does not say whether the clock is synchronised", "it may drift", fix),
    }
}
