//! Which requests go to another shard, and what shards ask each other.

use std::net::IpAddr;

use trunkline_reasons::Reason;
use trunkline_sip::{ConnectionId, Flow, Message, Method};
use trunkline_transport::{Egress, Mail};

use super::batch::{Batch, Order};
use super::sources::{Asked, Change, Phase, Second, Source, keeper};
use super::state::{Came, Round};
use crate::edge::Edge;
use crate::inbound::read_again;
use crate::mail::{EdgeMail, Io};
use crate::memory::MessageMemory;

/// Requests that are held while others are asked, at most.
const MOST_HELD: usize = 8_192;

impl Edge {
    /// Looks whether a request is another shard's to serve; `true` when it is on its way there (or was held, or
    /// dropped).
    pub(crate) fn hands_over(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        m: &Message<'_>,
        method: Method,
        came: Came,
    ) -> bool {
        let phase = match came {
            Came::ToStay => return false,
            Came::Round(by) => {
                // The response before it is on its way first.
                io.flush();
                if !self.put_back(io, by, (flow, m.bytes), Order::Returned) {
                    self.counters.handover_dropped.add();
                }
                return true;
            }
            Came::Asked(by) => {
                let goes_back = !self.is_known(m, method);
                if goes_back && !self.put_back(io, by, (flow, m.bytes), Order::Serve) {
                    self.counters.handover_dropped.add();
                }
                return goes_back;
            }
            Came::Sought(left) => {
                let here = left == 0 || self.is_known(m, method);
                return !here && self.pass_on(io, flow, m.bytes, left - 1);
            }
            Came::In if self.rebalancing.enabled => self.rebalancing.sources.note(flow),
            Came::Held | Came::Returned => self.rebalancing.sources.phase(&Source::of(flow)),
            Came::In => None,
        };
        let Some(phase) = phase else { return false };
        if let Some(round) = self.rebalancing.round.as_mut().filter(|r| r.source == Source::of(flow)) {
            if round.held.len() < MOST_HELD {
                round.held.push(flow, m.bytes, Order::Serve);
            } else {
                self.counters.handover_dropped.add();
            }
            return true;
        }
        let shards = self.shared.neighbours.len();
        let to = keeper(self.shared.keys.dialog(m), usize::from(self.shard), shards);
        if to == usize::from(self.shard) || self.is_known(m, method) {
            return false;
        }
        let order = match phase {
            Phase::Spread => Order::Serve,
            Phase::Returning => Order::ServeIfKnown,
        };
        let neighbours = &self.shared.neighbours;
        if self.rebalancing.outbox.put_request(io, neighbours, to, flow, m.bytes, order) {
            self.counters.handed_over.add();
            return true;
        }
        self.counters.handover_dropped.add();
        // A datagram is sent again; over a stream nothing is, so the sender has to hear of it.
        if flow.transport.is_reliable() {
            let shared = self.shared.clone();
            read_again(&shared.guard, flow, m.bytes, |inbound| {
                self.reply(io, inbound, Reason::OverloadShards, b"Retry-After: 5\r\n");
            });
        }
        true
    }

    /// A CANCEL, or the ACK to a failure, whose INVITE is not known here: clients send them from another port or over
    /// another connection than the INVITE, which came to another shard then. `true`: it is on its way there.
    pub(crate) fn seek(&mut self, io: &Io<'_>, flow: &Flow, bytes: &[u8]) -> bool {
        let others = self.shared.neighbours.len().saturating_sub(1);
        !self.rebalancing.from_other_shard
            && others > 0
            && self.pass_on(io, flow, bytes, (others - 1).min(255) as u8)
    }

    fn pass_on(&mut self, io: &Io<'_>, flow: &Flow, bytes: &[u8], left: u8) -> bool {
        let neighbours = &self.shared.neighbours;
        let next = (usize::from(self.shard) + 1) % neighbours.len();
        self.rebalancing.outbox.put_request(io, neighbours, next, flow, bytes, Order::PassOn(left))
    }

    /// Gives another shard a request back that is its.
    fn put_back(&mut self, io: &Io<'_>, to: usize, (flow, bytes): (&Flow, &[u8]), order: Order) -> bool {
        self.rebalancing.outbox.put_back(io, &self.shared.neighbours, to, (flow, bytes, order))
    }

    /// Gives another shard a response to a request of its.
    pub(crate) fn put_response(&mut self, io: &Io<'_>, to: usize, flow: &Flow, m: &Message<'_>) {
        let place = (to, self.call_hash(m));
        if !self.rebalancing.outbox.put_response(io, &self.shared.neighbours, place, flow, m.bytes) {
            self.counters.handover_dropped.add();
        }
    }

    /// A phone that answers a request and sends one of its own (REFER and NOTIFY) is heard in that order: is this a request of a
    /// dialog whose last response another shard has not sent yet? It comes back when that is done.
    pub(crate) fn goes_round(&mut self, io: &Io<'_>, flow: &Flow, m: &Message<'_>, came: Came) -> bool {
        let neighbours = &self.shared.neighbours;
        if came != Came::In || neighbours.len() < 2 || !m.has_to_tag() {
            return false;
        }
        let dialog = self.call_hash(m);
        self.rebalancing.outbox.put_round(io, neighbours, dialog, flow, m.bytes)
    }

    /// Is there a transaction of this shard that the request belongs to, or will be?
    fn is_known(&self, m: &Message<'_>, method: Method) -> bool {
        let Ok(via) = m.top_via() else { return false };
        let of = if matches!(method, Method::Ack | Method::Cancel) { Method::Invite } else { method };
        let key = self.shared.keys.key(m, &via, of);
        let other = |key| self.find(key).is_some();
        self.find(key).is_some()
            || self.is_suspended(key)
            || method == Method::Cancel && self.shared.keys.cancelled(m, &via).any(other)
    }

