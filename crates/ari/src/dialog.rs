//! ARI dialogs: the objects whose events are copied to a dialog.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::key::kinds;

/// How long a thing that ended keeps its dialogs: Asterisk sends stragglers, such as a caller id
/// after the channel is destroyed.
const GRACE: Duration = Duration::from_secs(2);

/// The bindings of things to dialogs. A binding ends shortly after its thing, or when nothing was
/// heard of the thing for the age limit.
#[derive(Debug, Default)]
pub struct Dialogs {
    things: HashMap<&'static str, HashMap<Box<str>, Bound>>,
    /// What ended, and when, in that order.
    ended: VecDeque<(Instant, &'static str, Box<str>)>,
}

#[derive(Debug)]
struct Bound {
    /// Any number of dialogs may want one thing, so none is looked for one by one.
    dialogs: BTreeSet<Arc<str>>,
    heard: Instant,
    ended: bool,
}

/// The kind under which a thing is kept. Partners write two of them in two ways.
fn canonical(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "recording" | "liverecording" => kinds::LIVE_RECORDING,
        "deviceState" | "devicestate" => kinds::DEVICE_STATE,
        "channel" => kinds::CHANNEL,
        "bridge" => kinds::BRIDGE,
        "playback" => kinds::PLAYBACK,
        "endpoint" => kinds::ENDPOINT,
        _ => return None,
    })
}

impl Dialogs {
    /// Binds a thing to a dialog. An empty id or dialog and a kind without events are ignored.
    /// Returns whether the binding is new.
    pub fn bind(&mut self, kind: &str, id: &str, dialog: &str, now: Instant) -> bool {
        let Some(kind) = canonical(kind) else { return false };
        if id.is_empty() || dialog.is_empty() {
            return false;
        }
        let of_kind = self.things.entry(kind).or_default();
        let bound = of_kind.entry(id.into()).or_insert_with(|| Bound {
            dialogs: BTreeSet::new(),
            heard: now,
            ended: false,
        });
        bound.heard = now;
        // The id is in use again.
        bound.ended = false;
        !bound.dialogs.contains(dialog) && bound.dialogs.insert(dialog.into())
    }

    /// Takes one binding back.
    pub fn unbind(&mut self, kind: &str, id: &str, dialog: &str) {
        let Some(of_kind) = canonical(kind).and_then(|k| self.things.get_mut(k)) else { return };
        if let Some(bound) = of_kind.get_mut(id) {
            bound.dialogs.remove(dialog);
            if bound.dialogs.is_empty() {
                of_kind.remove(id);
            }
        }
    }

    /// The thing is no more: its bindings end, after a short time for stragglers.
    pub fn end(&mut self, kind: &str, id: &str, now: Instant) {
        let Some(kind) = canonical(kind) else { return };
        if let Some(bound) = self.things.get_mut(kind).and_then(|of_kind| of_kind.get_mut(id)) {
            bound.ended = true;
            self.ended.push_back((now, kind, id.into()));
        }
        self.forget_ended(now);
    }

    fn forget_ended(&mut self, now: Instant) {
        while let Some((when, ..)) = self.ended.front()
            && now.saturating_duration_since(*when) >= GRACE
        {
            let Some((_, kind, id)) = self.ended.pop_front() else { return };
            let Some(of_kind) = self.things.get_mut(kind) else { continue };
            if of_kind.get(&id).is_some_and(|bound| bound.ended) {
                of_kind.remove(&id);
            }
            // A burst of calls must not keep its memory for ever.
            if of_kind.capacity() > 1024 && of_kind.len() * 4 < of_kind.capacity() {
                of_kind.shrink_to(of_kind.len() * 2);
            }
        }
    }

    /// Takes a dialog from everything.
    pub fn unbind_dialog(&mut self, dialog: &str) {
        for of_kind in self.things.values_mut() {
            of_kind.retain(|_, bound| {
                bound.dialogs.remove(dialog);
                !bound.dialogs.is_empty()
            });
        }
    }

