//! Requests inside dialogs of ours, ACK and CANCEL: routed by what the dialog says, never challenged.

use smallvec::SmallVec;
use trunkline_proxy::{FlowToken, PartyKind, Side, StatelessUse, Way};
use trunkline_sip::{Address, ConnectionId, HeaderName, Method, Uri};
use trunkline_transaction::TransactionKey;
use trunkline_transport::{Egress, Io};

use crate::branches::Outgoing;
use crate::context::{Cancel, Client, DialogUse, Limit, TargetInfo};
use crate::edge::Edge;
use crate::forward;
use crate::gruu::{Named, is_of};
use crate::inbound::Inbound;
use crate::mail::EdgeMail;
use crate::media::refusal;
use crate::resolver::{Question, Resolved, Spare};
use crate::routes::{Dialog, Routes};
use crate::trust::{Judged, SIPS_NOT_ALLOWED, Word, is_sips};
use crate::ways::reach;
use trunkline_sip::Message;
use trunkline_transaction::timers::T1_64;
use trunkline_transaction::{NonInviteClient, Slot};

/// Where a request inside a dialog goes. Lives on the stack of one call, so its size costs nothing.
#[allow(clippy::large_enum_variant)]
enum Next<'a> {
    To(Outgoing<'a>, Spare),
    Nowhere,
    /// A SIPS URI, and no way protected by TLS.
    Insecure,
    /// A name has to be looked up first; the request will be looked at again.
    Later(Question),
}

impl<'a> Outgoing<'a> {
    /// Down this way, where the guard lets it go by this word.
    fn by(mut self, edge: &Edge, word: &Word, way: Resolved) -> Next<'a> {
        let judged = match way {
            Resolved::To(egress, spare) => edge.guarded(Some(word), egress, spare),
            Resolved::Nowhere => Judged::Nowhere,
            Resolved::Later(question) => Judged::Later(question),
        };
        match judged {
            Judged::To(egress, spare) => {
                self.egress = egress;
                Next::To(self, spare)
            }
            // A dialog has its other end elsewhere.
            Judged::Inside | Judged::Nowhere => Next::Nowhere,
            Judged::Later(question) => Next::Later(question),
        }
    }
}

impl Edge {
    /// Loose routing (RFC 3261 §16.12) of a request whose Route proves the dialog to be ours.
    pub(crate) fn forward_in_dialog(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        uri: &Uri<'_>,
        routes: &Routes<'_>,
        dialog: &Dialog,
    ) {
        // A strict router before us: its last Route value is the real Request-URI (§16.4).
        let last = routes.last.and_then(|last| Address::parse(last, "Route").ok()).map(|a| a.parsed_uri());
        let target = match last {
            None => *uri,
            Some(Ok(uri)) => uri,
            Some(Err(error)) => return self.refuse(io, inbound, error.status(), Some("Malformed Route")),
        };
        let Some((way, identified)) = self.judge_inside(io, inbound, &target, dialog) else { return };
        let mut old_uri = std::mem::take(&mut self.scratch.contacts);
        let next = self.next_in_dialog(io, inbound, uri, routes, (dialog, &way), &mut old_uri);
        let (mut outgoing, spare) = match next {
            Next::To(outgoing, spare) => (outgoing, spare),
            Next::Insecure => {
                self.reply(io, inbound, 480, None, SIPS_NOT_ALLOWED);
                self.scratch.contacts = old_uri;
                return;
            }
            Next::Nowhere => {
                if inbound.method == Method::Bye {
                    // Who hangs up has hung up, whether the other side hears of it or not.
                    self.note_request(io, inbound, dialog, identified);
                    let _ = self.turn_media(io, inbound, key, dialog, &way.flow);
                }
                // 430 tells a proxy that the flow to the other side is gone; phones are never told so
                // (RFC 5626 §11.5).
                let relayed = inbound.message.list(HeaderName::Via).count() > 1;
                self.refuse(io, inbound, if relayed { 430 } else { 480 }, None);
                self.scratch.contacts = old_uri;
                return;
            }
            Next::Later(question) => {
                self.wait_for(io, inbound, key, question);
                self.scratch.contacts = old_uri;
                return;
            }
        };
        let (body, leg) = match self.turn_media(io, inbound, key, dialog, &way.flow) {
            Ok(turned) => turned,
            Err(()) => {
                // It waits for the media relay.
                self.scratch.contacts = old_uri;
                return;
            }
        };
        outgoing.unproven =
            way.kind == PartyKind::Stranger && self.is_unproven(&outgoing.egress, io.unix_ms());
        match &body {
            Some(Ok(body)) => outgoing.body = Some(body),
            Some(Err(code)) if inbound.method != Method::Ack => {
                self.reply(io, inbound, *code, None, &refusal(*code));
                self.scratch.contacts = old_uri;
                return;
            }
            Some(Err(_)) | None => {}
        }
        if self.shared.config.stateless || inbound.method == Method::Ack {
            self.note_request(io, inbound, dialog, identified);
            let number = StatelessUse::Inside(dialog.place.number, dialog.from);
            self.send_stateless(io, inbound, &outgoing, None, number);
        } else if let Some(slot) = self.open(io, inbound, key) {
            self.note_request(io, inbound, dialog, identified);
            if let Some(context) = self.contexts.get_mut(slot) {
                context.media = leg;
                context.dialog = DialogUse::Inside(dialog.place, dialog.from);
            }
            let patience = self.shared.config.failover.as_millis() as u32;
            let carrier = dialog.mark.way.kind == PartyKind::Trunk;
            let info = TargetInfo {
                patience,
                spare,
                word: Some(self.word_of(&way, &target)),
                unproven: outgoing.unproven,
                passes_challenges: self.shared.config.pass_challenges.includes(carrier, false),
                ..TargetInfo::default()
            };
            self.start(io, inbound, slot, &outgoing, None, info);
            self.started(io, slot);
        }
        self.scratch.contacts = old_uri;
    }

