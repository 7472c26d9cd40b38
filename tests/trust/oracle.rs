//! The rules, written from what they are for: who may reach whom, by which proof. Nothing here knows how the exchange
//! comes to its decisions.

use super::cast::{ALONE, FREE, HEAD, Kind, LAX, Who};
use super::world::{NUMBERS, POLICIES};

/// Who a request says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A party, by its own name.
    Is(Who),
    /// A name of the head office that no resource has.
    NoSuchUser,
    /// `anonymous@anonymous.invalid`.
    Anonymous,
}

/// What is shown for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// No credentials, challenged or not.
    Absent,
    Right,
    WrongSecret,
    /// Right credentials of another party.
    Other(Who),
    /// Right, but computed for another user in the Request-URI.
    OtherUser,
    /// Right, but with a nonce that was sent to another address.
    OtherPlace,
    /// The credentials of an earlier request of the same party, with another number.
    Repeated,
}

/// What a first request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An agent's or peer's address of record.
    Aor(Who),
    /// An agent of the head office by an address of the exchange, which stands for that domain.
    Own(Who),
    /// A number of ours at that trunk, by the trunk's own host name.
    Inbound(Who),
    /// The same by a host name of ours.
    Number(Who, &'static str),
    /// A telephone number outside, at a host name of ours.
    Outside(&'static str, &'static str),
    /// The same with the number of ours to call from, as peers do.
    Through(&'static str, Who),
    /// A party's address, with the user it has there.
    Address(Who),
    /// Where the exchange itself listens, with a user nobody has.
    Listener,
    /// A host nobody has.
    Elsewhere,
}

/// One first request.
#[derive(Clone, Copy, Debug)]
pub struct First {
    pub claim: Claim,
    /// Whose address it comes from.
    pub source: Who,
    pub proof: Proof,
    pub target: Target,
    /// Is it a call?
    pub invites: bool,
    /// Does the method need its credentials to be for the user it calls?
    pub calls: bool,
    /// Does it ask the callee to call somebody else?
    pub refers: bool,
    /// Is it about the state of the callee (SUBSCRIBE, PUBLISH)?
    pub asks_state: bool,
    /// Do phones do something for it that is neither a call nor a message?
    pub commands: bool,
}

/// What the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    To(Who),
    /// They leave it open whether it arrives; nowhere else in any case.
    Perhaps(Who),
    Nowhere,
}

/// Where a first request goes.
pub fn first(f: &First) -> Goes {
    if let Target::Inbound(trunk) = f.target {
        let goes = from_trunk(f, trunk) && (f.invites || !is_stranger(f)) && !poses(f);
        return if goes { rings(trunk) } else { Goes::Nowhere };
    }
    let who = match f.claim {
        Claim::Is(who) => who,
        // Who withholds its name may be known by its digest (RFC 3323 §4.1.1.3); that it may be is all the rules say.
        Claim::Anonymous => return withheld(f),
        Claim::NoSuchUser => return as_trunk(f),
    };
    match who.kind() {
        Kind::Trunk | Kind::Outside => as_trunk(f),
        Kind::Agent | Kind::Peer => match is_proven(f, who) {
            true => known(f, who),
            false => Goes::Nowhere,
        },
    }
}

/// Has the caller of such a request proven nothing? It asks nobody to call somebody else.
pub fn is_stranger(f: &First) -> bool {
    let by_number = matches!(f.target, Target::Number(Who::Open, _)) && !names_party(f.claim);
    (by_number || f.target == Target::Inbound(Who::Open)) && f.source != Who::Open
}

/// Does a caller from outside say that it is somebody at a host of ours?
fn poses(f: &First) -> bool {
    let inside = match f.claim {
        Claim::Is(who) => home(who).is_some(),
        Claim::NoSuchUser => true,
        Claim::Anonymous => false,
    };
    is_stranger(f) && inside
}

/// Does it say that it is an agent or peer?
fn names_party(claim: Claim) -> bool {
    matches!(claim, Claim::Is(who) if matches!(who.kind(), Kind::Agent | Kind::Peer))
}

/// Is what the caller says of somebody's identity passed on: that of a carrier, and of a peer that has shown who it is?
pub fn is_believed(f: &First) -> bool {
    match (f.target, f.claim) {
        (Target::Inbound(Who::Cred), _) => true,
        (Target::Inbound(trunk), _) => f.source == trunk,
        (_, Claim::Is(who)) if who.kind() == Kind::Peer => true,
        (Target::Number(trunk, _), claim) if !names_party(claim) => f.source == trunk,
        _ => false,
    }
}

