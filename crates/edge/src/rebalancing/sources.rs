//! Which sources are handed over: a machine that is told what a shard's second was like, and says what changes.
//!
//! A source is in one of three phases. *Here*, which takes no memory: the shard serves it. *Spread*: new dialogs go
//! to the shard of their Call-ID. *Returning*: the shard serves it again, but what others began for it is still
//! theirs, so they are asked about every request that is unknown here, until nothing remains with them.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use trunkline_sip::{ConnectionId, Flow, Transport};
use trunkline_transaction::timers::Now;

/// Sources that are handed over by one shard, at most.
pub(crate) const MOST_AWAY: usize = 16;
/// Sources that are counted in one second, at most: what sends more than a share of 1 in so many is found.
const COUNTED: usize = 32;
/// One request in so many is counted; a prime, so that the rhythm of calls is no matter.
const SAMPLE: u32 = 7;
/// Fewer samples in a second say nothing.
const FEW: u32 = 4;
/// A source that sends less than 1 in so many of the requests does not make the shard busy.
const SHARE: u32 = 10;
/// Another shard has room when it is so much less busy, in percent of its time.
const ROOM: u8 = 20;
/// Between two questions whether others still have something of a source, in milliseconds.
const BETWEEN_ROUNDS: Now = 8_000;

/// When the requests of a source are distributed among shards.
#[derive(Clone, Copy, Debug)]
pub struct RebalancingConfig {
    /// The load of a shard in percent above which the requests of its heaviest source are distributed; 0: at any load, even
    /// if other shards are busy; 100: never.
    pub busy: u8,
    /// After this time of calm, one shard serves the source again, in milliseconds.
    pub calm: u64,
}

impl Default for RebalancingConfig {
    fn default() -> Self {
        RebalancingConfig { busy: 70, calm: 180_000 }
    }
}

/// Who sends: an address over UDP, a connection of another transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    pub(crate) connection: ConnectionId,
}

impl Source {
    pub(crate) fn of(flow: &Flow) -> Source {
        Source { transport: flow.transport, remote: flow.remote, connection: flow.connection }
    }
}

/// What becomes of a request from a source that is not simply served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The shard of its Call-ID serves it.
    Spread,
    /// The shard of its Call-ID is asked, and serves what it has begun.
    Returning,
}

/// A second as a shard saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Second {
    pub(crate) now: Now,
    /// How busy it was, in percent.
    pub(crate) busy: u8,
    /// How busy the idlest of the others was.
    pub(crate) idlest: u8,
    /// May a round of questions begin?
    pub(crate) may_ask: bool,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// From now on the source, which sends so many requests a second, is handed over.
    Spread(Source, u32),
    /// From now on it is served here again.
    Returning(Source),
    /// Others are to be asked what they still have of it. Its requests are to be held back until all have
    /// answered, so that none is on its way when the phase changes: see [`Sources::answered`].
    Ask(Source),
}

/// A source that is not served here alone.
#[derive(Clone, Copy, Debug)]
struct Away {
    source: Source,
    phase: Phase,
    /// Requests a second when it was spread.
    rate: u32,
    /// Requests in this second.
    requests: u32,
    /// Since when it has been calm.
    calm: Option<Now>,
    /// Returning, and it has become heavy again: spread it when the round is over.
    again: bool,
    next_round: Now,
}

/// The sources of one shard.
#[derive(Debug)]
pub(crate) struct Sources {
    config: RebalancingConfig,
    away: ArrayVec<Away, MOST_AWAY>,
    counted: ArrayVec<(Source, u32), COUNTED>,
    samples: u32,
    skip: u32,
    /// The last second was busy: this one's requests are counted. Otherwise that would be work for nothing.
    counts: bool,
    second: Now,
}

impl Sources {
    pub(crate) fn new(config: RebalancingConfig) -> Sources {
        Sources {
            config,
            away: ArrayVec::new(),
            counted: ArrayVec::new(),
            samples: 0,
            skip: SAMPLE,
            counts: config.busy == 0,
            second: 0,
        }
    }

    /// How many are not served here alone.
    pub(crate) fn len(&self) -> usize {
        self.away.len()
    }

