//! Hanging up for both sides of a call: an operator does, or no media comes any more (`media/silence.rs`). Each side gets a BYE as
//! the other one would send it, which takes the way of every request inside a dialog. What that takes is written at the answer
//! into the call's place in the table of calls, whose memory is used again; calls from before a restart have nothing there.

use trunkline_calls::{Cause, MOST_KEPT, Talker};
use trunkline_proxy::Side;
use trunkline_proxy::transaction::{Branch, Input};
use trunkline_reasons::Reason;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, Index, Limits, Message, Method, Uri};

use crate::context::{Context, DialogUse, Hop};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::memory::MessageMemory;
use crate::routes::{Dialog, Routes};
use crate::shared::Shared;
use crate::trust::senders::Sender;

/// Greater than the CSeq of any request that a side has sent: those that are not below it are refused, and gaps are allowed (RFC 3261
/// §12.2.2). A BYE is the last request of its dialog, so nothing has to be greater. The rest up to 2^31 (§8.1.1.5) is for
/// repetitions with credentials.
pub(crate) const LAST_CSEQ: u32 = (1 << 31) - 4096;
/// How long the headers of an INVITE may be together that name its dialog and lead back to its caller: they are kept, with what is
/// added to them ([`MOST_KEPT`]). Where that is too much the call is ended when it is answered.
const MOST_NAMES: usize = MOST_KEPT - 1024;
/// The longest head of a message that begins a dialog: with what is added to it, it and a BYE that repeats it can be read.
const MOST_HEAD: usize = 48 << 10;
/// Why an operator's call ends: in its record, and to its caller if it rings.
pub(crate) const HUNG_UP: Reason = Reason::CallHungUp;
/// What BYEs and CANCELs say then (RFC 3326; Q.850: normal call clearing).
const BY_OPERATOR: &[u8] = b"Reason: Q.850;cause=16;text=\"Ended by operator\"\r\n";
/// The same of a call of which too much would have to be kept (Q.850: protocol error).
const UNKEPT: &[u8] = b"Reason: Q.850;cause=111;text=\"Headers too long\"\r\n";

/// The URI of the first Contact, as it stands.
pub(crate) fn contact<'a>(m: &Message<'a>) -> Option<&'a [u8]> {
    Address::parse(m.first_value(HeaderName::Contact)?, "Contact").ok().map(|address| address.uri)
}

/// Appends the lines that name the dialog in a request of this side. The message is the 2xx for the caller, the INVITE for the callee.
/// The caller reads its route set backwards, the callee as it stands (RFC 3261 §12.1). What its own proxies have put there stands
/// before ours, and they have taken it out when a request gets here: so many values are left out.
fn put_dialog(m: &Message<'_>, side: Side, (tag, before): (&[u8], usize), out: &mut Vec<u8>) {
    let mut put = |name: &[u8], parts: &[&[u8]]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(b"\r\n");
    };
    let routes: Vec<&[u8]> = m.list(HeaderName::RecordRoute).flatten().collect();
    let header = |name| m.header(name).unwrap_or_default();
    let (from, to) = (header(HeaderName::From), header(HeaderName::To));
    match side {
        Side::Caller => {
            routes.iter().rev().skip(before).for_each(|route| put(b"Route", &[route]));
            put(b"From", &[from]);
            put(b"To", &[to]);
        }
        Side::Callee => {
            routes.iter().skip(before).for_each(|route| put(b"Route", &[route]));
            put(b"From", &[to, b";tag=", tag]);
            put(b"To", &[from]);
        }
    }
    put(b"Call-ID", &[m.call_id()]);
}

/// One past the empty line that ends a head; without one the end of the text.
fn end_of_head(bytes: &[u8]) -> usize {
    let empty = |end: &usize| bytes.get(*end..).is_some_and(|rest| rest.starts_with(b"\r\n"));
    let mut lines = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
    lines.find(empty).map_or(bytes.len(), |end| end + 2)
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..end_of_head(bytes)).unwrap_or(bytes)
}

