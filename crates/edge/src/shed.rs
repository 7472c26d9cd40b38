//! Turns new requests away while there are too many: how many is said in `overload.rs`.

use std::hash::BuildHasher as _;

use trunkline_reasons::Reason;
use trunkline_routing::{called_uri, is_number};
use trunkline_sip::{Flow, Method, Transport, Uri};
use trunkline_transport::keeps;

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;

/// Why a new request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shed {
    /// With a 503, and when to come back.
    Told,
    /// Without a word: its source sends more of them than anybody should while others wait.
    Dropped,
}

impl Edge {
    /// A request that is new, outside any dialog: true when it was turned away.
    pub(crate) fn is_shed(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) -> bool {
        if !self.overload.is_on() && self.heavy.is_empty() {
            return false;
        }
        match self.judge_new(io, inbound) {
            None => return false,
            Some(Shed::Told) => {
                // Spread, so that not all of them come back at once; briefly, as a carrier stays away altogether until then (RFC 3261
                // §21.5.4).
                let line = match self.call_number(inbound) / 7 % 5 {
                    0 => b"Retry-After: 1\r\n",
                    1 => b"Retry-After: 2\r\n",
                    2 => b"Retry-After: 3\r\n",
                    3 => b"Retry-After: 4\r\n",
                    _ => b"Retry-After: 5\r\n",
                };
                self.reply(io, inbound, Reason::OverloadShed, line);
            }
            Some(Shed::Dropped) => {}
        }
        self.counters.shed.add();
        true
    }

    /// Does a source that has shown nothing send more new requests than anybody should? Over UDP it is listed as long as it does,
    /// also when only the list keeps the shard well.
    fn floods(&mut self, io: &Io<'_>, inbound: &Inbound<'_>, known: bool) -> bool {
        let source = inbound.flow.remote.ip();
        if known {
            self.heavy.forget(source);
            return false;
        }
        let weight = match inbound.method {
            // The kernel lets all of them through.
            Method::Register => 1,
            _ => self.heavy.weight(source),
        };
        self.charge_stranger(io, inbound.flow, weight)
    }

    /// Counts something new of a source that has shown nothing: true when it sends more than anybody should.
    fn charge_stranger(&mut self, io: &Io<'_>, flow: &Flow, weight: u64) -> bool {
        let source = flow.remote.ip();
        let counts = self.overload.is_on() || weight > 1;
        let floods = counts && !self.shared.budget.charge_request(source, weight, io.unix_ms());
        if floods && flow.transport == Transport::Udp {
            self.heavy.note(source, io.now());
        }
        floods
    }

    /// What cannot be read takes time as well: it counts as something new of its source.
    pub(crate) fn note_garbled(&mut self, io: &Io<'_>, flow: &Flow) {
        if !self.overload.is_on() && self.heavy.is_empty() {
            return;
        }
        let known = self.looked_up(flow.remote.ip(), io.unix_ms());
        self.overload.saw(known);
        if !known {
            let weight = self.heavy.weight(flow.remote.ip());
            self.charge_stranger(io, flow, weight);
        }
    }

    fn judge_new(&mut self, io: &Io<'_>, inbound: &Inbound<'_>) -> Option<Shed> {
        let known = self.looked_up(inbound.flow.remote.ip(), io.unix_ms());
        self.overload.saw(known);
        let floods = self.floods(io, inbound, known);
        if known && (inbound.method == Method::Register || self.is_emergency(inbound)) {
            return None;
        }
        if floods {
            return Some(Shed::Dropped);
        }
        let sheds = self.overload.is_on()
            && self.overload.sheds(known, self.is_filtered(inbound), self.call_number(inbound));
        sheds.then_some(Shed::Told)
    }

    /// Is it one of those of which the kernel drops a share?
    fn is_filtered(&self, inbound: &Inbound<'_>) -> bool {
        self.kernel_drops
            && inbound.flow.transport == Transport::Udp
            && inbound.method == Method::Invite
            && !keeps(inbound.message.uri_text(), &self.shared.config.emergency_numbers)
    }

    fn call_number(&self, inbound: &Inbound<'_>) -> u64 {
        self.call_hasher.hash_one(inbound.message.call_id())
    }

    /// Is one of the operator's emergency numbers called?
    pub(crate) fn is_emergency(&self, inbound: &Inbound<'_>) -> bool {
        inbound.method == Method::Invite
            && self.is_emergency_call(called_uri(&inbound.message, &self.shared.config.routing).as_ref())
    }

    /// The same of an INVITE, whose callee is found as the router finds it: in the Request-URI, in To, in a header.
    pub(crate) fn is_emergency_call(&self, called: Option<&Uri<'_>>) -> bool {
        let Some(user) = called.and_then(Uri::user_decoded) else { return false };
        self.shared.config.emergency_numbers.iter().any(|number| is_number(&user, number.as_bytes()))
    }
}
