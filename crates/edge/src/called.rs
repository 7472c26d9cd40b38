//! Calls of carriers to the Contact that we registered there.

use trunkline_proxy::PartyKind;
use trunkline_sip::{Method, Uri};

use crate::edge::Edge;
use crate::inbound::Inbound;

impl Edge {
    /// The Request-URI without its user, where that is the account that our Contact names at the carrier the INVITE comes from:
    /// To says which number is called, unless it names the account, too.
    pub(crate) fn without_account<'a>(&self, inbound: &Inbound<'a>, uri: Uri<'a>) -> Uri<'a> {
        let Some(user) = uri.user.filter(|_| inbound.method == Method::Invite) else { return uri };
        let accounts = self.shared.registered.accounts();
        if !accounts.iter().any(|(_, account)| account.as_bytes() == user) {
            return uri;
        }
        let ip = inbound.flow.remote.ip();
        let is_at = |trunk: &trunkline_model::Ref| {
            let party = self.shared.secret.party(trunk.as_str().as_bytes());
            self.shared.guard.is_address_of(PartyKind::Trunk, party, ip)
        };
        let called = accounts.iter().any(|(trunk, account)| account.as_bytes() == user && is_at(trunk));
        let to = inbound.message.to().and_then(|to| to.parsed_uri()).ok().and_then(|to| to.user);
        let says_more = to.is_some_and(|to| to != user);
        match called && says_more && self.shared.addresses.is_own(&uri) {
            true => Uri { user: None, ..uri },
            false => uri,
        }
    }
}
