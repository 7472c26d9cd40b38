//! One request on its way through the proxy, RFC 3261 §16, as a machine without sockets, clocks or locks.
//!
//! The owner tells it what happened ([`Input`]) and at what time; it puts into a list what is to be done ([`Output`]),
//! and says when it wants to be called next. What it cannot know it asks for ([`Output::Ask`]): the next address of a name,
//! credentials for a challenge, another callee. Several outputs are carried out in their order; what an answer leads to is
//! appended.
//!
//! The owner writes the texts that depend on more than this transaction (the request for each target, a response on its way
//! back) and keeps in each target what it needs to know of it ([`Target::hop`]).

mod aside;
mod branch;
mod cancelling;
mod ends;
mod failures;
mod responses;
mod timing;

use std::collections::VecDeque;
use std::ops::Range;

use trunkline_sip::{Index, Message, Method};
use trunkline_transaction::timers::{C, E_AT_T2, Now};
use trunkline_transaction::{Actions, Class};

use aside::Aside;
pub use branch::{Branch, Target, Waiting};
use ends::Server;
pub use failures::callee_unreachable;
pub use responses::{goes_on, replace_status_line};

use crate::buffers::Buffers;
use crate::response_context::ResponseContext;

/// What happened.
#[derive(Debug)]
pub enum Input<'a, H> {
    /// The request came again.
    Repetition,
    /// The ACK to a failure came.
    Ack,
    /// A response to a branch's request, or to its CANCEL.
    Response(Heard<'a>),
    /// The caller cancels; the Reason lines of its CANCEL, each with its line end (RFC 3326).
    Cancel(&'a [u8]),
    /// The deadline has come.
    Timer,
    /// A branch's request could not be sent, which counts as this status.
    Unsent(u8, u16),
    /// The network says that a branch's request did not arrive (ICMP, RFC 3261 §18.4).
    Unreachable(u8),
    /// The same may be true of a branch, and nothing shows it.
    Doubtful(u8),
    /// The connection that a branch's request went out on has ended; `refused`: it could not be made.
    Lost {
        /// Which branch.
        branch: u8,
        /// Nobody listens there.
        refused: bool,
    },
    /// The answer to a question.
    Answer(Asked, Answer<H>, Option<Heard<'a>>),
}

/// A response that is being worked on.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The branch it came to.
    pub branch: u8,
    /// The response.
    pub message: &'a Message<'a>,
    /// It challenges for a realm of ours, which the caller is never shown.
    pub for_us: bool,
    /// There is room for a copy of it, if the caller is to have it later.
    pub may_stay: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a branch's request for the first time.
    Request(u8),
    /// Send a branch's request again.
    Repeat(u8),
    /// A large request goes over UDP from now on; send it.
    FallBack(u8),
    /// Send the ACK that a branch keeps, since its failure came again.
    AckAgain(u8),
    /// Send these bytes of [`Work::bytes`] to where a branch's request went: an ACK.
    Ack(u8, Piece),
    /// As before: a CANCEL.
    Cancel(u8, Piece),
    /// Send the last response again.
    Reply,
    /// Pass on a branch's response: the one at hand, or the kept one.
    Forward {
        /// Which branch.
        branch: u8,
        /// With which status.
        code: u16,
        /// It is [`Branch::response`].
        kept: bool,
    },
    /// Answer with a response of our own.
    Answer(u16),
    /// Say what is not known here, by [`Input::Answer`].
    Ask(Asked),
    /// Nothing came from a branch in time; nothing has to be done.
    TimedOut,
    /// A branch's target counts as failed, without a word from it; nothing has to be done.
    Silent(u8),
}

/// Bytes of [`Work::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    /// Where they are.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A question, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which branch.
    pub branch: u8,
    /// How it failed.
    pub code: u16,
    /// What is to be found.
    pub what: Question,
}

/// What a machine cannot know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Another address of the target's name (RFC 3263 §4.3), as this one has failed.
    Address(Failure),
    /// The request with credentials for the challenge at hand (RFC 3261 §22.2).
    Credentials,
    /// Another callee for a call that nobody took.
    Diversion,
    /// Those whom the response at hand redirects the call to.
    Redirection,
}

/// How a branch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was answered, with the wish to be left alone for so many seconds (Retry-After).
    Answered(u32),
    /// Nobody answered, or the transport failed.
    Silent,
    /// The network said so, which may be somebody's lie: it holds for this request alone.
    Unreachable,
    /// Something like that may be so of its address, and nothing shows it: another one is tried, and the failure does not count.
    Doubtful,
}

/// What the owner found.
#[derive(Debug)]
pub enum Answer<H> {
    /// Nothing.
    Nothing,
    /// This request takes the place of the branch's.
    Instead(Vec<u8>, Target<H>),
    /// New targets, which were started.
    Started,
}

/// Memory for one step, used again for the next.
#[derive(Debug, Default)]
pub struct Work {
    /// Buffers for what outlives the step.
    pub buffers: Buffers,
    /// Texts that outputs speak of.
    pub bytes: Vec<u8>,
    /// What is to be done, first to last.
    pub outputs: VecDeque<Output>,
    index: Index,
}

