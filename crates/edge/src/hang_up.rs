//! Hanging up for both sides of a call: an operator does, or no media comes any more (`media/silence.rs`). Each side gets a BYE as
//! the other one would send it, which takes the way of every request inside a dialog. What that takes is written at the answer
//! into the call's place in the table of calls, whose memory is used again; calls from before a restart have nothing there.

use trunkline_calls::{Cause, MOST_KEPT, Talker};
use trunkline_proxy::Side;
use trunkline_proxy::transaction::{Branch, Input};
use trunkline_reasons::Reason;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, Index, Limits, Message};

use crate::context::{Context, DialogUse, Hop};
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};
use crate::memory::MessageMemory;
use crate::shared::Shared;

/// Greater than the CSeq of any request that a side has sent: it may begin anywhere below 2^31 (RFC 3261 §8.1.1.5), and gaps are
/// allowed (§12.2.2). A BYE is the last request of its dialog, so nothing has to be greater. The rest up to 2^31 is for repetitions
/// with credentials.
const LAST_CSEQ: u64 = (1 << 31) - 4096;
/// Why an operator's call ends: in its record, and to its caller if it rings.
pub(crate) const HUNG_UP: Reason = Reason::CallHungUp;
/// What BYEs and CANCELs say then (RFC 3326; Q.850: normal call clearing).
const BY_OPERATOR: &[u8] = b"Reason: Q.850;cause=16;text=\"Ended by operator\"\r\n";

/// The URI of the first Contact, as it stands.
pub(crate) fn contact<'a>(m: &Message<'a>) -> Option<&'a [u8]> {
    let contact = m.list(HeaderName::Contact).next()?.ok()?;
    Address::parse(contact, "Contact").ok().map(|address| address.uri)
}

/// Appends the lines that name the dialog in a request of this side. The message is the 2xx for the caller, the INVITE for the callee.
/// The caller reads its route set backwards, the callee as it stands (RFC 3261 §12.1).
fn put_dialog(m: &Message<'_>, side: Side, tag: &[u8], out: &mut Vec<u8>) {
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
            routes.iter().rev().for_each(|route| put(b"Route", &[route]));
            put(b"From", &[from]);
            put(b"To", &[to]);
        }
        Side::Callee => {
            routes.iter().for_each(|route| put(b"Route", &[route]));
            put(b"From", &[to, b";tag=", tag]);
            put(b"To", &[from]);
        }
    }
    put(b"Call-ID", &[m.call_id()]);
}

/// Appends what is kept of a message: its head, or the lines of it that a BYE is made of.
fn put_kept(bytes: &[u8], out: &mut Vec<u8>) {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    if end <= MOST_KEPT {
        return out.extend_from_slice(bytes.get(..end).unwrap_or_default());
    }
    let mut index = Index::default();
    if index.parse(bytes, &Limits::default()).is_err() {
        // Too long: nothing is kept of it.
        return out.extend_from_slice(bytes);
    }
    let m = Message::new(bytes, &index);
    let start = memchr::memmem::find(bytes, b"\r\n").map_or(0, |at| at + 2);
    out.extend_from_slice(bytes.get(..start).unwrap_or_default());
    let mut put = |line: &[u8]| out.extend_from_slice(line);
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        put(m.header_line(name).map_or(b"", |header| header.line.of(bytes)));
    }
    put(m.header_line(HeaderName::Contact).map_or(b"", |header| header.line.of(bytes)));
    m.header_lines(HeaderName::RecordRoute).for_each(|header| put(header.line.of(bytes)));
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

/// The BYE of this side, with a branch of this number. `invite` is what the callee got.
fn bye(
    talker: &Talker,
    (side, branch, reason): (Side, u64, &[u8]),
    invite: &[u8],
) -> Option<(Flow, Vec<u8>)> {
    let flow = talker.flow?;
    let (mut index, mut first) = (Index::default(), Index::default());
    index.parse_head(&talker.message, &Limits::default()).ok()?;
    first.parse_head(invite, &Limits::default()).ok()?;
    let m = Message::new(&talker.message, &index);
    let target = match talker.target.is_empty() {
        true => contact(&m).or_else(|| without_contact(side, &Message::new(invite, &first)))?,
        false => &talker.target,
    };
    let mut out = Vec::with_capacity(talker.message.len() + 256);
    out.extend_from_slice(b"BYE ");
    out.extend_from_slice(target);
    let via = (flow.transport.via_name(), flow.remote);
    let via = format!(" SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKhangup{branch:x}\r\n", via.0, via.1);
    out.extend_from_slice(via.as_bytes());
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    put_dialog(&m, side, &talker.tag, &mut out);
    out.extend_from_slice(b"CSeq: ");
    put_number(LAST_CSEQ, &mut out);
    out.extend_from_slice(b" BYE\r\n");
    out.extend_from_slice(reason);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Some((flow, out))
}

impl Shared {
    /// Has the shards end this call, as an operator asked for. [`Calls::is_up`](trunkline_calls::Calls::is_up) shows when they have.
    pub fn hang_up(&self, number: u64) {
        for mailbox in self.mailboxes.get().into_iter().flat_map(|all| all.iter()) {
            mailbox.post(trunkline_transport::Mail::User(EdgeMail::HangUp(number)));
        }
    }
}

impl Edge {
    /// A 2xx to an INVITE goes back, as the caller gets it: from now on the exchange can hang up.
    pub(crate) fn note_talkers(
        &self,
        context: &Context,
        branch: &Branch<Hop>,
        (answer, back): (&Message<'_>, &[u8]),
    ) {
        let (Some(call), DialogUse::Begins(_)) = (context.call, &context.dialog) else { return };
        let egress = branch.target.hop.egress;
        let flow = Flow {
            transport: egress.transport,
            local: context.from.local,
            remote: egress.remote,
            connection: egress.connection,
        };
        self.shared.calls.set_talkers(call, |[caller, callee]| {
            caller.begin(context.from, |out| put_kept(back, out), b"");
            callee.begin(flow, |out| put_kept(branch.sent(), out), answer.to_tag());
        });
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

    /// Ends an answered call with a BYE to each side. False when it had ended before, or its sides are not known.
    pub(crate) fn hang_up(
        &mut self,
        io: &mut Io<'_>,
        memory: &mut MessageMemory,
        (number, cause, reason): (u64, Cause, &str),
        line: &[u8],
    ) -> bool {
        let Some(talkers) = self.shared.calls.talkers(number) else { return false };
        let [caller, callee] = &talkers;
        let made = |talker, side| bye(talker, (side, number << 1 | side as u64, line), &callee.message);
        let Some(byes) = made(caller, Side::Caller).zip(made(callee, Side::Callee)) else { return false };
        if !self.shared.calls.hang_up(number, (cause, reason), io.unix_ms()) {
            return false;
        }
        for (flow, bye) in [byes.0, byes.1] {
            self.own = true;
            self.take_message(io, memory, &flow, &bye);
            self.own = false;
        }
        true
    }
}
