//! Route header values and the dialogs they prove, RFC 3261 §16.4 and §16.12.

use trunkline_calls::Place;
use trunkline_proxy::{Mark, Side};
use trunkline_sip::{Address, HeaderName, Message, Uri};

use crate::shared::Shared;

/// A dialog that we record-routed, known by the mark in our Record-Route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialog {
    pub(crate) mark: Mark,
    pub(crate) from: Side,
    pub(crate) place: Place,
}

/// What the Route values of a request say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Routes<'a> {
    /// How many values at the top are ours.
    pub(crate) own: u16,
    /// The first value that is not ours.
    pub(crate) next: Option<&'a [u8]>,
    /// The last value, where a strict router put the Request-URI; set only when our own URI stands in its place.
    pub(crate) last: Option<&'a [u8]>,
    /// The dialog it belongs to.
    pub(crate) dialog: Option<Dialog>,
    /// It claims to belong to a dialog of ours, and does not.
    pub(crate) false_mark: bool,
    /// A value cannot be read.
    pub(crate) malformed: bool,
}

impl<'a> Routes<'a> {
    /// Reads the values, as far as they are ours, and verifies what they claim.
    pub(crate) fn read(m: &Message<'a>, uri: &Uri<'a>, shared: &Shared) -> Routes<'a> {
        let mut routes = Routes::default();
        if m.header_line(HeaderName::Route).is_none() && uri.params.is_empty() {
            return routes;
        }
        let claim_of = |uri: &Uri<'a>| uri.param(Mark::PARAM).flatten();
        let mut claim = None;
        // A strict router before us put our own Record-Route into the Request-URI (§16.4).
        if uri.user.is_none() && uri.param(Mark::PARAM).is_some() && shared.addresses.is_own(uri) {
            claim = claim_of(uri);
            routes.last = m.list(HeaderName::Route).flatten().last();
        }
        let mut elements = m.list(HeaderName::Route);
        let mut after = elements.clone();
        while let Some(element) = elements.next() {
            let Ok(Ok(address)) = element.map(|e| Address::parse(e, "Route")) else {
                routes.malformed = true;
                return routes;
            };
            let Ok(hop) = address.parsed_uri() else {
                routes.malformed = true;
                return routes;
            };
            if !shared.addresses.is_own(&hop) {
                routes.next = Some(address.uri);
                break;
            }
            routes.own += 1;
            after = elements.clone();
            claim = claim.or_else(|| claim_of(&hop));
        }
        if let Some(claim) = claim {
            routes.verify(m, shared, claim, after.flatten());
        }
        routes
    }

    /// `after` are the values after ours.
    fn verify(
        &mut self,
        m: &Message<'a>,
        shared: &Shared,
        claim: &[u8],
        after: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        // The last one is the Request-URI where a strict router is before us.
        let all = if self.last.is_some() { after.clone().count().saturating_sub(1) } else { usize::MAX };
        let after = after.take(all).map(|e| Address::parse(e, "Route").map_or(e, |address| address.uri));
        let tags = (m.from_tag(), m.to_tag());
        let mark = Mark::verify(claim, &shared.secret, m.call_id(), tags, after);
        self.dialog = mark.map(|mark| {
            let callee_tag = if mark.side == Side::Caller { m.to_tag() } else { m.from_tag() };
            Dialog { mark, from: mark.side, place: shared.dialogs.place(&mark, callee_tag) }
        });
        // Without To tag a request is in no dialog, whatever it has learnt of an earlier one.
        self.false_mark = mark.is_none() && !m.to_tag().is_empty();
        if mark.is_none() {
            self.last = None;
        }
    }
}