impl Work {
    fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

/// Branches of one request.
const MOST_BRANCHES: usize = 256;

/// How long a callee may ring.
#[derive(Clone, Copy, Debug)]
struct Ringing {
    ms: u64,
    /// It is the callee's own time, which does not begin anew with each provisional response.
    fixed: bool,
}

impl Ringing {
    /// How long a branch waits for its answer. A carrier has timer C at least: what plays there may be an announcement or a
    /// queue (RFC 3261 §16.6 step 11).
    fn of(&self, carrier: bool) -> u64 {
        if carrier && !self.fixed { self.ms.max(C) } else { self.ms }
    }
}

/// The machine. `H` is what its owner knows of a target.
#[derive(Debug)]
pub struct ProxyTransaction<H> {
    method: Method,
    server: Server,
    /// The last response; before there is one a 100, so that it always holds what a response of ours needs (Via, From, To,
    /// Call-ID, CSeq).
    reply: Vec<u8>,
    responses: ResponseContext,
    branches: Vec<Branch<H>>,
    /// What few requests have.
    aside: Aside<H>,
    cancelled: bool,
    divertible: bool,
    redirectable: bool,
    ringing: Ringing,
    trying: Trying,
}

/// The 100 to a request other than INVITE, which says nothing before its client repeats it no more often than each T2, and is due
/// then (RFC 4320 §4.1).
#[derive(Clone, Copy, Debug)]
enum Trying {
    /// The request came just now.
    Unset,
    At(Now),
    Sent,
}

impl<H> ProxyTransaction<H> {
    /// For a request that came by a transport of this kind. `reply` is a 100 to it; a callee rings `no_answer` milliseconds
    /// after each sign of life (timer C). `branches` is an empty list, whose memory is given back by
    /// [`ProxyTransaction::take_branches`].
    pub fn new(
        method: Method,
        reliable: bool,
        reply: Vec<u8>,
        branches: Vec<Branch<H>>,
        no_answer: u64,
    ) -> ProxyTransaction<H> {
        ProxyTransaction {
            method,
            server: Server::new(method, reliable),
            reply,
            responses: ResponseContext::default(),
            branches,
            aside: Aside::none(),
            cancelled: false,
            divertible: false,
            redirectable: false,
            ringing: Ringing { ms: no_answer, fixed: false },
            trying: if method == Method::Invite { Trying::Sent } else { Trying::Unset },
        }
    }

    /// The callee rings so many milliseconds; `fixed`: whatever it says meanwhile, else after each sign of life (timer C).
    pub fn ring_for(&mut self, ms: u64, fixed: bool) {
        self.ringing = Ringing { ms, fixed };
    }

    /// When nobody takes the call it is asked whether it may go elsewhere ([`Question::Diversion`]).
    pub fn set_divertible(&mut self, divertible: bool) {
        self.divertible = divertible;
    }

    /// A redirection is asked about ([`Question::Redirection`]) before it goes on to the caller.
    pub fn set_redirectable(&mut self, redirectable: bool) {
        self.redirectable = redirectable;
    }

    /// The call goes to another callee: the branches so far have ended, and say nothing of it.
    pub fn begin_again(&mut self) {
        self.responses = ResponseContext::default();
        self.aside.retain_flows(|_| false);
    }

    /// A target whose request is sent now.
    pub fn start(&mut self, request: Vec<u8>, target: Target<H>, now: Now, work: &mut Work) {
        if matches!(self.trying, Trying::Unset) {
            self.trying = Trying::At(now + E_AT_T2);
        }
        if let Some(branch) = self.push(request, target, now) {
            work.put(Output::Request(branch));
        }
    }

    /// A target that there is no way to, which counts as this status.
    pub fn start_dead(&mut self, code: u16, target: Target<H>, work: &mut Work) {
        if let Some(branch) = self.push(Vec::new(), target, 0)
            && let Some(dead) = self.branches.last_mut()
        {
            dead.client.terminate();
            work.put(Output::Ask(Asked { branch, code, what: Question::Address(Failure::Silent) }));
        }
    }

    /// A target for when those before it have failed; `flow`: it is another flow of a phone that is being tried.
    pub fn put_off(&mut self, waiting: Waiting<H>, flow: bool) {
        let lists = self.aside.lists();
        let list = if flow { &mut lists.flows } else { &mut lists.later };
        list.insert(0, waiting);
    }

