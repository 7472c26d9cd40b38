//! Requests inside dialogs of ours, ACK and CANCEL: routed by what the dialog says. An agent whose request comes from elsewhere
//! than before is challenged (`trust/inside.rs`).

use trunkline_events::Event;
use trunkline_proxy::transaction::{Input, Target};
use trunkline_proxy::{PartyKind, StatelessUse, Way};
use trunkline_reasons::Reason;
use trunkline_sip::{HeaderName, Message, Method, Uri};
use trunkline_transaction::TransactionKey;

use crate::context::{self, Context, Hop};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::memory::DecisionMemory;
use crate::next_hop::NextHop;
use crate::own_answer::{LOCAL_TAG, OwnAnswer};
use crate::routes::{Dialog, Routes};
use crate::stateless::Stateless;
use crate::trust::SIPS_NOT_ALLOWED;
use crate::trust::senders::Sender;

/// The Reason lines of a caller's CANCEL that go on: a few.
const MOST_REASON: usize = 256;

/// The Reason lines of a CANCEL, each with its line end (RFC 3326 §2).
fn put_reasons(cancel: &Message<'_>, out: &mut Vec<u8>) {
    out.clear();
    for line in cancel.header_lines(HeaderName::Reason) {
        let value = line.value.of(cancel.bytes);
        if out.len() + value.len() <= MOST_REASON {
            out.extend_from_slice(b"Reason: ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Edge {
    /// Loose routing (RFC 3261 §16.12) of a request whose Route proves the dialog to be ours.
    pub(crate) fn forward_in_dialog(
        &mut self,
        io: &mut Io<'_>,
        (inbound, key): (&Inbound<'_>, TransactionKey),
        uri: &Uri<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        text: &mut Vec<u8>,
    ) {
        // A strict router before us: its last Route value is the real Request-URI (§16.4).
        let target = match routes.last.map(Uri::parse) {
            None => *uri,
            Some(Ok(uri)) => uri,
            Some(Err(_)) => return self.refuse(io, inbound, Reason::DialogRoute),
        };
        let Some((way, sender)) = self.judge_inside(io, inbound, &target, (dialog, &routes.inner)) else {
            return;
        };
        if self.refuse_hidden(io, inbound, routes, &way)
            || self.refuse_stranger(io, inbound, routes.sender_kind(dialog), true)
            || self.refuse_command_inside(io, inbound, (routes, dialog), &way)
            || self.refuse_referral_inside(io, inbound, (routes, dialog), &way)
        {
            return;
        }
        self.forward_judged(io, (inbound, key), (&target, &way, sender), (routes, dialog), text);
    }

    /// A request inside a dialog that may be sent this way: to its next hop, when that is known and the media is there.
    fn forward_judged(
        &mut self,
        io: &mut Io<'_>,
        (inbound, key): (&Inbound<'_>, TransactionKey),
        (target, way, sender): (&Uri<'_>, &Way, Sender),
        (routes, dialog): (&Routes<'_>, &Dialog),
        text: &mut Vec<u8>,
    ) {
        let word = self.word_of(way, target);
        let next = self.next_in_dialog(io, inbound, target, routes, (dialog, way, &word), text);
        let (mut outgoing, spare) = match next {
            NextHop::To(outgoing, spare) => (outgoing, spare),
            NextHop::Insecure => return self.reply(io, inbound, Reason::DialogInsecure, SIPS_NOT_ALLOWED),
            NextHop::Nowhere => return self.refuse_unreachable(io, inbound, routes, dialog),
            NextHop::Later(question) => return self.wait_for(io, inbound, key, question),
        };
        if self.refuse_unkept(io, inbound, dialog, sender) {
            return;
        }
        if !self.enter_dialogs(io, inbound, (dialog, &routes.inner), sender) {
            return self.refuse(io, inbound, Reason::DialogFull);
        }
        if sender == Sender::Unknown {
            // What anybody may have sent gives the other side no way.
            outgoing.mark = None;
        }
        let reach = (&way.flow, outgoing.egress.remote.ip());
        // An error: it waits for the media relay.
        let Ok((body, leg)) = self.turn_media(io, inbound, key, dialog, reach) else { return };
        outgoing.unproven = self.is_unproven_by(Some(&word), &outgoing.egress, io.unix_ms());
        match &body {
            Some(Ok(body)) => outgoing.body = Some(body),
            Some(Err(code)) if inbound.method != Method::Ack => {
                return self.refuse_media(io, inbound, *code, Reason::DialogMedia);
            }
            Some(Err(_)) | None => {}
        }
        let holder = (dialog.mark.holder.kind, dialog.mark.holder.party);
        if self.shared.config.stateless || inbound.method == Method::Ack {
            self.note_request(io, inbound, (dialog, &routes.inner), sender);
            let passage = Stateless {
                key,
                loop_mac: self.shared.secret.stateless_loop_mac(&inbound.message),
                dialog: StatelessUse::Inside(dialog.place.number, dialog.from),
                unanswered: self.is_unanswered(inbound, dialog),
                caller: holder,
                callee: way.kind,
            };
            self.send_stateless(io, inbound, &mut outgoing, None, &passage);
        } else if let Some((slot, mut context)) = self.open(io, inbound, key, (holder, 1)) {
            self.note_request(io, inbound, (dialog, &routes.inner), sender);
            context.media = leg;
            context.dialog = routes.dialog_use(dialog);
            let patience = self.shared.config.failover.as_millis() as u32;
            let carrier = dialog.mark.way.kind == PartyKind::Trunk;
            let credentials = self.trunk_login(way, &outgoing.egress);
            let answered = credentials.is_some();
            let hop = Hop { credentials, ..Hop::new(outgoing.egress, spare, Some(word)) };
            let target = Target {
                passes_challenges: self.shared.config.pass_challenges.includes(carrier, answered),
                ..context::target(hop, patience)
            };
            self.start(io, inbound, (slot, &mut context), &outgoing, (None, target));
            self.started(io, slot, context);
        }
    }

    /// There is no way to the other side any more.
    fn refuse_unreachable(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        routes: &Routes<'_>,
        dialog: &Dialog,
    ) {
        if inbound.method == Method::Bye {
            self.note_unheard(&inbound.message, (dialog, &routes.inner), io.unix_ms());
        }
        // 430 tells a proxy that the flow to the other side is gone; phones are never told so (RFC 5626 §11.5).
        let relayed = inbound.message.list(HeaderName::Via).count() > 1;
        let answer = OwnAnswer { code: if relayed { 430 } else { 480 }, ..Reason::DialogUnreachable.into() };
        self.reply_with(io, inbound, &answer, |_| {});
    }

    /// Is it an ACK that nothing answers? Without transactions the ACK to a failed INVITE passes here too, and has its INVITE's
    /// branch (RFC 3261 §17.1.1.3).
    fn is_unanswered(&self, inbound: &Inbound<'_>, dialog: &Dialog) -> bool {
        let refused = || {
            let cseq = inbound.message.cseq();
            self.shared.config.stateless && self.shared.dialogs.was_refused(dialog.place, dialog.from, cseq)
        };
        inbound.method == Method::Ack && !refused()
    }

    /// An ACK: to a failure it ends here (§17.2.1), to a 2xx it follows the dialog.
    pub(crate) fn on_ack(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (uri, routes): (&Uri<'_>, &Routes<'_>),
        memory: &mut DecisionMemory,
    ) {
        let m = &inbound.message;
        let key = self.shared.keys.key(m, &inbound.via, Method::Invite);
        if let Some(slot) = self.find(key)
            && let Some(context) = self.contexts.get(slot)
            && (context.comes_from(inbound.flow) || self.is_of(context.caller, inbound.flow))
            && context.proxy.method() == Method::Invite
            && !context.proxy.is_accepted()
        {
            return self.step(io, slot, Input::Ack, None);
        }
        // Our own stateless answers want no more than that their ACK goes no further.
        let names_ours = || m.to_tag().len() == LOCAL_TAG && m.to_tag() == self.local_tag(inbound);
        if names_ours() || self.refusals.has(key) {
            return;
        }
        match &routes.dialog {
            Some(dialog) if m.max_forwards() != Some(0) => {
                self.counters.in_dialog.add();
                self.forward_in_dialog(io, (inbound, key), uri, (routes, dialog), &mut memory.text);
            }
            None if self.shared.config.stateless => {
                self.on_stateless_companion(io, inbound, (uri, routes), memory)
            }
            None if m.max_forwards() != Some(0) && self.follow_accepted(io, inbound, uri, key) => {}
            _ if self.seek(io, inbound.flow, m.bytes) => {}
            _ => self.counters.stray_acks.add(),
        }
    }

    /// A CANCEL, RFC 3261 §16.10: answered here, passed on to the branches that run.
    pub(crate) fn on_cancel(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, reason: &mut Vec<u8>) {
        let key = self.shared.keys.key(&inbound.message, &inbound.via, Method::Invite);
        let found = self.find(key);
        let companion = self.companion(inbound);
        let own = |c: &Context| self.may_cancel(io, c, inbound.flow, companion);
        let foreign = found.and_then(|slot| self.contexts.get(slot)).is_some_and(|c| !own(c));
        if foreign {
            // Whoever sees an INVITE elsewhere is not to end it (RFC 3261 §9.2 wants at least the sender's address alike).
            return self.refuse(io, inbound, Reason::CancelForeign);
        }
        let Some(slot) = found else {
            if self.cancels_other(inbound) {
                // It has no effect on them (RFC 3261 §9.2).
                return self.accept(io, inbound);
            }
            return match self.cancel_suspended(io, inbound, key) {
                Some(true) => self.accept(io, inbound),
                None if self.seek(io, inbound.flow, inbound.message.bytes) => {}
                Some(false) | None => self.refuse(io, inbound, Reason::CancelNothing),
            };
        };
        self.accept(io, inbound);
        put_reasons(&inbound.message, reason);
        self.note_cancelled(slot, &inbound.message);
        if let Some(context) = self.contexts.get(slot) {
            self.events.resume(context.request);
            self.events.note(io.unix_ms(), Event::Cancelled);
        }
        self.step(io, slot, Input::Cancel(reason), None);
    }

    /// Is it the CANCEL of a request other than INVITE that its sender sent?
    fn cancels_other(&self, inbound: &Inbound<'_>) -> bool {
        let mut keys = self.shared.keys.cancelled(&inbound.message, &inbound.via);
        let found = keys.find_map(|key| self.contexts.get(self.find(key)?));
        found.is_some_and(|c| c.comes_from(inbound.flow) || self.is_of(c.caller, inbound.flow))
    }
}
