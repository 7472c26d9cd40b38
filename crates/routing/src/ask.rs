//! What the router asks, and who answers.

use std::net::IpAddr;

use trunkline_model::{
    AccessControlList, Agent, Algorithm, Credentials, DigestAlgorithm, Domain, Number, Peer, Ref, Trunk,
};

use crate::party::Registrant;
use crate::request::Gruu;
use crate::target::Binding;

/// Answers the router's questions: the tables of this process at once, a [`crate::Known`] table where the answers have to
/// be fetched, a table in a test. `'s` is how long its resources live.
pub trait Ask<'s> {
    /// Answers a question.
    ///
    /// # Errors
    /// [`NoAnswer::Missing`] when the answer has to be fetched first, [`NoAnswer::Unavailable`] when whoever knows it cannot
    /// be asked.
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'s>, NoAnswer>;

    /// Gives the contacts that are wanted to `found`, in any order.
    ///
    /// # Errors
    /// As [`Ask::answer`].
    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer>;
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It has to be fetched; then the rules run again.
    Missing,
    /// Whoever knows cannot be asked: the request is answered 503, never 403 or 404.
    Unavailable,
}

/// One question. It carries all that it asks.
#[derive(Clone, Copy, Debug)]
pub enum Question<'x> {
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
    /// The peer with this AOR, in its normal form. Answer: [`Answer::Peer`].
    PeerByAor(&'x [u8]),
    /// The number with these digits, as a caller dials it, e.g. `+17066041487`. Answer: [`Answer::Number`].
    Number(&'x [u8]),
    /// The number of this ref. Answer: [`Answer::Number`].
    NumberByRef(&'x Ref),
    /// The trunk of this ref. Answer: [`Answer::Trunk`].
    Trunk(&'x Ref),
    /// The trunk whose carrier calls us by this host, any case. Answer: [`Answer::Trunk`].
    TrunkByInbound(&'x [u8]),
    /// Does one of the trunk's destinations resolve to this address? Asked only when neither the trunk's list nor
    /// an address among its destinations says so. Answer: [`Answer::Yes`].
    TrunkSource {
        /// The trunk.
        trunk: &'x Trunk,
        /// Where the packet came from.
        source: IpAddr,
    },
    /// May a caller at this address be taken for the trunk's carrier later in the dialog? Anybody may call the number of a trunk
    /// that has neither a list nor credentials; only who calls from the trunk's own addresses is its carrier. Answer:
    /// [`Answer::Yes`].
    TrunkCarrier {
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
    /// Does the request carry a right digest for this realm by one of these algorithms? Answer: [`Answer::Verdict`].
    Authenticate {
        /// What the caller must know; `None` when there is no such user, who is challenged like any other and
        /// never accepted.
        credentials: Option<&'x Credentials>,
        /// The realm it is challenged for.
        realm: &'x [u8],
        /// The algorithms a digest may have, in the order in which a challenge offers them.
        algorithms: &'x [DigestAlgorithm],
        /// The AOR that is to be registered, of a REGISTER.
        aor: &'x [u8],
        /// Whose they are.
        owner: Option<Registrant<'x>>,
    },
    /// Did this party register under the AOR over the connection the request came by? Addresses say nothing: anybody can
    /// write one into a datagram. Neither does the AOR: others may register under it. Answer: [`Answer::Yes`].
    Connection {
        /// The AOR.
        aor: &'x [u8],
        /// The party.
        registrant: Registrant<'x>,
    },
    /// Has a phone registered anew since its temporary GRUU was given out, which has ended with that (RFC 5627 §3.1.2)? Asked only
    /// when no contact fits it. Answer: [`Answer::Yes`].
    GruuEnded {
        /// The AOR.
        aor: &'x [u8],
        /// The phone and its registration.
        gruu: Gruu<'x>,
    },
    /// May calls of this domain leave by the number ([`trunkline_model::Tables::number_serves`])? Answer:
    /// [`Answer::Yes`].
    NumberServes {
        /// The number.
        number: &'x Number,
        /// The domain's ref.
        domain: &'x Ref,
    },
}

/// Which contacts are wanted.
#[derive(Clone, Copy, Debug)]
pub struct BindingsQuestion<'x> {
    /// The AOR they are registered under, in its normal form.
    pub aor: &'x [u8],
    /// Keeps a call's later look-ups on the same instance.
    pub call_id: &'x [u8],
    /// With one, exactly one contact is wanted: choose.
    pub backend: Option<Backend<'x>>,
    /// The value that keeps calls together, where the backend wants it.
    pub affinity: Option<&'x [u8]>,
    /// With one, only the flows of this phone are wanted.
    pub gruu: Option<Gruu<'x>>,
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

/// An answer to a [`Question`]; resources are borrowed.
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
    /// Yes or no.
    Yes(bool),
    /// Bit n: `uris[n]` is down. Destinations past the 64th count as up.
    Down(u64),
    /// How a digest was judged.
    Verdict(Verdict),
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
