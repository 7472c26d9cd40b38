//! Import of the registrations that a late Routr v1 keeps in Redis, so that phones can be called before they register here.

use std::net::SocketAddr;

use trunkline_location::{ContactChange, Location, PASSED_ON, Register};
use trunkline_model::Tables;
use trunkline_sip::{ConnectionId, Flow, Transport, Uri};
use trunkline_store::{Route, Store};
use trunkline_transport::Listener;

/// Takes over the registrations of the old server. Only at the first start: later the exchange knows better.
pub fn take_over(store: &Store, location: &Location, listening: &[Listener], now: u64) {
    let Store::RoutrV1(v1) = store else { return };
    let routes = match v1.routes() {
        Ok(routes) => routes,
        Err(error) => {
            tracing::warn!("{error}; phones that Routr knew are called once they have registered here");
            return;
        }
    };
    let tables = store.live().load();
    let mut taken = 0;
    for (number, route) in routes.iter().enumerate() {
        if route.expires_at > now && is_known(&tables, &route.aor) {
            taken += usize::from(add(location, listening, route, number, now));
        }
    }
    if taken > 0 {
        tracing::info!(registrations = taken, "registrations imported from Routr");
    }
}

/// Is it the AOR of an agent or peer?
fn is_known(tables: &Tables, aor: &str) -> bool {
    let Ok(uri) = Uri::parse(aor.as_bytes()) else { return false };
    let Some(user) = uri.user else { return false };
    let agent = tables.domain_by_uri(uri.host).and_then(|domain| tables.agent(Some(&domain.reference), user));
    agent.is_some() || tables.peer_by_aor(aor.as_bytes()).is_some() || tables.peer_by_username(user).is_some()
}

fn add(location: &Location, listening: &[Listener], route: &Route, number: usize, now: u64) -> bool {
    let Ok(uri) = Uri::parse(route.contact.as_bytes()) else { return false };
    let transport = if route.tcp { Transport::Tcp } else { Transport::Udp };
    let port = uri.port.unwrap_or(transport.default_port());
    let named = || uri.ip().map(|ip| SocketAddr::new(ip, port));
    // Nobody listens where a connection came from: over TCP only the Contact leads to the phone.
    let source = if route.tcp { None } else { route.source };
    let Some(remote) = source.or_else(named) else { return false };
    let fits = |l: &&Listener| l.transport == transport && l.address.is_ipv4() == remote.is_ipv4();
    let Some(ours) = listening.iter().find(fits) else { return false };
    let seconds = (route.expires_at - now).div_ceil(1000);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let change = ContactChange::new(route.contact.as_bytes(), seconds);
    let changes = [ContactChange { behind_nat: source.is_some(), ..change }];
    let flow = Flow { transport, local: ours.address, remote, connection: ConnectionId::NONE };
    let call_id = [PASSED_ON, number.to_string().as_bytes()].concat();
    // The user keeps its letters.
    let aor = match route.aor.rsplit_once('@') {
        Some((user, host)) => format!("{user}@{}", host.to_ascii_lowercase()),
        None => route.aor.to_ascii_lowercase(),
    };
    // The server before us asked every phone for a digest.
    let register =
        Register { shown: true, proven: true, ..Register::new(aor.as_bytes(), &call_id, 1, flow, &changes) };
    location.register(&register, now, |_| {}).is_ok()
}
