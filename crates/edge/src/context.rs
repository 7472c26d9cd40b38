//! One request on its way: its server transaction, its branches, its response context.

use trunkline_calls::{CallHandle, Place};
use trunkline_model::Ref;
use trunkline_proxy::{PartyKind, ResponseContext, Side};
use trunkline_sip::{ConnectionId, Flow, Method, Transport};
use trunkline_transaction::timers::Now;
use trunkline_transaction::{
    Actions, Class, InviteClient, InviteServer, NonInviteClient, NonInviteServer, TransactionKey,
};
use trunkline_transport::Egress;

use crate::divert::Divertible;
use crate::media::Leg;
use crate::resolver::Spare;
use crate::trust::Word;
use crate::trust::budget::Credit;

/// The server side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

impl Server {
    pub(crate) fn new(method: Method, reliable: bool) -> Server {
        match method {
            Method::Invite => Server::Invite(InviteServer::new(reliable)),
            _ => Server::NonInvite(NonInviteServer::new(reliable)),
        }
    }

    pub(crate) fn on_request(&mut self) -> Actions {
        match self {
            Server::Invite(s) => s.on_request(),
            Server::NonInvite(s) => s.on_request(),
        }
    }

    pub(crate) fn on_respond(&mut self, class: Class, now: Now) {
        match self {
            Server::Invite(s) => s.on_respond(class, now),
            Server::NonInvite(s) => {
                s.on_respond(class, now);
            }
        }
    }

    /// Its final response is not repeated by a timer.
    pub(crate) fn repeat_no_more(&mut self) {
        match self {
            Server::Invite(s) => s.repeat_no_more(),
            Server::NonInvite(_) => {}
        }
    }

