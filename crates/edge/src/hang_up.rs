//! Hanging up for both sides of a call: an operator does, or no media comes any more (`media/silence.rs`). Each side gets a BYE as
//! the other one would send it, which takes the way of every request inside a dialog. What that takes is written at the answer
//! into the call's place in the table of calls, whose memory is used again; calls from before a restart have nothing there.

use trunkline_calls::{Cause, Talker};
use trunkline_proxy::transaction::Input;
use trunkline_reasons::Reason;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, Message};

use crate::context::{Context, DialogUse};
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

/// Writes the sides of a call that was answered: `sent` is its INVITE as the callee got it, `answer` the 2xx as the callee wrote it,
/// `back` as the caller gets it.
fn write_talkers(
    [caller, callee]: &mut [Talker; 2],
    flows: [Flow; 2],
    (sent, answer, back): (&Message<'_>, &Message<'_>, &Message<'_>),
) {
    let (Some(of_caller), Some(of_callee)) = (contact(sent), contact(back)) else { return };
    [caller.flow, callee.flow] = flows.map(Some);
    caller.target.extend_from_slice(of_callee);
    callee.target.extend_from_slice(of_caller);
    // The caller reads its route set backwards, the callee as it stands (RFC 3261 §12.1).
    let routes = back.list(HeaderName::RecordRoute).flatten().count();
    for n in (0..routes).rev() {
        caller.put(b"Route", back.list(HeaderName::RecordRoute).flatten().nth(n).unwrap_or_default());
    }
    sent.list(HeaderName::RecordRoute).flatten().for_each(|route| callee.put(b"Route", route));
    fn header<'m>(m: &Message<'m>, name: HeaderName) -> &'m [u8] {
        m.header(name).unwrap_or_default()
    }
    for (talker, m, [from, to]) in [
        (caller, back, [HeaderName::From, HeaderName::To]),
        (callee, answer, [HeaderName::To, HeaderName::From]),
    ] {
        talker.put(b"From", header(m, from));
        talker.put(b"To", header(m, to));
        talker.put(b"Call-ID", m.call_id());
    }
}

/// The BYE of this side, with a branch of this number.
fn bye(talker: &Talker, flow: &Flow, branch: u64, reason: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(talker.head.len() + 256);
    out.extend_from_slice(b"BYE ");
    out.extend_from_slice(&talker.target);
    let via = (flow.transport.via_name(), flow.remote);
    let via = format!(" SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKhangup{branch:x}\r\n", via.0, via.1);
    out.extend_from_slice(via.as_bytes());
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    out.extend_from_slice(&talker.head);
    out.extend_from_slice(b"CSeq: ");
    put_number(LAST_CSEQ, &mut out);
    out.extend_from_slice(b" BYE\r\n");
    out.extend_from_slice(reason);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out
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
    /// A 2xx to an INVITE goes back: from now on the exchange can hang up.
    pub(crate) fn note_talkers(
        &mut self,
        context: &Context,
        (fork, answer, back): (u8, &Message<'_>, &[u8]),
    ) {
        let (Some(call), DialogUse::Begins(_)) = (context.call, &context.dialog) else { return };
        let Some(branch) = context.proxy.branch(fork) else { return };
        let limits = &self.shared.config.limits;
        let [first, second] = &mut self.answer_indexes;
        self.shared.calls.set_talkers(call, |talkers| {
            if first.parse(branch.sent(), limits).is_err() || second.parse(back, limits).is_err() {
                return;
            }
            let egress = branch.target.hop.egress;
            let callee = Flow {
                transport: egress.transport,
                local: context.from.local,
                remote: egress.remote,
                connection: egress.connection,
            };
            let (sent, back) = (Message::new(branch.sent(), first), Message::new(back, second));
            write_talkers(talkers, [context.from, callee], (&sent, answer, &back));
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
        let Some(talkers) = self.shared.calls.hang_up(number, (cause, reason), io.unix_ms()) else {
            return false;
        };
        for (side, talker) in talkers.iter().enumerate() {
            let Some(flow) = talker.flow else { continue };
            self.own = true;
            self.take_message(io, memory, &flow, &bye(talker, &flow, number << 1 | side as u64, line));
            self.own = false;
        }
        true
    }
}
