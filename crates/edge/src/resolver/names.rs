//! The names that are known. Those that the resources hold stay; of the others each that is too many takes the place of one.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::{HashMap, HashSet};

use super::question::{Question, Sought};
use super::way::Ways;

/// Names that anybody may have us look up, at most.
const MOST: usize = 10_000;
/// Of so many the one goes that is worth least.
const LOOKED_AT: u64 = 8;

/// What is known of a name.
pub(super) struct Known {
    pub(super) ways: Arc<Ways>,
    /// `None`: as long as the process lives.
    pub(super) until: Option<Instant>,
    /// Where it stands among those that may give way; `None`: the resources hold it.
    place: Option<usize>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<Arc<Question>, Known>,
    others: Vec<Arc<Question>>,
    of_resources: HashSet<Question>,
    /// Counts those that gave way.
    gone: u64,
}

impl Names {
    pub(super) fn get(&self, sought: &Sought<'_>) -> Option<&Known> {
        self.known.get(sought)
    }

    pub(super) fn get_mut(&mut self, question: &Question) -> Option<&mut Known> {
        self.known.get_mut(question)
    }

    /// Does a resource hold this name?
    pub(super) fn is_of_resource(&self, question: &Question) -> bool {
        self.of_resources.contains(question)
    }

    /// Keeps what was found out.
    pub(super) fn keep(&mut self, question: Question, ways: Arc<Ways>, until: Option<Instant>) {
        if let Some(known) = self.known.get_mut(&question) {
            (known.ways, known.until) = (ways, until);
            return;
        }
        let (of_resource, question) = (self.is_of_resource(&question), Arc::new(question));
        let place = if of_resource { None } else { Some(self.place(&question)) };
        self.known.insert(question, Known { ways, until, place });
    }

    /// These are the names of the resources from now on.
    pub(super) fn set_of_resources(&mut self, now: HashSet<Question>) {
        let before = std::mem::replace(&mut self.of_resources, now);
        let gone: Vec<Question> =
            before.into_iter().filter(|question| !self.of_resources.contains(question)).collect();
        for question in gone {
            let Some((question, known)) = self.known.remove_entry(&question) else { continue };
            let place = Some(self.place(&question));
            self.known.insert(question, Known { place, ..known });
        }
        let held = self.others.iter().filter(|question| self.of_resources.contains(&***question));
        for question in held.cloned().collect::<Vec<_>>() {
            if let Some(place) = self.known.get_mut(&question).and_then(|known| known.place.take()) {
                self.leave(place);
            }
        }
    }

    /// A place among those that may give way.
    fn place(&mut self, question: &Arc<Question>) -> usize {
        if self.others.len() >= MOST {
            self.give_way();
        }
        self.others.push(question.clone());
        self.others.len() - 1
    }

    /// Of some, wherever they stand, the one ends whose answer holds no more, or least long.
    fn give_way(&mut self) {
        let count = self.others.len().max(1);
        let chosen = (0..LOOKED_AT).map(|_| {
            self.gone = self.gone.wrapping_add(1);
            // Numbers that follow each other fall far apart (Knuth's multiplicative hash).
            (self.gone.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % count
        });
        let chosen: Vec<usize> = chosen.collect();
        let until = |place: &usize| self.others.get(*place).and_then(|q| self.known.get(q)?.until);
        // What holds for good was no lookup, and is found again at once.
        if let Some(place) = chosen.into_iter().min_by_key(until)
            && let Some(question) = self.leave(place)
        {
            self.known.remove(&question);
        }
    }

    /// The last one takes the place.
    fn leave(&mut self, place: usize) -> Option<Arc<Question>> {
        if place >= self.others.len() {
            return None;
        }
        let question = self.others.swap_remove(place);
        if let Some(moved) = self.others.get(place).and_then(|moved| self.known.get_mut(moved)) {
            moved.place = Some(place);
        }
        Some(question)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trunkline_sip::Transport;

    use super::*;

    fn question(host: impl Into<String>) -> Question {
        Question { host: host.into(), port: None, transport: Transport::Udp, named: false }
    }

    fn knows(names: &Names, host: &str) -> bool {
        let sought = Sought { host, port: None, transport: Transport::Udp, named: false };
        names.get(&sought).is_some()
    }

    fn consistent(names: &Names) {
        let of_resources = names.known.values().filter(|known| known.place.is_none()).count();
        assert_eq!(names.known.len(), names.others.len() + of_resources);
        for (place, question) in names.others.iter().enumerate() {
            assert_eq!(names.known.get(question).and_then(|known| known.place), Some(place), "{question:?}");
        }
    }

    #[test]
    fn too_many_take_one_place_each_and_none_of_the_resources() {
        let (mut names, now) = (Names::default(), Instant::now());
        let ways = Arc::new(Ways { list: Vec::new(), host: Arc::default() });
        let keep = |names: &mut Names, host: &str, seconds: u64| {
            names.keep(question(host), ways.clone(), Some(now + Duration::from_secs(seconds)));
        };
        keep(&mut names, "carrier.test", 0);
        names.set_of_resources(["carrier.test", "other.test"].map(question).into());
        keep(&mut names, "other.test", 0);
        for n in 0..MOST {
            keep(&mut names, &format!("phone-{n}.test"), 3_600);
        }
        consistent(&names);
        for n in 0..MOST / 10 {
            keep(&mut names, &format!("flood-{n}.test"), 60);
            assert_eq!(names.others.len(), MOST);
        }
        let left = (0..MOST).filter(|n| knows(&names, &format!("phone-{n}.test"))).count();
        assert!(left > MOST * 8 / 10, "{left}");
        assert!(knows(&names, "carrier.test") && knows(&names, "other.test"));
        consistent(&names);
        // A resource that is gone is one of many.
        names.set_of_resources([question("other.test")].into());
        consistent(&names);
        assert_eq!((names.others.len(), knows(&names, "carrier.test")), (MOST, true));
        keep(&mut names, "other.test", 7);
        consistent(&names);
    }
}
