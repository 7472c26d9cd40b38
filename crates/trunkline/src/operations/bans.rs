//! Bans of those who guessed passwords.

use std::net::IpAddr;

use trunkline_edge::{Ban, Banned, Shared};
use trunkline_operations::BanEntry;

use crate::roles::SipView;
use crate::time::{seconds, unix_ms};

/// All that hold, the oldest first.
pub fn list(sip: &SipView) -> Vec<BanEntry> {
    of(&sip.shared)
}

/// The same, of an exchange.
pub fn of(shared: &Shared) -> Vec<BanEntry> {
    shared.bans(unix_ms()).iter().map(shown).collect()
}

/// Ends those of a source or user; gives them.
pub fn end(sip: &SipView, who: &str) -> Vec<BanEntry> {
    let source = who.parse::<IpAddr>().map(|ip| ip.to_canonical()).ok();
    let is_meant = |banned: &Banned| match source {
        Some(source) => banned.source.ip().to_canonical() == source,
        None => banned.ban != Ban::Source && banned.user == who,
    };
    let ended =
        sip.shared.bans(unix_ms()).iter().filter(|banned| is_meant(banned)).map(shown).collect::<Vec<_>>();
    let count = sip.shared.unban(is_meant, unix_ms());
    if count > 0 {
        tracing::info!(who, count, "an operator has ended bans");
    }
    ended
}

fn shown(banned: &Banned) -> BanEntry {
    let scope = match banned.ban {
        Ban::Flow => "flow",
        Ban::User => "user",
        Ban::Source => "source",
    };
    BanEntry {
        scope: scope.into(),
        source: banned.source.ip().to_canonical().to_string(),
        port: banned.source.port(),
        user: banned.user.clone(),
        since: seconds(banned.since),
        until: seconds(banned.since.max(unix_ms()).saturating_add(banned.left)),
    }
}
