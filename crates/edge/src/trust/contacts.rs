//! Where a REGISTER may have calls for its user sent. It is judged by what is known without asking; what a name leads to
//! later is judged when something is sent there.

use std::net::{IpAddr, SocketAddr};

use trunkline_location::Binding;
use trunkline_sip::Uri;
use trunkline_transport::Egress;

use super::owners::Owner;
use super::{Forbidden, Word};
use crate::resolver::Question;
use crate::shared::Shared;

impl Shared {
    /// May whoever this is the word of have something sent where a URI of its REGISTER leads, a contact or the first hop of a
    /// Path? With the name in it, where nothing is known of that.
    pub(crate) fn may_register(&self, word: &Word, uri: &[u8]) -> Result<Option<Question>, Forbidden> {
        if Uri::parse(uri).is_ok_and(|uri| self.is_of_our_domains(&uri)) {
            return Err(Forbidden::Ourselves);
        }
        let (known, question) = self.resolver.known_of_uri(uri);
        let transport = Uri::parse(uri).ok().and_then(|uri| uri.transport()).unwrap_or_default();
        let judge = |at: SocketAddr| self.guard.may_reach(word, &Egress::to(transport, at));
        known.into_iter().try_for_each(judge)?;
        Ok(question)
    }

    /// Does a REGISTER say that it comes from the address of a trunk or peer whose owner is another? A source address of UDP is
    /// easily forged, and what is registered from there is reached there.
    pub(crate) fn claims_anothers(&self, word: &Word, from: SocketAddr) -> bool {
        self.guard.is_anothers(from, |owner| owner.is(word))
    }

    /// May what goes to this binding go by where its REGISTER came from? Not where that is the address of a trunk or peer, of
    /// somebody else, and nothing shows that the phone is there.
    pub(crate) fn is_there(&self, b: &Binding<'_>) -> bool {
        let own = |o: &Owner| self.secret.registrant(o.kind, o.party) == b.registrant;
        b.shown || !self.guard.is_anothers(b.flow.remote, own)
    }

    /// May a message from this address have the name looked up? Trunks and peers may, and anybody what they themselves are
    /// named.
    pub(crate) fn may_look_up(&self, question: &Question, from: IpAddr, now: u64) -> bool {
        self.resolver.is_of_resource(question) || self.guard.is_owned(from) || self.lookups.take(from, now)
    }

    /// Is the host of this URI a domain of ours? Then nobody else has to be asked where it leads.
    pub(crate) fn is_of_our_domains(&self, uri: &Uri<'_>) -> bool {
        self.addresses.has_port(uri.port)
            && uri.param("maddr").is_none()
            && self.tables.load().domain_by_uri(uri.host).is_some()
    }
}
