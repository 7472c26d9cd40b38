//! Where a REGISTER may have calls for its user sent. It is judged by what is known without asking; what a name leads to
//! later is judged when something is sent there.

use std::net::SocketAddr;

use trunkline_sip::{Address, List, Transport, Uri};
use trunkline_transport::Egress;

use super::Forbidden;
use crate::edge::Edge;
use crate::inbound::Inbound;

impl Edge {
    /// Does one of these contacts, or the first hop of this Path, lead where its owner may have nothing sent?
    pub(crate) fn leads_astray<'c>(
        &self,
        inbound: &Inbound<'_>,
        contacts: impl Iterator<Item = &'c [u8]>,
        path: &[u8],
    ) -> Result<(), Forbidden> {
        let word = self.word_of_callee(Some(inbound.flow.remote));
        let judge = |uri: &[u8]| {
            if Uri::parse(uri).is_ok_and(|uri| self.is_of_our_domains(&uri)) {
                return Err(Forbidden::Ourselves);
            }
            let (known, question) = self.shared.resolver.known_of_uri(uri);
            question.into_iter().for_each(|question| self.shared.resolver.look_up(question));
            let judge = |at: SocketAddr| self.shared.guard.may_reach(&word, &Egress::to(Transport::Udp, at));
            known.into_iter().try_for_each(judge)
        };
        let first = List::new(path).flatten().next().and_then(|hop| Address::parse(hop, "Path").ok());
        match first {
            // The proxies it came through know the way to the contact (RFC 3327 §5.2).
            Some(hop) => judge(hop.uri),
            None => contacts.into_iter().try_for_each(judge),
        }
    }
}
