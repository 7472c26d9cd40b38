//! What is sent, as far as somebody pays for it: the rule is in `budget.rs`.

use std::net::IpAddr;

use trunkline_proxy::PartyKind;
use trunkline_sip::response;
use trunkline_sip::{Method, Transport};
use trunkline_transport::Egress;

use crate::context::{Context, Hop};
use crate::edge::Edge;
use crate::inbound::{Inbound, send_back};
use crate::mail::Net;
use crate::trust::Word;
use crate::trust::budget::For;
use crate::trust::proven::{LOOKED_UP_MS, UNPROVEN_MS};

impl Edge {
    /// May so many bytes more than were received go there? What may not is counted.
    pub(crate) fn may_send(&self, to: &Egress, bytes: usize, now: u64) -> bool {
        self.may_send_for(For::Others, to, bytes, now)
    }

    fn may_send_for(&self, what: For, to: &Egress, bytes: usize, now: u64) -> bool {
        let sent = self.affords(what, to, bytes, now);
        if !sent {
            self.counters.held_back.add();
        }
        sent
    }

    fn affords(&self, what: For, to: &Egress, bytes: usize, now: u64) -> bool {
        let address = to.remote.ip();
        // The allowance is asked before the tables: a flood of forged sources costs no search in them.
        to.transport != Transport::Udp
            || bytes == 0
            || self.proven.is_proven(address, now)
            || self.shared.budget.take(address, bytes, now, what)
            || self.looked_up(address, now)
            // Another shard may have heard from there; what is dropped here nobody sends again.
            || self.shared.config.stateless && self.is_proven(address, now)
    }

    /// Sends a response without a transaction, as far as the request or its source pays for it: else a shorter one, the
    /// first `needed` bytes and its end.
    pub(crate) fn send_reply(
        &self,
        io: &mut Net<'_>,
        inbound: &Inbound<'_>,
        response: &mut Vec<u8>,
        needed: usize,
    ) {
        if self.own.is_some() {
            return;
        }
        let received = inbound.message.bytes.len();
        let now = io.unix_ms();
        let beyond = |response: &[u8]| response.len().saturating_sub(received);
        if !self.affords(For::Others, &inbound.back, beyond(response), now) {
            response.truncate(needed);
            response::finish(response);
            if !self.may_send(&inbound.back, beyond(response), now) {
                return;
            }
        }
        io.send(&inbound.back, response);
    }

    /// Is it an address that has not shown that it is there?
    pub(crate) fn is_unproven(&self, to: &Egress, now: u64) -> bool {
        to.transport == Transport::Udp && !self.looked_up(to.remote.ip(), now)
    }

    pub(crate) fn looked_up(&self, address: IpAddr, now: u64) -> bool {
        self.proven.get(address, now).unwrap_or_else(|| {
            let proven = self.is_proven(address, now);
            let until = now + if proven { LOOKED_UP_MS } else { UNPROVEN_MS };
            self.proven.note(address, proven, until, now);
            proven
        })
    }

    fn is_proven(&self, address: IpAddr, now: u64) -> bool {
        self.shared.location.is_registered_from(address, now) || self.shared.guard.is_owned(address)
    }

    /// Is it an address that has not shown that it is there, and that only a party's word leads to? A party may be reached
    /// where its own packets come from; a stranger's may be forged.
    pub(crate) fn is_unproven_by(&self, word: Option<&Word>, to: &Egress, now: u64) -> bool {
        let elsewhere = |word: &Word| word.kind == PartyKind::Stranger || word.seen_at != Some(to.remote);
        word.is_some_and(elsewhere) && self.is_unproven(to, now)
    }

    /// May a request go to such an address? It pays itself for one sending, the allowance for the others.
    pub(crate) fn may_begin(&self, context: &mut Context, to: &Egress, bytes: usize, now: u64) -> bool {
        let may = self.may_send(to, bytes.saturating_sub(context.pays as usize), now);
        if may {
            context.pays = 0;
        }
        may
    }

    /// May a branch's request be sent by its timer? To where nothing has come from it is sent once.
    pub(crate) fn may_repeat(&self, context: &mut Context, fork: u8, now: u64) -> bool {
        let Some(branch) = context.proxy.branch(fork) else { return false };
        let hop = &branch.target.hop;
        if !hop.unproven {
            return true;
        }
        if hop.once && !hop.held && !branch.is_proceeding() {
            return false;
        }
        let (egress, bytes) = (hop.egress, branch.sent().len());
        let may = self.may_begin(context, &egress, bytes, now);
        if let Some(branch) = context.proxy.branch_mut(fork) {
            branch.target.hop.held &= !may;
        }
        may
    }

    /// A response has come to a branch. Nobody knows its name but who got the request, so that whoever answers from where it
    /// went is there.
    pub(crate) fn heard(&self, hop: &Hop, from: IpAddr, now: u64) {
        if hop.unproven && hop.egress.remote.ip().to_canonical() == from.to_canonical() {
            self.proven.prove(from, now);
        }
    }

    /// Sends a transaction's last response again.
    pub(crate) fn send_response_again(&self, io: &mut Net<'_>, context: &mut Context) {
        let reply = context.proxy.reply();
        let length = reply.len();
        if length > 0 && !context.own && self.is_paid(io, context, reply) {
            io.send(&context.back(), reply);
            context.credit.pay(length);
        }
    }

    /// May this response go back to where the transaction's request came from?
    fn is_paid(&self, io: &Net<'_>, context: &Context, response: &[u8]) -> bool {
        let beyond = response.len().saturating_sub(context.credit.left(io.now()));
        let took = context.proxy.method() == Method::Invite && response.starts_with(b"SIP/2.0 2");
        let what = if took { For::TakenCall } else { For::Others };
        context.proven || self.may_send_for(what, &context.back(), beyond, io.unix_ms())
    }

    /// Sends a response of a transaction to where its request came from, as far as the request or its source pays for it.
    pub(crate) fn send_response(&self, io: &mut Net<'_>, context: &mut Context, response: &[u8]) {
        if !context.own && self.is_paid(io, context, response) {
            send_back(io, &self.shared.guard, &context.back(), response);
            context.credit.pay(response.len());
        }
    }
}
