//! What everybody will do, before it is played.

use std::net::SocketAddr;

/// A phone, a carrier's host or a server.
#[derive(Clone, Debug)]
pub struct PhonePlan {
    /// How the ladder calls it.
    pub name: String,
    /// The user of its account.
    pub user: String,
    /// Its address.
    pub address: SocketAddr,
    /// It speaks over TCP connections that it opens.
    pub stream: bool,
    /// It takes connections at its address.
    pub listens: bool,
    /// It registers, with this q in thousandths.
    pub registers: Option<u16>,
    /// Over so many connections at once (RFC 5626); 0 or 1 for a plain one.
    pub flows: u8,
    /// Nobody is there.
    pub dead: bool,
    /// It challenges requests without credentials.
    pub challenges: bool,
    /// Its place among those that answer one call.
    pub place: usize,
}

/// When a caller changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAt {
    /// It does not.
    Never,
    /// At once.
    Before100,
    /// So long after the 100.
    After100(u64),
    /// So long after the phone rang.
    After180(u64),
    /// When a callee answers, which it does not know yet.
    Crossing200,
    /// When it has its final response.
    AfterFinal,
}

/// How a callee ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// It never does.
    Never,
    /// After so long, with this status.
    After(u64, u16),
}

/// What a callee makes of a CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// 200 to it and 487 to the INVITE.
    Ends,
    /// 200 to it, and its plan goes on.
    Ignores,
    /// Nothing at all.
    Deaf,
}

/// What one callee does with one request.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// 100, after so long.
    pub trying: Option<u64>,
    /// 18x, after so long.
    pub ring: Option<(u64, u16)>,
    /// That 18x is sent reliably (RFC 3262).
    pub reliable: bool,
    /// The end.
    pub last: Final,
    /// What it makes of a CANCEL.
    pub on_cancel: OnCancel,
}

/// One call.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// The caller.
    pub from: usize,
    /// The Request-URI.
    pub to: String,
    /// When the caller changes its mind.
    pub cancel: CancelAt,
    /// It acknowledges a 2xx.
    pub acks: bool,
    /// How long they talk.
    pub talk: u64,
    /// Who ends it.
    pub caller_ends: bool,
    /// A re-INVITE after so long, from the caller or the callee.
    pub reinvite: Option<(u64, bool)>,
    /// What those do who are called, by their place.
    pub answers: Vec<Answer>,
}

/// One thing that somebody begins.
#[derive(Clone, Debug)]
pub enum Act {
    /// INVITE.
    Call(CallPlan),
    /// MESSAGE.
    Message { from: usize, to: String, answers: Vec<Answer> },
    /// OPTIONS to the exchange.
    Options { from: usize },
    /// A REGISTER with another life of the binding, 0 to take it away.
    Register { phone: usize, expires: u32 },
    /// The connections of a phone end.
    Disconnect { phone: usize, again: bool },
    /// A phone forgets everything.
    RestartPhone { phone: usize },
    /// The exchange forgets its transactions.
    RestartExchange,
}

/// What the links do, in thousandths of the messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkPlan {
    /// They disappear.
    pub lost: usize,
    /// They arrive twice.
    pub doubled: usize,
    /// They take up to five seconds.
    pub delayed: usize,
    /// Others overtake them.
    pub reordered: usize,
}

/// What is left out of a history, to find what it takes to break a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Less {
    /// These acts do not happen: a bit each.
    pub acts: u32,
    /// Nothing is lost, doubled, delayed or overtaken.
    pub links: bool,
}

/// A whole history.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Who is there.
    pub phones: Vec<PhonePlan>,
    /// What begins when.
    pub acts: Vec<(u64, Act)>,
    /// The links.
    pub links: LinkPlan,
}

impl Plan {
    /// What the callee at this place does in this act.
    pub fn answer(&self, act: usize, place: usize) -> Option<Answer> {
        let answers = match &self.acts.get(act)?.1 {
            Act::Call(call) => &call.answers,
            Act::Message { answers, .. } => answers,
            _ => return None,
        };
        answers.get(place % answers.len().max(1)).copied()
    }

    /// The call of this act.
    pub fn call(&self, act: usize) -> Option<&CallPlan> {
        match &self.acts.get(act)?.1 {
            Act::Call(call) => Some(call),
            _ => None,
        }
    }
}
