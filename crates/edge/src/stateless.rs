//! Requests that are forwarded without a transaction, and the responses to them, RFC 3261 §16.11.

use trunkline_proxy::transaction::replace_status_line;
use trunkline_proxy::{PartyKind, StatelessBranch, StatelessUse};
use trunkline_routing::Decision;
use trunkline_sip::{Flow, HeaderName, Message, Method, Transport, Via};
use trunkline_transaction::TransactionKey;
use trunkline_transport::Egress;

use crate::branches::Outgoing;
use crate::config::PassChallenges;
use crate::edge::Edge;
use crate::forward;
use crate::inbound::{Inbound, send_back};
use crate::mail::Io;
use crate::memory::StepMemory;
use crate::names::in_via;
use crate::trust::passing::Between;

/// What the branch of a request without a transaction says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stateless {
    /// Its key; of an ACK or CANCEL that of its INVITE.
    pub(crate) key: TransactionKey,
    /// [`trunkline_proxy::Secret::stateless_loop_mac`]
    pub(crate) loop_mac: u64,
    /// What it is to dialogs.
    pub(crate) dialog: StatelessUse,
    /// It is an ACK to a 2xx, to which nothing comes back.
    pub(crate) unanswered: bool,
    /// Who sends it, [`trunkline_proxy::Secret::party`].
    pub(crate) caller: (PartyKind, u32),
    /// What its receiver is.
    pub(crate) callee: PartyKind,
}

impl Edge {
    /// Forwards without a transaction, RFC 3261 §16.11.
    pub(crate) fn send_stateless(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        outgoing: &mut Outgoing<'_>,
        decision: Option<&Decision>,
        passage: &Stateless,
    ) {
        let Stateless { key, loop_mac, dialog, unanswered, caller, callee } = *passage;
        let (secret, m) = (&self.shared.secret, &inbound.message);
        let back = (
            inbound.flow.remote.ip(),
            match inbound.via.rport {
                Some(_) => inbound.flow.remote.port(),
                None => inbound.via.sent_by_port(),
            },
        );
        let tagged = matches!(dialog, StatelessUse::Inside(..));
        let method = if unanswered { StatelessBranch::UNANSWERED } else { StatelessBranch::method_of(m) };
        let request_mac = secret.stateless_mac(inbound.via.branch, back, m, (tagged, method));
        let Io { net: io, memory } = io;
        let StepMemory { splices, out, text: name, .. } = &mut **memory;
        name.clear();
        let connection = inbound.back.connection;
        StatelessBranch { request_mac, loop_mac, dialog, caller, callee, connection }.encode(secret, name);
        let mut egress = outgoing.egress;
        outgoing.stateless = Some(request_mac);
        if self.build(inbound, outgoing, decision, name, (splices, out)).grown {
            egress.transport = Transport::Tcp;
        }
        self.counters.forwarded.add();
        if self.shared.config.stateless && inbound.method == Method::Invite {
            self.shared.admit(m, key, inbound.flow.remote, io.unix_ms());
        }
        // The request pays for its own length.
        let beyond = out.len().saturating_sub(m.bytes.len());
        if !outgoing.unproven || self.may_send(&egress, beyond, io.unix_ms()) {
            io.send(&egress, out);
        }
    }

    /// A response to a request that was forwarded without a transaction: the MAC shows that it was ours.
    pub(crate) fn on_stateless_response(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        m: &Message<'_>,
        branch: &[u8],
    ) {
        let second =
            m.list(HeaderName::Via).nth(1).and_then(Result::ok).and_then(|element| Via::parse(element).ok());
        let (Some(name), Some(next)) = (StatelessBranch::decode(branch, &self.shared.secret), second) else {
            return self.counters.stray_responses.add();
        };
        let (Some((ip, port)), Some(transport)) = (next.response_address(), next.known_transport()) else {
            return self.counters.stray_responses.add();
        };
        // The way back is under the MAC too: whoever had the request is not to send us anywhere else.
        let bound = (matches!(name.dialog, StatelessUse::Inside(..)), StatelessBranch::method_of(m));
        let ours = name.request_mac == self.shared.secret.stateless_mac(next.branch, (ip, port), m, bound);
        // Nothing answers an ACK (RFC 3261 §17).
        if !ours || m.cseq_method() == Method::Ack {
            return self.counters.stray_responses.add();
        }
        let provisional = m.status().is_some_and(|code| (101..200).contains(&code));
        if provisional && m.cseq_method() != Method::Invite {
            // Only a 100 may be said of other requests (RFC 4320 §4.1).
            return self.counters.stray_responses.add();
        }
        let Io { net: io, memory } = io;
        let StepMemory { splices, out, .. } = &mut **memory;
        let unix_ms = io.unix_ms();
        let refused = matches!(m.status(), Some(401 | 407))
            && (self.shared.config.pass_challenges != PassChallenges::All
                || self.challenges_for_us(m, name.callee == PartyKind::Trunk));
        let asks = self.shared.config.pass_challenges == PassChallenges::All;
        let between = Between { from: name.callee, sender: 0, to: name.caller.0, party: name.caller.1, asks };
        forward::strip_via(m, transport, splices, out, |splices| {
            self.shared.filter_response(m, between, splices);
            self.shared.mark_stateless(m, (name.dialog, name.callee), flow, unix_ms, splices);
            if let Some(shown) = in_via(m, name.request_mac, &self.shared.secret) {
                shown.put(m, splices);
            }
            if refused {
                forward::refuse_challenge(m, splices);
            }
        });
        if m.status() == Some(503) {
            // Only the callee is out of service, not we (RFC 3261 §16.7 step 6).
            replace_status_line(out, b"SIP/2.0 500 Server Internal Error");
        }
        // Nothing is remembered of the request, so that it pays for nothing.
        let mut to = Egress::to(transport, (ip, port).into());
        to.connection = name.connection;
        if self.shared.guard.may_be_sent_to(&to).is_ok() && self.may_send(&to, out.len(), unix_ms) {
            send_back(io, &self.shared.guard, &to, out);
        } else {
            self.counters.stray_responses.add();
        }
    }
}
