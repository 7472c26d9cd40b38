//! States, compared with what they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use trunkline_events::EventTypes;
use trunkline_model::{Difference, Live, Tables};
use trunkline_operations::{BanEntry, TrunkRegistration};

use crate::published::Published;
use crate::world::World;

/// Counted requests are told once in so many milliseconds.
const COUNTED_EVERY: u64 = 1_000;

/// What was known at the last look.
pub(crate) struct States {
    registrations: BTreeMap<(String, String), (bool, String)>,
    bans: BTreeMap<BanKey, BanEntry>,
    throttled: Vec<(&'static str, u64)>,
    counted: u64,
    version: u64,
    tables: Arc<Tables>,
}

/// Scope, source, port, user.
type BanKey = (String, String, u16, String);

fn key_of_ban(ban: &BanEntry) -> BanKey {
    (ban.scope.clone(), ban.source.clone(), ban.port, ban.user.clone())
}

/// The version first: a change between the two is seen at the next look.
fn resources(live: &Live) -> (u64, Arc<Tables>) {
    let version = live.version();
    (version, live.snapshot())
}

impl States {
    /// As they are now.
    pub fn new(world: &dyn World) -> States {
        let (version, tables) = resources(&world.resources());
        let registrations = world.trunk_registrations().into_iter();
        States {
            registrations: registrations.map(|r| ((r.trunk, r.aor), (r.registered, r.answer))).collect(),
            bans: world.bans().into_iter().map(|ban| (key_of_ban(&ban), ban)).collect(),
            throttled: world.throttled(),
            counted: 0,
            version,
            tables,
        }
    }

    /// Tells what has changed of what is wanted.
    pub fn look(
        &mut self,
        world: &dyn World,
        types: &EventTypes,
        now: u64,
        tell: &mut impl FnMut(Published),
    ) {
        if types.admits_group("resource") {
            self.look_at_resources(world, now, tell);
        }
        if types.admits("trunk.registration") {
            self.look_at_registrations(world.trunk_registrations(), now, tell);
        }
        if types.admits_group("ban") {
            self.look_at_bans(world.bans(), now, tell);
        }
        if types.admits_group("throttling") {
            self.count(world.throttled(), now, tell);
        }
    }

    fn look_at_resources(&mut self, world: &dyn World, now: u64, tell: &mut impl FnMut(Published)) {
        let live = world.resources();
        if live.version() == self.version {
            return;
        }
        let (version, tables) = resources(&live);
        for (difference, kind, reference) in tables.changes_since(&self.tables) {
            let name = match difference {
                Difference::Created => "resource.created",
                Difference::Updated => "resource.updated",
                Difference::Deleted => "resource.deleted",
            };
            let mut event = Published::new(now, name);
            event.put("kind", kind.as_str());
            event.put("ref", reference.as_str());
            event.put("version", version);
            tell(event);
        }
        (self.version, self.tables) = (version, tables);
    }

    fn look_at_registrations(
        &mut self,
        all: Vec<TrunkRegistration>,
        now: u64,
        tell: &mut impl FnMut(Published),
    ) {
        let mut seen = BTreeMap::new();
        for r in all {
            let (key, state) = ((r.trunk.clone(), r.aor.clone()), (r.registered, r.answer.clone()));
            let is_fresh = !state.0 && state.1.is_empty();
            if self.registrations.get(&key) != Some(&state) && !is_fresh {
                let mut event = Published::new(now, "trunk.registration");
                event.put("ref", r.trunk);
                event.put("aor", r.aor);
                event.put("registered", r.registered);
                event.put("answer", r.answer);
                event.put("address", r.address.map(|address| address.to_string()));
                let until = r.until.filter(|_| r.registered).and_then(|until| u64::try_from(until).ok());
                event.put_time("until", until.map(|seconds| seconds * 1000));
                tell(event);
            }
            seen.insert(key, state);
        }
        self.registrations = seen;
    }

    fn look_at_bans(&mut self, all: Vec<BanEntry>, now: u64, tell: &mut impl FnMut(Published)) {
        let all: BTreeMap<_, _> = all.into_iter().map(|ban| (key_of_ban(&ban), ban)).collect();
        let event = |name, ban: &BanEntry| {
            let mut event = Published::new(now, name);
            event.put("scope", ban.scope.as_str());
            event.put("source", ban.source.as_str());
            event.put("port", ban.port);
            event.put("user", ban.user.as_str());
            let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0) * 1000;
            event.put_time("since", ms(ban.since));
            if name == "ban.began" {
                event.put_time("until", ms(ban.until));
            }
            event
        };
        for (_, ban) in self.bans.iter().filter(|(key, _)| !all.contains_key(key)) {
            tell(event("ban.ended", ban));
        }
        for (_, ban) in all.iter().filter(|(key, _)| !self.bans.contains_key(key)) {
            tell(event("ban.began", ban));
        }
        self.bans = all;
    }

    fn count(&mut self, all: Vec<(&'static str, u64)>, now: u64, tell: &mut impl FnMut(Published)) {
        if now.saturating_sub(self.counted) < COUNTED_EVERY {
            return;
        }
        let mut event = Published::new(now, "throttling.counted");
        for (name, count) in &all {
            let before = self.throttled.iter().find(|(known, _)| known == name).map_or(0, |(_, n)| *n);
            if *count > before {
                event.put(name, count - before);
            }
        }
        if !event.fields.is_empty() {
            self.counted = now;
            tell(event);
        }
        self.throttled = all;
    }
}
