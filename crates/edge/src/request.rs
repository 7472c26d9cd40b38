//! What becomes of a received request, RFC 3261 §16.3 to §16.6.

use trunkline_proxy::transaction::Input;
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Outcome};
use trunkline_sip::response::{self, ViaFill};
use trunkline_sip::{
    Flow, HeaderName, MAGIC_COOKIE, Message, Method, ParseError, Scheme, Uri, parse_ip,
    without_control_characters,
};
use trunkline_transaction::{Slot, TransactionKey};

use crate::decide::Round;
use crate::edge::Edge;
use crate::inbound::{Inbound, complete_via, way_back};
use crate::mail::Io;
use crate::memory::DecisionMemory;
use crate::own_answer::{OwnAnswer, SOURCE_REFUSED};
use crate::party::PartyRef;
use crate::routes::Routes;
use crate::visit::Visit;

/// Until then an exchange that is drained for an update has started again.
const RETRY_LATER: &[u8] = b"Retry-After: 30\r\n";
/// Methods we know.
pub(crate) const ALLOW: &[u8] = b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH, REFER, INFO, PRACK, UPDATE\r\n";

impl Edge {
    /// A well-formed request.
    pub(crate) fn on_request(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        (message, method): (Message<'_>, Method),
        (text, memory): (&mut Vec<u8>, &mut DecisionMemory),
    ) {
        self.counters.requests.add();
        self.events.resume(std::mem::take(&mut self.suspensions.request));
        // Without a readable topmost Via there is nobody to answer.
        let Ok(via) = message.top_via() else {
            self.counters.garbage.add();
            return;
        };
        let via = (&via, parse_ip(via.host));
        let replace = complete_via(&message, via, flow, text);
        let fill = replace.map(|replace| ViaFill { replace, text });
        let back = way_back(&self.shared.guard, via, flow);
        let inbound =
            Inbound { message, method, flow, via: *via.0, fill, back, spiral: false, decided: None };
        self.dispatch(io, &inbound, memory);
    }

    fn dispatch(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, memory: &mut DecisionMemory) {
        let m = &inbound.message;
        if inbound.via.branch.eq_ignore_ascii_case(MAGIC_COOKIE) {
            // Such a branch identifies no transaction (RFC 4475 §3.2.1).
            return self.refuse(io, inbound, Reason::RequestBranch);
        }
        let uri = match request_uri(m) {
            Ok(uri) => self.without_account(inbound, uri),
            Err(reason) => return self.refuse(io, inbound, reason),
        };
        let routes = Routes::read(m, &uri, &self.shared);
        if routes.malformed {
            return self.refuse(io, inbound, Reason::RequestRoute);
        }
        if routes.false_mark && !matches!(inbound.method, Method::Ack | Method::Cancel) {
            self.counters.outside_dialogs.add();
            return self.refuse(io, inbound, Reason::DialogFalseMark);
        }
        match inbound.method {
            Method::Ack => return self.on_ack(io, inbound, (&uri, &routes), memory),
            Method::Cancel if self.shared.config.stateless => {
                return self.on_stateless_companion(io, inbound, (&uri, &routes), memory);
            }
            Method::Cancel => return self.on_cancel(io, inbound, &mut memory.text),
            // These change nothing when repeated, or are recognised by the registrar: no transaction
            // (RFC 3261 §8.2.7).
            Method::Register | Method::Options
                if routes.dialog.is_none() && self.is_for_us(&uri, inbound.method) =>
            {
                if !self.is_shed(io, inbound) {
                    if inbound.method == Method::Register {
                        self.note_arrival(io, inbound);
                    }
                    self.serve(io, inbound, &uri, memory);
                }
                return;
            }
            _ => {}
        }
        let key = self.shared.keys.key(m, &inbound.via, inbound.method);
        if !self.shared.config.stateless
            && let Some(slot) = self.find(key)
        {
            return self.on_retransmission(io, slot, m.bytes.len());
        }
        if self.is_suspended(key) {
            return self.counters.retransmissions.add();
        }
        if routes.dialog.is_none() && self.is_shed(io, inbound) {
            return;
        }
        self.note_arrival(io, inbound);
        if self.refuse_impossible(io, inbound, routes.dialog.is_some()) {
            return;
        }
        let visit = self.visit(inbound);
        if visit == Visit::Loop {
            return self.refuse(io, inbound, Reason::LoopDetected);
        }
        let inbound = &Inbound { spiral: visit == Visit::Spiral, ..*inbound };
        if let Some(dialog) = &routes.dialog {
            self.counters.in_dialog.add();
            return self.forward_in_dialog(io, (inbound, key), &uri, (&routes, dialog), &mut memory.text);
        }
        if self.refuse_without_route(io, inbound) {
            return;
        }
        if self.is_drained_for(inbound.method) {
            return self.reply(io, inbound, Reason::ServerDraining, RETRY_LATER);
        }
        let nobody = uri.user.is_none() && uri.scheme != Scheme::Tel && !names_somebody(inbound);
        if nobody && self.is_for_us(&uri, inbound.method) {
            return self.serve(io, inbound, &uri, memory);
        }
        self.route(io, (inbound, key), &uri, &mut memory.decision);
    }

    /// Refuses what a proxy cannot forward or serve, whoever sends it.
    fn refuse_impossible(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, inside: bool) -> bool {
        if inbound.message.max_forwards() == Some(0) {
            self.refuse(io, inbound, Reason::LoopMaxForwards);
            return true;
        }
        let tags = inbound.message.list(HeaderName::ProxyRequire).flatten();
        self.refuse_extensions(io, inbound, tags) || self.refuse_unendable(io, inbound, inside)
    }

    /// Is a new request of this method refused, because the exchange ends or an operator drains it? A balancer or carrier that
    /// asks with OPTIONS sends its calls elsewhere then.
    fn is_drained_for(&self, method: Method) -> bool {
        self.draining || matches!(method, Method::Invite | Method::Options) && self.shared.is_drained()
    }

    /// Is the request meant for the exchange itself: a URI without a user at a host that is ours? A carrier asks at the host
    /// that it calls us by.
    fn is_for_us(&self, uri: &Uri<'_>, method: Method) -> bool {
        if uri.user.is_some() && method != Method::Register {
            return false;
        }
        let tables = self.shared.tables.load();
        self.shared.addresses.is_own(uri)
            || tables.domain_by_uri(uri.host).is_some()
            || method == Method::Options && tables.trunk_by_inbound_uri(uri.host).is_some()
    }

    /// 420 with the extensions we do not have, RFC 3261 §16.3 step 5; `true` when it was sent.
    fn refuse_extensions<'a>(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        tags: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        let mut unsupported = Vec::new();
        for tag in tags.filter(|tag| !tag.is_empty()) {
            unsupported.extend_from_slice(if unsupported.is_empty() { b"Unsupported: " } else { b", " });
            unsupported.extend_from_slice(tag);
        }
        if unsupported.is_empty() {
            return false;
        }
        unsupported.extend_from_slice(b"\r\n");
        self.reply(io, inbound, Reason::RequestExtension, &unsupported);
        true
    }