    /// Other shards' messages.
    pub(crate) fn on_batch_mail(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        from: u8,
        batch: Batch,
    ) {
        for (flow, bytes, order) in batch.messages() {
            let came = match order {
                Order::Serve => Came::ToStay,
                Order::ServeIfKnown => Came::Asked(usize::from(from)),
                Order::PassOn(left) => Came::Sought(left),
                Order::GoRound => Came::Round(usize::from(from)),
                Order::Returned => Came::Returned,
            };
            self.receive(io, memory, (&flow, bytes), came);
        }
        self.rebalancing.outbox.took(from, batch.len());
        self.shared.neighbours.taken(usize::from(self.shard), batch);
    }

    /// A second has passed.
    pub(crate) fn watch_sources(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory) {
        let here = usize::from(self.shard);
        let now = io.now();
        let busy = self.rebalancing.load.percent().unwrap_or(0);
        if self.rebalancing.enabled
            && !self.rebalancing.load.is_told()
            && self.shared.config.rebalancing.busy > 0
        {
            self.rebalancing.enabled = false;
            tracing::warn!(
                "how busy a shard is cannot be read from /proc/thread-self/schedstat: a busy source stays with one \
                 shard, unless handover.busyPercent is 0"
            );
        }
        let change = if self.rebalancing.enabled {
            let idlest = self.shared.neighbours.idlest_but(here);
            let may_ask = self.rebalancing.round.is_none();
            self.rebalancing.sources.second(Second { now, busy, idlest, may_ask })
        } else {
            None
        };
        match change {
            Some(Change::Spread(source, rate)) => {
                tracing::info!(source = %source.remote, shard = here, rate, "new calls of a busy source are moved to other workers");
            }
            Some(Change::Returning(source)) => {
                tracing::info!(source = %source.remote, shard = here, "a source has been calm: one worker serves it again");
            }
            Some(Change::Ask(source)) => self.begin_round(io, memory, source),
            None => {}
        }
        self.shared.neighbours.tell(here, busy, self.rebalancing.sources.len());
    }

    fn begin_round(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, source: Source) {
        // What is on its way comes before the question.
        self.post_outbox(io);
        let here = usize::from(self.shard);
        let others = (0..self.shared.neighbours.len()).filter(|s| *s != here);
        let question = || Mail::User(EdgeMail::Remains(self.shard, Asked(source)));
        let left = others.filter(|s| io.post(*s, question())).count();
        self.rebalancing.round = Some(Round { source, left, remain: false, held: Batch::default() });
        if left == 0 {
            self.end_round(io, memory);
        }
    }

    /// Another shard asks whether anything of a source remains here.
    pub(crate) fn on_question(&mut self, io: &mut Io<'_>, by: u8, Asked(source): Asked) {
        let is_of = |ip: IpAddr, connection: ConnectionId| match source.connection {
            // The port of a Via may be another than the one its packets come from: all of an address counts.
            ConnectionId::NONE => ip == source.remote.ip() && connection == ConnectionId::NONE,
            one => connection == one,
        };
        let of_way = |back: &Egress| is_of(back.remote.ip(), back.connection);
        let of_flow = |flow: &Flow| is_of(flow.remote.ip(), flow.connection);
        let is_from_other_shard =
            |slot| self.contexts.get(slot).is_some_and(|c| c.from_other_shard && of_way(&c.back()));
        let remain = self.contexts.slots().any(is_from_other_shard) || self.suspensions.flows().any(of_flow);
        // What goes back comes before the answer.
        self.post_outbox(io);
        io.post(usize::from(by), Mail::User(EdgeMail::Remain(Asked(source), remain)));
    }

    /// Another shard answers.
    pub(crate) fn on_answer(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        Asked(source): Asked,
        remain: bool,
    ) {
        let Some(round) = self.rebalancing.round.as_mut().filter(|r| r.source == source) else { return };
        round.remain |= remain;
        round.left = round.left.saturating_sub(1);
        if round.left == 0 {
            self.end_round(io, memory);
        }
    }

    fn end_round(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory) {
        let Some(round) = self.rebalancing.round.take() else { return };
        match self.rebalancing.sources.answered(&round.source, round.remain) {
            Some(Phase::Spread) => {
                tracing::info!(source = %round.source.remote, shard = self.shard, "a source is busy again: its new calls are moved to other workers");
            }
            Some(Phase::Returning) => {}
            None => {
                tracing::debug!(source = %round.source.remote, "nothing of a source remains with other shards")
            }
        }
        for (flow, bytes, _) in round.held.messages() {
            self.receive(io, memory, (&flow, bytes), Came::Held);
        }
    }

    /// The end of a batch, before its messages are sent: posts what is for other shards.
    pub(crate) fn end_batch(&mut self, io: &Io<'_>) {
        self.rebalancing.outbox.flushes(&self.shared.neighbours);
        self.post_outbox(io);
    }

    /// Posts what is for other shards.
    pub(crate) fn post_outbox(&mut self, io: &Io<'_>) {
        self.rebalancing.outbox.post(io, &self.shared.neighbours);
    }

    /// A connection of this shard's ended.
    pub(crate) fn source_ended(&mut self, connection: ConnectionId) {
        if self.rebalancing.sources.len() > 0 {
            self.rebalancing.sources.ended(connection);
        }
    }
}
