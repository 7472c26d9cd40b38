//! Calls whose media has stopped on both sides: rtpengine counts the packets of a call, and when none has come for as long as the
//! operator says, the exchange hangs up for both sides (`hang_up.rs`). Calls from before a restart are left alone.

use hashbrown::HashMap;
use parking_lot::Mutex;
use trunkline_media::{Command, MediaError};
use trunkline_sip::{Message, Method};

use super::body::sdp_of;

/// Marks tickets of questions after packets, which wait for no message.
pub(super) const TICKET: u64 = 1 << 55;
/// The part of a call's number that a ticket holds: the rest is that of the process.
const NUMBER: u64 = (1 << 48) - 1;
/// Between two questions after a call, at least and at most, in milliseconds.
const PAUSE_MS: (u64, u64) = (1_000, 15_000);
/// What the BYEs say (RFC 3326, Q.850: recovery on timer expiry).
pub(super) const REASON: &[u8] = b"Reason: Q.850;cause=102;text=\"Media timeout\"\r\n";

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
}

/// The calls that are listened to, by what tickets hold of their numbers.
#[derive(Default)]
pub(crate) struct Silence(Mutex<HashMap<u64, Watched>>);

/// Does an offer put the call on hold, so that there may be no media?
fn holds(sdp: &[u8]) -> bool {
    let held: [&[u8]; 4] = [b"a=inactive", b"a=sendonly", b"a=recvonly", b"c=IN IP4 0.0.0.0"];
    held.iter().any(|line| memchr::memmem::find(sdp, line).is_some())
}

impl Silence {
    /// A call was answered: `sent` is its INVITE as the callee got it, `answer` the 2xx as the callee wrote it.
    pub(crate) fn listen(&self, (number, now): (u64, u64), (sent, answer): (&Message<'_>, &Message<'_>)) {
        let watched = Watched {
            number,
            call_id: answer.call_id().into(),
            packets: 0,
            since: now,
            asked: now,
            on_hold: sdp_of(sent).is_some_and(holds) || sdp_of(answer).is_some_and(holds),
        };
        // Of a fork the first callee that took the call has its media.
        self.0.lock().entry(number & NUMBER).or_insert(watched);
    }

    /// A request goes on inside the call.
    pub(crate) fn heard(&self, number: u64, m: &Message<'_>, now: u64) {
        if !matches!(m.method(), Some(Method::Invite | Method::Update)) {
            return;
        }
        let mut calls = self.0.lock();
        let call = calls.get_mut(&(number & NUMBER)).filter(|call| call.number == number);
        if let (Some(call), Some(sdp)) = (call, sdp_of(m)) {
            (call.on_hold, call.since) = (holds(sdp), now);
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
