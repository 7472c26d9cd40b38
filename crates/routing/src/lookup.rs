//! What the router asks and how it is answered.

use std::net::IpAddr;

use crate::request::Gruu;

use trunkline_model::{AccessControlList, Agent, Algorithm, Credentials, Domain, Number, Peer, Ref, Trunk};

/// What the router wants next.
#[derive(Clone, Copy, Debug)]
pub enum Step<'x> {
    /// Answer this and call [`crate::Route::step`].
    Need(Lookup<'x>),
    /// The decision stands in the [`crate::Plan`].
    Done,
}

/// One question. Every one may be answered [`Answer::Unavailable`], which ends in 503.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'x> {
    /// The domain with this host, any case. Answer: [`Answer::Domain`].
    Domain(&'x [u8]),
    /// The agent of this user in this domain. Answer: [`Answer::Agent`].
    Agent {
        /// The domain's ref.
        domain: &'x Ref,
        /// The user, escapes decoded.
        user: &'x [u8],
    },
    /// The peer of this user name. Answer: [`Answer::Peer`].
    Peer(&'x [u8]),
    /// The peer whose AOR stands in [`crate::Plan::aor`]. Answer: [`Answer::Peer`].
    PeerByAor,
    /// The number with these digits, as a caller dials it, e.g. `+17066041487`. Answer: [`Answer::Number`].
    Number(&'x [u8]),
    /// The number of this ref. Answer: [`Answer::Number`].
    NumberByRef(&'x Ref),
    /// The trunk of this ref. Answer: [`Answer::Trunk`].
    Trunk(&'x Ref),
    /// The trunk whose carrier calls us by this host, any case. Answer: [`Answer::Trunk`].
    TrunkByInbound(&'x [u8]),
    /// Does one of the trunk's destinations resolve to this address? Asked only when neither the trunk's list nor
    /// an address among its destinations says so. Answer: [`Answer::Found`].
    TrunkSource {
        /// The trunk.
        trunk: &'x Trunk,
        /// Where the packet came from.
        source: IpAddr,
    },
    /// Which destinations of the trunk are down, by their place in `uris`. Answer: [`Answer::Down`].
    TrunkState(&'x Trunk),
    /// The credentials of this ref. Answer: [`Answer::Credentials`].
    Credentials(&'x Ref),
    /// The access control list of this ref. Answer: [`Answer::Acl`].
    Acl(&'x Ref),
    /// Does the request carry a right digest for [`crate::Plan::realm`] by one of [`crate::Plan::algorithms`]? Answer:
    /// [`Answer::Verdict`].
    Authenticate {
        /// What the caller must know; `None` when there is no such user, who is challenged like any other and
        /// never accepted.
        credentials: Option<&'x Credentials>,
    },
    /// Did the party whose AOR stands in [`crate::Plan::aor`] register over the connection the request came by? Addresses
    /// say nothing: anybody can write one into a datagram. Answer: [`Answer::Found`].
    Connection,
    /// May calls of this domain leave by the number ([`trunkline_model::Tables::number_serves`])? Answer:
    /// [`Answer::Found`].
    NumberServes {
        /// The number.
        number: &'x Number,
        /// The domain's ref.
        domain: &'x Ref,
    },
    /// The contacts registered under [`crate::Plan::aor`], to be put in with
    /// [`crate::Targets::push_binding`]. Answer: [`Answer::Found`].
    Bindings {
        /// Keeps a call's later lookups on the same instance.
        call_id: &'x [u8],
        /// With one, exactly one binding is wanted: choose.
        backend: Option<Backend<'x>>,
        /// The value that keeps calls together, where the backend wants it.
        affinity: Option<&'x [u8]>,
        /// With one, only the flows of this phone are wanted.
        gruu: Option<Gruu<'x>>,
    },
}

/// How one of a peer's instances is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Backend<'x> {
    /// The peer.
    pub reference: &'x Ref,
    /// How.
    pub algorithm: Algorithm,
    /// Calls with the same affinity value meet the same instance.
    pub with_session_affinity: bool,
}

/// An answer to a [`Lookup`]; resources are borrowed for the length of the route.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'s> {
    /// A domain, if there is one.
    Domain(Option<&'s Domain>),
    /// An agent, if there is one.
    Agent(Option<&'s Agent>),
    /// A peer, if there is one.
    Peer(Option<&'s Peer>),
    /// A number, if there is one.
    Number(Option<&'s Number>),
    /// A trunk, if there is one.
    Trunk(Option<&'s Trunk>),
    /// Credentials, if there are any.
    Credentials(Option<&'s Credentials>),
    /// A list, if there is one.
    Acl(Option<&'s AccessControlList>),
    /// Yes or no; for [`Lookup::Bindings`] whether any was put in.
    Found(bool),
    /// Bit n: `uris[n]` is down. Destinations past the 64th count as up.
    Down(u64),
    /// How a digest was judged.
    Verdict(Verdict),
    /// Whoever knows cannot be asked now.
    Unavailable,
}

/// How a digest was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right.
    Accepted,
    /// None for our realm by an algorithm that is offered, or one that answers no challenge.
    Missing,
    /// Wrong user, secret or anything else.
    Wrong,
    /// Not looked at, since its nonce is too old or was not sent there; or right, but used before.
    Stale,
    /// Not looked at, since too many wrong ones came from there. Answered like a wrong one, so that nobody learns what
    /// it was.
    Banned,
    /// Not looked at, since it was made for another Request-URI.
    OtherTarget,
}
