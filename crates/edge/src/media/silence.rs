//! Calls whose media has stopped on both sides: rtpengine counts the packets of a call, and when none has come for as long as the
//! operator says, the exchange hangs up for both sides. Each of them gets a BYE as the other one would send it, which takes the way of
//! every request inside a dialog. What that takes is kept from the answer on, in memory: calls from before a restart are left alone.

use hashbrown::HashMap;
use parking_lot::Mutex;
use trunkline_media::{Command, MediaError};
use trunkline_proxy::Side;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, Message, Method};

use super::body::sdp_of;

/// Marks tickets of questions after packets, which wait for no message.
pub(super) const TICKET: u64 = 1 << 55;
/// The part of a call's number that a ticket holds: the rest is that of the process.
const NUMBER: u64 = (1 << 48) - 1;
/// Between two questions after a call, at least and at most, in milliseconds.
const PAUSE_MS: (u64, u64) = (1_000, 15_000);
/// What the BYEs say (RFC 3326, Q.850: recovery on timer expiry).
const REASON: &[u8] = b"Reason: Q.850;cause=102;text=\"Media timeout\"\r\n";

/// One side, as the other one hears it.
#[derive(Debug)]
pub(super) struct Talker {
    pub(super) flow: Flow,
    /// Header lines of its requests that stay.
    head: Vec<u8>,
    /// The other side's remote target.
    target: Vec<u8>,
    /// Its last CSeq.
    cseq: u32,
}

/// One call.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) number: u64,
    pub(super) call_id: Box<[u8]>,
    packets: u64,
    /// When their number was another one, or the call was on hold.
    since: u64,
    /// When rtpengine was asked last.
    asked: u64,
    on_hold: bool,
    pub(super) caller: Talker,
    pub(super) callee: Talker,
}

/// The calls that are listened to, by what tickets hold of their numbers.
#[derive(Default)]
pub(crate) struct Silence(Mutex<HashMap<u64, Watched>>);

impl Talker {
    /// Who sends requests with this From and To, down these routes, to this target.
    fn new(
        flow: Flow,
        m: &Message<'_>,
        (from, to): (&[u8], &[u8]),
        (routes, target): (&[&[u8]], &[u8]),
        cseq: u32,
    ) -> Talker {
        let mut head = Vec::with_capacity(256);
        let mut put = |name: &[u8], value: &[u8]| {
            head.extend_from_slice(name);
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        routes.iter().for_each(|route| put(b"Route", route));
        put(b"From", from);
        put(b"To", to);
        put(b"Call-ID", m.call_id());
        Talker { flow, head, target: target.into(), cseq }
    }

    /// Its BYE, with a branch of this number.
    pub(super) fn bye(&self, branch: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + 256);
        out.extend_from_slice(b"BYE ");
        out.extend_from_slice(&self.target);
        let via = (self.flow.transport.via_name(), self.flow.remote);
        out.extend_from_slice(
            format!(" SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKsilence{branch:x}\r\n", via.0, via.1)
                .as_bytes(),
        );
        out.extend_from_slice(b"Max-Forwards: 70\r\n");
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"CSeq: ");
        put_number(u64::from(self.cseq) + 1, &mut out);
        out.extend_from_slice(b" BYE\r\n");
        out.extend_from_slice(REASON);
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        out
    }
}

/// The URI of the first Contact, as it stands.
fn contact<'a>(m: &Message<'a>) -> Option<&'a [u8]> {
    let contact = m.list(HeaderName::Contact).next()?.ok()?;
    Address::parse(contact, "Contact").ok().map(|address| address.uri)
}

/// Does an offer put the call on hold, so that there may be no media?
fn holds(sdp: &[u8]) -> bool {
    let held: [&[u8]; 4] = [b"a=inactive", b"a=sendonly", b"a=recvonly", b"c=IN IP4 0.0.0.0"];
    held.iter().any(|line| memchr::memmem::find(sdp, line).is_some())
}