fn withheld(f: &First) -> Goes {
    let who = match f.proof {
        Proof::Right => Who::Ann,
        // What neither calls nor refers may be computed for another spelling.
        Proof::OtherUser if !f.calls => Who::Ann,
        Proof::Other(who) => who,
        _ => return as_trunk(f),
    };
    match (as_trunk(f), known(f, who)) {
        (Goes::Nowhere, Goes::To(callee)) => Goes::Perhaps(callee),
        (Goes::Nowhere, other) => other,
        (as_trunk, _) => as_trunk,
    }
}

/// Whom a caller is taken for whose request goes somewhere; `None` for a carrier that is known by its address, and for
/// strangers.
pub fn taken_for(f: &First) -> Option<Who> {
    match (f.target, f.claim, f.proof) {
        // Whoever has a trunk's secret is the trunk.
        (Target::Inbound(Who::Cred), _, _) => Some(Who::Cred),
        (Target::Inbound(_), _, _) => None,
        (Target::Number(Who::Open, _), claim, _) if !names_party(claim) => None,
        (_, Claim::Is(who), _) => Some(who).filter(|who| matches!(who.kind(), Kind::Agent | Kind::Peer)),
        (_, Claim::Anonymous, Proof::Right) => Some(Who::Ann),
        (_, Claim::Anonymous, Proof::OtherUser) if !f.calls => Some(Who::Ann),
        (_, Claim::Anonymous, Proof::Other(who)) => Some(who),
        (_, Claim::Anonymous | Claim::NoSuchUser, _) => None,
    }
}

/// Is the caller taken for an agent that nobody asks, at the address of a carrier or peer that nothing shows? A carrier that
/// names that agent in From is the carrier all the same where it calls a number of its own.
pub fn is_unshown(f: &First) -> bool {
    let named = matches!(f.source.kind(), Kind::Peer | Kind::Trunk);
    named && taken_for(f) == Some(Who::Lax) && f.proof == Proof::Absent
}

/// A caller that no resource names may be a carrier that calls a number of its own by a host of ours, from its own
/// address.
fn as_trunk(f: &First) -> Goes {
    match f.target {
        Target::Number(..) if poses(f) => Goes::Nowhere,
        // A number that everybody may call takes calls, and what else comes of strangers does not.
        Target::Number(trunk, _) if !f.invites && is_stranger(f) && trunk == Who::Open => Goes::Nowhere,
        // The list of one of them lets everybody call.
        Target::Number(trunk, _) if (f.source == trunk || trunk == Who::Open) && from_trunk(f, trunk) => {
            rings(trunk)
        }
        _ => Goes::Nowhere,
    }
}

/// May this be a call from that trunk?
fn from_trunk(f: &First, trunk: Who) -> bool {
    match trunk {
        Who::Open => true,
        Who::Cred => proves(f, trunk),
        _ => f.source == trunk,
    }
}

fn rings(trunk: Who) -> Goes {
    NUMBERS.iter().find(|(t, _, _)| *t == trunk).map_or(Goes::Nowhere, |(_, _, who)| Goes::To(*who))
}

/// Is the trunk's number one of that domain: it rings there, or the domain's policies call from it?
fn is_number_of(trunk: Who, domain: &str) -> bool {
    let called_from = POLICIES.iter().any(|(_, host, through)| *host == domain && *through == trunk);
    called_from || matches!(rings(trunk), Goes::To(who) if who.host() == domain)
}

/// Is the caller who it says it is, as far as its domain and the called one want to know?
fn is_proven(f: &First, who: Who) -> bool {
    match who {
        // Its own domain asks no phone, one that is open no more than that; others ask everybody, also when a number leads
        // there. A server shows who it is everywhere, and everybody does who asks a phone to call somebody else.
        Who::Lax if f.refers => proves(f, who),
        Who::Lax => stays_at(f.target, LAX) || stays_at(f.target, FREE) || proves(f, who),
        Who::Listed => f.source == Who::Listed,
        _ => proves(f, who),
    }
}

fn proves(f: &First, who: Who) -> bool {
    match f.proof {
        Proof::Right => who.login().is_some(),
        Proof::Other(other) => other == who,
        // What neither calls nor refers may be computed for another spelling.
        Proof::OtherUser => !f.calls,
        Proof::Absent | Proof::WrongSecret | Proof::OtherPlace | Proof::Repeated => false,
    }
}