    /// A request came by this flow.
    pub(crate) fn note(&mut self, flow: &Flow) -> Option<Phase> {
        if self.counts {
            self.skip -= 1;
            if self.skip == 0 {
                self.skip = SAMPLE;
                self.sample(Source::of(flow));
            }
        }
        if self.away.is_empty() {
            return None;
        }
        let source = Source::of(flow);
        let away = self.away.iter_mut().find(|a| a.source == source)?;
        away.requests = away.requests.saturating_add(1);
        Some(away.phase)
    }

    /// Its phase, without counting it.
    pub(crate) fn phase(&self, source: &Source) -> Option<Phase> {
        self.away.iter().find(|a| a.source == *source).map(|a| a.phase)
    }

    /// Counts in bounded memory: when the table is full everybody loses one, which those who send most survive.
    fn sample(&mut self, source: Source) {
        self.samples += 1;
        if let Some((_, n)) = self.counted.iter_mut().find(|(s, _)| *s == source) {
            *n += 1;
        } else if self.counted.try_push((source, 1)).is_err() {
            self.counted.iter_mut().for_each(|(_, n)| *n -= 1);
            self.counted.retain(|(_, n)| *n > 0);
        }
    }

    /// A second has passed.
    pub(crate) fn second(&mut self, s: Second) -> Option<Change> {
        let passed = s.now.saturating_sub(self.second).clamp(1, 60_000);
        self.second = s.now;
        let per_second = |n: u32| (u64::from(n) * 1000 / passed) as u32;
        let (samples, mut counted) = (std::mem::take(&mut self.samples), std::mem::take(&mut self.counted));
        for away in &mut self.away {
            let rate = per_second(std::mem::take(&mut away.requests));
            let calm = rate < away.rate / 2 && (self.config.busy == 0 || s.busy < self.config.busy / 4 * 3);
            away.calm = if calm { away.calm.or(Some(s.now)) } else { None };
        }
        self.counts = s.busy >= self.config.busy;
        let room = self.config.busy == 0 || s.idlest.saturating_add(ROOM) <= s.busy;
        if self.counts && room && samples >= FEW {
            counted.sort_unstable_by_key(|(_, n)| std::cmp::Reverse(*n));
            let heavy = counted.iter().take_while(|(_, n)| n * SHARE >= samples);
            let heaviest = heavy.into_iter().find(|(s, _)| self.phase(s) != Some(Phase::Spread));
            if let Some((source, n)) = heaviest.copied()
                && let Some(change) = self.spread(source, per_second(n * SAMPLE), s.now)
            {
                return Some(change);
            }
        }
        self.relax(s)
    }

    /// A heavy source is to be spread: at once, or after a round of questions when it was so before.
    fn spread(&mut self, source: Source, rate: u32, now: Now) -> Option<Change> {
        match self.away.iter_mut().find(|a| a.source == source) {
            Some(away) => {
                (away.again, away.rate, away.next_round) = (true, rate, now);
                None
            }
            None => {
                let away = Away {
                    source,
                    phase: Phase::Spread,
                    rate,
                    requests: 0,
                    calm: None,
                    again: false,
                    next_round: 0,
                };
                self.away.try_push(away).ok().map(|()| Change::Spread(source, rate))
            }
        }
    }

    /// What has been calm for long comes back.
    fn relax(&mut self, s: Second) -> Option<Change> {
        let calm = self.config.calm;
        let since = |a: &Away| a.calm.is_some_and(|at| s.now.saturating_sub(at) >= calm);
        if let Some(away) = self.away.iter_mut().find(|a| a.phase == Phase::Spread && since(a)) {
            (away.phase, away.again, away.next_round) = (Phase::Returning, false, s.now + BETWEEN_ROUNDS);
            return Some(Change::Returning(away.source));
        }
        let due = |a: &&mut Away| a.phase == Phase::Returning && s.now >= a.next_round;
        let away = self.away.iter_mut().find(due).filter(|_| s.may_ask)?;
        away.next_round = s.now + BETWEEN_ROUNDS;
        Some(Change::Ask(away.source))
    }

    /// All others have answered, and none of its requests is on its way to or from them: does anything `remain` there?
    /// Returns its phase from now on; `None`: it is served here.
    pub(crate) fn answered(&mut self, source: &Source, remain: bool) -> Option<Phase> {
        let at = self.away.iter().position(|a| a.source == *source)?;
        let away = self.away.get_mut(at)?;
        if std::mem::take(&mut away.again) {
            (away.phase, away.calm) = (Phase::Spread, None);
        } else if !remain {
            self.away.swap_remove(at);
            return None;
        }
        self.phase(source)
    }

