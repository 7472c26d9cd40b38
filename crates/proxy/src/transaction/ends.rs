//! The two ends of a transaction: towards who sent the request, and towards whom it goes.

use trunkline_sip::Method;
use trunkline_transaction::timers::Now;
use trunkline_transaction::{Actions, Class, InviteClient, InviteServer, NonInviteClient, NonInviteServer};

/// The server side, RFC 3261 §17.2.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

impl Server {
    pub(super) fn new(method: Method, reliable: bool) -> Server {
        match method {
            Method::Invite => Server::Invite(InviteServer::new(reliable)),
            _ => Server::NonInvite(NonInviteServer::new(reliable)),
        }
    }

    pub(super) fn on_request(&mut self) -> Actions {
        match self {
            Server::Invite(s) => s.on_request(),
            Server::NonInvite(s) => s.on_request(),
        }
    }

    pub(super) fn on_respond(&mut self, class: Class, now: Now) {
        match self {
            Server::Invite(s) => s.on_respond(class, now),
            Server::NonInvite(s) => {
                s.on_respond(class, now);
            }
        }
    }

    pub(super) fn on_timer(&mut self, now: Now) -> Actions {
        match self {
            Server::Invite(s) => s.on_timer(now),
            Server::NonInvite(s) => s.on_timer(now),
        }
    }

    pub(super) fn deadline(&self) -> Option<Now> {
        match self {
            Server::Invite(s) => s.deadline(),
            Server::NonInvite(s) => s.deadline(),
        }
    }

    pub(super) fn is_proceeding(&self) -> bool {
        match self {
            Server::Invite(s) => s.is_proceeding(),
            Server::NonInvite(s) => s.is_proceeding(),
        }
    }

    pub(super) fn keeps_response(&self) -> bool {
        match self {
            Server::Invite(s) => s.keeps_response(),
            Server::NonInvite(s) => s.keeps_response(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Server::Invite(s) => s.is_terminated(),
            Server::NonInvite(s) => s.is_terminated(),
        }
    }
}

/// The client side of one branch, RFC 3261 §17.1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl Client {
    pub(super) fn new(method: Method, reliable: bool, now: Now) -> Client {
        match method {
            Method::Invite => Client::Invite(InviteClient::new(reliable, now)),
            _ => Client::NonInvite(NonInviteClient::new(reliable, now)),
        }
    }

    pub(super) fn on_response(&mut self, class: Class, now: Now) -> Actions {
        match self {
            Client::Invite(c) => c.on_response(class, now),
            Client::NonInvite(c) => c.on_response(class, now),
        }
    }

    pub(super) fn on_timer(&mut self, now: Now) -> Actions {
        match self {
            Client::Invite(c) => c.on_timer(now),
            Client::NonInvite(c) => c.on_timer(now),
        }
    }

    pub(super) fn terminate(&mut self) {
        match self {
            Client::Invite(c) => c.terminate(),
            Client::NonInvite(c) => c.terminate(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Now> {
        match self {
            Client::Invite(c) => c.deadline(),
            Client::NonInvite(c) => c.deadline(),
        }
    }

    /// A provisional response has come, and no final one.
    pub(super) fn is_proceeding(&self) -> bool {
        match self {
            Client::Invite(c) => c.is_proceeding(),
            Client::NonInvite(c) => c.is_proceeding(),
        }
    }

    /// Nothing has been heard yet.
    pub(super) fn is_calling(&self) -> bool {
        match self {
            Client::Invite(c) => c.is_calling(),
            Client::NonInvite(c) => c.is_calling(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Client::Invite(c) => c.is_terminated(),
            Client::NonInvite(c) => c.is_terminated(),
        }
    }
}