/// Where a known caller may go.
fn known(f: &First, who: Who) -> Goes {
    let peer = who.kind() == Kind::Peer;
    if keeps_apart(f.target, who) || f.asks_state && is_itself(f.target, who) {
        return Goes::Nowhere;
    }
    let callee = match f.target {
        Target::Aor(callee) | Target::Own(callee) => Some(callee),
        Target::Number(trunk, _) => match rings(trunk) {
            Goes::To(callee) => Some(callee),
            Goes::Perhaps(_) | Goes::Nowhere => None,
        },
        _ => None,
    };
    if f.commands && callee.is_some_and(|callee| is_foreign_to(who, callee)) {
        return Goes::Nowhere;
    }
    match f.target {
        Target::Own(callee) => known(&First { target: Target::Aor(callee), ..*f }, who),
        Target::Aor(callee) if callee.kind() == Kind::Agent || callee == Who::Pbx => {
            // A list alone satisfies a domain that asks for no digest.
            if who == Who::Listed && callee != Who::Lax { Goes::Perhaps(callee) } else { Goes::To(callee) }
        }
        Target::Number(trunk, host) => match rings(trunk) {
            Goes::To(callee) if callee.host() == who.host() && host == who.host() => Goes::To(callee),
            Goes::To(callee) if keeps_apart(Target::Aor(callee), who) => Goes::Nowhere,
            Goes::To(callee) => Goes::Perhaps(callee),
            other => other,
        },
        Target::Outside(number, _) if !peer => POLICIES
            .iter()
            .find(|(prefix, domain, _)| number.starts_with(prefix) && *domain == who.host())
            .map_or(Goes::Nowhere, |(_, _, trunk)| Goes::To(*trunk)),
        Target::Through(_, trunk) if peer => {
            match who {
                Who::Listed => Goes::Perhaps(trunk),
                // A peer with a home calls from that domain's numbers; one without serves all.
                Who::Pbx | Who::Desk if !is_number_of(trunk, who.host()) => Goes::Nowhere,
                _ => Goes::To(trunk),
            }
        }
        // An agent cannot choose the number it calls from: its own policies decide.
        Target::Through(number, _) => known(&First { target: Target::Outside(number, ""), ..*f }, who),
        Target::Aor(_)
        | Target::Outside(..)
        | Target::Inbound(_)
        | Target::Address(_)
        | Target::Listener
        | Target::Elsewhere => Goes::Nowhere,
    }
}

/// The domain that somebody belongs to.
pub fn home(who: Who) -> Option<&'static str> {
    let at_home = who.kind() == Kind::Agent || matches!(who, Who::Pbx | Who::Desk);
    at_home.then(|| who.host())
}

/// Are they of two domains, and is the latter's not open to others? Then its phones take calls and messages.
pub fn is_foreign_to(who: Who, callee: Who) -> bool {
    home(who).zip(home(callee)).is_some_and(|(home, at)| home != at && at != FREE)
}

/// Does the target lead back to who asks? Nobody's own phones tell it about itself.
fn is_itself(target: Target, who: Who) -> bool {
    match target {
        Target::Aor(callee) | Target::Own(callee) => callee == who,
        Target::Number(trunk, _) => rings(trunk) == Goes::To(who),
        Target::Outside(..)
        | Target::Through(..)
        | Target::Inbound(_)
        | Target::Address(_)
        | Target::Listener
        | Target::Elsewhere => false,
    }
}

/// A domain that keeps to itself: its people call nobody outside, and nobody outside calls them. A peer without a home is
/// at home everywhere.
fn keeps_apart(target: Target, who: Who) -> bool {
    let at = match target {
        Target::Aor(callee) => Some(callee.host()),
        Target::Own(_) | Target::Through(..) => Some(HEAD),
        Target::Number(_, host) | Target::Outside(_, host) => Some(host),
        Target::Inbound(_) | Target::Address(_) | Target::Listener | Target::Elsewhere => None,
    };
    at.is_some_and(|at| keeps_apart_from(who, at))
}

/// Is one of two domains, of which this party belongs to one, alone?
pub fn keeps_apart_from(who: Who, at: &str) -> bool {
    home(who).is_some_and(|home| home != at && (home == ALONE || at == ALONE))
}

/// Does a call to this target stay within that domain?
fn stays_at(target: Target, domain: &str) -> bool {
    match target {
        Target::Aor(who) | Target::Own(who) => who.host() == domain,
        Target::Outside(_, host) => host == domain,
        Target::Number(trunk, host) => {
            host == domain && matches!(rings(trunk), Goes::To(who) if who.host() == domain)
        }
        Target::Inbound(_)
        | Target::Through(..)
        | Target::Address(_)
        | Target::Listener
        | Target::Elsewhere => false,
    }
}
