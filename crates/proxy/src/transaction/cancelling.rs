//! CANCEL, RFC 3261 §9 and §16.10.

use trunkline_sip::response::put_number;
use trunkline_sip::{Limits, Message};
use trunkline_transaction::NonInviteClient;
use trunkline_transaction::timers::{Now, T1_64};

use super::branch::{Cancel, Limit, Why};
use super::ends::Client;
use super::{Output, Piece, ProxyTransaction, Work};
use crate::companion::put_companion;

impl<H> ProxyTransaction<H> {
    /// The caller cancels: no further targets, and the branches that run are cancelled. `reason` holds the Reason lines of its
    /// CANCEL, which ours pass on.
    pub(super) fn on_cancel(&mut self, reason: &[u8], now: Now, work: &mut Work) {
        if self.cancelled || !self.server.is_proceeding() {
            return;
        }
        self.cancelled = true;
        if !reason.is_empty() {
            self.aside.lists().reason = reason.into();
        }
        self.responses.close();
        self.aside.forget_later();
        self.cancel_branches(None, Why::Caller, now, work);
    }

    /// Cancels the branches that run, but for `except`.
    pub(super) fn cancel_branches(&mut self, except: Option<u8>, why: Why, now: Now, work: &mut Work) {
        for branch in self.numbers().filter(|branch| Some(*branch) != except) {
            self.cancel_branch(branch, why, now, work);
        }
    }

    /// Cancels one branch: at once if it has been heard of, else when it is (RFC 3261 §9.1).
    pub(super) fn cancel_branch(&mut self, branch: u8, why: Why, now: Now, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        let Client::Invite(client) = &b.client else { return };
        if matches!(b.cancel, Cancel::Sent(..)) {
            return;
        }
        if !client.is_proceeding() {
            b.cancel = Cancel::Wanted(why);
            return;
        }
        b.cancel = Cancel::Sent(NonInviteClient::new(b.target.reliable, now), why);
        // No final response to the INVITE within 64*T1 after the CANCEL: it is over (RFC 3261 §9.1).
        b.limit = Limit::Answer(now + T1_64);
        self.put_cancel(branch, work);
    }

    /// Sends (again) the CANCEL of a branch.
    pub(super) fn put_cancel(&mut self, branch: u8, work: &mut Work) {
        let Some(b) = self.branches.get(usize::from(branch)) else { return };
        let Cancel::Sent(_, why) = b.cancel else { return };
        if work.index.parse(&b.sent, &Limits::default()).is_err() {
            return;
        }
        let mut ours = Vec::new();
        let reason = match why {
            Why::Caller => self.aside.reason(),
            Why::Decided(code) => {
                put_reason(code, &mut ours);
                &ours
            }
            Why::Unanswered => b"",
        };
        let start = work.bytes.len();
        put_companion(&Message::new(&b.sent, &work.index), "CANCEL", None, reason, &mut work.bytes);
        let piece = Piece { start: start as u32, end: work.bytes.len() as u32 };
        work.put(Output::Cancel(branch, piece));
    }
}

/// The Reason line of a branch that another one's status decided, RFC 3326 §2 and §3.1.
fn put_reason(code: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Reason: SIP;cause=");
    put_number(u64::from(code), out);
    out.extend_from_slice(match code {
        200..300 => b";text=\"Call completed elsewhere\"\r\n" as &[u8],
        _ => b"\r\n",
    });
}
