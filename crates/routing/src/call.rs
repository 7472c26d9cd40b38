//! What is known of a call while it is routed.

use arrayvec::ArrayVec;
use trunkline_model::{Agent, Domain, Number, Peer, Ref};
use trunkline_sip::Uri;

use crate::party::Party;

/// The most agents a call goes past, one diverting to the next.
pub(crate) const MAX_DIVERSIONS: usize = 3;
/// The most trunks one call tries one after the other.
pub(crate) const MAX_TRUNKS: usize = 4;

/// What is known of a call so far.
#[derive(Debug, Default)]
pub(crate) struct Call<'s, 'x> {
    pub caller: Party<'s>,
    pub callee: Party<'s>,
    /// The domain of From's host, which the caller wrote.
    pub from_domain: Option<&'s Domain>,
    /// The domain whose rules and ways out are the caller's: an agent's, or that of a peer's AOR.
    pub home: Option<&'s Domain>,
    /// The domain that is called.
    pub target_domain: Option<&'s Domain>,
    /// The domain by whose word the request goes on to somebody else.
    pub sent_on_by: Option<&'s Domain>,
    /// The address by which a peer without an AOR is called.
    pub address: Option<Uri<'x>>,
    /// Is the Request-URI's host ours, or has it none (tel)?
    pub target_is_ours: bool,
    /// The number that is called, where it is one of ours.
    pub number: Option<&'s Number>,
    /// The AOR a number or an agent names.
    pub link: Option<&'x str>,
    /// Agents the call went past because they have no phone, in order.
    pub diverted: ArrayVec<(&'s Agent, &'s Domain), MAX_DIVERSIONS>,
    /// It may come from the trunk of the called number, and nobody knows now where a name of that leads.
    pub unresolved: bool,
    pub access: Access<'s>,
    /// It came in through a trunk, and one of its targets led back to us.
    pub comes_back: bool,
    /// It goes to a domain that takes calls and messages of this caller, and does nothing else that it says.
    pub crosses: bool,
    /// What the trunks on the way out let callers say, each.
    pub allowed: ArrayVec<&'s [String], MAX_TRUNKS>,
}

/// Whom a call goes to next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callee<'s, 'x> {
    /// A number of ours.
    Number(&'s Number),
    /// The AOR that something of ours names.
    Link(&'x str),
    /// A phone account.
    Agent(&'s Agent, &'s Domain),
    /// A server.
    Peer(&'s Peer),
    /// Nothing of ours has the called name.
    Outside,
}

/// What a caller must pass before anything is done for it.
#[derive(Debug, Default)]
pub(crate) struct Access<'s> {
    /// Lists the source address must pass, in order.
    pub acls: ArrayVec<&'s Ref, 2>,
    /// What it authenticates with; `None` for nobody we know.
    pub credentials: Option<&'s Ref>,
    /// Is a digest due?
    pub digest: bool,
    /// Is the first list the caller's own?
    pub own_list: bool,
    /// Does that list show who calls: it names the address, and the caller has no credentials to show as well?
    pub by_list: bool,
    /// The credentials of the peer that calls as a stranger, since its own list refuses the address.
    pub off_list: Option<(&'s Ref, Party<'s>)>,
    /// Has the caller shown who it is: by a digest, by its own list, by its connection?
    pub proven: bool,
    /// Does a list name the caller's address, and not only everybody's?
    pub listed: bool,
    /// Is the caller switched off? It learns that once it has shown who it is.
    pub disabled: bool,
    /// Does it register another's AOR, which nobody may? Then no digest of it is compared with anything.
    pub third_party: bool,
    /// Do From and To of a REGISTER differ, as they may for some peers? A wrong digest is answered as that of a third
    /// party then: else it would tell which peers there are.
    pub other_name: bool,
}
