//! The calls whose media is relayed: shared by the shards, since the two sides of a dialog may come in on two of
//! them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use parking_lot::Mutex;
use trunkline_media::{Command, Health, MediaError, Method, Party, Relay, Session, Side};
use trunkline_sip::Message;
use trunkline_transport::{Mail, Mailboxes};

use crate::mail::EdgeMail;
use crate::media::body::sdp_of;

/// An SDP that takes the place of a message's own, or the status that its absence makes.
pub(crate) type Body = Result<Arc<[u8]>, u16>;
/// One for callees that are browsers, one for phones.
pub(crate) type ByParty<T> = [Option<T>; 2];

/// Relayed calls at once; further ones are answered 503.
const MOST_CALLS: usize = 200_000;
/// A call of which nothing was heard for so long is forgotten, in milliseconds: its BYE was lost.
const FORGOTTEN_AFTER: u64 = 12 * 3_600_000;
/// Between two looks for such calls, in milliseconds.
const SWEEP_EVERY: u64 = 60_000;

/// Which of a pair belongs to a party.
pub(crate) fn place(party: Party) -> usize {
    match party {
        Party::Web => 0,
        Party::Phone => 1,
    }
}

pub(crate) const PARTIES: [Party; 2] = [Party::Web, Party::Phone];

/// A call's name: its Call-ID and the caller's tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallName {
    text: Box<[u8]>,
    call_id: usize,
}

impl CallName {
    pub(crate) fn new(call_id: &[u8], caller_tag: &[u8]) -> CallName {
        CallName { text: [call_id, caller_tag].concat().into(), call_id: call_id.len() }
    }

    fn call_id(&self) -> &[u8] {
        self.text.get(..self.call_id).unwrap_or_default()
    }

    fn tag(&self) -> &[u8] {
        self.text.get(self.call_id..).unwrap_or_default()
    }
}

/// What a first INVITE needs before it goes on.
pub(crate) enum Offer {
    /// These bodies, by the callee's party; none where it bears no SDP.
    Have(ByParty<Body>),
    /// The answers to these.
    Ask(Vec<(Party, Command)>),
}

/// What a request inside a dialog needs before it goes on.
pub(crate) enum Turn {
    /// Nothing: it bears no SDP.
    AsItIs,
    /// This body.
    Have(Body),
    /// The answer to this.
    Ask(Command),
}

/// A request inside a dialog that bears an SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) from: Side,
    pub(crate) method: Method,
    pub(crate) cseq: u32,
}

struct Call {
    /// One for each sort of callee the INVITE went to; after the answer the one that counts.
    sessions: ByParty<Session>,
    /// What the first INVITE bears in its SDP's place.
    offered: ByParty<Body>,
    /// The CSeq of that INVITE.
    cseq: u32,
    /// The last request inside the dialog, kept from the relay's answer until it is taken up again.
    last: Option<(Turned, Body)>,
    /// When something was last heard of it, in milliseconds since 1970.
    touched: u64,
}

/// The relay and the calls it carries.
#[derive(Default)]
pub(crate) struct Relayed {
    relay: OnceLock<Relay>,
    calls: Mutex<HashMap<CallName, Call>>,
    swept: AtomicU64,
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
    pub(crate) fn tell(&self, command: Command) {
        if let Some(Err(error)) = self.relay.get().map(|r| r.tell(command)) {
            tracing::debug!(%error, "rtpengine was not told of a call's end");
        }
    }

    /// How rtpengine does.
    pub(crate) fn health(&self) -> Health {
        self.relay.get().map(Relay::health).unwrap_or_default()
    }

    /// Calls that are relayed.
    pub(crate) fn len(&self) -> usize {
        self.calls.lock().len()
    }

    /// A first INVITE is about to go to callees of these sorts.
    pub(crate) fn on_offer(
        &self,
        name: &CallName,
        invite: &Message<'_>,
        caller: Party,
        callees: [bool; 2],
        now: u64,
    ) -> Result<Offer, MediaError> {
        let mut calls = self.calls.lock();
        if calls.len() >= MOST_CALLS && !calls.contains_key(name) {
            return Err(MediaError::Busy(MOST_CALLS));
        }
        let fresh = || Call {
            sessions: [None, None],
            offered: [None, None],
            cseq: invite.cseq(),
            last: None,
            touched: now,
        };
        let call = calls.entry(name.clone()).or_insert_with(fresh);
        call.touched = now;
        if call.cseq != invite.cseq() {
            // The caller tried again after a failure; what is left of the first try has been told to end.
            *call = fresh();
        }
        let both = callees == [true, true];
        let sdp = sdp_of(invite);
        let mut ask = Vec::new();
        for party in PARTIES {
            let at = place(party);
            if !callees[at] || call.offered[at].is_some() {
                continue;
            }
            // Two offers of one INVITE are told apart by a name.
            let branch = both.then_some(match party {
                Party::Web => b"web".as_slice(),
                Party::Phone => b"phone",
            });
            let session = call.sessions[at]
                .get_or_insert_with(|| Session::new(name.call_id(), name.tag(), caller, party, branch));
            if let Some(command) = session.on_request(Side::Caller, Method::Invite, sdp) {
                ask.push((party, command));
            }
        }
        Ok(if ask.is_empty() { Offer::Have(call.offered.clone()) } else { Offer::Ask(ask) })
    }