/// Is the head of this message too long for a BYE to repeat it?
fn has_long_head(m: &Message<'_>) -> bool {
    usize::from(m.body_span().start) > MOST_HEAD
}

/// A 2xx that no BYE could repeat is no answer.
pub(crate) fn is_endless(m: &Message<'_>) -> bool {
    matches!(m.cseq_method(), Method::Invite | Method::Update) && has_long_head(m)
}

/// Appends what is kept of a message: its head, or, of a long one, only the lines that a BYE is made of. The start line, Via and CSeq
/// without which these could not be read are written here, so that long ones take no room.
fn put_kept(bytes: &[u8], out: &mut Vec<u8>) {
    let head = head(bytes);
    if head.len() <= MOST_KEPT {
        return out.extend_from_slice(head);
    }
    let mut index = Index::default();
    if index.parse_head(head, &Limits::default()).is_err() {
        return out.extend_from_slice(head);
    }
    let m = Message::new(head, &index);
    let mut put = |line: &[u8]| out.extend_from_slice(line);
    match m.status() {
        Some(_) => put(b"SIP/2.0 200 OK\r\n"),
        None => [&b"INVITE "[..], m.uri_text(), b" SIP/2.0\r\n"].into_iter().for_each(&mut put),
    }
    put(b"Via: SIP/2.0/UDP 0.0.0.0;branch=z9hG4bK0\r\nCSeq: 1 INVITE\r\n");
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::Contact] {
        put(m.header_line(name).map_or(b"", |header| header.line.of(head)));
    }
    m.header_lines(HeaderName::RecordRoute).for_each(|header| put(header.line.of(head)));
    put(b"\r\n");
}

/// Where a side goes that has said no Contact: the caller to where the callee was sent for, the callee to the caller's From (RFC
/// 2543).
fn without_contact<'a>(side: Side, invite: &Message<'a>) -> Option<&'a [u8]> {
    match side {
        Side::Caller => Some(invite.uri_text()),
        Side::Callee => Some(invite.from().ok()?.uri),
    }
}

/// A Request-URI has no header fields (RFC 3261 §19.1.1); a Contact may have.
fn without_headers(uri: &[u8]) -> &[u8] {
    uri.split(|b| *b == b'?').next().unwrap_or(uri)
}

/// A BYE in the name of a side.
struct Bye<'a> {
    side: Side,
    branch: u64,
    /// Its Reason line.
    reason: &'a [u8],
    /// What the callee got.
    invite: &'a [u8],
    /// How many values of the route set stand before ours.
    before: usize,
}

/// The BYE of this side. `None`: it is not known how, or there is no route of ours.
fn bye(talker: &Talker, &Bye { side, branch, reason, invite, before }: &Bye<'_>) -> Option<(Flow, Vec<u8>)> {
    let flow = talker.flow?;
    let (mut index, mut first) = (Index::default(), Index::default());
    index.parse_head(&talker.message, &Limits::default()).ok()?;
    let m = Message::new(&talker.message, &index);
    if m.list(HeaderName::RecordRoute).count() <= before {
        return None;
    }
    let target = match talker.target.is_empty() {
        true => contact(&m).or_else(|| {
            first.parse_head(invite, &Limits::default()).ok()?;
            without_contact(side, &Message::new(invite, &first))
        })?,
        false => &talker.target,
    };
    let mut out = Vec::with_capacity(talker.message.len() + 256);
    out.extend_from_slice(b"BYE ");
    out.extend_from_slice(without_headers(target));
    let via = (flow.transport.via_name(), flow.remote);
    let via = format!(" SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKhangup{branch:x}\r\n", via.0, via.1);
    out.extend_from_slice(via.as_bytes());
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    put_dialog(&m, side, (&talker.tag, before), &mut out);
    out.extend_from_slice(b"CSeq: ");
    put_number(u64::from(LAST_CSEQ), &mut out);
    out.extend_from_slice(b" BYE\r\n");
    out.extend_from_slice(reason);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Some((flow, out))
}