    /// The request came before.
    fn on_retransmission(&mut self, io: &mut Io<'_>, slot: Slot, length: usize) {
        self.counters.retransmissions.add();
        if let Some(context) = self.contexts.get_mut(slot) {
            context.credit.add(length, io.now());
        }
        self.step(io, slot, Input::Repetition, None);
    }

    /// Answers a request that is for the exchange itself.
    fn serve(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, uri: &Uri<'_>, memory: &mut DecisionMemory) {
        let m = &inbound.message;
        // A REGISTER goes on to the router, which asks the same.
        let asked = inbound.method == Method::Register;
        if !asked && !self.shared.config.routing.admits(inbound.flow.remote.ip()) {
            return self.reply(io, inbound, Reason::AclService, SOURCE_REFUSED.as_bytes());
        }
        if self.refuse_extensions(
            io,
            inbound,
            m.list(HeaderName::Require).flatten().filter(|t| !is_supported(t)),
        ) {
            return;
        }
        match inbound.method {
            Method::Register => self.on_register(io, inbound, uri, memory),
            Method::Options => {
                self.reply_with(io, inbound, &OwnAnswer::OK, |out| {
                    out.extend_from_slice(ALLOW);
                    out.extend_from_slice(
                        b"Accept: application/sdp\r\nSupported: path, outbound, gruu, gin\r\n",
                    );
                });
            }
            // The exchange has no phone of its own.
            Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Notify => {
                self.refuse(io, inbound, Reason::DialogNone);
            }
            Method::Invite | Method::Message | Method::Subscribe | Method::Publish | Method::Refer => {
                self.refuse(io, inbound, Reason::CalleeExchange)
            }
            Method::Ack | Method::Cancel => {}
            Method::Other => self.reply(io, inbound, Reason::RequestMethod, ALLOW),
        }
    }

    /// Without transactions a CANCEL and the ACK to a failure follow their INVITE (RFC 3261 §16.10, §16.11), whose
    /// branch they have, if that was let through.
    pub(crate) fn on_stateless_companion(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (uri, routes): (&Uri<'_>, &Routes<'_>),
        memory: &mut DecisionMemory,
    ) {
        let key = self.shared.keys.key(&inbound.message, &inbound.via, Method::Invite);
        match &routes.dialog {
            _ if inbound.message.max_forwards() == Some(0) => {
                self.refuse(io, inbound, Reason::LoopMaxForwardsStateless)
            }
            Some(dialog) => {
                self.forward_in_dialog(io, (inbound, key), uri, (routes, dialog), &mut memory.text)
            }
            None if !self.shared.is_admitted(&inbound.message, key, inbound.flow.remote, io.unix_ms()) => {
                self.refuse_companion(io, inbound)
            }
            None => self.route(io, (inbound, key), uri, &mut memory.decision),
        }
    }

