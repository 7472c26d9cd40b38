//! Why a route ended as it did, in an operator's words.

use std::fmt;

use trunkline_model::{AccessControlList, Agent, Domain, EgressPolicy, Number, Peer, Trunk};

/// A fact as the decision keeps it: words with gaps, and what belongs into them.
#[derive(Clone, Copy, Debug)]
pub struct Told<'p> {
    pub(crate) words: &'p str,
    pub(crate) names: &'p str,
}

impl<'p> Told<'p> {
    /// The words, with gaps (`{}`).
    pub fn words(&self) -> &'p str {
        self.words
    }

    /// What belongs into the gaps, with NUL between.
    pub fn names(&self) -> &'p str {
        self.names
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.names.split('\0');
        for (place, part) in self.words.split("{}").enumerate() {
            if place > 0 {
                f.write_str(names.next().unwrap_or_default())?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// One thing the router found out. Cheap to note; words are made only when somebody reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'s> {
    /// The host is one of our own addresses, so the default domain is meant.
    OwnAddress(&'s Domain),
    /// The caller is an agent.
    CallerAgent(&'s Agent, &'s Domain),
    /// The caller is a peer.
    CallerPeer(&'s Peer),
    /// The call comes through a trunk.
    CallerTrunk(&'s Trunk),
    /// The caller registered over the connection the request came by.
    KnownConnection,
    /// The caller shows who it is, since it calls out.
    CallsOut(&'s Trunk),
    /// The caller shows who it is, since it calls another domain.
    CallsAnotherDomain(&'s Domain),
    /// The domains are kept apart.
    Isolated(&'s Domain),
    /// The number a peer names is another domain's.
    NumberOfOtherDomain(&'s Number),
    /// Nobody knows the caller.
    CallerUnknown,
    /// The caller is switched off.
    CallerDisabled,
    /// The caller has no credentials, so it can never authenticate.
    NoCredentials,
    /// Somebody registers another's AOR.
    ThirdParty,
    /// The peer's digest is right, and its own list refuses the address.
    OffList,
    /// Nothing is taken from the source address.
    SourceRefused,
    /// A list let the source address pass.
    AclAllows(&'s AccessControlList),
    /// A list refused the source address.
    AclDenies(&'s AccessControlList),
    /// A list is referred to but does not exist.
    AclMissing,
    /// Neither domain nor trunk has the called host.
    HostUnknown,
    /// A digest is due.
    ChallengeDue,
    /// The digest was right.
    Authenticated,
    /// The digest was wrong.
    WrongDigest,
    /// The digest was for a nonce too old, used before or sent elsewhere.
    StaleNonce,
    /// Too many wrong digests.
    Banned,
    /// The digest was made for another Request-URI.
    OtherTarget,
    /// No digest is asked for.
    NotChallenged,
    /// A number of ours is called.
    CalleeNumber(&'s Number),
    /// The number called does not belong to the trunk the call came by.
    NumberOfOtherTrunk(&'s Number),
    /// The number leads nowhere.
    NumberWithoutLink(&'s Number),
    /// An agent is called.
    CalleeAgent(&'s Agent, &'s Domain),
    /// A peer is called.
    CalleePeer(&'s Peer),
    /// The callee is switched off.
    CalleeDisabled,
    /// It subscribes to itself, or publishes its own state.
    OwnSubscription,
    /// No contact is registered.
    NoBindings,
    /// The phone has registered anew since its temporary GRUU was given out.
    GruuEnded,
    /// Another AOR takes the calls of the agent.
    Diverted(&'s Agent),
    /// The call was admitted before, and is diverted now or leads back to us.
    AdmittedBefore,
    /// The peer is reached at its fixed address.
    PeerAddress(&'s Peer),
    /// A policy's rule matches the called user.
    Policy(&'s EgressPolicy),
    /// No policy's rule matches.
    NoPolicy,
    /// The called user begins as a telephone number does, and is none.
    Misshapen,
    /// The number a call goes out by.
    OutBy(&'s Number),
    /// The trunk a call goes out through.
    OutThrough(&'s Trunk),
    /// The trunk has no destination that is switched on.
    NoDestination(&'s Trunk),
    /// What the policy names does not exist.
    Dangling,
    /// A peer's call out names no number.
    NoDodNumber,
    /// Nothing has that name.
    CalleeUnknown,
    /// Whoever knows could not be asked.
    StoreUnavailable,
}

impl<'f> Fact<'f> {
    /// What it says, with gaps for [`Fact::names`].
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Fact::OwnAddress(_) => "the host is one of our addresses, so domain {} is meant",
            Fact::CallerAgent(_, _) => "{}@{} is agent {} of domain {}",
            Fact::CallerPeer(_) => "{} is peer {}",
            Fact::CallerTrunk(_) => "it comes in through trunk {}",
            Fact::KnownConnection => "it came over the connection the caller registered by",
            Fact::CallsOut(_) => {
                "trunk {} takes calls of authenticated callers only: see routing.authenticate"
            }
            Fact::CallsAnotherDomain(_) => {
                "domain {} takes calls of other domains from authenticated callers only"
            }
            Fact::Isolated(_) => "nobody calls from one domain to the other: interDomain is isolated ({})",
            Fact::NumberOfOtherDomain(_) => "number {} belongs to another domain",
            Fact::CallerUnknown => "nobody knows the caller",
            Fact::CallerDisabled => "the caller is disabled",
            Fact::NoCredentials => {
                "the caller has no credentials and so can never authenticate: set credentialsRef"
            }
            Fact::OffList => "the digest is right, but the peer's own list refuses the source address",
            Fact::ThirdParty => "From and To differ: nobody may register another's AOR",
            Fact::AclAllows(_) => "access control list {} lets the source address pass",
            Fact::AclDenies(_) => "access control list {} refuses the source address",
            Fact::SourceRefused => "the exchange takes no requests from the source address",
            Fact::AclMissing => "an access control list is referred to but does not exist, so nobody passes",
            Fact::HostUnknown => "the called host is no domain, trunk or address of ours",
            Fact::ChallengeDue => "the caller must authenticate",
            Fact::Authenticated => "the caller has authenticated",
            Fact::WrongDigest => "the digest is wrong",
            Fact::StaleNonce => {
                "the digest's nonce is too old, was used before or was sent to another address"
            }
            Fact::Banned => "too many wrong digests came from there, so this one is not looked at",
            Fact::OtherTarget => {
                "the uri of the digest names another target than the Request-URI: see digestUri"
            }
            Fact::NotChallenged => "no authentication is asked for here",
            Fact::CalleeNumber(_) => "{} is number {}",
            Fact::NumberOfOtherTrunk(_) => "number {} belongs to another trunk",
            Fact::NumberWithoutLink(_) => "number {} leads nowhere: set its aorLink",
            Fact::CalleeAgent(_, _) => "{}@{} is agent {}",
            Fact::CalleePeer(_) => "the callee is peer {}",
            Fact::CalleeDisabled => "the callee is disabled",
            Fact::OwnSubscription => "nobody subscribes to itself or publishes its own state here",
            Fact::NoBindings => "no phone is registered there",
            Fact::GruuEnded => "the temporary GRUU ended when its phone registered anew",
            Fact::Diverted(_) => "{} takes its calls",
            Fact::AdmittedBefore => "the call was admitted before",
            Fact::PeerAddress(_) => "it is reached at {}",
            Fact::Policy(_) => "the rule {} leads out by number {}",
            Fact::NoPolicy => "no egress policy of the domain matches the called user",
            Fact::Misshapen => {
                "the called user begins as a telephone number does and is none, so it goes to no carrier"
            }
            Fact::OutBy(_) => "it goes out as {}",
            Fact::OutThrough(_) => "it goes out through trunk {}",
            Fact::NoDestination(_) => "trunk {} has no enabled URI",
            Fact::Dangling => "the number or trunk the way out needs does not exist",
            Fact::NoDodNumber => "a peer's call out must name a number in X-DOD-Number",
            Fact::CalleeUnknown => "nothing has the called name",
            Fact::StoreUnavailable => "the resources or bindings cannot be read now",
        }
    }

    /// What belongs into the gaps.
    pub(crate) fn names(&self) -> [&'f str; 4] {
        match *self {
            Fact::OwnAddress(d) => [&d.domain_uri, "", "", ""],
            Fact::CallerAgent(a, d) => {
                [&a.username, &d.domain_uri, a.reference.as_str(), d.reference.as_str()]
            }
            Fact::CallerPeer(p) => [&p.username, p.reference.as_str(), "", ""],
            Fact::CallerTrunk(t) => [t.reference.as_str(), "", "", ""],
            Fact::CallsOut(t) => [t.reference.as_str(), "", "", ""],
            Fact::CallsAnotherDomain(d) => [d.reference.as_str(), "", "", ""],
            Fact::Isolated(d) => [d.reference.as_str(), "", "", ""],
            Fact::NumberOfOtherDomain(n) => [n.reference.as_str(), "", "", ""],
            Fact::AclAllows(l) => [l.reference.as_str(), "", "", ""],
            Fact::AclDenies(l) => [l.reference.as_str(), "", "", ""],
            Fact::CalleeNumber(n) => [n.digits(), n.reference.as_str(), "", ""],
            Fact::NumberOfOtherTrunk(n) => [n.reference.as_str(), "", "", ""],
            Fact::NumberWithoutLink(n) => [n.reference.as_str(), "", "", ""],
            Fact::CalleeAgent(a, d) => [&a.username, &d.domain_uri, a.reference.as_str(), ""],
            Fact::CalleePeer(p) => [p.reference.as_str(), "", "", ""],
            Fact::Diverted(a) => [a.fallback_no_answer.as_deref().unwrap_or_default(), "", "", ""],
            Fact::PeerAddress(p) => [p.contact_addr.as_deref().unwrap_or_default(), "", "", ""],
            Fact::Policy(p) => [p.rule.text(), p.number.as_str(), "", ""],
            Fact::OutBy(n) => [n.digits(), "", "", ""],
            Fact::OutThrough(t) => [t.reference.as_str(), "", "", ""],
            Fact::NoDestination(t) => [t.reference.as_str(), "", "", ""],
            Fact::KnownConnection
            | Fact::CallerUnknown
            | Fact::CallerDisabled
            | Fact::NoCredentials
            | Fact::ThirdParty
            | Fact::OffList
            | Fact::SourceRefused
            | Fact::AclMissing
            | Fact::HostUnknown
            | Fact::ChallengeDue
            | Fact::Authenticated
            | Fact::WrongDigest
            | Fact::StaleNonce
            | Fact::Banned
            | Fact::OtherTarget
            | Fact::NotChallenged
            | Fact::CalleeDisabled
            | Fact::OwnSubscription
            | Fact::NoBindings
            | Fact::GruuEnded
            | Fact::AdmittedBefore
            | Fact::NoPolicy
            | Fact::Misshapen
            | Fact::Dangling
            | Fact::NoDodNumber
            | Fact::CalleeUnknown
            | Fact::StoreUnavailable => [""; 4],
        }
    }
}
