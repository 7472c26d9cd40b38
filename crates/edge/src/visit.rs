//! Was a request here before? Loop detection, RFC 5393 §4.

use trunkline_proxy::{Branch, Secret, StatelessBranch};
use trunkline_sip::{HeaderName, Via};

use crate::edge::Edge;
use crate::inbound::Inbound;

/// What a request's Via values say of earlier visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// None of ours is among them.
    First,
    /// It was here with another target.
    Spiral,
    /// This very request was here.
    Loop,
}

impl Edge {
    /// Was the request here before? A loop is a Via of ours that carries the MAC this very request would get (RFC 5393 §4.2). The topmost is one where
    /// something sends back to us what we sent. Another Via of ours that went out with this very request
    /// is a spiral.
    pub(crate) fn visit(&self, inbound: &Inbound<'_>) -> Visit {
        let m = &inbound.message;
        let (mut mac, mut stateless) = (None, None);
        let secret = &self.shared.secret;
        let mut spiral = false;
        let others = m.list(HeaderName::Via).skip(1).flatten().filter_map(|element| Via::parse(element).ok());
        for branch in std::iter::once(inbound.via.branch).chain(others.map(|via| via.branch)) {
            let (seen, own) = if let Some(seen) = Branch::decode(branch, secret) {
                (seen.loop_mac, *mac.get_or_insert_with(|| secret.loop_mac(m)))
            } else if let Some(seen) = StatelessBranch::decode(branch, secret) {
                (seen.loop_mac, *stateless.get_or_insert_with(|| secret.stateless_loop_mac(m)))
            } else {
                continue;
            };
            if seen == own {
                return Visit::Loop;
            }
            spiral |= Secret::is_spiral(seen, own);
        }
        if spiral { Visit::Spiral } else { Visit::First }
    }
}