    fn refuse_companion(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) {
        match inbound.method {
            Method::Ack => self.counters.stray_acks.add(),
            _ => self.refuse(io, inbound, Reason::CancelStateless),
        }
    }

    /// Asks the router and does what it says.
    fn route(
        &mut self,
        io: &mut Io<'_>,
        (inbound, key): (&Inbound<'_>, TransactionKey),
        uri: &Uri<'_>,
        decision: &mut Decision,
    ) {
        if let Err(error) = self.decide(io, inbound, uri, Round::First, decision) {
            return self.refuse_undecidable(io, inbound, error);
        }
        let decision = &*decision;
        let inbound = &Inbound { decided: Some(decision), ..*inbound };
        match decision.outcome {
            Outcome::Reply { .. } => self.reply_as_decided(io, inbound, decision),
            Outcome::Challenge { proxy, stale, reason } => {
                self.challenge(io, inbound, decision, (proxy, stale), reason)
            }
            Outcome::Register { .. } => self.refuse(io, inbound, Reason::RegisterOther),
            Outcome::Forward
                if self.refuse_stranger(io, inbound, PartyRef::caller(&decision.parties).kind, false)
                    || self.refuse_referral(io, inbound, decision) => {}
            Outcome::Forward => self.forward(io, inbound, key, decision),
        }
    }

    /// A message that breaks the rules: 400 and its like where it can be answered, else a counter.
    pub(crate) fn on_malformed(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        message: Message<'_>,
        error: ParseError,
    ) {
        self.note_garbled(io, flow);
        // The answer quotes the request: what nobody may pass on is not passed back either.
        let clean = without_control_characters(message.bytes);
        let message = Message::new(&clean, message.index);
        let method = message.method();
        // What holds characters that are no text may be anything.
        let lacks = matches!(error, ParseError::Cardinality(_) | ParseError::Header(_));
        if lacks && message.status().is_some_and(|code| code >= 200) {
            return self.on_garbled_response(io, flow, &message);
        }
        let answerable =
            response::can_answer(&message).is_ok() && !matches!(method, None | Some(Method::Ack));
        match (answerable, message.top_via()) {
            (true, Ok(via)) => {
                self.counters.malformed.add();
                let inbound = Inbound {
                    message,
                    method: method.unwrap_or(Method::Other),
                    flow,
                    via,
                    fill: None,
                    back: way_back(&self.shared.guard, (&via, parse_ip(via.host)), flow),
                    spiral: false,
                    decided: None,
                };
                self.refuse_error(io, &inbound, error);
            }
            _ => self.counters.garbage.add(),
        }
    }
}

/// Extensions a request to the exchange itself may require.
fn is_supported(tag: &[u8]) -> bool {
    [&b"path"[..], b"outbound", b"gruu", b"gin"].iter().any(|t| tag.eq_ignore_ascii_case(t))
}

/// The Request-URI, or what is wrong with it.
fn request_uri<'a>(m: &Message<'a>) -> Result<Uri<'a>, Reason> {
    match m.uri() {
        // A scheme we cannot route by: 416 before the URI's other parts are judged (RFC 3261 §16.3 step 2).
        Ok(uri) if uri.scheme == Scheme::Other => Err(Reason::UriScheme),
        // Header fields may not stand in a Request-URI (§19.1.1); they are never applied.
        Ok(uri) if !uri.headers.is_empty() => Err(Reason::UriHeaders),
        Ok(uri) => Ok(uri),
        Err(_) if has_strange_scheme(m.uri_text()) => Err(Reason::UriUnknownScheme),
        Err(_) => Err(Reason::UriMalformed),
    }
}

fn has_strange_scheme(uri: &[u8]) -> bool {
    let scheme = uri.iter().position(|&b| b == b':').and_then(|c| uri.get(..c)).unwrap_or_default();
    let known = [&b"sip"[..], b"sips", b"tel"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    !known && scheme.first().is_some_and(u8::is_ascii_alphabetic)
}

/// A call to a Contact of ours at a carrier, which has no user: To says who is called.
fn names_somebody(inbound: &Inbound<'_>) -> bool {
    let to = || inbound.message.to().and_then(|to| to.parsed_uri());
    inbound.method == Method::Invite && to().is_ok_and(|to| to.user.is_some())
}
