//! The limit of file descriptors.

use trunkline_descriptors::Limit;

use crate::facts::Facts;
use crate::finding::Findings;

/// Below this the exchange serves a small office at most.
const FEW: u64 = 1_024;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let fix = "set LimitNOFILE= of the service (or ulimit -n), e.g. 65536";
    let running = facts.status.as_ref().and_then(|status| status.descriptors);
    let (limit, open) = match running {
        Some(known) => (known.limit, known.open),
        None => match trunkline_descriptors::limit() {
            // The soft limit is raised at the start.
            Ok(limit) => (limit.hard, 0),
            Err(error) => {
                return out.warning(error.to_string(), "the limit of descriptors is not known", fix);
            }
        },
    };
    let fit = Limit { soft: limit, hard: limit }.connections(open);
    let phones = facts.tables().map_or(0, |tables| tables.agents().count() + tables.peers().count()) as u64;
    let listen = &facts.config().listen;
    let by_connection = [&listen.tcp, &listen.tls, &listen.ws, &listen.wss].iter().any(|l| !l.is_empty());
    let means = "phones over TCP, TLS and WebSockets beyond that are refused";
    match () {
        () if fit == 0 => out.error(format!("all {limit} file descriptors are in use"), means, fix),
        () if by_connection && phones > fit => {
            out.warning(
                format!("{limit} file descriptors are few for {phones} phones and peers"),
                means,
                fix,
            );
        }
        () if limit < FEW => {
            out.warning(format!("only {limit} file descriptors: {fit} more connections fit"), means, fix);
        }
        () => out.ok(format!("{limit} file descriptors: {fit} more connections fit")),
    }
}
