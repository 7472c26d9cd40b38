//! One relayed call: what comes of one first INVITE, and what each callee that was heard of has agreed upon.

use std::sync::Arc;

use trunkline_media::{Command, Method, Party, Session, Side};
use trunkline_sip::Message;

use super::body::sdp_of;
use super::name::Name;

/// An SDP that takes the place of a message's own, or the status that its absence makes.
pub(crate) type Body = Result<Arc<[u8]>, u16>;
/// One for callees that are browsers, one for phones.
pub(crate) type ByParty<T> = [Option<T>; 2];

/// Callees that are heard of before one answers, by each branch at most: those of one do not take the others' room. Of a call of
/// before this process nobody knows the branches.
const MOST_HEARD: usize = 16;

/// Which of a pair belongs to a party.
pub(crate) fn place(party: Party) -> usize {
    match party {
        Party::Web => 0,
        Party::Phone => 1,
    }
}

pub(crate) const PARTIES: [Party; 2] = [Party::Web, Party::Phone];

/// A request inside a dialog that bears an SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) from: Side,
    pub(crate) method: Method,
    pub(crate) cseq: u32,
    /// Whose dialog it is.
    pub(crate) callee_tag: Box<[u8]>,
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

/// The dialog with one callee.
struct Heard {
    tag: Box<[u8]>,
    /// The branch it was heard by: of another one its tag is only claimed. `None` for a call of before this process.
    branch: Option<u8>,
    party: Party,
    session: Session,
}

pub(super) struct Call {
    name: Name,
    /// The Call-ID, where it is the first that is relayed under it.
    pub(super) holds: Option<Box<[u8]>>,
    /// One for each sort of callee the INVITE went to, as it went out.
    first: ByParty<Session>,
    /// What the first INVITE bears in its SDP's place.
    pub(super) offered: ByParty<Body>,
    /// The callees that were heard of; once one has answered that one alone, and nothing that others say changes its media.
    heard: Vec<Heard>,
    answered: bool,
    /// It began before this process did: which callee answered is not known, so that each dialog goes for itself.
    pub(super) from_before: bool,
    /// The last request of each side inside a dialog, kept from the relay's answer until it is taken up again: those of both may
    /// cross.
    last: [Option<(Turned, Body)>; 2],
    /// When something was last heard of it, in milliseconds since 1970.
    pub(super) touched: u64,
}

impl Call {
    pub(super) fn new(name: Name, holds: Option<Box<[u8]>>) -> Call {
        Call {
            name,
            holds,
            first: [None, None],
            offered: [None, None],
            heard: Vec::new(),
            answered: false,
            from_before: false,
            last: [None, None],
            touched: 0,
        }
    }

    /// One that began before this process did.
    pub(super) fn from_before(name: Name, holds: Option<Box<[u8]>>) -> Call {
        Call { answered: true, from_before: true, ..Call::new(name, holds) }
    }

    /// Of a call of before, a dialog of which nothing was heard yet: `make` gives its session, and of which sort the callee is.
    pub(super) fn resume(&mut self, callee_tag: &[u8], make: impl FnOnce(&Name) -> (Party, Session)) {
        if self.from_before && self.heard.len() < MOST_HEARD && self.session(callee_tag).is_none() {
            let (party, session) = make(&self.name);
            self.heard.push(Heard { tag: callee_tag.into(), branch: None, party, session });
        }
    }

    /// Of a call of before, a dialog that has ended; is there none left?
    pub(super) fn leave(&mut self, callee_tag: &[u8]) -> bool {
        self.heard.retain(|h| *h.tag != *callee_tag);
        self.heard.is_empty()
    }

    /// The first INVITE is about to go to callees of these sorts: what is still to be asked for that.
    pub(super) fn offer(
        &mut self,
        invite: &Message<'_>,
        caller: Party,
        callees: [bool; 2],
    ) -> Vec<(Party, Command)> {
        let both = callees == [true, true];
        let mut ask = Vec::new();
        for party in PARTIES {
            let at = place(party);
            if !callees[at] || self.offered[at].is_some() {
                continue;
            }
            // Two offers of one INVITE are told apart by a name.
            let branch = both.then(|| match party {
                Party::Web => self.name.tag(b"web"),
                Party::Phone => self.name.tag(b"phone"),
            });
            let (name, tag) = (&self.name, invite.from_tag());
            let session = self.first[at].get_or_insert_with(|| {
                Session::new(name.call_id(), &name.tag(tag), caller, party, branch.as_deref())
            });
            if let Some(command) = session.on_request(Side::Caller, Method::Invite, sdp_of(invite)) {
                ask.push((party, command));
            }
        }
        ask
    }

