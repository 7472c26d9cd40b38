//! Which registrations the resources want.

use trunkline_model::{Ref, Tables};

use crate::registry::place::Place;

/// Destinations of a trunk that are registered at, and hosts beside them.
const MOST: usize = 64;

/// A registration that the resources want.
pub(super) struct Wanted {
    pub(super) trunk: Ref,
    pub(super) number: u8,
    pub(super) place: Place,
    pub(super) credentials: Option<(String, String)>,
    pub(super) expires: Option<u32>,
}

/// One that cannot be asked for, and why.
pub(super) struct Hopeless {
    pub(super) trunk: Ref,
    pub(super) number: u8,
    pub(super) target: String,
    pub(super) reason: &'static str,
}

/// All of them.
pub(super) fn wanted(tables: &Tables) -> (Vec<Wanted>, Vec<Hopeless>) {
    let (mut wanted, mut hopeless) = (Vec::new(), Vec::new());
    for trunk in tables.trunks().filter(|t| t.send_register) {
        let credentials =
            trunk.outbound_credentials.as_ref().and_then(|r| tables.credentials_by_ref(r.as_str()));
        let places = trunk.uris.iter().take(MOST).zip(0..).filter(|(u, _)| u.enabled);
        for (uri, number) in places.chain(trunk.registries.iter().take(MOST).zip(MOST as u8..)) {
            let trunk_ref = trunk.reference.clone();
            let user = uri.user.clone().or_else(|| credentials.map(|c| c.username.clone()));
            let Some(user) = user.filter(|u| !u.is_empty()) else {
                let reason = "no user to register as: give the trunk outbound credentials, or its uri a user";
                hopeless.push(Hopeless { trunk: trunk_ref, number, target: uri.to_string(), reason });
                continue;
            };
            let place = Place { host: uri.host.clone(), port: uri.port, transport: uri.transport, user };
            let credentials = credentials.map(|c| (c.username.clone(), c.password.clone()));
            wanted.push(Wanted {
                trunk: trunk_ref,
                number,
                place,
                credentials,
                expires: trunk.register_expires,
            });
        }
    }
    (wanted, hopeless)
}
