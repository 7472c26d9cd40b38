//! Sources that flood: the kernel drops nearly all that they begin, before it costs the shard anything.
//!
//! A source comes to the list when it has shown nothing and sends more new requests than anybody should while the shard has more
//! to do than it can. It stays as long as the requests that still come through, one in [`SAMPLE`], tell that it goes on, also when
//! the shard is well again: it is well because of the list. REGISTER always comes through, and who has registered leaves the list:
//! a forged source locks no phone out.

use std::net::IpAddr;

use trunkline_sip::source_of;
use trunkline_transaction::timers::Now;
use trunkline_transport::{MOST_HEAVY, SAMPLE};

/// So long a source is listed after it was last found to flood, in milliseconds.
const LISTED_MS: Now = 3_000;
/// So often the kernel is told anew, in milliseconds.
const TOLD_MS: Now = 100;

/// The sources that flood, as one shard has found them.
#[derive(Debug, Default)]
pub(crate) struct Heavy {
    sources: Vec<IpAddr>,
    until: Vec<Now>,
    /// Does the kernel have to be told?
    changed: bool,
    next: Now,
}

impl Heavy {
    /// For how many requests one of this source stands.
    pub(crate) fn weight(&self, source: IpAddr) -> u64 {
        if self.place(source).is_some() { u64::from(SAMPLE) } else { 1 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The source sends more than anybody should. Who finds no place is dropped by the process.
    pub(crate) fn note(&mut self, source: IpAddr, now: Now) {
        let place = self.place(source);
        match place.and_then(|place| self.until.get_mut(place)) {
            Some(until) => *until = now + LISTED_MS,
            None if self.sources.len() < MOST_HEAVY => {
                self.sources.push(source_of(source));
                self.until.push(now + LISTED_MS);
                self.changed = true;
            }
            None => {}
        }
    }

    /// The source has shown that somebody is there.
    pub(crate) fn forget(&mut self, source: IpAddr) {
        if let Some(place) = self.place(source) {
            self.remove(place);
        }
    }

    /// The list, when the kernel has to be told.
    pub(crate) fn news(&mut self, now: Now) -> Option<&[IpAddr]> {
        if now < self.next || self.is_empty() && !self.changed {
            return None;
        }
        self.next = now + TOLD_MS;
        for place in (0..self.sources.len()).rev() {
            if self.until.get(place).is_some_and(|until| *until <= now) {
                self.remove(place);
            }
        }
        std::mem::take(&mut self.changed).then_some(&self.sources)
    }

    pub(crate) fn sources(&self) -> &[IpAddr] {
        &self.sources
    }

    fn place(&self, source: IpAddr) -> Option<usize> {
        let source = source_of(source);
        self.sources.iter().position(|one| *one == source)
    }

    fn remove(&mut self, place: usize) {
        self.sources.swap_remove(place);
        self.until.swap_remove(place);
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_listed_until_it_has_been_quiet_or_is_known() {
        let mut heavy = Heavy::default();
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        assert_eq!(heavy.news(0), None);
        heavy.note(one, 1_000);
        heavy.note(same, 2_000);
        heavy.note(other, 2_000);
        assert_eq!(heavy.news(2_000).map(<[_]>::len), Some(2), "a network of IPv6 counts once");
        assert_eq!((heavy.weight(same), heavy.weight(other)), (u64::from(SAMPLE), u64::from(SAMPLE)));
        heavy.note(one, 4_000);
        assert_eq!(heavy.news(4_000), None);
        heavy.forget(other);
        assert_eq!(heavy.news(4_050), None, "not so often");
        assert_eq!(heavy.news(4_100).map(<[_]>::len), Some(1));
        assert_eq!(heavy.news(6_999), None);
        assert_eq!(heavy.news(7_099).map(<[_]>::len), Some(0));
        assert_eq!(heavy.news(9_000), None);
        assert_eq!(heavy.weight(one), 1);
    }

    #[test]
    fn the_list_has_an_end() {
        let mut heavy = Heavy::default();
        for n in 0..1_000u32 {
            heavy.note(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 1);
        }
        assert_eq!(heavy.news(100).map(<[_]>::len), Some(MOST_HEAVY));
    }
}