    fn next_in_dialog<'a>(
        &self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'a>,
        uri: &Uri<'_>,
        routes: &Routes<'a>,
        (dialog, way): (&Dialog, &Way),
        old_uri: &'a mut Vec<u8>,
    ) -> Next<'a> {
        let m = &inbound.message;
        let mut out = Outgoing {
            uri: b"",
            path: b"",
            headers: b"",
            drop_routes: routes.own,
            egress: Egress::back(inbound.flow),
            may_grow: false,
            mark: None,
            max_breadth: None,
            body: None,
            spent: self.spent_credentials(m),
            unproven: false,
            cseq_added: if dialog.from == Side::Caller { dialog.mark.cseq_added } else { 0 },
        };
        let mut target = m.uri_text();
        let mut word = self.word_of(way, uri);
        if let Some(last) = routes.last {
            let last = Address::parse(last, "Route").map_or(last, |a| a.uri);
            (out.uri, target) = (last, last);
            word = Uri::parse(last).map_or(word, |uri| self.word_of(way, &uri));
            out.drop_routes = u16::MAX;
        }
        if let Some(next) = routes.next.filter(|_| routes.last.is_none()) {
            if !Uri::parse(next).is_ok_and(|u| u.is_loose()) {
                // A strict router after us: it wants to see itself in the Request-URI (§16.6 step 6).
                out.uri = next;
                out.drop_routes = routes.own + 1;
                old_uri.clear();
                old_uri.extend_from_slice(b"Route: <");
                old_uri.extend_from_slice(m.uri_text());
                old_uri.extend_from_slice(b">\r\n");
                out.headers = old_uri;
            }
            target = next;
        } else {
            let flow = &way.flow;
            let alive = flow.filter(|f| !f.transport.is_reliable() || io.is_connected(f.connection));
            // A GRUU of ours is translated, and finds the phone on whatever flow it has now (RFC 5627 §5.1).
            if routes.last.is_none()
                && let Some((found, phone)) = self.phone_named(io, uri, old_uri)
            {
                out.uri = old_uri;
                return match alive {
                    Some(flow) => out.by(self, &word, Resolved::To(egress_of(&flow), Spare::default())),
                    None => out.by(self, &phone, found),
                };
            }
            if let Some(flow) = alive {
                if is_sips(target) && !flow.transport.is_secure() {
                    return Next::Insecure;
                }
                return out.by(self, &word, Resolved::To(egress_of(&flow), Spare::default()));
            }
            if flow.is_some_and(|f| !f.listens) || self.is_our_gruu(uri) {
                return Next::Nowhere;
            }
            if uri.user.is_none() && self.shared.addresses.is_own(uri) && routes.last.is_none() {
                return Next::Nowhere;
            }
        }
        match self.shared.resolver.resolve_uri(target) {
            // A Route may name another transport than the SIPS URI behind it allows.
            Resolved::To(egress, _) if is_sips(m.uri_text()) && !egress.transport.is_secure() => {
                Next::Insecure
            }
            way => {
                out.may_grow = Uri::parse(target).is_ok_and(|u| u.param("transport").is_none());
                out.by(self, &word, way)
            }
        }
    }

    fn is_our_gruu(&self, uri: &Uri<'_>) -> bool {
        let ours = || {
            self.shared.addresses.is_own(uri) || self.shared.tables.load().domain_by_uri(uri.host).is_some()
        };
        uri.param("gr").is_some() && ours()
    }

    /// Lets a request wait until a name is known.
    pub(crate) fn wait_for(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        question: Question,
    ) {
        self.await_name(io.now(), inbound.flow, key);
        self.shared.resolver.ask(question, *inbound.flow, inbound.message.bytes, self.shard);
    }

    /// The phone a GRUU of ours names: how it is reached now and by whose word, with its Contact in `contact`. `None`: the
    /// URI is no GRUU of ours, or the phone is not registered.
    fn phone_named(
        &self,
        io: &Io<EdgeMail>,
        uri: &Uri<'_>,
        contact: &mut Vec<u8>,
    ) -> Option<(Resolved, Word)> {
        let shared = &self.shared;
        let named = Named::read(uri, &shared.secret)?;
        let tables = shared.tables.load();
        let own = || shared.addresses.is_own(uri).then_some(shared.config.routing.default_domain.as_bytes());
        let domain = tables.domain_by_uri(uri.host).or_else(|| tables.domain_by_uri(own()?))?;
        let own_user = uri.user_decoded();
        let user = named.user.as_deref().or(own_user.as_deref())?;
        let mut aor: SmallVec<[u8; 128]> = SmallVec::new();
        for part in [b"sip:", user, b"@", domain.domain_uri.as_bytes()] {
            aor.extend_from_slice(part);
        }
        let mut found = None;
        shared.location.visit(&aor, io.unix_ms(), |b| {
            if found.is_some() || is_of(&b, &named.instance, named.registration, &shared.secret) != Ok(true) {
                return;
            }
            let Some(way) = reach(io, &b) else { return };
            contact.clear();
            contact.extend_from_slice(b.uri);
            let way = match way.flow {
                Some(flow) => Resolved::To(Egress::back(&flow), Spare::default()),
                None => self.way_by_uri(b.path, b.uri),
            };
            found = Some((way, Word { seen_at: Some(b.flow.remote), ..Word::default() }));
        });
        found
    }

    /// An ACK: to a failure it ends here (§17.2.1), to a 2xx it follows the dialog.
    pub(crate) fn on_ack(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        uri: &Uri<'_>,
        routes: &Routes<'_>,
    ) {
        let m = &inbound.message;
        let key = self.shared.keys.key(m, &inbound.via, Method::Invite);
        if let Some(slot) = self.find(key) {
            let now = io.now();
            if let Some(context) = self.contexts.get_mut(slot)
                && context.comes_from(inbound.flow)
                && let crate::context::Server::Invite(s) = &mut context.server
                && !s.is_accepted()
            {
                s.on_ack(now);
                return self.settle(io, slot);
            }
        }
        // Our own stateless answers want no more than that their ACK goes no further.
        if m.to_tag() == self.local_tag(inbound) || self.refusals.has(key) {
            return;
        }
        match &routes.dialog {
            Some(dialog) if m.max_forwards() != Some(0) => {
                self.counters.in_dialog.add();
                self.forward_in_dialog(io, inbound, key, uri, routes, dialog);
            }
            None if self.shared.config.stateless => self.on_stateless_companion(io, inbound, uri, routes),
            _ if self.seek(io, inbound.flow, m.bytes) => {}
            _ => self.counters.stray_acks.add(),
        }
    }

    /// A CANCEL, RFC 3261 §16.10: answered here, passed on to the branches that run.
    pub(crate) fn on_cancel(&mut self, io: &mut Io<EdgeMail>, inbound: &Inbound<'_>) {
        let key = self.shared.keys.key(&inbound.message, &inbound.via, Method::Invite);
        let found = self.find(key);
        let foreign =
            found.and_then(|slot| self.contexts.get(slot)).is_some_and(|c| !c.comes_from(inbound.flow));
        if foreign {
            // Whoever sees an INVITE elsewhere is not to end it (RFC 3261 §9.2 wants at least the sender's address alike).
            return self.refuse(io, inbound, 481, None);
        }
        let Some(slot) = found else {
            let parked = self.cancel_parked(io, key, inbound.flow.remote.ip());
            if !parked && self.seek(io, inbound.flow, inbound.message.bytes) {
                return;
            }
            return self.refuse(io, inbound, if parked { 200 } else { 481 }, None);
        };
        self.refuse(io, inbound, 200, None);
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if context.cancelled || !context.server.is_proceeding() {
            return;
        }
        context.cancelled = true;
        context.responses.close();
        context.later.clear();
        self.cancel_branches(io, slot, None);
        self.settle(io, slot);
    }

    /// Cancels the branches that run, but for `except`.
    pub(crate) fn cancel_branches(&mut self, io: &mut Io<EdgeMail>, slot: Slot, except: Option<usize>) {
        let count = self.contexts.get(slot).map_or(0, |c| c.branches.len());
        for i in (0..count).filter(|i| Some(*i) != except) {
            self.cancel_branch(io, slot, i);
        }
    }

    /// Cancels one branch: at once if it has been heard of, else when it is (RFC 3261 §9.1).
    pub(crate) fn cancel_branch(&mut self, io: &mut Io<EdgeMail>, slot: Slot, i: usize) {
        let now = io.now();
        let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) else { return };
        let Client::Invite(client) = &branch.client else { return };
        if matches!(branch.cancel, Cancel::Sent(_)) || branch.sent.is_empty() || branch.client.is_terminated()
        {
            return;
        }
        if !client.is_proceeding() {
            branch.cancel = Cancel::Wanted;
            return;
        }
        branch.cancel = Cancel::Sent(NonInviteClient::new(branch.egress.transport.is_reliable(), now));
        // No final response to the INVITE within 64*T1 after the CANCEL: it is over (RFC 3261 §9.1).
        branch.limit = Limit::Answer(now + T1_64);
        self.send_cancel(io, slot, i);
    }

    /// Sends (again) the CANCEL of a branch.
    pub(crate) fn send_cancel(&mut self, io: &mut Io<EdgeMail>, slot: Slot, i: usize) {
        let Some(branch) = self.contexts.get(slot).and_then(|c| c.branches.get(i)) else { return };
        let (mut index, mut out) =
            (std::mem::take(&mut self.scratch.other), std::mem::take(&mut self.scratch.text));
        if index.parse(&branch.sent, &trunkline_sip::Limits::default()).is_ok() {
            forward::companion(&Message::new(&branch.sent, &index), "CANCEL", None, &mut out);
            if !branch.target.unproven || self.may_send(&branch.egress, out.len(), io.unix_ms()) {
                io.send(&branch.egress, &out);
            }
        }
        (self.scratch.other, self.scratch.text) = (index, out);
    }

    /// Sends a branch's request again.
    pub(crate) fn send_again(&self, io: &mut Io<EdgeMail>, slot: Slot, i: usize) {
        let Some(branch) = self.contexts.get(slot).and_then(|c| c.branches.get(i)) else { return };
        if !branch.target.unproven || self.may_send(&branch.egress, branch.sent.len(), io.unix_ms()) {
            io.send(&branch.egress, &branch.sent);
        }
    }
}

fn egress_of(flow: &FlowToken) -> Egress {
    let mut egress = Egress::to(flow.transport, flow.remote);
    egress.local.set_port(flow.local_port);
    egress.connection = if flow.transport.is_reliable() { flow.connection } else { ConnectionId::NONE };
    egress
}
