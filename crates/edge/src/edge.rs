//! The edge of one shard: what it owns, and the door through which everything comes.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{HashSet, HashTable};
use trunkline_calls::Payer;
use trunkline_events::{Log, Recorder};
use trunkline_proxy::transaction::Work;
use trunkline_sip::{ConnectionId, Flow, Index, Message, Method, ParseError};
use trunkline_transaction::{Slot, Table, TransactionKey};
use trunkline_transport::Closed;

use crate::accepted::Accepted;
use crate::context::{Context, DialogUse};
use crate::counters::Counters;
use crate::heavy::Heavy;
use crate::held::Held;
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::media::Answers;
use crate::memory::MessageMemory;
use crate::overload::Overload;
use crate::pool::Pool;
use crate::qualify::Qualify;
use crate::rebalancing::{Came, Rebalancing};
use crate::registry::Registry;
use crate::shared::Shared;
use crate::suspended::Suspensions;
use crate::trust::proven::ProvenSources;
use crate::trust::refusals::Refusals;

/// The edge of one shard, RFC 3261 §16 from the outside: it owns its transactions and shares resources,
/// location and secrets with the others.
pub(crate) struct Edge {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    /// What became of each request.
    pub(crate) events: Recorder,
    pub(crate) shard: u8,
    pub(crate) contexts: Table<Box<Context>>,
    /// Server transactions by their key.
    pub(crate) by_key: HashTable<(TransactionKey, Slot)>,
    pub(crate) pool: Pool,
    /// What transactions work with.
    pub(crate) work: Work,
    /// Connections that requests went out on: the end of any other concerns no transaction.
    pub(crate) asked: HashSet<ConnectionId, foldhash::fast::RandomState>,
    /// INVITEs inside dialogs that were refused.
    pub(crate) refusals: Refusals,
    /// INVITEs that were accepted.
    pub(crate) accepted: Accepted,
    /// Messages that wait for a name or the media relay.
    pub(crate) suspensions: Suspensions,
    pub(crate) relay_answers: Answers,
    pub(crate) rebalancing: Rebalancing,
    pub(crate) draining: bool,
    /// What is turned away while the shard has more than it can do.
    pub(crate) overload: Overload,
    /// The kernel drops what it was last told to.
    pub(crate) kernel_drops: bool,
    pub(crate) heavy: Heavy,
    /// The bytes that transactions hold.
    pub(crate) held: Held,
    pub(crate) call_hasher: foldhash::fast::FixedState,
    /// Sources that were proven lately.
    pub(crate) proven: ProvenSources,
    hasher: foldhash::quality::RandomState,
    /// Spreads load among equals.
    pub(crate) random: u64,
    pub(crate) qualify: Qualify,
    /// Our registrations at trunks.
    pub(crate) registry: Registry,
    pub(crate) next_background: u64,
    /// When an ICMP error that shows nothing is looked at again.
    pub(crate) next_doubt: u64,
    /// The message at hand is one of our own, in the name of a party: why there is one.
    pub(crate) own: Option<&'static str>,
    /// It was answered here: it has not gone on.
    pub(crate) own_refused: bool,
    /// Calls of which too much would have to be kept to hang up later: they are ended when the message at hand is done with.
    pub(crate) unkept: Vec<u64>,
}

/// Transactions of a shard, at most; what comes beyond is answered 503.
pub(crate) const MOST_CONTEXTS: usize = 4_000_000;

impl Edge {
    /// The edge of shard `shard`.
    pub(crate) fn new(shared: Arc<Shared>, shard: usize) -> Edge {
        let counters = shared.counters.get(shard).cloned().unwrap_or_default();
        let log = shared.events.get(shard).cloned().unwrap_or_else(|| Arc::new(Log::new(0)));
        let rebalancing = Rebalancing::new(shared.config.rebalancing, shard as u8, shared.neighbours.len());
        let contexts = Table::with_generation(0, shared.first_generation);
        Edge {
            rebalancing,
            shared,
            counters,
            events: Recorder::new(log, shard as u8),
            shard: shard as u8,
            contexts,
            by_key: HashTable::new(),
            pool: Pool::default(),
            work: Work::default(),
            asked: HashSet::default(),
            refusals: Refusals::default(),
            accepted: Accepted::default(),
            suspensions: Suspensions::default(),
            relay_answers: Answers::default(),
            draining: false,
            overload: Overload::default(),
            kernel_drops: false,
            heavy: Heavy::default(),
            held: Held::default(),
            call_hasher: foldhash::fast::FixedState::default(),
            proven: ProvenSources::new(),
            hasher: foldhash::quality::RandomState::default(),
            random: 0x9e37_79b9_7f4a_7c15 ^ (shard as u64 + 1) << 17,
            qualify: Qualify::default(),
            registry: Registry::default(),
            next_background: 0,
            next_doubt: 0,
            own: None,
            own_refused: false,
            unkept: Vec::new(),
        }
    }