    /// What a diverted INVITE bears: what it bore before.
    pub(crate) fn offered(&self, name: &CallName) -> ByParty<Body> {
        self.calls.lock().get(name).map(|c| c.offered.clone()).unwrap_or_default()
    }

    /// The relay's answer to the offer for one sort of callee.
    pub(crate) fn set_offered(&self, name: &CallName, party: Party, body: Body) {
        if let Some(call) = self.calls.lock().get_mut(name) {
            call.offered[place(party)] = Some(body);
        }
    }

    /// A response is about to go on. `callee` is the sort of callee for a first INVITE, `None` inside the dialog.
    pub(crate) fn on_response(
        &self,
        name: &CallName,
        from: Side,
        callee: Option<Party>,
        method: Method,
        response: &Message<'_>,
        now: u64,
    ) -> Option<Command> {
        let code = response.status().unwrap_or(0);
        let mut calls = self.calls.lock();
        let call = calls.get_mut(name)?;
        call.touched = now;
        let mut other = None;
        let session = match callee {
            Some(party) => {
                if (200..300).contains(&code) {
                    other = call.sessions[1 - place(party)].take();
                }
                call.sessions[place(party)].as_mut()
            }
            None => call.sessions.iter_mut().flatten().next(),
        };
        let command = session?.on_response(from, method, code, response.to_tag(), sdp_of(response));
        drop(calls);
        if let Some(delete) = other.and_then(|mut s| s.end()) {
            self.tell(delete);
        }
        command
    }

    /// A request inside the dialog is about to go on. `resume` makes the session of a call that began before this
    /// process did.
    pub(crate) fn on_request(
        &self,
        name: &CallName,
        turned: Turned,
        request: &Message<'_>,
        now: u64,
        resume: impl FnOnce() -> (Party, Session),
    ) -> Turn {
        let sdp = sdp_of(request);
        let mut calls = self.calls.lock();
        if sdp.is_none() && !calls.contains_key(name) {
            return Turn::AsItIs;
        }
        let call = calls.entry(name.clone()).or_insert_with(|| {
            let (party, session) = resume();
            let mut sessions = [None, None];
            sessions[place(party)] = Some(session);
            Call { sessions, offered: [None, None], cseq: 0, last: None, touched: now }
        });
        call.touched = now;
        if let Some((_, body)) = call.last.as_ref().filter(|(last, _)| *last == turned) {
            return Turn::Have(body.clone());
        }
        let session = call.sessions.iter_mut().flatten().next();
        match session.and_then(|s| s.on_request(turned.from, turned.method, sdp)) {
            Some(command) => Turn::Ask(command),
            None => Turn::AsItIs,
        }
    }

    /// The relay's answer for a request inside the dialog.
    pub(crate) fn set_turned(&self, name: &CallName, turned: Turned, body: Body) {
        if let Some(call) = self.calls.lock().get_mut(name) {
            call.last = Some((turned, body));
        }
    }

    /// The call is over: rtpengine may have its ports back. It is told even of a call that this process has not
    /// seen begin, if that one was `answered`.
    pub(crate) fn end(&self, name: &CallName, answered: bool) {
        let call = self.calls.lock().remove(name);
        let unseen = call.is_none() && answered;
        for mut session in call.into_iter().flat_map(|c| c.sessions).flatten() {
            if let Some(delete) = session.end() {
                self.tell(delete);
            }
        }
        if unseen {
            self.tell(Command::Delete {
                call_id: name.call_id().to_vec(),
                from_tag: name.tag().to_vec(),
                branch: None,
            });
        }
    }

    /// Forgets calls whose end was never heard.
    pub(crate) fn sweep(&self, now: u64) {
        if now.saturating_sub(self.swept.load(Ordering::Relaxed)) < SWEEP_EVERY {
            return;
        }
        self.swept.store(now, Ordering::Relaxed);
        let stale: Vec<CallName> = self
            .calls
            .lock()
            .iter()
            .filter(|(_, c)| now.saturating_sub(c.touched) > FORGOTTEN_AFTER)
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            self.end(&name, true);
        }
    }
}