    /// The dialogs of a thing.
    pub fn of(&self, kind: &str, id: &str) -> impl ExactSizeIterator<Item = &Arc<str>> {
        static NONE: BTreeSet<Arc<str>> = BTreeSet::new();
        let bound = canonical(kind).and_then(|k| self.things.get(k)).and_then(|of_kind| of_kind.get(id));
        bound.map_or(&NONE, |b| &b.dialogs).iter()
    }

    /// The dialogs of any of `things`, each once.
    pub fn of_any(&mut self, things: &[(&'static str, Cow<'_, str>)], now: Instant) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        for (kind, id) in things {
            let Some(of_kind) = canonical(kind).and_then(|k| self.things.get_mut(k)) else { continue };
            let Some(bound) = of_kind.get_mut(id.as_ref()) else { continue };
            bound.heard = now;
            found.extend(bound.dialogs.iter().cloned());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Forgets things of which nothing was heard for `limit`.
    pub fn expire(&mut self, limit: Duration, now: Instant) {
        self.forget_ended(now);
        for of_kind in self.things.values_mut() {
            of_kind.retain(|_, bound| now.saturating_duration_since(bound.heard) < limit);
        }
    }

    /// Whether nothing is bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.values().all(HashMap::is_empty)
    }

    /// How many things are bound.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.values().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_a_set() {
        let (mut d, now) = (Dialogs::default(), Instant::now());
        assert!(d.bind("channel", "c", "d1", now));
        assert!(!d.bind("channel", "c", "d1", now));
        assert!(d.bind("channel", "c", "d2", now));
        assert_eq!(d.of("channel", "c").len(), 2);
        assert_eq!(d.of("channel", "unknown").len(), 0);
    }

    #[test]
    fn nothing_is_bound_without_kind_id_or_dialog() {
        let (mut d, now) = (Dialogs::default(), Instant::now());
        for (kind, id, dialog) in
            [("", "c", "d"), ("channel", "", "d"), ("channel", "c", ""), ("sound", "s", "d")]
        {
            assert!(!d.bind(kind, id, dialog, now));
        }
        assert!(d.is_empty());
    }

    #[test]
    fn both_spellings_are_one_kind() {
        let (mut d, now) = (Dialogs::default(), Instant::now());
        d.bind("recording", "r", "d", now);
        d.bind("deviceState", "s", "d", now);
        assert_eq!(d.of("liverecording", "r").len(), 1);
        assert_eq!(d.of("devicestate", "s").len(), 1);
        d.end("liverecording", "r", now);
        d.unbind("devicestate", "s", "d");
        assert_eq!(d.of("recording", "r").len(), 1, "stragglers still find it");
        d.expire(Duration::MAX, now + GRACE);
        assert!(d.is_empty());
    }

    #[test]
    fn an_id_that_is_bound_again_lives_on() {
        let (mut d, now) = (Dialogs::default(), Instant::now());
        d.bind("playback", "p", "d", now);
        d.end("playback", "p", now);
        d.bind("playback", "p", "d", now);
        d.expire(Duration::MAX, now + GRACE);
        assert_eq!(d.len(), 1);
    }

    #[test]
    fn a_dialog_leaves_everything_and_age_ends_what_is_silent() {
        let (mut d, start) = (Dialogs::default(), Instant::now());
        d.bind("channel", "c", "d1", start);
        d.bind("bridge", "b", "d1", start);
        d.bind("bridge", "b", "d2", start);
        d.unbind_dialog("d1");
        assert_eq!(d.len(), 1);
        let later = start + Duration::from_secs(50);
        assert_eq!(d.of_any(&[(kinds::BRIDGE, "b".into()), (kinds::BRIDGE, "b".into())], later).len(), 1);
        d.expire(Duration::from_secs(60), start + Duration::from_secs(100));
        assert_eq!(d.len(), 1);
        d.expire(Duration::from_secs(60), start + Duration::from_secs(110));
        assert!(d.is_empty());
    }
}