    /// A connection has ended: nothing comes by it any more.
    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.away.retain(|a| a.source.connection != connection || connection == ConnectionId::NONE);
    }
}

/// Who serves a dialog from a source that is spread: by a hash of its Call-ID, always the same.
///
/// Taking a message in and giving it away costs about an eighth of serving it, so that the shard `here`, to which all
/// of them come, keeps less than its equal part: as much as makes all `shards` equally busy, `(8 - n) / 7n`.
pub(crate) fn keeper(hash: u64, here: usize, shards: usize) -> usize {
    let kept = (8usize.saturating_sub(shards) << 32) / (7 * shards.max(1));
    if (hash & 0xffff_ffff) < kept as u64 || shards < 2 {
        return here;
    }
    let other = (hash >> 32) as usize % (shards - 1);
    if other < here { other } else { other + 1 }
}

/// The source a question is about.
#[derive(Clone, Copy, Debug)]
pub struct Asked(pub(super) Source);

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: SocketAddr::from(([198, 51, 100, 7], port)),
            connection: ConnectionId::NONE,
        }
    }

    /// A shard's sources and its clock.
    struct Watched {
        sources: Sources,
        now: Now,
    }

    impl Watched {
        fn new(config: RebalancingConfig) -> Watched {
            Watched { sources: Sources::new(config), now: 0 }
        }

        /// A second in which these ports sent so many requests each, all mixed.
        fn second(&mut self, busy: u8, idlest: u8, sent: &[(u16, u32)]) -> Option<Change> {
            let most = sent.iter().map(|(_, n)| *n).max().unwrap_or(0);
            for i in 0..most {
                for (port, _) in sent.iter().filter(|(_, n)| i < *n) {
                    self.sources.note(&flow(*port));
                }
            }
            self.now += 1000;
            self.sources.second(Second { now: self.now, busy, idlest, may_ask: true })
        }

        fn phase(&self, port: u16) -> Option<Phase> {
            self.sources.phase(&Source::of(&flow(port)))
        }
    }

    fn near(rate: u32, wanted: u32) -> bool {
        rate.abs_diff(wanted) <= wanted / 10
    }

    #[test]
    fn a_busy_shard_spreads_its_heaviest_source_and_no_other() {
        let mut w = Watched::new(RebalancingConfig::default());
        let sent = [(1, 7000), (2, 300), (3, 300)];
        assert_eq!(w.second(69, 0, &sent), None, "not busy");
        assert_eq!(w.second(95, 80, &sent), None, "no other has room");
        let Some(Change::Spread(source, rate)) = w.second(95, 75, &sent) else { panic!("busy, with room") };
        assert_eq!(source, Source::of(&flow(1)));
        assert!(near(rate, 7000), "{rate}");
        assert_eq!(w.sources.note(&flow(1)), Some(Phase::Spread));
        assert_eq!(w.sources.note(&flow(2)), None);
        assert_eq!(w.second(95, 40, &sent), None, "the others send less than a tenth");
    }

    #[test]
    fn many_phones_are_no_source_to_spread() {
        let mut w = Watched::new(RebalancingConfig::default());
        let phones: Vec<(u16, u32)> = (1000..1500).map(|port| (port, 20)).collect();
        for _ in 0..5 {
            assert_eq!(w.second(100, 0, &phones), None);
        }
        let mut with_one = phones.clone();
        with_one.push((9, 3000));
        assert!(matches!(w.second(100, 0, &with_one), Some(Change::Spread(s, _)) if s.remote.port() == 9));
    }

    #[test]
    fn heavy_sources_are_spread_one_a_second() {
        let mut w = Watched::new(RebalancingConfig::default());
        let sent = [(1, 3000), (2, 4000), (3, 3500)];
        assert_eq!(w.second(100, 0, &sent), None, "one busy second is none");
        for port in [2, 3, 1] {
            assert!(matches!(w.second(100, 0, &sent), Some(Change::Spread(s, _)) if s.remote.port() == port));
        }
        assert_eq!(w.second(100, 0, &sent), None);
        assert_eq!(w.sources.len(), 3);
    }

    fn spread() -> Watched {
        let mut w = Watched::new(RebalancingConfig { busy: 70, calm: 60_000 });
        w.second(100, 0, &[(1, 7000)]);
        assert!(matches!(w.second(100, 0, &[(1, 7000)]), Some(Change::Spread(..))));
        w
    }

    #[test]
    fn it_returns_after_a_long_calm_only() {
        let mut w = spread();
        for _ in 0..59 {
            assert_eq!(w.second(20, 20, &[(1, 2000)]), None);
        }
        assert_eq!(w.second(20, 20, &[(1, 5000)]), None, "the calm begins anew");
        for _ in 0..60 {
            assert_eq!(w.second(60, 20, &[(1, 2000)]), None, "the shard itself is not calm");
        }
        let returned = (0..70).find_map(|i| w.second(20, 20, &[(1, 2000)]).map(|change| (i, change)));
        assert_eq!(returned, Some((60, Change::Returning(Source::of(&flow(1))))));
        assert_eq!(w.phase(1), Some(Phase::Returning));
    }

    fn returning() -> Watched {
        let mut w = spread();
        while w.phase(1) == Some(Phase::Spread) {
            w.second(5, 5, &[(1, 100)]);
        }
        w
    }

    #[test]
    fn others_are_asked_until_nothing_remains() {
        let mut w = returning();
        let source = Source::of(&flow(1));
        for _ in 0..3 {
            let asked = (0..60).find(|_| w.second(5, 5, &[(1, 100)]) == Some(Change::Ask(source)));
            assert!(asked.is_some_and(|seconds| seconds >= 7), "{asked:?}");
            assert_eq!(w.sources.answered(&source, true), Some(Phase::Returning));
        }
        assert_eq!(w.sources.answered(&source, false), None);
        assert_eq!((w.phase(1), w.sources.len()), (None, 0));
        assert_eq!(w.sources.answered(&source, false), None, "it is forgotten");
    }

    #[test]
    fn heavy_again_while_it_returns_it_is_spread_after_a_round() {
        let mut w = returning();
        let source = Source::of(&flow(1));
        w.second(100, 0, &[(1, 7000)]);
        assert_eq!(w.second(100, 0, &[(1, 7000)]), Some(Change::Ask(source)), "at once");
        assert_eq!(w.phase(1), Some(Phase::Returning), "not before all have answered");
        assert_eq!(w.sources.answered(&source, false), Some(Phase::Spread));
        assert_eq!(w.second(100, 50, &[(1, 9000)]), None);
        assert_eq!(w.phase(1), Some(Phase::Spread));
    }

    #[test]
    fn the_table_is_bounded_and_ended_connections_leave_it() {
        let mut w = Watched::new(RebalancingConfig { busy: 0, calm: 60_000 });
        for port in 1..=40 {
            w.second(0, 0, &[(port, 1000)]);
        }
        assert_eq!(w.sources.len(), MOST_AWAY);
        let connection = ConnectionId(1 << 48 | 7);
        let mut w = Watched::new(RebalancingConfig { busy: 0, calm: 60_000 });
        let stream = Flow { transport: Transport::Tcp, connection, ..flow(1) };
        (0..100).for_each(|_| {
            w.sources.note(&stream);
        });
        assert!(matches!(w.second(0, 0, &[]), Some(Change::Spread(..))));
        w.sources.ended(ConnectionId::NONE);
        assert_eq!(w.sources.note(&stream), Some(Phase::Spread));
        w.sources.ended(connection);
        assert_eq!(w.sources.note(&stream), None);
    }

    #[test]
    fn keepers_share_alike_and_are_always_the_same() {
        for (shards, kept) in [(1, 1.0), (2, 0.43), (3, 0.24), (4, 0.14), (8, 0.0), (32, 0.0)] {
            let here = shards / 2;
            let mut served = vec![0u32; shards];
            for i in 0..100_000u64 {
                let hash = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let keeper = keeper(hash, here, shards);
                assert_eq!(keeper, super::keeper(hash, here, shards));
                served[keeper] += 1;
            }
            for (shard, n) in served.into_iter().enumerate() {
                let others = shards.max(2) as f64 - 1.0;
                let wanted = if shard == here { kept } else { (1.0 - kept) / others };
                assert!((f64::from(n) / 100_000.0 - wanted).abs() < 0.01, "{shards} {shard} {n}");
            }
        }
    }
}
