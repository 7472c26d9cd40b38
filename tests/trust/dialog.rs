//! A dialog as its two sides know it (RFC 3261 §12).

use trunkline_tests::{Message, uri};

use super::cast::Who;
use super::lane::Tx;
use super::net::Port;
use super::request::Request;
use super::ruling::Place;

/// One side.
#[derive(Clone, Debug)]
pub struct Side {
    pub who: Who,
    /// Whom the exchange takes it for, where that is a party it asks for a secret.
    pub known_as: Option<Who>,
    /// Has it proven nothing?
    pub stranger: bool,
    /// Does it say that it comes from a carrier's or peer's address, and shows nothing? Then nothing is sent there.
    pub unshown: bool,
    /// The socket it speaks through.
    pub port: Port,
    /// Its From, tag included.
    pub local: String,
    /// Its To, tag included.
    pub remote: String,
    /// The Contact it gave: where the other side sends requests.
    pub target: String,
    /// Sockets at which requests for that target may arrive.
    pub at: Vec<Port>,
    /// Does a proxy of its own stand before it, wherever its Contact leads?
    pub behind: bool,
    /// Is the target one that the rules leave open, or forbid?
    pub doubtful: bool,
    /// Has it shown its secret from elsewhere? Then it is there too.
    pub elsewhere: bool,
    /// Has the target changed since the dialog began?
    pub refreshed: bool,
    /// The Route set it uses.
    pub routes: Vec<String>,
    pub cseq: u32,
}

impl Side {
    /// Does it speak from the phone of another account?
    pub fn is_lodger(&self) -> bool {
        Who::AGENTS.contains(&self.who) && self.known_as != Some(self.who)
    }

    /// Where requests for it arrive.
    pub fn place(&self) -> Place {
        let port = self.at[0];
        Place { port, also: self.at[1..].to_vec(), or: None, uri: self.target.clone() }
    }
}

/// Which side acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Caller,
    Callee,
}

impl End {
    pub fn other(self) -> End {
        match self {
            End::Caller => End::Callee,
            End::Callee => End::Caller,
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Rings.
    Early,
    Up,
    Over,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub id: String,
    pub method: String,
    pub caller: Side,
    pub callee: Side,
    pub stage: Stage,
    /// Has somebody subscribed to something in it?
    pub subscribed: bool,
    /// The side whose BYE was refused.
    pub left: Option<End>,
    /// The request that began it.
    pub first: Tx,
}

impl Call {
    /// As it stands after the request arrived at the callee and this response at the caller.
    pub fn new(
        first: &Tx,
        callee: (Who, Port),
        arrived: &Message,
        answer: &Message,
        caller: (Who, Port),
    ) -> Option<Call> {
        let tag = answer.tag("To")?;
        let mut back = answer.list("Record-Route");
        // What the caller put there itself stands last, and is no part of its way.
        let own =
            |value: &String| first.request.more.iter().any(|(name, v)| name == "Record-Route" && v == value);
        if back.last().is_some_and(own) {
            back.pop();
        }
        back.reverse();
        let contact = |m: &Message| m.get("Contact").map(|c| uri(c).to_owned());
        let caller = Side {
            who: caller.0,
            known_as: None,
            stranger: false,
            unshown: false,
            port: caller.1,
            local: first.request.from.clone(),
            remote: answer.get("To")?.to_owned(),
            target: contact(arrived)?,
            at: vec![caller.1],
            behind: false,
            doubtful: false,
            refreshed: false,
            elsewhere: false,
            routes: back,
            cseq: first.request.cseq,
        };
        let callee = Side {
            who: callee.0,
            stranger: false,
            unshown: false,
            known_as: callee.0.login().map(|_| callee.0),
            port: callee.1,
            local: format!("{};tag={tag}", arrived.get("To")?),
            remote: arrived.get("From")?.to_owned(),
            target: contact(answer)?,
            at: vec![callee.1],
            behind: false,
            doubtful: false,
            refreshed: false,
            elsewhere: false,
            routes: arrived.list("Record-Route"),
            cseq: 100,
        };
        let (id, method) = (first.request.call_id.clone(), first.request.method.clone());
        Some(Call {
            id,
            method,
            caller,
            callee,
            stage: Stage::Early,
            subscribed: false,
            left: None,
            first: first.clone(),
        })
    }

    pub fn side(&self, end: End) -> &Side {
        match end {
            End::Caller => &self.caller,
            End::Callee => &self.callee,
        }
    }

    pub fn side_mut(&mut self, end: End) -> &mut Side {
        match end {
            End::Caller => &mut self.caller,
            End::Callee => &mut self.callee,
        }
    }

    /// A request inside it, as the RFC has it.
    pub fn request(&mut self, from: End, method: &str) -> Request {
        let target = self.side(from.other()).target.clone();
        let id = self.id.clone();
        let invite = self.first.request.cseq;
        let side = self.side_mut(from);
        let cseq = if method == "ACK" {
            invite
        } else {
            side.cseq += 1;
            side.cseq
        };
        let contact = matches!(method, "INVITE" | "UPDATE" | "SUBSCRIBE" | "NOTIFY" | "REFER")
            .then(|| side.target.clone());
        let mut request = Request {
            method: method.to_owned(),
            uri: target,
            from: side.local.clone(),
            to: side.remote.clone(),
            call_id: id,
            cseq,
            routes: side.routes.clone(),
            contact,
            more: Vec::new(),
        };
        match method {
            "REFER" => request = request.with("Refer-To", "<sip:1003@head.test>"),
            "NOTIFY" => {
                request = request.with("Event", "presence").with("Subscription-State", "active;expires=600");
            }
            "SUBSCRIBE" => request = request.with("Event", "presence").with("Expires", "600"),
            "PRACK" => request = request.with("RAck", format!("1 {invite} INVITE")),
            _ => {}
        }
        request
    }
}
