//! Why a route ended as it did, in an operator's words.

use std::fmt;

use trunkline_model::{AccessControlList, Agent, Domain, EgressPolicy, Number, Peer, Trunk};
use trunkline_sip::reason;

use crate::plan::{Outcome, Plan};
use crate::route::Route;

impl Route<'_> {
    /// The whole story, a sentence a line: what was found out, then what becomes of the request.
    pub fn explain(&self, plan: &Plan) -> String {
        let mut out = String::new();
        for fact in self.facts() {
            out += &format!("{fact}\n");
        }
        let text = String::from_utf8_lossy;
        out += &match plan.outcome {
            Outcome::Reply { code, reason: phrase, .. } => {
                format!("so it is answered {code} {}\n", phrase.unwrap_or_else(|| reason(code)))
            }
            Outcome::Challenge { .. } => format!("so it is challenged for realm {}\n", text(&plan.realm)),
            Outcome::Register { .. } => format!("so {} is registered\n", text(&plan.aor)),
            Outcome::Forward => {
                let target = |t: &crate::target::Target| text(plan.targets.text(t.uri)).into_owned();
                let mut lines = String::new();
                let mut group = None;
                for t in plan.targets.as_slice() {
                    lines += match group {
                        None => "so it goes to ",
                        Some(g) if g == t.group => " and ",
                        Some(_) => ", then to ",
                    };
                    lines += &target(t);
                    group = Some(t.group);
                }
                lines + "\n"
            }
        };
        out
    }
}

/// One thing the router found out. Cheap to note; words are made only when somebody reads them.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'s> {
    /// The request came from another exchange of ours, which routed it already.
    FromSibling,
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
    /// No contact is registered.
    NoBindings,
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

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::FromSibling => f.write_str("another exchange of ours sent it and has routed it already"),
            Fact::OwnAddress(d) => {
                write!(f, "the host is one of our addresses, so domain {} is meant", d.domain_uri)
            }
            Fact::CallerAgent(a, d) => {
                write!(
                    f,
                    "{}@{} is agent {} of domain {}",
                    a.username, d.domain_uri, a.reference, d.reference
                )
            }
            Fact::CallerPeer(p) => write!(f, "{} is peer {}", p.username, p.reference),
            Fact::CallerTrunk(t) => write!(f, "it comes in through trunk {}", t.reference),
            Fact::KnownConnection => f.write_str("it came over the connection the caller registered by"),
            Fact::CallsAnotherDomain(d) => {
                write!(
                    f,
                    "domain {} takes calls of other domains from authenticated callers only",
                    d.reference
                )
            }
            Fact::Isolated(d) => {
                write!(
                    f,
                    "nobody calls from one domain to the other: interDomain is isolated ({})",
                    d.reference
                )
            }
            Fact::NumberOfOtherDomain(n) => write!(f, "number {} belongs to another domain", n.reference),
            Fact::CallerUnknown => f.write_str("nobody knows the caller"),
            Fact::CallerDisabled => f.write_str("the caller is disabled"),
            Fact::NoCredentials => {
                f.write_str("the caller has no credentials and so can never authenticate: set credentialsRef")
            }
            Fact::ThirdParty => f.write_str("From and To differ: nobody may register another's AOR"),
            Fact::AclAllows(l) => {
                write!(f, "access control list {} lets the source address pass", l.reference)
            }
            Fact::AclDenies(l) => write!(f, "access control list {} refuses the source address", l.reference),
            Fact::SourceRefused => f.write_str("the exchange takes no requests from the source address"),
            Fact::AclMissing => {
                f.write_str("an access control list is referred to but does not exist, so nobody passes")
            }
            Fact::HostUnknown => f.write_str("the called host is no domain, trunk or address of ours"),
            Fact::ChallengeDue => f.write_str("the caller must authenticate"),
            Fact::Authenticated => f.write_str("the caller has authenticated"),
            Fact::WrongDigest => f.write_str("the digest is wrong"),
            Fact::StaleNonce => {
                f.write_str("the digest's nonce is too old, was used before or was sent to another address")
            }
            Fact::Banned => {
                f.write_str("too many wrong digests came from there, so this one is not looked at")
            }
            Fact::OtherTarget => {
                f.write_str("the uri of the digest names another target than the Request-URI: see digestUri")
            }
            Fact::NotChallenged => f.write_str("no authentication is asked for here"),
            Fact::CalleeNumber(n) => write!(f, "{} is number {}", n.digits(), n.reference),
            Fact::NumberOfOtherTrunk(n) => write!(f, "number {} belongs to another trunk", n.reference),
            Fact::NumberWithoutLink(n) => write!(f, "number {} leads nowhere: set its aorLink", n.reference),
            Fact::CalleeAgent(a, d) => {
                write!(f, "{}@{} is agent {}", a.username, d.domain_uri, a.reference)
            }
            Fact::CalleePeer(p) => write!(f, "the callee is peer {}", p.reference),
            Fact::CalleeDisabled => f.write_str("the callee is disabled"),
            Fact::NoBindings => f.write_str("no phone is registered there"),
            Fact::Diverted(a) => {
                write!(f, "{} takes its calls", a.fallback_no_answer.as_deref().unwrap_or_default())
            }
            Fact::AdmittedBefore => f.write_str("the call was admitted before"),
            Fact::PeerAddress(p) => {
                write!(f, "it is reached at {}", p.contact_addr.as_deref().unwrap_or_default())
            }
            Fact::Policy(p) => write!(f, "the rule {} leads out by number {}", p.rule.text(), p.number),
            Fact::NoPolicy => f.write_str("no egress policy of the domain matches the called user"),
            Fact::OutBy(n) => write!(f, "it goes out as {}", n.digits()),
            Fact::OutThrough(t) => write!(f, "it goes out through trunk {}", t.reference),
            Fact::NoDestination(t) => write!(f, "trunk {} has no enabled URI", t.reference),
            Fact::Dangling => f.write_str("the number or trunk the way out needs does not exist"),
            Fact::NoDodNumber => f.write_str("a peer's call out must name a number in X-DOD-Number"),
            Fact::CalleeUnknown => f.write_str("nothing has the called name"),
            Fact::StoreUnavailable => f.write_str("the resources or bindings cannot be read now"),
        }
    }
}
