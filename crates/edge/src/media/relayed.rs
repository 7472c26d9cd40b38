//! The calls whose media is relayed: shared by the shards, since the two sides of a dialog may come in on two of
//! them. They go by the numbers of their first requests, as dialogs do: nothing that is said under the same Call-ID and
//! tags in another call reaches their media.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use trunkline_media::{Command, MediaError, Method, Party, Relay, RelayHealth, Session, Side};
use trunkline_sip::Message;
use trunkline_transport::{Mail, Mailboxes};

use super::body::sdp_of;
use super::call::{Body, ByParty, Call, Turn, Turned, place};
use super::name::Name;
use super::silence::Silence;
use crate::mail::EdgeMail;

/// Relayed calls at once; further ones are answered 503.
const MOST_CALLS: usize = 200_000;
/// A call of which nothing was heard for so long is forgotten, in milliseconds: its BYE was lost.
const FORGOTTEN_AFTER: u64 = 12 * 3_600_000;
/// Between two looks for such calls, in milliseconds.
const SWEEP_EVERY: u64 = 60_000;

/// What a first INVITE needs before it goes on.
pub(crate) enum Offer {
    /// These bodies, by the callee's party; none where it bears no SDP.
    Have(ByParty<Body>),
    /// The answers to these.
    Ask(Vec<(Party, Command)>),
}

/// The dialog of a request: its number, and the words that its parties have for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) number: u64,
    pub(crate) call_id: &'a [u8],
    pub(crate) caller_tag: &'a [u8],
    pub(crate) callee_tag: &'a [u8],
}

#[derive(Default)]
struct Calls {
    by_number: HashMap<u64, Call>,
    /// The Call-IDs that rtpengine knows one of them by.
    taken: HashSet<Box<[u8]>>,
}

impl Calls {
    /// A call may have its own Call-ID, unless another one has it.
    fn take_name(&mut self, call_id: &[u8]) -> Option<Box<[u8]>> {
        self.taken.insert(call_id.into()).then(|| call_id.into())
    }

    fn remove(&mut self, number: u64) -> Option<Call> {
        let call = self.by_number.remove(&number)?;
        if let Some(call_id) = &call.holds {
            self.taken.remove(call_id);
        }
        Some(call)
    }
}

/// The relay and the calls it carries.
#[derive(Default)]
pub(crate) struct Relayed {
    relay: OnceLock<Relay>,
    calls: Mutex<Calls>,
    swept: AtomicU64,
    /// Calls whose media may stop.
    pub(crate) silence: Silence,
}

impl Relayed {
    /// Starts the thread that speaks to rtpengine; outcomes go to the shard that the ticket's first byte names.
    pub(crate) fn start(
        &self,
        rtpengine: std::net::SocketAddr,
        mailboxes: Mailboxes<EdgeMail>,
    ) -> Result<(), MediaError> {
        let relay = Relay::start(rtpengine, move |ticket, outcome| {
            if let Some(mailbox) = mailboxes.get((ticket >> 56) as usize) {
                mailbox.post(Mail::User(EdgeMail::Media(ticket, outcome)));
            }
        })?;
        // Started once; a second relay would only end at once.
        let _ = self.relay.set(relay);
        Ok(())
    }

    /// Asks rtpengine; the outcome comes as mail.
    pub(crate) fn ask(&self, command: Command, ticket: u64) -> Result<(), MediaError> {
        self.relay.get().ok_or(MediaError::Ended)?.request(command, ticket)
    }

    /// Tells rtpengine; nobody waits.
    fn tell(&self, commands: Vec<Command>) {
        for command in commands {
            if let Some(Err(error)) = self.relay.get().map(|r| r.tell(command)) {
                tracing::debug!(%error, "rtpengine was not told of a call's end");
            }
        }
    }

    /// How rtpengine does.
    pub(crate) fn health(&self) -> RelayHealth {
        self.relay.get().map(Relay::health).unwrap_or_default()
    }

    /// Calls that are relayed.
    pub(crate) fn len(&self) -> usize {
        self.calls.lock().by_number.len()
    }

    /// The first INVITE of this number is about to go to callees of these sorts.
    pub(crate) fn on_offer(
        &self,
        number: u64,
        invite: &Message<'_>,
        caller: Party,
        callees: [bool; 2],
        now: u64,
    ) -> Result<Offer, MediaError> {
        let mut calls = self.calls.lock();
        if !calls.by_number.contains_key(&number) {
            if calls.by_number.len() >= MOST_CALLS {
                return Err(MediaError::Busy(MOST_CALLS));
            }
            let holds = calls.take_name(invite.call_id());
            let name = match holds.is_some() {
                true => Name::plain(number, invite.call_id()),
                false => Name::apart(number, invite.call_id()),
            };
            calls.by_number.insert(number, Call::new(name, holds));
        }
        let Some(call) = calls.by_number.get_mut(&number) else { return Err(MediaError::Ended) };
        call.touched = now;
        let ask = call.offer(invite, caller, callees);
        Ok(if ask.is_empty() { Offer::Have(call.offered.clone()) } else { Offer::Ask(ask) })
    }

    /// What a diverted INVITE bears: what it bore before.
    pub(crate) fn offered(&self, number: u64) -> ByParty<Body> {
        self.calls.lock().by_number.get(&number).map(|c| c.offered.clone()).unwrap_or_default()
    }

