//! What a REFER or a redirection has its receiver do, beside what it says of itself: whom it names, and how.

use super::cast::{BRANCH, HEAD, Kind, Who};
use super::dialog::{Call, End, Side};
use super::oracle::{home, is_foreign_to, keeps_apart_from};
use super::request::Request;
use super::rng::Rng;
use super::world::POLICIES;

/// Whom a Refer-To or a Contact names, and what is to be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// An agent of the head office.
    Phone,
    /// A number outside, for which the head office has a policy.
    Number,
    /// Somebody at a host that has nothing to do with the exchange.
    Foreign,
    /// That agent gets something else than a call.
    Method,
    /// The call goes to another host.
    Maddr,
    /// That agent's phone answers by itself.
    Headers,
    /// The call takes the place of one that is none of the sender's.
    Replaces,
}

const ALL: [Named; 7] = [
    Named::Phone,
    Named::Number,
    Named::Foreign,
    Named::Method,
    Named::Maddr,
    Named::Headers,
    Named::Replaces,
];

impl Named {
    /// Half of what is named is harmless.
    pub fn draw(rng: &mut Rng) -> Named {
        if rng.percent(50) { Named::Phone } else { rng.pick(&ALL) }
    }

    /// As a Refer-To has it.
    pub fn refer_to(self) -> String {
        let number = format!("+15551234567@{HEAD}");
        let (user, after) = match self {
            Named::Number => (number.as_str(), ""),
            Named::Foreign => ("alice@nowhere.example", ""),
            Named::Phone | Named::Method | Named::Maddr | Named::Headers | Named::Replaces => {
                ("1003@head.test", self.after())
            }
        };
        format!("<sip:{user}{after}>")
    }

    /// As a Contact of a redirection has it, without its brackets. Nobody whom the exchange would call itself: that is somebody of
    /// the domain of who redirects.
    pub fn contact(self, by: Who) -> String {
        let user = if by.host() == HEAD { format!("2001@{BRANCH}") } else { format!("1003@{HEAD}") };
        match self {
            Named::Number | Named::Foreign => "sip:alice@nowhere.example".to_owned(),
            Named::Phone | Named::Method | Named::Maddr | Named::Headers | Named::Replaces => {
                format!("sip:{user}{}", self.after())
            }
        }
    }

    fn after(self) -> &'static str {
        match self {
            Named::Phone | Named::Number | Named::Foreign => "",
            Named::Method => ";method=MESSAGE",
            Named::Maddr => ";maddr=127.44.9.99",
            Named::Headers => "?Answer-Mode=Auto",
            Named::Replaces => "?Replaces=nobodys%3Bto-tag%3D1%3Bfrom-tag%3D2",
        }
    }

    /// Does it say more than whom to call?
    fn commands(self) -> bool {
        !matches!(self, Named::Phone | Named::Number | Named::Foreign)
    }

    /// What the Refer-To of a request names.
    pub fn of(request: &Request) -> Option<Named> {
        let (_, value) = request.more.iter().find(|(name, _)| name == "Refer-To")?;
        ALL.into_iter().find(|named| named.refer_to() == *value)
    }
}

/// Does a REFER from this side ask the other one's phone or carrier for what its sender may not have it do?
pub fn refers_beyond(call: &Call, end: End, named: Named) -> bool {
    let (me, other) = (call.side(end), call.side(end.other()));
    match (me.known_as, other.known_as) {
        (Some(who), _) if is_carrier(other) => who.kind() == Kind::Agent && !may_call_out(who, named),
        (Some(who), Some(other)) if is_foreign_to(who, other) => !stays_inside(other, named),
        _ => false,
    }
}

/// A carrier calls at the expense of the trunk, so an agent has it call whom it could call itself.
fn may_call_out(who: Who, named: Named) -> bool {
    match named {
        Named::Phone | Named::Replaces => !keeps_apart_from(who, HEAD),
        Named::Number => POLICIES
            .iter()
            .any(|(prefix, domain, _)| "+15551234567".starts_with(prefix) && *domain == who.host()),
        // A name is no number that costs.
        Named::Foreign => true,
        Named::Method | Named::Maddr | Named::Headers => false,
    }
}

/// A phone of another domain calls somebody of ours, and takes over no call of its own domain's people.
fn stays_inside(phone: Who, named: Named) -> bool {
    match named {
        Named::Phone => true,
        Named::Replaces => home(phone) != Some(HEAD),
        Named::Number | Named::Foreign | Named::Method | Named::Maddr | Named::Headers => false,
    }
}

/// A trunk at its own address, or one that has shown its secret.
fn is_carrier(side: &Side) -> bool {
    !side.stranger
        && match side.known_as {
            Some(who) => who.kind() == Kind::Trunk,
            None => side.who.kind() == Kind::Trunk,
        }
}

/// Does the Contact of a redirection come back to the caller, who is one of ours or comes from outside? `None`: the rules leave it
/// open.
pub fn is_shown(by: Who, caller: Option<Who>, named: Named, stateless: bool) -> Option<bool> {
    match caller {
        // A carrier that follows it calls at the trunk's expense.
        None => Some(by.kind() != Kind::Agent),
        Some(_) if !named.commands() => Some(true),
        // Without transactions nobody knows who redirects.
        Some(_) if stateless => None,
        Some(caller) => Some(!is_foreign_to(by, caller)),
    }
}