    /// Something happened.
    pub fn handle(&mut self, input: Input<'_, H>, now: Now, work: &mut Work) {
        match input {
            Input::Repetition => {
                if self.server.on_request().has(Actions::RESEND) {
                    work.put(Output::Reply);
                }
            }
            Input::Ack => {
                if let Server::Invite(server) = &mut self.server {
                    server.on_ack(now);
                }
            }
            Input::Response(heard) => self.on_response(heard, now, work),
            Input::Cancel(reason) => self.on_cancel(reason, now, work),
            Input::Timer => self.on_timer(now, work),
            Input::Unsent(branch, code) => {
                if let Some(b) = self.branches.get_mut(usize::from(branch)) {
                    b.client.terminate();
                }
                self.fail(branch, code, now, work);
            }
            Input::Unreachable(branch) => self.on_unreachable(branch, now, work),
            Input::Doubtful(branch) => self.on_doubt(branch, work),
            Input::Lost { branch, refused } => self.on_lost(branch, refused, now, work),
            Input::Answer(asked, answer, heard) => self.on_answer(asked, answer, heard, now, work),
        }
    }

    /// A response of ours goes out with this status; the owner writes it ([`Output::Answer`]).
    pub fn answer(&mut self, code: u16, now: Now, work: &mut Work) {
        if let Server::NonInvite(server) = &mut self.server
            && code == 408
        {
            // Whoever asked has given up by now; a 408 would only confuse (RFC 4320 §4.1).
            server.terminate();
            return work.put(Output::TimedOut);
        }
        self.server.on_respond(Class::of(code), now);
        work.put(Output::Answer(code));
    }

    /// The owner has sent an answer: it is what the request's repetitions get. `once`: timer G does not repeat it.
    pub fn answered(&mut self, text: &[u8], once: bool, work: &mut Work) {
        if let (Server::Invite(server), true) = (&mut self.server, once) {
            server.repeat_no_more();
        }
        work.buffers.replace(&mut self.reply, text);
    }

    /// The owner has passed a branch's response on in this form.
    pub fn passed_on(&mut self, branch: u8, code: u16, text: &[u8], work: &mut Work) {
        if !(200..300).contains(&code) || self.server.keeps_response() {
            work.buffers.replace(&mut self.reply, text);
        } else {
            work.buffers.give(std::mem::take(&mut self.reply));
        }
        if let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|_| (200..300).contains(&code)) {
            work.buffers.give(std::mem::take(&mut b.sent));
        }
    }

    /// The method of the request.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The last response.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// All branches so far.
    pub fn branches(&self) -> &[Branch<H>] {
        &self.branches
    }

    /// One of them.
    pub fn branch(&self, branch: u8) -> Option<&Branch<H>> {
        self.branches.get(usize::from(branch))
    }

    /// One of them.
    pub fn branch_mut(&mut self, branch: u8) -> Option<&mut Branch<H>> {
        self.branches.get_mut(usize::from(branch))
    }

    /// Where the request went, and where it may go yet.
    pub fn targets(&self) -> impl Iterator<Item = &Target<H>> {
        let waiting = self.aside.later().iter().chain(self.aside.flows()).map(|waiting| &waiting.target);
        self.branches.iter().map(|branch| &branch.target).chain(waiting)
    }

    /// The branch with the best failure so far.
    pub fn best(&self) -> Option<u8> {
        self.responses.best().map(|(branch, _)| branch)
    }

    /// The final response is still to come.
    pub fn is_proceeding(&self) -> bool {
        self.server.is_proceeding()
    }

    /// A 2xx to an INVITE went back.
    pub fn is_accepted(&self) -> bool {
        matches!(&self.server, Server::Invite(server) if server.is_accepted())
    }

    /// The caller has cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// It has its answer, so that nothing that its branches still hear matters. Of an INVITE another 2xx may come.
    pub fn is_answered(&self) -> bool {
        matches!(self.server, Server::NonInvite(_))
            && !self.server.is_proceeding()
            && self.branches.iter().all(|b| b.code != 0 || b.client.is_terminated())
    }

    /// Takes its branches away, when it is answered or over.
    pub fn take_branches(&mut self, buffers: &mut Buffers) -> Vec<Branch<H>> {
        let mut branches = std::mem::take(&mut self.branches);
        for branch in branches.drain(..) {
            buffers.give(branch.sent);
            buffers.give(branch.ack);
            buffers.give(branch.response);
        }
        branches
    }

    /// Ends it.
    pub fn close(&mut self, buffers: &mut Buffers) -> Vec<Branch<H>> {
        buffers.give(std::mem::take(&mut self.reply));
        self.take_branches(buffers)
    }

    fn push(&mut self, request: Vec<u8>, target: Target<H>, now: Now) -> Option<u8> {
        let branch = u8::try_from(self.branches.len()).ok()?;
        let limit = self.first_limit(&target, now);
        self.responses.started();
        self.branches.push(Branch { limit, ..Branch::new(self.method, request, target, now) });
        Some(branch)
    }

    /// The numbers of the branches there are now.
    fn numbers(&self) -> impl Iterator<Item = u8> + use<H> {
        (0..=u8::MAX).take(self.branches.len())
    }

    /// Is there room for so many branches more? Their names tell 256 apart: whoever has contacts by name, each with many
    /// addresses that do not answer, gets no further.
    pub fn has_room(&self, count: usize) -> bool {
        self.branches.len() + count <= MOST_BRANCHES
    }
}

#[cfg(test)]
mod tests;