    /// The relay's answer to the offer for one sort of callee.
    pub(crate) fn set_offered(&self, number: u64, party: Party, body: Body) {
        if let Some(call) = self.calls.lock().by_number.get_mut(&number) {
            call.offered[place(party)] = Some(body);
        }
    }

    /// A response of this branch to the first INVITE, which went to this sort of callee, is about to go on.
    pub(crate) fn on_answer(
        &self,
        number: u64,
        branch: (u8, Party),
        response: &Message<'_>,
        now: u64,
    ) -> Option<Command> {
        let mut calls = self.calls.lock();
        let call = calls.by_number.get_mut(&number)?;
        call.touched = now;
        let (command, told) = call.on_answer(branch, response);
        drop(calls);
        self.tell(told);
        command
    }

    /// This branch of the first INVITE has failed.
    pub(crate) fn on_failure(&self, number: u64, branch: u8) {
        if let Some(call) = self.calls.lock().by_number.get_mut(&number) {
            call.on_failure(branch);
        }
    }

    /// A response inside the dialog with this callee is about to go on.
    pub(crate) fn on_response(
        &self,
        (number, callee_tag): (u64, &[u8]),
        from: Side,
        method: Method,
        response: &Message<'_>,
        now: u64,
    ) -> Option<Command> {
        let mut calls = self.calls.lock();
        let call = calls.by_number.get_mut(&number)?;
        call.touched = now;
        call.on_response(callee_tag, from, method, response)
    }

    /// The offer that this side made inside the dialog is refused.
    pub(crate) fn on_refusal(&self, (number, callee_tag): (u64, &[u8]), asked: Side) {
        let mut calls = self.calls.lock();
        let told = calls.by_number.get_mut(&number).and_then(|call| call.on_refusal(callee_tag, asked));
        drop(calls);
        self.tell(told.into_iter().collect());
    }

    /// A request inside the dialog is about to go on. `resume` makes the session of a call that began before this
    /// process did.
    pub(crate) fn on_request(
        &self,
        of: &Of<'_>,
        turned: &Turned,
        request: &Message<'_>,
        now: u64,
        resume: impl FnOnce(&Name) -> (Party, Session),
    ) -> Turn {
        let sdp = sdp_of(request);
        let mut calls = self.calls.lock();
        if !calls.by_number.contains_key(&of.number) {
            // An ACK answers what was offered to this process, and goes through after the end of its call too.
            if sdp.is_none() || turned.method == Method::Ack || calls.by_number.len() >= MOST_CALLS {
                return Turn::AsItIs;
            }
            let holds = calls.take_name(of.call_id);
            let call = Call::from_before(Name::plain(of.number, of.call_id), holds);
            calls.by_number.insert(of.number, call);
        }
        let Some(call) = calls.by_number.get_mut(&of.number) else { return Turn::AsItIs };
        call.touched = now;
        if sdp.is_some() {
            call.resume(of.callee_tag, resume);
        }
        call.on_request(turned, sdp)
    }

    /// The relay's answer for a request inside the dialog.
    pub(crate) fn set_turned(&self, number: u64, turned: &Turned, body: Body) {
        if let Some(call) = self.calls.lock().by_number.get_mut(&number) {
            call.set_turned(turned, body);
        }
    }

    /// The call is over: rtpengine may have its ports back.
    pub(crate) fn end(&self, number: u64) {
        self.silence.end(number);
        let call = self.calls.lock().remove(number);
        self.tell(call.map(Call::end).unwrap_or_default());
    }

    /// A BYE goes through in this dialog. rtpengine is told even of a call that this process has not seen begin.
    pub(crate) fn hang_up(&self, of: &Of<'_>) {
        let mut calls = self.calls.lock();
        let told = match calls.by_number.get_mut(&of.number) {
            Some(call) if !call.from_before => match call.is_answered_by(of.callee_tag) {
                true => calls.remove(of.number).map(Call::end).unwrap_or_default(),
                // The dialog with another callee of a fork.
                false => Vec::new(),
            },
            before => {
                if before.is_some_and(|call| call.leave(of.callee_tag)) {
                    calls.remove(of.number);
                }
                let names = [Name::plain(of.number, of.call_id), Name::apart(of.number, of.call_id)];
                names.map(|name| unseen(&name, of)).into()
            }
        };
        let ended = !calls.by_number.contains_key(&of.number);
        drop(calls);
        if ended {
            self.silence.end(of.number);
        }
        self.tell(told);
    }

    /// Forgets calls whose end was never heard.
    pub(crate) fn sweep(&self, now: u64) {
        if now.saturating_sub(self.swept.load(Ordering::Relaxed)) < SWEEP_EVERY {
            return;
        }
        self.swept.store(now, Ordering::Relaxed);
        let mut calls = self.calls.lock();
        let is_stale = |c: &Call| now.saturating_sub(c.touched) > FORGOTTEN_AFTER;
        let stale: Vec<u64> = calls.by_number.iter().filter(|(_, c)| is_stale(c)).map(|(n, _)| *n).collect();
        let told = stale.into_iter().filter_map(|number| calls.remove(number)).flat_map(Call::end).collect();
        drop(calls);
        self.tell(told);
    }
}

/// The end of the dialog with one callee, of which nothing else is known.
fn unseen(name: &Name, of: &Of<'_>) -> Command {
    Command::Delete {
        call_id: name.call_id().to_vec(),
        from_tag: name.tag(of.caller_tag),
        to_tag: Some(name.tag(of.callee_tag)),
        branch: None,
    }
}