    pub(crate) fn on_timer(&mut self, now: Now) -> Actions {
        match self {
            Server::Invite(s) => s.on_timer(now),
            Server::NonInvite(s) => s.on_timer(now),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Now> {
        match self {
            Server::Invite(s) => s.deadline(),
            Server::NonInvite(s) => s.deadline(),
        }
    }

    pub(crate) fn is_proceeding(&self) -> bool {
        match self {
            Server::Invite(s) => s.is_proceeding(),
            Server::NonInvite(s) => s.is_proceeding(),
        }
    }

    pub(crate) fn keeps_response(&self) -> bool {
        match self {
            Server::Invite(s) => s.keeps_response(),
            Server::NonInvite(s) => s.keeps_response(),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Server::Invite(s) => s.is_terminated(),
            Server::NonInvite(s) => s.is_terminated(),
        }
    }
}

/// The client side of one branch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl Client {
    pub(crate) fn new(method: Method, reliable: bool, now: Now) -> Client {
        match method {
            Method::Invite => Client::Invite(InviteClient::new(reliable, now)),
            _ => Client::NonInvite(NonInviteClient::new(reliable, now)),
        }
    }

    pub(crate) fn on_response(&mut self, class: Class, now: Now) -> Actions {
        match self {
            Client::Invite(c) => c.on_response(class, now),
            Client::NonInvite(c) => c.on_response(class, now),
        }
    }

    pub(crate) fn on_timer(&mut self, now: Now) -> Actions {
        match self {
            Client::Invite(c) => c.on_timer(now),
            Client::NonInvite(c) => c.on_timer(now),
        }
    }

    pub(crate) fn terminate(&mut self) {
        match self {
            Client::Invite(c) => c.terminate(),
            Client::NonInvite(c) => c.terminate(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Now> {
        match self {
            Client::Invite(c) => c.deadline(),
            Client::NonInvite(c) => c.deadline(),
        }
    }

    /// Has a provisional response come, and no final one?
    pub(crate) fn is_proceeding(&self) -> bool {
        match self {
            Client::Invite(c) => c.is_proceeding(),
            Client::NonInvite(c) => c.is_proceeding(),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Client::Invite(c) => c.is_terminated(),
            Client::NonInvite(c) => c.is_terminated(),
        }
    }
}

/// Where the cancelling of a branch stands, RFC 3261 §9.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cancel {
    /// Nobody wants it.
    No,
    /// Wanted; it waits for a provisional response.
    Wanted,
    /// The CANCEL is a transaction of its own, with the branch of the INVITE.
    Sent(NonInviteClient),
}

/// What made us give a branch a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// None.
    None,
    /// A trunk's destination that stays silent: the next one is tried.
    Silence(Now),
    /// Timer C, or the callee's no-answer time: cancel.
    Answer(Now),
}

/// What a request is to dialogs of ours.
#[derive(Clone, Debug, Default)]
pub(crate) enum DialogUse {
    /// Nothing.
    #[default]
    None,
    /// It begins those of this number.
    Begins(u64),
    /// It came inside one, from this side.
    Inside(Place, Side),
    /// It came inside several: those that one spiral began.
    Nested(Box<[(Place, Side)]>),
}

impl DialogUse {
    /// The dialogs that it came inside of.
    pub(crate) fn inside(&self) -> impl Iterator<Item = (Place, Side)> {
        let (one, many) = match self {
            DialogUse::None | DialogUse::Begins(_) => (None, &[][..]),
            DialogUse::Inside(place, side) => (Some((*place, *side)), &[][..]),
            DialogUse::Nested(many) => (None, &**many),
        };
        one.into_iter().chain(many.iter().copied())
    }
}

/// What a branch needs to know of its target after the plan is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetInfo {
    /// The trunk, and which of its destinations.
    pub(crate) trunk: Option<Ref>,
    pub(crate) trunk_uri: u8,
    /// Answers the trunk's challenge, once.
    pub(crate) credentials: Option<Ref>,
    /// Does its challenge go on to who sent the request?
    pub(crate) passes_challenges: bool,
    /// Was a challenge answered already?
    pub(crate) authenticated: bool,
    /// Silence after which the next target is tried, in milliseconds.
    pub(crate) silence: Option<u32>,
    /// Silence after which another address or flow of the same target is tried, in milliseconds.
    pub(crate) patience: u32,
    /// Where else its next hop may be.
    pub(crate) spare: Spare,
    /// The phone that has several flows (RFC 5626), 0 for none.
    pub(crate) phone: u64,
    /// The contact a call of it counts for.
    pub(crate) binding: u64,
    /// By whose word it is one; `None`: the operator's.
    pub(crate) word: Option<Word>,
    /// Its address has not shown that it is there: what is sent to it is limited.
    pub(crate) unproven: bool,
    /// Nor does its party send from there: what was sent once is sent again only when something has come back.
    pub(crate) once: bool,
    /// Nothing could be sent yet.
    pub(crate) held: bool,
    /// By how much CSeq is raised: the other side counts otherwise.
    pub(crate) cseq_added: u8,
    /// The MAC of the mark in its Record-Route, 0 for none.
    pub(crate) mark_mac: u64,
}

/// One branch: a request we sent, and what is known of its fate.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) client: Client,
    pub(crate) egress: Egress,
    /// A large request went to TCP; it goes over UDP when nobody listens there (RFC 3261 §18.1.1).
    pub(crate) grown: bool,
    /// The request as it went out; after a failure of an INVITE its ACK.
    pub(crate) sent: Vec<u8>,
    /// The final response, where it may still be needed as the best one.
    pub(crate) response: Vec<u8>,
    /// The final status, 0 while there is none.
    pub(crate) code: u16,
    /// It could not be sent, which has not been counted yet: the status it counts as, 0 for one that was sent.
    pub(crate) stillborn: u16,
    pub(crate) cancel: Cancel,
    pub(crate) limit: Limit,
    pub(crate) target: TargetInfo,
}

impl Branch {
    /// The address as its name gave it: of a large request the one that UDP would have gone to.
    pub(crate) fn first_egress(&self) -> Egress {
        match self.grown {
            true => Egress { transport: Transport::Udp, connection: ConnectionId::NONE, ..self.egress },
            false => self.egress,
        }
    }

    /// Does it lead to a trunk's carrier?
    pub(crate) fn leads_to_carrier(&self) -> bool {
        self.target.trunk.is_some() || self.target.word.is_some_and(|word| word.kind == PartyKind::Trunk)
    }

    /// The limit that holds now: one whose fate is known has none, unless it is being cancelled and has said nothing
    /// final yet. Somebody who never will must not be waited for (RFC 3261 §9.1).
    pub(crate) fn limit(&self) -> Limit {
        let ends = matches!(self.cancel, Cancel::Sent(_)) && !self.client.is_terminated();
        if self.code == 0 || ends { self.limit } else { Limit::None }
    }
}

/// A later target, kept until the ones before it have failed.
#[derive(Debug)]
pub(crate) struct Later {
    /// The request as it will go out, but for the branch, which stands at `branch_at`.
    pub(crate) request: Vec<u8>,
    pub(crate) branch_at: usize,
    /// `None`: there is no way to it, which counts as [`Later::code`].
    pub(crate) egress: Option<Egress>,
    pub(crate) code: u16,
    /// As [`Branch::grown`].
    pub(crate) grown: bool,
    pub(crate) group: u8,
    pub(crate) target: TargetInfo,
}

