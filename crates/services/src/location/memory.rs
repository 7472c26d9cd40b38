//! Routes in memory. Bounded: addresses of record, routes of each, and what is remembered.

use std::collections::{BTreeSet, HashMap, VecDeque};

use trunkline_wire::location::Route;

use super::route::{Addition, MOST_ROUTES, PinKey, RouteError, RouteId, good_until, is_live};

/// Addresses of record with routes.
const MOST_AORS: usize = 1_000_000;
/// Calls and affinities that are remembered; the oldest are forgotten first.
const MOST_PINS: usize = 200_000;
/// Backends whose turns are counted.
const MOST_BACKENDS: usize = 100_000;
/// Expired addresses of record that are looked at with one addition.
const SWEPT: usize = 16;

/// The routes of a process.
#[derive(Default)]
pub(crate) struct Memory {
    routes: HashMap<String, Routes>,
    /// When routes of an address of record are to be looked at: one entry for each.
    ends: BTreeSet<(i64, String)>,
    pins: HashMap<PinKey, RouteId>,
    /// The keys of `pins`, in the order they were made.
    pinned: VecDeque<PinKey>,
    turns: HashMap<String, u64>,
}

/// The routes of an address of record.
struct Routes {
    /// The newest first.
    all: Vec<Route>,
    /// Its entry in `ends`.
    look: i64,
}

impl Memory {
    pub(crate) fn add(&mut self, addition: Addition) -> Result<(), RouteError> {
        let Addition { aor, route, max_contacts, now } = addition;
        self.sweep(now);
        let mut routes = self.take(&aor);
        routes.retain(|there| is_live(there, now));
        let refused =
            if is_live(&route, now) { self.place(&routes, &route, max_contacts).err() } else { None };
        let id = RouteId::of(&route);
        if refused.is_none() {
            routes.retain(|there| RouteId::of(there) != id);
            if is_live(&route, now) {
                routes.insert(0, route);
            }
        }
        self.put(aor, routes);
        refused.map_or(Ok(()), Err)
    }

    /// Is there room for a route among those of its address of record?
    fn place(&self, routes: &[Route], route: &Route, max_contacts: i32) -> Result<(), RouteError> {
        let same = |there: &Route| {
            (&there.user, &there.host, &there.port, there.transport)
                == (&route.user, &route.host, &route.port, route.transport)
        };
        if routes.iter().any(same) {
            return Ok(());
        }
        if routes.is_empty() && self.routes.len() >= MOST_AORS {
            return Err(RouteError::Full(format!("there are routes of {MOST_AORS} addresses of record")));
        }
        may_have_another(routes.len(), max_contacts)
    }

    /// Takes the routes of an address of record out.
    fn take(&mut self, aor: &str) -> Vec<Route> {
        let Some((aor, routes)) = self.routes.remove_entry(aor) else { return Vec::new() };
        self.ends.remove(&(routes.look, aor));
        routes.all
    }

    /// Puts the routes of an address of record in.
    fn put(&mut self, aor: String, all: Vec<Route>) {
        if let Some(look) = all.iter().filter_map(good_until).min() {
            self.ends.insert((look, aor.clone()));
            self.routes.insert(aor, Routes { all, look });
        }
    }

    /// Removes some of what has expired.
    fn sweep(&mut self, now: i64) {
        for _ in 0..SWEPT {
            let Some((_, aor)) = self.ends.first().filter(|(look, _)| *look <= now) else { return };
            let aor = aor.clone();
            let mut routes = self.take(&aor);
            routes.retain(|route| is_live(route, now));
            self.put(aor, routes);
        }
    }

    pub(crate) fn live(&self, aor: &str, now: i64) -> Vec<Route> {
        let routes = self.routes.get(aor).map(|routes| routes.all.as_slice()).unwrap_or_default();
        routes.iter().filter(|route| is_live(route, now)).cloned().collect()
    }

    pub(crate) fn remove(&mut self, aor: &str) {
        self.take(aor);
    }

    pub(crate) fn pinned(&self, key: &PinKey) -> Option<RouteId> {
        self.pins.get(key).cloned()
    }

    pub(crate) fn pin(&mut self, key: PinKey, id: RouteId, instead: bool) -> RouteId {
        if let Some(there) = self.pins.get_mut(&key) {
            if instead {
                *there = id;
            }
            return there.clone();
        }
        if self.pins.len() >= MOST_PINS
            && let Some(oldest) = self.pinned.pop_front()
        {
            self.pins.remove(&oldest);
        }
        self.pinned.push_back(key.clone());
        self.pins.insert(key, id.clone());
        id
    }

    pub(crate) fn turn(&mut self, backend: &str) -> u64 {
        if let Some(turn) = self.turns.get_mut(backend) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        // Names come from callers: when there are too many of them, all begin anew.
        if self.turns.len() >= MOST_BACKENDS {
            self.turns.clear();
        }
        self.turns.insert(backend.to_owned(), 0);
        0
    }
}

/// May an address of record with so many routes have one more?
pub(crate) fn may_have_another(routes: usize, max_contacts: i32) -> Result<(), RouteError> {
    let allowed = max_contacts == -1 || i32::try_from(routes).is_ok_and(|routes| routes < max_contacts);
    if !allowed {
        return Err(RouteError::TooMany(max_contacts));
    }
    if routes >= MOST_ROUTES {
        return Err(RouteError::Full(format!("there are {MOST_ROUTES} routes of this address of record")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, registered_on: i64, expires: i32) -> Route {
        Route { host: host.into(), port: "5060".into(), registered_on, expires, ..Route::default() }
    }

    fn add(memory: &mut Memory, aor: &str, route: Route, now: i64) {
        let addition = Addition { aor: aor.into(), route, max_contacts: -1, now };
        memory.add(addition).expect("added");
    }

    #[test]
    fn what_has_expired_leaves_no_trace() {
        let mut memory = Memory::default();
        for n in 0..1_000 {
            add(&mut memory, &format!("sip:{n}@a"), route("192.0.2.1", n, 1), n);
        }
        assert_eq!(memory.live("sip:999@a", 999).len(), 1);
        for n in 0..100 {
            add(&mut memory, "sip:x@a", route("192.0.2.1", 10_000 + n, 60), 10_000 + n);
        }
        assert_eq!((memory.routes.len(), memory.live("sip:999@a", 10_000).len()), (1, 0));
        assert_eq!(memory.ends.len(), 1, "one look for each address of record");
        add(&mut memory, "sip:x@a", route("192.0.2.1", 200_000, 0), 200_000);
        assert!(memory.routes.is_empty() && memory.ends.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        let id = RouteId::of(&route("192.0.2.1", 0, 1));
        let key = |n: usize| PinKey::Call { aor: "sip:1@a".into(), call: n.to_string() };
        for n in 0..MOST_PINS + 10 {
            memory.pin(key(n), id.clone(), false);
        }
        assert_eq!((memory.pins.len(), memory.pinned.len()), (MOST_PINS, MOST_PINS));
        assert_eq!((memory.pinned(&key(9)), memory.pinned(&key(10))), (None, Some(id)));
    }
}