    /// The session of a callee that a branch to this sort of them has heard of.
    fn heard_by(&mut self, branch: u8, party: Party, tag: &[u8]) -> Option<&mut Heard> {
        let at = self.heard.iter().position(|h| h.branch == Some(branch) && *h.tag == *tag);
        let of_branch = || self.heard.iter().filter(|h| h.branch == Some(branch)).count();
        if at.is_none() && !self.answered && of_branch() < MOST_HEARD {
            let session = self.first[place(party)].clone()?;
            self.heard.push(Heard { tag: tag.into(), branch: Some(branch), party, session });
            return self.heard.last_mut();
        }
        self.heard.get_mut(at?)
    }

    /// A response of this branch to the first INVITE is about to go on: what is asked for it, and what rtpengine is told,
    /// since the callees of the other sort are out of it.
    pub(super) fn on_answer(
        &mut self,
        (branch, party): (u8, Party),
        response: &Message<'_>,
    ) -> (Option<Command>, Vec<Command>) {
        let code = response.status().unwrap_or(0);
        let tag = response.to_tag();
        let named = self.name.tag(tag);
        let Some(heard) = self.heard_by(branch, party, tag) else { return (None, Vec::new()) };
        let sdp = sdp_of(response);
        let command = heard.session.on_response(Side::Callee, Method::Invite, code, &named, sdp);
        if self.answered || !(200..300).contains(&code) {
            return (command, Vec::new());
        }
        self.answered = true;
        let mut others: Vec<Session> = self.first[1 - place(party)].take().into_iter().collect();
        self.first = [None, None];
        for heard in std::mem::take(&mut self.heard) {
            match heard.branch == Some(branch) && *heard.tag == *tag {
                true => self.heard.push(heard),
                // Of the same sort it is the same to rtpengine, but for its tag.
                false if heard.party == party => {}
                false => others.push(heard.session),
            }
        }
        (command, ends(others))
    }

    /// This branch of the first INVITE has failed: who was heard by it is not heard any more.
    pub(super) fn on_failure(&mut self, branch: u8) {
        if !self.answered {
            self.heard.retain(|h| h.branch != Some(branch));
        }
    }

    fn session(&mut self, callee_tag: &[u8]) -> Option<&mut Session> {
        self.heard.iter_mut().find(|h| *h.tag == *callee_tag).map(|h| &mut h.session)
    }

    /// A response inside a dialog is about to go on.
    pub(super) fn on_response(
        &mut self,
        callee_tag: &[u8],
        from: Side,
        method: Method,
        response: &Message<'_>,
    ) -> Option<Command> {
        let code = response.status().unwrap_or(0);
        let named = self.name.tag(callee_tag);
        self.session(callee_tag)?.on_response(from, method, code, &named, sdp_of(response))
    }

    /// The offer that this side made inside a dialog is refused: what rtpengine is told.
    pub(super) fn on_refusal(&mut self, callee_tag: &[u8], asked: Side) -> Option<Command> {
        self.session(callee_tag)?.on_refusal(asked)
    }

    /// A request inside a dialog is about to go on.
    pub(super) fn on_request(&mut self, turned: &Turned, sdp: Option<&[u8]>) -> Turn {
        if let Some((_, body)) = self.last.iter().flatten().find(|(last, _)| last == turned) {
            return Turn::Have(body.clone());
        }
        let session = self.session(&turned.callee_tag);
        match session.and_then(|s| s.on_request(turned.from, turned.method, sdp)) {
            Some(command) => Turn::Ask(command),
            None => Turn::AsItIs,
        }
    }

    /// The relay's answer for a request inside a dialog.
    pub(super) fn set_turned(&mut self, turned: &Turned, body: Body) {
        let [caller, callee] = &mut self.last;
        let last = match turned.from {
            Side::Caller => caller,
            Side::Callee => callee,
        };
        *last = Some((turned.clone(), body));
    }

    /// Is it this callee's, who answered? The end of any other dialog is not that of the call.
    pub(super) fn is_answered_by(&self, callee_tag: &[u8]) -> bool {
        self.answered && self.heard.iter().any(|h| *h.tag == *callee_tag)
    }

    /// It is over: what rtpengine is told.
    pub(super) fn end(self) -> Vec<Command> {
        ends(self.first.into_iter().flatten().chain(self.heard.into_iter().map(|h| h.session)))
    }
}

/// The ends of sessions, each once: several may be the same to rtpengine.
fn ends(sessions: impl IntoIterator<Item = Session>) -> Vec<Command> {
    let mut commands = Vec::new();
    for command in sessions.into_iter().filter_map(|mut session| session.end()) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}
