//! What identifies a route, how long it is good, and what it is remembered for.

use trunkline_wire::location::Route;

/// A longer address of record is none.
pub(crate) const LONGEST_AOR: usize = 1024;
/// Bytes of an encoded route, at most.
pub(crate) const LARGEST_ROUTE: usize = 8 * 1024;
/// Routes of one address of record where the caller sets no limit.
pub(crate) const MOST_ROUTES: usize = 1_000;
/// Calls, or values of session affinity, with longer names are not remembered.
pub(crate) const LONGEST_KEY: usize = 1024;

/// Why a store did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// The address of record has that many routes already.
    #[error("exceeds maximum of {0} allowed contacts")]
    TooMany(i32),
    /// The store is full.
    #[error("{0}")]
    Full(String),
}

/// What identifies a route among those of its address of record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteId {
    host: String,
    port: String,
    transport: i32,
}

impl RouteId {
    pub(crate) fn of(route: &Route) -> RouteId {
        RouteId { host: route.host.clone(), port: route.port.clone(), transport: route.transport }
    }
}

/// What a route is remembered for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PinKey {
    /// A call to an address of record that asked for these labels.
    Call { aor: String, call: String },
    /// A value of session affinity, within an address of record.
    Affinity { aor: String, value: String },
}

/// The time, in milliseconds since 1970, until which a route is good; `None` for one that never was.
pub(crate) fn good_until(route: &Route) -> Option<i64> {
    let until = route.registered_on.checked_add(i64::from(route.expires).checked_mul(1000)?)?;
    (route.expires > 0).then_some(until)
}

/// Does the route answer calls at this time?
pub(crate) fn is_live(route: &Route, now: i64) -> bool {
    good_until(route).is_some_and(|until| until > now)
}

/// A new route, and what must hold for it to be added.
pub(crate) struct Addition {
    pub aor: String,
    pub route: Route,
    /// -1: no limit.
    pub max_contacts: i32,
    pub now: i64,
}
