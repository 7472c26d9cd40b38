//! A trunk's challenge is answered with that trunk's credentials, RFC 3261 §22.2, for its own host only: outside dialogs and
//! inside them, where each answer raises what the trunk counts.

use trunkline_model::Ref;
use trunkline_proxy::transaction::{Answer, Heard};
use trunkline_proxy::{Belongs, Mark, PartyKind, Side, Way};
use trunkline_sip::{HeaderName, Limits, Message, Span, Splices};
use trunkline_transaction::Slot;
use trunkline_transport::Egress;

use crate::challenged::{Login, credentials_for};
use crate::context::{Context, Hop};
use crate::cseq::{self, Raise};
use crate::edge::Edge;
use crate::memory::StepMemory;
use crate::routes::Dialog;
use crate::shared::Shared;
use crate::trust::record_routes::{Found, record_routes, uris};

impl Edge {
    /// The credentials for challenges of the trunk that a request inside a dialog goes to. `None` where it leads to no address
    /// of that trunk: what a Contact or Route names elsewhere learns nothing.
    pub(crate) fn trunk_login(&self, way: &Way, egress: &Egress) -> Option<Ref> {
        if way.kind != PartyKind::Trunk {
            return None;
        }
        let login = self.login_of(way)?;
        self.shared.guard.is_address_of(way.kind, way.party, egress.remote.ip()).then_some(login)
    }

    fn login_of(&self, way: &Way) -> Option<Ref> {
        let tables = self.shared.tables.load();
        let (version, secret) = (self.shared.tables.version(), &self.shared.secret);
        let trunk = self.shared.party_names.trunk(&tables, version, secret, way.party)?;
        tables.trunk_by_ref(trunk.as_str())?.outbound_credentials.clone()
    }

    /// By how much the numbers of a request inside these dialogs are raised: challenges of the other side were answered.
    pub(crate) fn raise_of<'a>(
        &self,
        m: &Message<'_>,
        dialogs: impl Iterator<Item = &'a Dialog>,
        now: u64,
    ) -> Raise {
        let mut raise = Raise::default();
        for Dialog { mark, from, place } in dialogs {
            let at_first = if *from == Side::Caller { u32::from(mark.cseq_added) } else { 0 };
            raise.add(at_first, at_first);
            if mark.way.kind == PartyKind::Trunk {
                let dialogs = &self.shared.dialogs;
                // Without transactions no challenge is ever answered.
                let answers = || !self.shared.config.stateless && self.login_of(&mark.way).is_some();
                if dialogs.is_from_before(mark.dialog) && answers() {
                    let skipped = dialogs.skipped(mark, now);
                    raise.add(skipped, skipped);
                }
                let of = |cseq| dialogs.raised(*place, *from, cseq);
                raise.add(of(m.cseq()), cseq::rack(m).map_or(0, of));
            }
        }
        raise
    }

    /// The request again with credentials for the challenge at hand; nothing when there are none that answer it.
    pub(crate) fn with_credentials(
        &mut self,
        memory: &mut StepMemory,
        slot: Slot,
        context: &Context,
        heard: Heard<'_>,
    ) -> Answer<Hop> {
        let Some(branch) = context.proxy.branch(heard.branch) else { return Answer::Nothing };
        let Some(reference) = &branch.target.hop.credentials else { return Answer::Nothing };
        let tables = self.shared.tables.load();
        let Some(credentials) = tables.credentials_by_ref(reference.as_str()) else { return Answer::Nothing };
        let Some(name) = self.branch_name(slot, context.proxy.branches().len(), context.loop_mac) else {
            return Answer::Nothing;
        };
        let StepMemory { index, out, .. } = memory;
        let parsed = index.parse(branch.sent(), &Limits::default());
        let sent = Message::new(branch.sent(), index);
        let login = Login { username: &credentials.username, password: &credentials.password };
        let answered = match parsed {
            Ok(()) => credentials_for(heard.message, login, sent.method_name(), sent.uri_text()).ok(),
            Err(_) => None,
        };
        match answered {
            Some((header, value)) => {
                let mut target = branch.target.clone();
                let retry = Retry { header, value: &value, branch: &name, added: target.cseq_added };
                target.hop.mark_mac = retry.write(&sent, &self.shared, out);
                // Inside a dialog later requests have to be raised too; one that begins a dialog says it in its mark.
                if let Some((place, side)) = context.dialog.inside().next() {
                    let cseq = sent.cseq().wrapping_sub(target.cseq_added);
                    self.shared.dialogs.raise(place, side, cseq);
                }
                target.cseq_added += 1;
                (target.grown, target.has_credentials) = (false, false);
                Answer::Instead(self.work.buffers.copy(out), target)
            }
            None => Answer::Nothing,
        }
    }
}

/// What changes in a request that is sent again with credentials.
struct Retry<'a> {
    header: HeaderName,
    value: &'a [u8],
    branch: &'a [u8],
    /// By how much CSeq was raised before.
    added: u32,
}

impl Retry<'_> {
    /// The request again: CSeq one higher, which our Record-Route remembers for the rest of the dialog, another branch,
    /// the credentials. Gives the MAC of the mark in it, 0 for none.
    fn write(&self, sent: &Message<'_>, shared: &Shared, out: &mut Vec<u8>) -> u64 {
        let mut mark_mac = 0;
        let mut splices = Splices::default();
        if let Ok(via) = sent.top_via() {
            splices.replace(Span::locate(via.branch, sent.bytes), self.branch);
        }
        let values = record_routes(sent);
        let (call_id, caller_tag) = (sent.call_id(), sent.from_tag());
        if let Some(found) = Found::find(&values, &shared.secret, (call_id, caller_tag)) {
            let cseq_added = u8::try_from(self.added + 1).unwrap_or(u8::MAX);
            let mark = Mark { cseq_added, ..found.mark };
            found.replace(sent, &mut splices, |out| {
                let belongs = Belongs { call_id, caller_tag, callee_tag: b"", routes: uris(found.after) };
                mark_mac = mark.put(&shared.secret, belongs, out);
            });
        }
        cseq::raise(sent, Raise { cseq: 1, rack: 0 }, &mut splices);
        let last = sent.index.headers().last();
        // What answered the challenge of another address of this carrier is of no use to this one.
        if let Some(spent) = last.filter(|h| self.added > 0 && h.name == self.header) {
            splices.delete(spent.line);
        }
        splices.insert_with(last.map_or(0, |h| h.line.end), |text| {
            text.extend_from_slice(self.header.name().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(self.value);
            text.extend_from_slice(b"\r\n");
        });
        out.clear();
        splices.apply(sent.bytes, sent.body_span().end, out);
        mark_mac
    }
}
