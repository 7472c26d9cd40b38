//! What becomes of a received request, RFC 3261 §16.3 to §16.6.

use std::fmt::Write as _;

use trunkline_proxy::Secret;
use trunkline_proxy::transaction::Input;
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
use crate::party::PartyRef;
use crate::routes::Routes;
use crate::visit::Visit;

/// Methods we know, for Allow.
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
        // Without a readable topmost Via there is nobody to answer.
        let Ok(via) = message.top_via() else {
            self.counters.garbage.add();
            return;
        };
        let via = (&via, parse_ip(via.host));
        let replace = complete_via(&message, via, flow, text);
        let fill = replace.map(|replace| ViaFill { replace, text });
        let back = way_back(&self.shared.guard, via, flow);
        let inbound = Inbound { message, method, flow, via: *via.0, fill, back, spiral: false };
        self.dispatch(io, &inbound, memory);
    }

    fn dispatch(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, memory: &mut DecisionMemory) {
        let m = &inbound.message;
        if inbound.via.branch.eq_ignore_ascii_case(MAGIC_COOKIE) {
            // Such a branch identifies no transaction (RFC 4475 §3.2.1).
            return self.refuse(io, inbound, 400, Some("Branch Without Identity"));
        }
        let uri = match request_uri(m) {
            Ok(uri) => self.without_account(inbound, uri),
            Err((code, reason)) => return self.refuse(io, inbound, code, reason),
        };
        let routes = Routes::read(m, &uri, &self.shared);
        if routes.malformed {
            return self.refuse(io, inbound, 400, Some("Malformed Route"));
        }
        if routes.false_mark && !matches!(inbound.method, Method::Ack | Method::Cancel) {
            self.counters.outside_dialogs.add();
            return self.refuse(io, inbound, 481, None);
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
        if m.max_forwards() == Some(0) {
            return self.refuse(io, inbound, 483, None);
        }
        let tags = m.list(HeaderName::ProxyRequire).flatten();
        if self.refuse_extensions(io, inbound, tags) {
            return;
        }
        let visit = self.visit(inbound);
        if visit == Visit::Loop {
            return self.refuse(io, inbound, 482, None);
        }
        let inbound = &Inbound { spiral: visit == Visit::Spiral, ..*inbound };
        if let Some(dialog) = &routes.dialog {
            self.counters.in_dialog.add();
            return self.forward_in_dialog(io, (inbound, key), &uri, (&routes, dialog), &mut memory.text);
        }
        if self.draining {
            return self.refuse(io, inbound, 503, Some("Shutting Down"));
        }
        let nobody = uri.user.is_none() && uri.scheme != Scheme::Tel && !names_somebody(inbound);
        if nobody && self.is_for_us(&uri, inbound.method) {
            return self.serve(io, inbound, &uri, memory);
        }
        self.route(io, (inbound, key), &uri, &mut memory.decision);
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
        self.reply(io, inbound, 420, None, &unsupported);
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
            return self.reply(io, inbound, 403, None, SOURCE_REFUSED.as_bytes());
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
                self.reply_with(io, inbound, (200, None), |out| {
                    out.extend_from_slice(ALLOW);
                    out.extend_from_slice(
                        b"Accept: application/sdp\r\nSupported: path, outbound, gruu, gin\r\n",
                    );
                });
            }
            // The exchange has no phone of its own.
            Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Notify => {
                self.refuse(io, inbound, 481, None);
            }
            Method::Invite | Method::Message | Method::Subscribe | Method::Publish | Method::Refer => {
                self.refuse(io, inbound, 404, None)
            }
            Method::Ack | Method::Cancel => {}
            Method::Other => self.reply(io, inbound, 405, None, ALLOW),
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
            _ if inbound.message.max_forwards() == Some(0) => self.refuse(io, inbound, 483, None),
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
            _ => self.refuse(io, inbound, 481, None),
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
            return self.refuse_error(io, inbound, error);
        }
        match decision.outcome {
            Outcome::Reply { .. } => self.reply_as_decided(io, inbound, decision),
            Outcome::Challenge { proxy, stale } => self.challenge(io, inbound, decision, proxy, stale),
            Outcome::Register { .. } => self.refuse(io, inbound, 404, None),
            Outcome::Forward
                if self.refuse_transfer(io, inbound, PartyRef::caller(&decision.parties).kind) => {}
            Outcome::Forward => self.forward(io, inbound, key, decision),
        }
    }

    /// The router's own answer, with the reason of one that is due to the source address.
    pub(crate) fn reply_as_decided(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, decision: &Decision) {
        let Outcome::Reply { code, reason, retry_after } = decision.outcome else { return };
        let mut extra = String::new();
        if let Some(seconds) = retry_after {
            let _ = write!(extra, "Retry-After: {seconds}\r\n");
        }
        if decision.source_refused {
            extra.push_str(SOURCE_REFUSED);
            let why = || decision.facts().last().map(|fact| fact.to_string()).unwrap_or_default();
            tracing::debug!(source = %inbound.flow.remote, method = ?inbound.method, code, "refused: {}", why());
        }
        self.reply(io, inbound, code, reason, extra.as_bytes());
    }

    /// A message that breaks the rules: 400 and its like where it can be answered, else a counter.
    pub(crate) fn on_malformed(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        message: Message<'_>,
        error: ParseError,
    ) {
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
                };
                self.refuse_error(io, &inbound, error);
            }
            _ => self.counters.garbage.add(),
        }
    }

    fn refuse_error(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, error: ParseError) {
        let phrase = error.to_string();
        self.reply(io, inbound, error.status(), Some(&phrase), b"");
    }

    /// An answer without further headers.
    pub(crate) fn refuse(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, code: u16, phrase: Option<&str>) {
        self.reply(io, inbound, code, phrase, b"");
    }

    /// An answer of our own, without a transaction: a repeated request gets an equal one, with the same To tag
    /// (RFC 3261 §8.2.7). `extra` are header lines.
    pub(crate) fn reply(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        code: u16,
        phrase: Option<&str>,
        extra: &[u8],
    ) {
        self.reply_with(io, inbound, (code, phrase), |out| out.extend_from_slice(extra));
    }

    /// The same; `extra` writes the header lines.
    pub(crate) fn reply_with(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (code, phrase): (u16, Option<&str>),
        extra: impl FnOnce(&mut Vec<u8>),
    ) {
        if inbound.method == Method::Ack {
            return;
        }
        self.counters.answered.add();
        if inbound.method == Method::Invite && code >= 300 && !inbound.message.to_tag().is_empty() {
            // Its ACK goes no further than the answer came from, whatever the Route of a dialog says.
            self.refusals.note(self.shared.keys.key(&inbound.message, &inbound.via, Method::Invite));
        }
        let tag = self.local_tag(inbound);
        let Io { net, memory } = io;
        let out = &mut memory.out;
        out.clear();
        response::begin(&inbound.message, code, phrase, &tag, inbound.fill.as_ref(), out);
        // What we can do is told as long as it costs nobody anything (RFC 3261 §11.2).
        let head = out.len();
        extra(out);
        let spare = inbound.method == Method::Options && code == 200
            || out.get(head..) == Some(SOURCE_REFUSED.as_bytes());
        let needed = if spare { head } else { out.len() };
        self.put_server_name(out);
        response::finish(out);
        self.send_reply(net, inbound, out, needed);
    }

    pub(crate) fn put_server_name(&self, out: &mut Vec<u8>) {
        let name = &self.shared.config.server_name;
        if !name.is_empty() {
            out.extend_from_slice(b"Server: ");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The To tag of our answers to this request.
    pub(crate) fn local_tag(&self, inbound: &Inbound<'_>) -> [u8; LOCAL_TAG] {
        local_tag(&self.shared.secret, inbound.via.branch, &inbound.message)
    }
}

/// RFC 3261 §20.43. Which list it was is the operator's business.
const SOURCE_REFUSED: &str = "Warning: 399 trunkline \"Source Address Refused by Access Control List\"\r\n";

/// How long our To tags are.
pub(crate) const LOCAL_TAG: usize = 16;

/// The To tag of our answers to a request with this branch, of which `m` has the rest.
pub(crate) fn local_tag(secret: &Secret, branch: &[u8], m: &Message<'_>) -> [u8; LOCAL_TAG] {
    let mut tag = secret.tag(branch, m.call_id(), m.from_tag());
    let mut digits = [0u8; LOCAL_TAG];
    for d in digits.iter_mut().rev() {
        *d = b"0123456789abcdef"[(tag & 15) as usize];
        tag >>= 4;
    }
    digits
}

/// Extensions a request to the exchange itself may require.
fn is_supported(tag: &[u8]) -> bool {
    [&b"path"[..], b"outbound", b"gruu", b"gin"].iter().any(|t| tag.eq_ignore_ascii_case(t))
}

/// The Request-URI, or the status and phrase that say what is wrong with it.
fn request_uri<'a>(m: &Message<'a>) -> Result<Uri<'a>, (u16, Option<&'static str>)> {
    match m.uri() {
        // A scheme we cannot route by: 416 before the URI's other parts are judged (RFC 3261 §16.3 step 2).
        Ok(uri) if uri.scheme == Scheme::Other => Err((416, None)),
        // Header fields may not stand in a Request-URI (§19.1.1); they are never applied.
        Ok(uri) if !uri.headers.is_empty() => Err((400, Some("Header Fields in Request-URI"))),
        Ok(uri) => Ok(uri),
        Err(_) if has_strange_scheme(m.uri_text()) => Err((416, None)),
        Err(error) => Err((error.status(), Some("Malformed Request-URI"))),
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
