//! What the shards of an edge share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use trunkline_calls::{Calls, Dialogs};
use trunkline_digest::{Authenticator, Banned, Guesses, Ha1Cache};
use trunkline_events::{Board, Log};
use trunkline_location::Location;
use trunkline_media::{MediaError, RelayHealth};
use trunkline_model::{Live, Ref};
use trunkline_proxy::Secret;
use trunkline_transaction::KeyMaker;
use trunkline_transport::{Listener, Mailboxes};

use crate::address::Addresses;
use crate::config::EdgeConfig;
use crate::counters::Counters;
use crate::destinations::Destinations;
use crate::hanging::Hanging;
use crate::mail::EdgeMail;
use crate::media::Relayed;
use crate::rebalancing::Neighbours;
use crate::registry::{Registered, TrunkRegistration};
use crate::resolver::{Resolver, Settings};
use crate::spirals::Spirals;
use crate::trust::admitted::Admitted;
use crate::trust::budget::Budget;
use crate::trust::lookups::Lookups;
use crate::trust::talking::Talking;
use crate::trust::{Arrivals, Guard, LastLook, PartyNames, follow, literals};

/// What the shards share: read without a lock on the packet's way, or behind many small ones.
pub struct Shared {
    /// The settings.
    pub config: EdgeConfig,
    /// The resources in force.
    pub tables: Arc<Live>,
    /// Who is registered where.
    pub location: Arc<Location>,
    /// The calls under way.
    pub calls: Arc<Calls>,
    /// Which agents and trunks marks name.
    pub(crate) party_names: PartyNames,
    /// The dialogs we are in the way of.
    pub(crate) dialogs: Dialogs,
    /// One set of counters per shard.
    pub counters: Vec<Arc<Counters>>,
    /// What became of each request, a log per shard.
    pub events: Vec<Arc<Log>>,
    /// What happens to calls and bindings, while somebody watches.
    pub board: Arc<Board>,
    pub(crate) authenticator: Authenticator,
    pub(crate) guesses: Guesses,
    pub(crate) ha1: Ha1Cache,
    pub(crate) secret: Secret,
    /// The generation with which slots begin. A branch of before a restart names none of now, whose secret is the same
    /// (RFC 3261 §16.6 step 8: unique across time).
    pub(crate) first_generation: u16,
    /// What unproven sources get.
    pub(crate) budget: Budget,
    /// What sources had looked up.
    pub(crate) lookups: Lookups,
    /// Without transactions: the INVITEs that were let through.
    pub(crate) admitted: Admitted,
    /// Who talks, for BYEs without Route.
    pub(crate) talking: Talking,
    pub(crate) keys: KeyMaker,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) resolver: Arc<Resolver>,
    /// Looks at every address before something is sent to it.
    pub(crate) guard: Guard,
    pub(crate) found: LastLook,
    pub(crate) spirals: Spirals,
    /// Peers that have registered since the guard's last look.
    pub(crate) arrivals: Arrivals,
    /// The calls whose media is relayed, if there is a relay.
    pub(crate) media: Option<Arc<Relayed>>,
    /// Requests that wait for their answer, per shard; kept while draining.
    pub(crate) pending: Vec<AtomicU64>,
    /// Transactions under way, per shard, as of the last second.
    pub(crate) transactions: Vec<AtomicU64>,
    /// The sources that each shard has the kernel drop.
    pub(crate) flooding: Vec<AtomicU64>,
    /// What the shards know of each other.
    pub(crate) neighbours: Neighbours,
    /// Which destinations of trunks and peers answer.
    pub(crate) destinations: Destinations,
    /// Warnings of trunks and peers whose transport has no listener, as of the start, which logs them.
    pub(crate) unheard: Vec<String>,
    /// Our registrations at trunks.
    pub(crate) registered: Registered,
    /// The calls that an operator is ending.
    pub(crate) hanging: Hanging,
    /// The ways to all shards, from the start on.
    pub(crate) mailboxes: OnceLock<Mailboxes<EdgeMail>>,
    /// An operator has new calls refused.
    pub(crate) drained: AtomicBool,
}

impl Shared {
    /// Puts together what shards share. `secret` outlives the process, so that dialogs do; `listening` are the
    /// addresses with their ports filled in.
    pub fn new(
        config: EdgeConfig,
        (listening, shards): (Vec<Listener>, usize),
        tables: Arc<Live>,
        location: Arc<Location>,
        calls: Arc<Calls>,
        secret: [u8; 16],
    ) -> Arc<Shared> {
        let mut random = [0u8; 16];
        // Without the kernel's random numbers nothing here would be safe; the secret still is not guessable.
        if getrandom::fill(&mut random).is_err() {
            random = secret;
        }
        Shared::with_random(config, (listening, shards), tables, location, calls, (secret, random))
    }