impl Later {
    /// One without a way.
    pub(crate) fn new(target: TargetInfo) -> Later {
        Later { request: Vec::new(), branch_at: 0, egress: None, code: 0, grown: false, group: 0, target }
    }
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) key: TransactionKey,
    pub(crate) method: Method,
    pub(crate) server: Server,
    /// Where responses go.
    pub(crate) back: Egress,
    /// How the request came.
    pub(crate) from: Flow,
    /// Of an INVITE, what its CANCEL has in common with it: [`crate::edge::Edge::companion`].
    pub(crate) companion: u64,
    /// What the request pays for.
    pub(crate) credit: Credit,
    /// Bytes that it pays for towards addresses that have not shown that they are there: one sending of it.
    pub(crate) pays: u32,
    /// The source was proven when the request came.
    pub(crate) proven: bool,
    /// The last response, to be repeated; before there is one a 100, so that it always holds what a response of
    /// ours needs (Via, From, To, Call-ID, CSeq).
    pub(crate) reply: Vec<u8>,
    pub(crate) loop_mac: u64,
    /// What its responses have to repeat: [`crate::edge::Edge::identity`].
    pub(crate) identity: u64,
    /// It has a To tag, which they repeat too.
    pub(crate) tagged: bool,
    pub(crate) responses: ResponseContext,
    /// From the pool; none once a request other than INVITE has its answer.
    pub(crate) branches: Vec<Branch>,
    /// Targets to be tried later, last first.
    pub(crate) later: Vec<Later>,
    /// Further flows of phones that are being tried, last first.
    pub(crate) flows: Vec<Later>,
    pub(crate) cancelled: bool,
    /// Another shard gave us its request.
    pub(crate) guest: bool,
    /// How long the callee rings, in seconds, where its agent says so.
    pub(crate) no_answer: Option<u32>,
    /// What it takes to send the call elsewhere.
    pub(crate) divertible: Option<Box<Divertible>>,
    /// What its responses mean to the media relay.
    pub(crate) media: Option<Box<Leg>>,
    /// The call this INVITE begins.
    pub(crate) call: Option<CallHandle>,
    pub(crate) dialog: DialogUse,
    /// What the caller is, and which peer or trunk.
    pub(crate) caller: (PartyKind, u32),
}

impl Context {
    /// Does an ACK that came by this flow belong to its request? The port may differ, as NATs rebind and clients connect anew;
    /// the address may not.
    pub(crate) fn comes_from(&self, flow: &Flow) -> bool {
        self.from.remote.ip().to_canonical() == flow.remote.ip().to_canonical()
    }

    /// Is a CANCEL that came by this flow the caller's? It comes by the INVITE's connection, or from its port. NATs rebind:
    /// from another port of the address it has to say what the INVITE said (RFC 3261 §9.1), and nobody may be there to
    /// whom the INVITE went, since a neighbour who is rung knows all of that.
    pub(crate) fn is_cancelled_by(&self, flow: &Flow, companion: u64) -> bool {
        if self.from.transport.is_reliable() || flow.transport.is_reliable() {
            return self.from.transport == flow.transport && self.from.connection == flow.connection;
        }
        let ip = flow.remote.ip().to_canonical();
        let rung = || {
            let later = self.later.iter().chain(&self.flows).filter_map(|later| later.egress);
            self.branches.iter().map(|b| b.egress).chain(later).any(|e| e.remote.ip().to_canonical() == ip)
        };
        self.from.remote == flow.remote || self.comes_from(flow) && self.companion == companion && !rung()
    }

    /// When it wants to be looked at next.
    pub(crate) fn deadline(&self) -> Option<Now> {
        let mut first = self.server.deadline();
        let mut take = |d: Option<Now>| {
            if let Some(d) = d {
                first = Some(first.map_or(d, |f| f.min(d)));
            }
        };
        for b in &self.branches {
            take(b.client.deadline());
            if let Cancel::Sent(c) = &b.cancel {
                take(c.deadline());
            }
            match b.limit() {
                Limit::None => {}
                Limit::Silence(at) | Limit::Answer(at) => take(Some(at)),
            }
        }
        first
    }

    /// Has it its answer, so that nothing that its branches still hear matters? Of an INVITE another 2xx may come.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.server, Server::NonInvite(_))
            && !self.server.is_proceeding()
            && self.branches.iter().all(|b| b.code != 0 || b.client.is_terminated())
    }

    /// Is there nothing more to wait for?
    pub(crate) fn is_over(&self) -> bool {
        self.server.is_terminated()
            && self.branches.iter().all(|b| {
                let cancelled = match &b.cancel {
                    Cancel::No | Cancel::Wanted => true,
                    Cancel::Sent(c) => c.is_terminated(),
                };
                b.client.is_terminated() && cancelled
            })
    }
}
