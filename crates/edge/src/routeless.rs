//! Clients that know no Route: the ACK to a 2xx, and the BYE.

use trunkline_proxy::transaction::Branch;
use trunkline_proxy::{Side, StatelessUse};
use trunkline_reasons::Reason;
use trunkline_sip::{Flow, HeaderName, Message, Method, Uri};
use trunkline_transaction::TransactionKey;

use crate::branches::Outgoing;
use crate::context::{Context, DialogUse, Hop};
use crate::cseq::Raise;
use crate::edge::Edge;
use crate::forward::DroppedRoutes;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::names::Shown;
use crate::stateless::Stateless;

impl Edge {
    /// Some clients send the ACK to a 2xx without the route set that the 2xx gave them, so that no mark tells the dialog. It goes to
    /// the callee that the To tag names, the way its INVITE went, where it comes by the very flow of the INVITE, whose Call-ID, From
    /// tag and CSeq it repeats (RFC 3261 §13.2.2.4): nobody else is led anywhere. False: it is no such ACK. One with an answer to a
    /// late offer that is relayed is none either, since nothing would be told to rtpengine.
    pub(crate) fn follow_accepted(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        uri: &Uri<'_>,
        key: TransactionKey,
    ) -> bool {
        let m = &inbound.message;
        if m.header_line(HeaderName::Route).is_some() {
            return false;
        }
        let identity = self.identity_as(Method::Invite.name().as_bytes(), m, m.cseq(), false);
        let Some(slot) = self.accepted.find(identity) else { return false };
        let Some(context) = self.contexts.get(slot) else { return false };
        let DialogUse::Begins(number) = context.dialog else { return false };
        let (from, flow) = (&context.from, inbound.flow);
        let same_flow =
            (from.transport, from.remote, from.connection) == (flow.transport, flow.remote, flow.connection);
        let late_answer = context.media.is_some() && !m.body().is_empty();
        if !same_flow || context.identity != identity || !context.proxy.is_accepted() || late_answer {
            return false;
        }
        let Some(fork) = self.shared.dialogs.accepted_by(number, m.to_tag()) else { return false };
        let Some(branch) = context.proxy.branch(fork) else { return false };
        let (egress, unproven) = (branch.target.hop.egress, branch.target.hop.unproven);
        let (cseq_added, caller, between) = (branch.target.cseq_added, context.caller, context.between(fork));
        let party = branch
            .target
            .hop
            .trunk
            .as_ref()
            .map_or(0, |trunk| self.shared.secret.party(trunk.as_str().as_bytes()));
        let shown = if branch.target.hop.renamed { Shown::in_bytes(branch.sent()) } else { Shown::default() };
        let mut outgoing = Outgoing {
            // Its parameters are those of the callee's Contact, or of the address that was called.
            uri: b"",
            path: b"",
            headers: b"",
            drop_routes: DroppedRoutes::ALL,
            egress,
            may_grow: b"",
            mark: None,
            max_breadth: None,
            body: None,
            cut: self.shared.cuts_body(m, caller.0, (between.from, party)),
            unproven,
            raise: Raise { cseq: cseq_added, rack: 0 },
            spent: self.left_out_between(m, (caller.0, between.from), party),
            shown,
            stateless: None,
        };
        if uri.headers.is_empty() {
            self.counters.in_dialog.add();
            let passage = Stateless {
                key,
                loop_mac: self.shared.secret.stateless_loop_mac(m),
                dialog: StatelessUse::Inside(number, Side::Caller),
                unanswered: true,
                caller,
                callee: between.from,
            };
            self.send_stateless(io, inbound, &mut outgoing, None, &passage);
        }
        true
    }
}

impl Edge {
    /// The 2xx to an INVITE that began a dialog goes back.
    pub(crate) fn note_talking(&self, context: &Context, branch: &Branch<Hop>, m: &Message<'_>) {
        let begins = matches!(context.dialog, DialogUse::Begins(_));
        if !begins || m.cseq_method() != Method::Invite || !matches!(m.status(), Some(200..300)) {
            return;
        }
        let talking = &self.shared.talking;
        talking.note(talking.side(m, (m.from_tag(), m.to_tag()), &context.from));
        let egress = &branch.target.hop.egress;
        let flow = Flow { remote: egress.remote, connection: egress.connection, ..context.from };
        let flow = Flow { transport: egress.transport, ..flow };
        talking.note(talking.side(m, (m.to_tag(), m.from_tag()), &flow));
    }

    /// Refuses a request outside the dialogs we know whose To tag says that it belongs to one: the callee would take it for a request
    /// of that dialog, whoever sent it. `true` when it was answered.
    pub(crate) fn refuse_without_route(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) -> bool {
        if !inbound.message.has_to_tag() || self.is_routeless_bye(inbound) {
            return false;
        }
        self.counters.outside_dialogs.add();
        self.refuse(io, inbound, Reason::DialogNoRoute);
        true
    }

    /// Is it the BYE of a party that knows no Route, by the very flow of its INVITE, or by the one that the INVITE took to
    /// it? It is routed as if it began something, to the address of record in its Request-URI.
    fn is_routeless_bye(&self, inbound: &Inbound<'_>) -> bool {
        let m = &inbound.message;
        let talking = &self.shared.talking;
        inbound.method == Method::Bye
            && m.header_line(HeaderName::Route).is_none()
            && !m.to_tag().is_empty()
            && talking.has(talking.side(m, (m.from_tag(), m.to_tag()), inbound.flow))
    }
}