    /// As [`Shared::new`], with the random bytes of this process given: a simulation does the same for the same ones.
    pub fn with_random(
        config: EdgeConfig,
        (listening, shards): (Vec<Listener>, usize),
        tables: Arc<Live>,
        location: Arc<Location>,
        calls: Arc<Calls>,
        (secret, random): ([u8; 16], [u8; 16]),
    ) -> Arc<Shared> {
        let external = (config.external_addrs.clone(), config.external_names.clone());
        let addresses = Addresses::new(listening, external, config.localnets.clone());
        let resolver = Resolver::new(Settings {
            hosts: config.hosts.clone(),
            servers: config.name_servers.clone(),
            avoid: config.avoid,
        });
        let (a, b) = random.split_at(8);
        let half = |part: &[u8]| part.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let others = config.other_listeners.clone();
        let board = Arc::<Board>::default();
        location.announce_on(board.clone());
        calls.announce_on(board.clone());
        let transports: Vec<_> = config.listeners.iter().map(|listener| listener.transport).collect();
        let unheard = tables.load().without_listener(&transports);
        let shared = Shared {
            guard: Guard::new(
                addresses.clone(),
                location.clone(),
                others,
                Secret::new(secret),
                config.translators.clone(),
            ),
            found: LastLook::default(),
            spirals: Spirals::default(),
            arrivals: Arrivals::default(),
            media: config.rtpengine.map(|_| Arc::default()),
            party_names: PartyNames::default(),
            dialogs: Dialogs::new(
                half(a) ^ half(b).rotate_left(32),
                config.dialog_seconds,
                config.memory.percent,
            ),
            tables,
            location,
            calls,
            pending: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            board,
            events: (0..shards).map(|_| Arc::new(Log::new(config.event_bytes / shards.max(1)))).collect(),
            counters: (0..shards).map(|_| Arc::new(Counters::default())).collect(),
            authenticator: Authenticator::new(),
            guesses: Guesses::default(),
            ha1: Ha1Cache::new(16_384),
            secret: Secret::new(secret),
            first_generation: Secret::new(random).tag(b"", b"generation", b"") as u16,
            budget: Budget::new(),
            lookups: Lookups::new(),
            admitted: Admitted::new(config.stateless),
            talking: Talking::new(),
            keys: KeyMaker::new((half(a), half(b))),
            addresses,
            resolver,
            transactions: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            flooding: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            neighbours: Neighbours::new(shards),
            destinations: Destinations::default(),
            unheard,
            registered: Registered::default(),
            hanging: Hanging::default(),
            mailboxes: OnceLock::new(),
            drained: AtomicBool::new(false),
            config,
        };
        shared.guard.set_back_ends(literals(&shared.config.back_ends));
        shared.renew_guard();
        Arc::new(shared)
    }

    /// Starts the threads beside the shards.
    pub fn start(self: &Arc<Self>, mailboxes: Mailboxes<EdgeMail>) -> Result<(), MediaError> {
        let _ = self.mailboxes.set(mailboxes.clone());
        self.resolver.start(mailboxes.clone());
        self.keep_guard();
        let shared = Arc::downgrade(self);
        // A look-up may take long, and keeps nobody.
        let before = std::mem::take(&mut self.found.lock().servers);
        follow(&self.config.back_ends, before, move |known| {
            shared.upgrade().map(|shared| shared.guard.set_back_ends(known)).is_some()
        });
        match (&self.media, self.config.rtpengine) {
            (Some(media), Some(rtpengine)) => media.start(rtpengine, mailboxes),
            _ => Ok(()),
        }
    }

    /// How the media relay does and how many calls it carries, if there is one.
    pub fn media(&self) -> Option<(RelayHealth, usize)> {
        self.media.as_ref().map(|m| (m.health(), m.len()))
    }

    /// Has new calls refused from now on, or taken again. Calls that are up or ringing and registrations go on.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Relaxed);
    }

    /// Whether an operator has new calls refused.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    /// The bans of those who guessed passwords.
    pub fn bans(&self, now: u64) -> Vec<Banned> {
        self.guesses.bans(now)
    }

    /// Ends the bans that `which` picks; returns how many.
    pub fn unban(&self, which: impl Fn(&Banned) -> bool, now: u64) -> usize {
        self.guesses.unban(which, now)
    }

    /// To be called before the shards are told to drain: until one has counted, it counts as busy.
    pub fn expect_counts(&self) {
        for pending in &self.pending {
            pending.store(1, Ordering::Relaxed);
        }
    }

    /// How many requests wait for their final answer, as the shards last said. They count while they drain.
    pub fn pending(&self) -> u64 {
        self.pending.iter().map(|p| p.load(Ordering::Relaxed)).sum()
    }

    /// How many transactions there are, finished ones that still absorb repetitions included.
    pub fn transactions(&self) -> u64 {
        self.transactions.iter().map(|t| t.load(Ordering::Relaxed)).sum()
    }

    /// How many sources flood, so that the kernel drops most of their requests; one that comes to several shards counts at each.
    pub fn flooding(&self) -> u64 {
        self.flooding.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// How many dialogs there are.
    pub fn dialogs(&self) -> usize {
        self.dialogs.len()
    }

    /// How busy each shard was in the last second, in percent of its time.
    pub fn busy(&self) -> Vec<u8> {
        self.neighbours.busy()
    }

    /// How many sources keep a shard so busy that others serve them with it.
    pub fn sources_handed_over(&self) -> u64 {
        self.neighbours.away()
    }

    /// How our registrations at trunks do.
    pub fn trunk_registrations(&self) -> Vec<TrunkRegistration> {
        self.registered.all()
    }

    /// Which destinations of the trunk are down.
    pub fn trunk_down(&self, trunk: &Ref) -> u64 {
        self.destinations.trunk_down(trunk)
    }
}