    /// The transaction with this key.
    pub(crate) fn find(&self, key: TransactionKey) -> Option<Slot> {
        self.by_key.find(key.short(), |(k, _)| *k == key).map(|(_, slot)| *slot)
    }

    /// What a response has to repeat of its request, RFC 3261 §8.2.6.2: a branch alone names a transaction, and says nothing of
    /// what else the response speaks of.
    pub(crate) fn identity(&self, m: &Message<'_>, cseq: u32, tagged: bool) -> u64 {
        self.identity_as(m.method_name(), m, cseq, tagged)
    }

    /// The same, where the message speaks of a request of this method.
    pub(crate) fn identity_as(&self, method: &[u8], m: &Message<'_>, cseq: u32, tagged: bool) -> u64 {
        let to_tag = if tagged { m.to_tag() } else { b"" };
        self.hasher.hash_one((method, m.call_id(), m.from_tag(), to_tag, cseq))
    }

    /// What an INVITE and its CANCEL have in common beside what they are found by (RFC 3261 §9.1); 0 for other requests.
    pub(crate) fn companion(&self, inbound: &Inbound<'_>) -> u64 {
        let m = &inbound.message;
        match inbound.method {
            Method::Invite | Method::Cancel => self.hasher.hash_one((m.uri_text(), m.from_tag(), m.cseq())),
            _ => 0,
        }
    }

    /// What all messages of a call have in common.
    pub(crate) fn call_hash(&self, m: &Message<'_>) -> u64 {
        self.hasher.hash_one(m.call_id())
    }

    /// Tells a message that came this way from any other.
    pub(crate) fn message_hash(&self, flow: &Flow, bytes: &[u8]) -> u64 {
        self.hasher.hash_one((flow.remote, flow.connection, bytes))
    }

    /// Puts a transaction in, and gives it out to be worked on until [`Edge::settle`].
    pub(crate) fn enter(&mut self, context: Context) -> Option<(Slot, Box<Context>)> {
        let key = context.key;
        let place = self.pool.boxed(context);
        let slot = self.contexts.insert(place);
        self.by_key.insert_unique(key.short(), (key, slot), |(k, _)| k.short());
        Some((slot, self.contexts.take(slot)?))
    }

    /// Ends a transaction that was taken out, and gives its buffers back.
    pub(crate) fn forget(&mut self, io: &Io<'_>, slot: Slot, mut context: Box<Context>) {
        self.contexts.release(slot);
        self.give_held(&mut context);
        if let Ok(entry) =
            self.by_key.find_entry(context.key.short(), |(k, s)| *k == context.key && *s == slot)
        {
            entry.remove();
        }
        if let DialogUse::Begins(number) = context.dialog {
            self.shared.dialogs.concluded(number, io.unix_ms());
        }
        self.pool.give_branches(context.proxy.close(&mut self.work.buffers));
        self.pool.give(context);
    }

    /// Takes memory for more that a transaction holds; false: there is none, of all or of its caller's share.
    pub(crate) fn pay(&mut self, context: &mut Context, bytes: u32) -> bool {
        if !context.proxy.is_proceeding() {
            // It has given back what it had taken.
            return false;
        }
        let source = context.from.remote.ip();
        let (payer, limits) = (Payer::new(context.caller, source), &self.shared.config.memory);
        let taken = self.held.take(context.stranger.then_some(source), payer, bytes, limits).is_ok();
        if taken {
            context.held = context.held.saturating_add(bytes);
        }
        taken
    }

