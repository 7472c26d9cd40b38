//! File descriptors: the limit is raised at the start, and the log says how many connections fit.

use trunkline_descriptors::{Limit, in_use, is_exhausted, limit, raise};

/// Raises the limit. To be called before anything is opened.
pub fn raise_limit() {
    match raise() {
        Ok((before, now)) if before != now => {
            tracing::info!(from = before.soft, to = now.soft, "the limit of file descriptors was raised");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors"),
    }
}

/// The connections that one address may have, as the operator wants it, but no more than fit at all.
pub fn per_address(wanted: u32) -> u32 {
    let Ok(limit) = limit() else { return wanted };
    let fit = u32::try_from(limit.connections(0)).unwrap_or(u32::MAX).max(1);
    if fit < wanted {
        tracing::warn!(
            wanted,
            descriptors = limit.soft,
            "limits.connectionsPerAddress is lowered to {fit}: no more connections fit into the limit of file descriptors; \
             raise it (LimitNOFILE= of the service, or ulimit -n)"
        );
    }
    wanted.min(fit)
}

/// Logs how many connections fit. To be called when all listeners are open.
pub fn announce() {
    if let Some((open, limit)) = figures() {
        let connections = Limit { soft: limit, hard: limit }.connections(open);
        tracing::info!(limit, open, connections, "file descriptors set the limit of connections");
    }
}

/// Open descriptors and their limit.
pub fn figures() -> Option<(u64, u64)> {
    Some((in_use()?, limit().ok()?.soft))
}

/// Why new connections are refused, if they are.
pub fn trouble() -> Option<String> {
    is_exhausted().then(|| {
        let (open, limit) = figures().unwrap_or_default();
        format!(
            "{open} of {limit} file descriptors are in use, so new connections are refused: raise the limit (LimitNOFILE= of \
             the service, or ulimit -n)"
        )
    })
}
