//! What is known of our registrations, for operators.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use trunkline_model::Ref;

use crate::destinations::unix_seconds;
use crate::registry::place::Place;

/// How a registration of ours at a trunk does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// The trunk.
    pub trunk: Ref,
    /// Where we register, and as whom: `pbx-1@sip.carrier.example`.
    pub aor: String,
    /// The address that was asked last.
    pub address: Option<IpAddr>,
    /// Does the carrier have us?
    pub registered: bool,
    /// Until when, in milliseconds since 1970, if it has.
    pub until: Option<u64>,
    /// The last final status; 0: none yet, or nothing could be sent.
    pub status: u16,
    /// Its reason phrase, or what is wrong on our side.
    pub reason: String,
    /// Since when it is so, in seconds since 1970.
    pub since: i64,
}

/// What came of one attempt.
pub(crate) struct Attempt {
    pub address: Option<IpAddr>,
    pub registered: bool,
    pub until: Option<u64>,
    pub status: u16,
    pub reason: String,
}

/// All of them, by trunk and place of the destination.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    all: RwLock<BTreeMap<(Ref, u8), TrunkRegistration>>,
    /// As whom we register, trunk by trunk.
    accounts: ArcSwap<Vec<(Ref, String)>>,
}

impl Registered {
    pub(crate) fn all(&self) -> Vec<TrunkRegistration> {
        self.all.read().values().cloned().collect()
    }

    /// As whom we register, trunk by trunk.
    pub(crate) fn accounts(&self) -> arc_swap::Guard<Arc<Vec<(Ref, String)>>> {
        self.accounts.load()
    }

    /// These are all.
    pub(crate) fn set_accounts(&self, accounts: Vec<(Ref, String)>) {
        self.accounts.store(Arc::new(accounts));
    }

    /// It will be asked for.
    pub(crate) fn begin(&self, trunk: &Ref, number: u8, place: &Place) {
        let fresh = fresh(trunk, format!("{}@{}", place.user, place.host), String::new());
        self.all.write().insert((trunk.clone(), number), fresh);
    }

    /// It cannot be asked for.
    pub(crate) fn refused(&self, trunk: &Ref, number: u8, target: String, reason: &str) {
        let fresh = fresh(trunk, target, reason.to_owned());
        let before = self.all.write().insert((trunk.clone(), number), fresh);
        if before.is_none_or(|before| before.reason != reason) {
            tracing::error!(trunk = %trunk, destination = number, reason, "cannot register at a trunk");
        }
    }

    /// What came of it.
    pub(crate) fn set(&self, trunk: &Ref, number: u8, attempt: Attempt) {
        let Attempt { address, registered, until, status, reason } = attempt;
        let mut all = self.all.write();
        let Some(known) = all.get_mut(&(trunk.clone(), number)) else { return };
        (known.address, known.until, known.reason) = (address, until, reason);
        if (known.registered, known.status) != (registered, status) {
            let (aor, reason) = (&known.aor, &known.reason);
            if (200..300).contains(&status) {
                tracing::info!(trunk = %trunk, aor, "registered at a trunk");
            } else {
                tracing::warn!(trunk = %trunk, aor, status, reason, registered, "registration at a trunk failed");
            }
            (known.registered, known.status, known.since) = (registered, status, unix_seconds());
        }
    }

    /// Forgets those that are wanted no more.
    pub(crate) fn keep(&self, wanted: impl Fn(&Ref, u8) -> bool) {
        self.all.write().retain(|(trunk, number), _| wanted(trunk, *number));
    }
}

fn fresh(trunk: &Ref, aor: String, reason: String) -> TrunkRegistration {
    let (trunk, since) = (trunk.clone(), unix_seconds());
    TrunkRegistration { trunk, aor, address: None, registered: false, until: None, status: 0, reason, since }
}