impl Silence {
    /// A call was answered: `sent` is its INVITE as the callee got it, `answer` the 2xx as the callee wrote it, `back` as the caller
    /// gets it.
    pub(crate) fn listen(
        &self,
        (number, now): (u64, u64),
        (caller, callee): (Flow, Flow),
        (sent, answer, back): (&Message<'_>, &Message<'_>, &Message<'_>),
    ) {
        fn routes<'a>(m: &Message<'a>) -> Vec<&'a [u8]> {
            m.list(HeaderName::RecordRoute).flatten().collect()
        }
        let (Some(of_caller), Some(of_callee)) = (contact(sent), contact(back)) else { return };
        let mut forth = routes(back);
        forth.reverse();
        let header = |m: &Message<'_>, name| m.header(name).unwrap_or_default().to_vec();
        let (from, to) = (header(back, HeaderName::From), header(back, HeaderName::To));
        let caller = Talker::new(caller, back, (&from, &to), (&forth, of_callee), back.cseq());
        let (from, to) = (header(answer, HeaderName::To), header(answer, HeaderName::From));
        let callee = Talker::new(callee, answer, (&from, &to), (&routes(sent), of_caller), 0);
        let watched = Watched {
            number,
            call_id: answer.call_id().into(),
            packets: 0,
            since: now,
            asked: now,
            on_hold: sdp_of(sent).is_some_and(holds) || sdp_of(answer).is_some_and(holds),
            caller,
            callee,
        };
        // Of a fork the first callee that took the call has its media.
        self.0.lock().entry(number & NUMBER).or_insert(watched);
    }

    /// A request of this side goes on inside the call.
    pub(crate) fn heard(&self, number: u64, side: Side, m: &Message<'_>, now: u64) {
        let mut calls = self.0.lock();
        let Some(call) = calls.get_mut(&(number & NUMBER)).filter(|call| call.number == number) else {
            return;
        };
        let (own, other) = match side {
            Side::Caller => (&mut call.caller, &mut call.callee),
            Side::Callee => (&mut call.callee, &mut call.caller),
        };
        if m.method() != Some(Method::Ack) {
            own.cseq = own.cseq.max(m.cseq());
        }
        if matches!(m.method(), Some(Method::Invite | Method::Update)) {
            if let Some(contact) = contact(m) {
                other.target = contact.into();
            }
            if let Some(sdp) = sdp_of(m) {
                (call.on_hold, call.since) = (holds(sdp), now);
            }
        }
    }

    /// The call has ended.
    pub(crate) fn end(&self, number: u64) {
        self.0.lock().remove(&(number & NUMBER));
    }

    /// The calls after whose packets rtpengine is asked now, with their tickets.
    pub(super) fn due(&self, timeout: u64, now: u64) -> Vec<(u64, Command)> {
        let pause = (timeout / 4).clamp(PAUSE_MS.0, PAUSE_MS.1);
        let mut calls = self.0.lock();
        let due = calls.iter_mut().filter(|(_, call)| now >= call.asked + pause);
        due.map(|(number, call)| {
            call.asked = now;
            (TICKET | number, Command::Query { call_id: call.call_id.to_vec() })
        })
        .collect()
    }

    /// rtpengine's answer; the call, where it has been silent for too long.
    pub(super) fn answered(
        &self,
        ticket: u64,
        packets: &Result<u64, MediaError>,
        (timeout, now): (u64, u64),
    ) -> Option<Watched> {
        let mut calls = self.0.lock();
        let call = calls.get_mut(&(ticket & NUMBER))?;
        let goes_on = match packets {
            Ok(packets) => std::mem::replace(&mut call.packets, *packets) != *packets,
            // It knows no such call any more: nothing has come for its own timeout.
            Err(MediaError::Refused(_)) => false,
            // Nothing is known.
            Err(_) => true,
        };
        if goes_on || call.on_hold {
            call.since = now;
        }
        if now.saturating_sub(call.since) < timeout {
            return None;
        }
        calls.remove(&(ticket & NUMBER))
    }
}
