//! Connections to be read later, as they have more than is due in one turn, or as the pass had no time left. The poll will not report
//! them again.
//!
//! All of them together have a part of each pass, and who sends little goes first: whoever fills a thousand connections keeps nobody
//! waiting but those that are filled like his.

use std::collections::VecDeque;

use trunkline_sip::ConnectionId;

#[derive(Debug, Default)]
pub(crate) struct HalfRead {
    /// Not read yet, with the millisecond since which they wait.
    late: VecDeque<(ConnectionId, u64)>,
    /// They had their share, and have more.
    greedy: VecDeque<ConnectionId>,
}

impl HalfRead {
    pub(crate) fn is_empty(&self) -> bool {
        self.late.is_empty() && self.greedy.is_empty()
    }

    /// How many of each kind there are.
    pub(crate) fn counts(&self) -> [usize; 2] {
        [self.late.len(), self.greedy.len()]
    }

    pub(crate) fn push_late(&mut self, connection: ConnectionId, now: u64) {
        self.late.push_back((connection, now));
    }

    pub(crate) fn push_greedy(&mut self, connection: ConnectionId) {
        self.greedy.push_back(connection);
    }

    pub(crate) fn pop_late(&mut self) -> Option<ConnectionId> {
        self.late.pop_front().map(|(connection, _)| connection)
    }

    pub(crate) fn pop_greedy(&mut self) -> Option<ConnectionId> {
        self.greedy.pop_front()
    }

    /// For how long the first one has been waiting, in milliseconds. What has had its share waits for more by its own fault.
    pub(crate) fn waits(&self, now: u64) -> u64 {
        self.late.front().map_or(0, |(_, since)| now.saturating_sub(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_is_read_first_and_tells_how_long_all_wait() {
        let mut queue = HalfRead::default();
        assert_eq!((queue.waits(100), queue.pop_late(), queue.pop_greedy()), (0, None, None));
        let [one, other, greedy] = [ConnectionId(1), ConnectionId(2), ConnectionId(3)];
        queue.push_greedy(greedy);
        assert_eq!(queue.waits(1_000), 0);
        queue.push_late(one, 100);
        queue.push_late(other, 130);
        assert_eq!((queue.waits(150), queue.counts()), (50, [2, 1]));
        assert_eq!(queue.pop_late(), Some(one));
        queue.push_late(one, 150);
        assert_eq!((queue.waits(150), queue.pop_late()), (20, Some(other)));
        assert_eq!(queue.pop_greedy(), Some(greedy));
        assert!(!queue.is_empty());
    }
}