    fn give_held(&mut self, context: &mut Context) {
        let bytes = std::mem::take(&mut context.held);
        if bytes > 0 {
            let source = context.from.remote.ip();
            self.held.give(context.stranger.then_some(source), Payer::new(context.caller, source), bytes);
        }
    }

    /// Puts a transaction back that was worked on: is it over, or when is it to be looked at next?
    pub(crate) fn settle(&mut self, io: &Io<'_>, slot: Slot, mut context: Box<Context>) {
        if context.proxy.is_answered() && !context.proxy.branches().is_empty() {
            self.pool.give_branches(context.proxy.take_branches(&mut self.work.buffers));
        }
        if !context.proxy.is_proceeding() {
            // What it keeps after its answer is small.
            self.give_held(&mut context);
        }
        if context.proxy.is_over() {
            return self.forget(io, slot, context);
        }
        let deadline = context.proxy.deadline();
        self.contexts.put_back(slot, context);
        if let Some(at) = deadline {
            self.contexts.schedule(slot, at);
        }
    }

    /// A message that is to be served here, whatever its source.
    pub(crate) fn take_message(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        flow: &Flow,
        bytes: &[u8],
    ) {
        self.receive(io, memory, (flow, bytes), Came::ToStay);
    }

    /// A message, which may be another shard's to serve.
    pub(crate) fn receive(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        (flow, bytes): (&Flow, &[u8]),
        came: Came,
    ) {
        self.rebalancing.from_other_shard = !matches!(came, Came::In | Came::Held | Came::Returned);
        let MessageMemory { index, via, decided } = memory;
        let parsed = index.parse(bytes, &self.shared.config.limits);
        let message = Message::new(bytes, index);
        match (parsed, message.method()) {
            (Ok(()), Some(method)) => {
                if came == Came::Returned {
                    self.rebalancing.outbox.returned(self.call_hash(&message));
                }
                let goes_round = method != Method::Ack && self.goes_round(io, flow, &message, came);
                if !goes_round && !self.hands_over(io, flow, &message, method, came) {
                    self.on_request(io, flow, (message, method), (via, decided));
                }
            }
            (Ok(()), None) => self.on_response(io, flow, message),
            (Err(error), _) => self.on_malformed(io, flow, message, error),
        }
    }

    /// The beginning of a message that cannot be told from what follows it.
    pub(crate) fn broken(
        &mut self,
        io: &mut Io<'_>,
        index: &mut Index,
        (flow, head): (&Flow, &[u8]),
        error: ParseError,
    ) {
        // The framing error is the reason; the index is made for what the answer needs.
        let _ = index.parse(head, &self.shared.config.limits);
        self.on_malformed(io, flow, Message::new(head, index), error);
    }

    /// A connection ended, or could not be made.
    pub(crate) fn closed(&mut self, io: &mut Io<'_>, connection: ConnectionId, why: Closed) {
        self.connection_ended(io, connection, why);
        self.question_lost(io, connection, why);
        self.registry.connection_ended(io.now(), connection);
        self.source_ended(connection);
    }

    /// How many milliseconds may pass until something is due, at most `max`.
    pub(crate) fn nap(&self, now: u64, max: u64) -> u64 {
        self.contexts.sleep(now, max).min(self.registry.sleep(now, max))
    }

    /// Something came from another shard, or from a thread beside them.
    pub(crate) fn on_mail(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, mail: EdgeMail) {
        match mail {
            EdgeMail::Message(flow, bytes) => self.take_message(io, memory, &flow, &bytes),
            EdgeMail::Batch(from, batch) => self.on_batch_mail(io, memory, from, batch),
            EdgeMail::Remains(by, source) => self.on_question(io, by, source),
            EdgeMail::Remain(source, remain) => self.on_answer(io, memory, source, remain),
            EdgeMail::Named(ticket) => self.on_named(io, memory, ticket),
            EdgeMail::Media(ticket, outcome) => self.on_media(io, memory, ticket, outcome),
            EdgeMail::Undelivered(to, quoted) => self.undelivered(io, to, &quoted),
            EdgeMail::Doubtful(to, quoted) => self.doubt(io, to, (&quoted, false)),
            EdgeMail::HangUp(number) => self.on_hang_up(io, memory, number),
            EdgeMail::Drain => {
                self.draining = true;
                self.leave_trunks(io);
                self.count_pending();
            }
        }
    }
}