impl Shared {
    /// Has the shards end this call, as an operator asked for. [`Calls::is_up`](trunkline_calls::Calls::is_up) shows when they have.
    pub fn hang_up(&self, number: u64) {
        self.hanging.ask(number);
        for mailbox in self.mailboxes.get().into_iter().flat_map(|all| all.iter()) {
            mailbox.post(trunkline_transport::Mail::User(EdgeMail::HangUp(number)));
        }
    }

    /// Are the BYEs to the sides of this call being sent?
    pub fn is_hanging_up(&self, number: u64) -> bool {
        self.hanging.is_begun(number)
    }

    /// Which sides of a call that was to end got no BYE; `None` when it was not ended because of who asks. Each of those who asked to
    /// end it asks this once.
    pub fn untold(&self, number: u64) -> Option<Vec<&'static str>> {
        self.hanging.untold(number)
    }
}

impl Edge {
    /// A 2xx to an INVITE goes back, as the caller gets it: from now on the exchange can hang up. It does so at once when too much
    /// would have to be kept for later: whoever makes names that long could have a call that nobody can end.
    pub(crate) fn note_talkers(
        &mut self,
        context: &Context,
        branch: &Branch<Hop>,
        (answer, back): (&Message<'_>, &[u8]),
    ) {
        let (Some(call), DialogUse::Begins(number)) = (context.call, &context.dialog) else { return };
        let egress = branch.target.hop.egress;
        let flow = Flow {
            transport: egress.transport,
            local: context.from.local,
            remote: egress.remote,
            connection: egress.connection,
        };
        let mut kept = true;
        self.shared.calls.set_talkers(call, |[caller, callee]| {
            kept &= caller.begin(context.from, |out| put_kept(back, out), b"");
            kept &= callee.begin(flow, |out| put_kept(branch.sent(), out), answer.to_tag());
        });
        if !kept {
            self.unkept.push(*number);
        }
    }

    /// Ends the calls of which too much would have to be kept.
    pub(crate) fn end_unkept(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory) {
        while let Some(number) = self.unkept.pop() {
            let why = Reason::CallLongNames;
            if self.hang_up(io, memory, (number, Cause::Unknown, why.code()), UNKEPT) {
                self.counters.count_reason(Some(why));
                tracing::warn!(number, "a call is ended: a side has names or a target that are too long");
            }
        }
    }

    /// An operator ends this call: a ringing one is ended by the shard of its transaction, an answered one by any shard.
    pub(crate) fn on_hang_up(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, number: u64) {
        let begins = |context: &Context| matches!(context.dialog, DialogUse::Begins(n) if n == number);
        let ringing = |context: &Context| begins(context) && context.proxy.is_proceeding();
        let found = self.contexts.slots().find(|slot| self.contexts.get(*slot).is_some_and(|c| ringing(c)));
        if let Some(slot) = found
            && let Some(mut context) = self.contexts.take(slot)
        {
            self.turn_to(&context);
            self.shared.hanging.finish(number, [false; 2]);
            context.refused = Some(HUNG_UP);
            context.hung_up = true;
            context.proxy.handle(Input::Cancel(BY_OPERATOR), io.now(), &mut self.work);
            context.proxy.answer(HUNG_UP.status(), io.now(), &mut self.work);
            self.carry_out(io, slot, &mut context, None);
            self.settle(io, slot, context);
        }
        if number as usize % self.shared.counters.len().max(1) == usize::from(self.shard) {
            self.hang_up(io, memory, (number, Cause::ManagerRequest, HUNG_UP.code()), BY_OPERATOR);
        }
    }

    /// Ends an answered call with a BYE to each side that is known. False when it had ended before, or none is. If only one side can
    /// be told, the call remains until that one has answered.
    pub(crate) fn hang_up(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        (number, cause, reason): (u64, Cause, &'static str),
        line: &[u8],
    ) -> bool {
        let Some([caller, callee]) = self.shared.calls.talkers(number) else { return false };
        let made = |talker, side| {
            let branch = number << 1 | side as u64;
            self.bye_of(talker, Bye { side, branch, reason: line, invite: &callee.message, before: 0 })
        };
        // The BYE of one side is for the other.
        let (to_callee, to_caller) = (made(&caller, Side::Caller), made(&callee, Side::Callee));
        if to_callee.is_none() && to_caller.is_none() {
            return false;
        }
        self.shared.hanging.begin(number);
        let remains = to_callee.is_none() || to_caller.is_none();
        let ended = remains || self.shared.calls.hang_up(number, (cause, reason), io.unix_ms());
        let untold = [to_caller, to_callee].map(|bye| {
            let Some((flow, bye)) = bye.filter(|_| ended) else { return ended };
            let why = if reason.is_empty() { cause.name() } else { reason };
            (self.own, self.own_refused) = (Some(why), false);
            self.take_message(io, memory, &flow, &bye);
            self.own = None;
            self.own_refused
        });
        self.shared.hanging.finish(number, untold);
        if ended && untold.contains(&true) {
            tracing::warn!(number, ?untold, "a side of a call that was ended got no BYE (caller, callee)");
        }
        ended
    }

    /// The BYE of this side, by the route of ours that the side's own proxies would send it to.
    fn bye_of(&self, talker: &Talker, mut which: Bye<'_>) -> Option<(Flow, Vec<u8>)> {
        loop {
            let (flow, bytes) = bye(talker, &which)?;
            let mut index = Index::default();
            index.parse(&bytes, &Limits::default()).ok()?;
            let m = Message::new(&bytes, &index);
            let uri = Uri::parse(m.uri_text()).ok()?;
            let dialog = Routes::read(&m, &uri, &self.shared).dialog;
            if dialog.is_some_and(|dialog| dialog.from == which.side) {
                return Some((flow, bytes));
            }
            which.before += 1;
        }
    }

    /// Refuses what would keep the exchange from hanging up: a CSeq that no BYE of ours could exceed, an INVITE that begins a
    /// dialog whose names are too long to keep, and a target that is; `true` when it was answered.
    pub(crate) fn refuse_unendable(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, inside: bool) -> bool {
        let m = &inbound.message;
        let begins = inbound.method == Method::Invite && !inside;
        let names = || {
            let line = |name| m.header(name).map_or(0, <[u8]>::len);
            let named = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::Contact].map(line);
            let routes = m.header_lines(HeaderName::RecordRoute).map(|header| header.line.of(m.bytes).len());
            m.uri_text().len() + named.iter().sum::<usize>() + routes.sum::<usize>()
        };
        let moves = matches!(inbound.method, Method::Invite | Method::Update);
        let moves_far = || moves && contact(m).is_some_and(|target| target.len() > MOST_KEPT);
        let reason = if (begins || inside) && inbound.method != Method::Bye && m.cseq() >= LAST_CSEQ {
            Reason::RequestCseq
        } else if begins && (names() > MOST_NAMES || has_long_head(m)) || inside && moves_far() {
            Reason::RequestLongNames
        } else {
            return false;
        };
        self.refuse(io, inbound, reason);
        true
    }

    /// Refuses a request inside a call that asks to be reached at a Contact too long for the memory that its caller may have left: a
    /// BYE of ours would go to the earlier one.
    pub(crate) fn refuse_unkept(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        dialog: &Dialog,
        sender: Sender,
    ) -> bool {
        let moves = matches!(inbound.method, Method::Invite | Method::Update) && sender != Sender::Unknown;
        let contact = contact(&inbound.message).filter(|_| moves);
        let calls = &self.shared.calls;
        if contact.is_none_or(|contact| calls.may_ask_to_move(dialog.place.number, contact.len())) {
            return false;
        }
        self.refuse(io, inbound, Reason::OverloadContact);
        true
    }
}
