//! A response that another shard sends on, and a request of the same dialog right behind it. Each shard has a UDP socket of its own,
//! so that the request could arrive first; some phones refuse it then, and the call is lost. It goes round by the other shard,
//! which gives it back when it has sent the response.

/// Dialogs that are remembered; a later one takes the place of an earlier one.
const PLACES: usize = 4096;

/// The responses that were given to other shards.
#[derive(Debug)]
pub(super) struct Behind {
    places: Box<[Place]>,
    /// Messages given to each shard.
    given: Vec<u32>,
}

/// The last response of a dialog that was given away.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// A hash of the Call-ID.
    dialog: u64,
    /// Its number among those given to that shard.
    number: u32,
    to: u8,
    /// Requests that are on their way round.
    away: u8,
}

impl Behind {
    /// Where there is one shard, nothing is ever given to another.
    pub(super) fn new(shards: usize) -> Behind {
        let places = if shards > 1 { PLACES } else { 0 };
        Behind { places: vec![Place::default(); places].into(), given: vec![0; shards] }
    }

    fn place(&mut self, dialog: u64) -> Option<&mut Place> {
        self.places.get_mut(dialog as usize % PLACES)
    }

    /// A message was given to this shard.
    pub(super) fn count(&mut self, to: usize) {
        if let Some(given) = self.given.get_mut(to) {
            *given = given.wrapping_add(1);
        }
    }

    /// The message that was counted last is a response of this dialog.
    pub(super) fn note(&mut self, dialog: u64, to: usize) {
        let number = self.given.get(to).copied().unwrap_or_default();
        if let Some(place) = self.place(dialog) {
            let away = if place.dialog == dialog { place.away } else { 0 };
            *place = Place { dialog, number, to: to as u8, away };
        }
    }

    /// The shard by which a request of this dialog has to go round, where `taken` says how many messages of ours a shard is done with.
    pub(super) fn round_by(&mut self, dialog: u64, taken: impl Fn(usize) -> u32) -> Option<usize> {
        let place = self.place(dialog).filter(|place| place.dialog == dialog)?;
        let to = usize::from(place.to);
        // What is behind a request that goes round stays behind it.
        let is_out = place.away == 0 && taken(to).wrapping_sub(place.number) as i32 >= 0;
        (!is_out).then_some(to)
    }

    /// A request of this dialog goes round.
    pub(super) fn leaves(&mut self, dialog: u64) {
        if let Some(place) = self.place(dialog) {
            place.away = place.away.saturating_add(1);
        }
    }

    /// It is back.
    pub(super) fn returns(&mut self, dialog: u64) {
        if let Some(place) = self.place(dialog).filter(|place| place.dialog == dialog) {
            place.away = place.away.saturating_sub(1);
        }
    }
}

/// What a shard has taken from others. The others are told when all that came of it is sent.
#[derive(Debug)]
pub(super) struct Taken {
    /// Messages taken from each shard.
    counts: Vec<u32>,
    /// Those taken since the sockets were flushed, and before that.
    fresh: Vec<(u8, u32)>,
    sent: Vec<(u8, u32)>,
}

impl Taken {
    pub(super) fn new(shards: usize) -> Taken {
        Taken { counts: vec![0; shards], fresh: Vec::new(), sent: Vec::new() }
    }

    /// So many messages of this shard are done with; what came of them may still be unsent.
    pub(super) fn add(&mut self, from: u8, messages: usize) {
        if let Some(count) = self.counts.get_mut(usize::from(from)) {
            *count = count.wrapping_add(messages as u32);
            self.fresh.push((from, *count));
        }
    }

    /// The sockets are about to be flushed, and were flushed after the last call: tells what was taken before that.
    pub(super) fn flushes(&mut self, mut tell: impl FnMut(usize, u32)) {
        for (from, count) in self.sent.drain(..) {
            tell(usize::from(from), count);
        }
        std::mem::swap(&mut self.sent, &mut self.fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_behind_their_dialogs_response() {
        let mut behind = Behind::new(3);
        assert_eq!(behind.round_by(7, |_| 0), None);
        behind.count(2);
        behind.note(7, 2);
        behind.count(2);
        assert_eq!(behind.round_by(7, |_| 0), Some(2));
        assert_eq!(behind.round_by(7, |to| u32::from(to == 2)), None, "it is sent");
        assert_eq!((behind.round_by(8, |_| 0), behind.round_by(7 + PLACES as u64, |_| 0)), (None, None));
        // Those behind a request that goes round go round, too, until it is back.
        behind.leaves(7);
        behind.leaves(7);
        assert_eq!(behind.round_by(7, |_| 9), Some(2));
        behind.returns(7);
        assert_eq!(behind.round_by(7, |_| 9), Some(2));
        behind.returns(7);
        assert_eq!(behind.round_by(7, |_| 9), None);
        // Numbers begin again.
        behind.given[1] = u32::MAX;
        behind.count(1);
        behind.note(5, 1);
        assert_eq!(behind.round_by(5, |_| u32::MAX), Some(1));
        assert_eq!(behind.round_by(5, |_| 0), None);
    }

    #[test]
    fn what_is_unsent_is_not_told() {
        let mut taken = Taken::new(2);
        let told = |taken: &mut Taken| {
            let mut all = Vec::new();
            taken.flushes(|from, count| all.push((from, count)));
            all
        };
        taken.add(1, 3);
        assert_eq!(told(&mut taken), []);
        taken.add(1, 2);
        assert_eq!(told(&mut taken), [(1, 3)]);
        assert_eq!(told(&mut taken), [(1, 5)]);
        assert_eq!(told(&mut taken), []);
    }
}
