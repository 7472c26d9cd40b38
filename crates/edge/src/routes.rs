//! Route header values and the dialogs they prove, RFC 3261 §16.4 and §16.12.

use smallvec::SmallVec;
use trunkline_calls::Place;
use trunkline_proxy::{Mark, Names, PartyKind, Side};
use trunkline_sip::{Address, HeaderName, Message, Uri};

use crate::context::DialogUse;
use crate::names::{Shown, beside_mark};
use crate::shared::Shared;

/// A dialog that we record-routed, known by the mark in our Record-Route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialog {
    pub(crate) mark: Mark,
    pub(crate) from: Side,
    pub(crate) place: Place,
}

/// What the Route values of a request say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes<'a> {
    /// How many values at the top are ours.
    pub(crate) own: u16,
    /// The first value that is not ours.
    pub(crate) next: Option<&'a [u8]>,
    /// The last value, as it stands between its brackets, where a strict router put the Request-URI; set only when our own URI
    /// stands in its place.
    pub(crate) last: Option<&'a [u8]>,
    /// The dialog it belongs to.
    pub(crate) dialog: Option<Dialog>,
    /// The dialogs of further marks of ours at the top: the request that began the dialog came back to us, by way of somebody who
    /// does not stay in its way (a spiral, RFC 3261 §16.3 step 4).
    pub(crate) inner: Vec<Dialog>,
    /// What From and To of a request in these dialogs say to the other side.
    pub(crate) shown: Shown<'static>,
    /// It claims to belong to a dialog of ours, and does not.
    pub(crate) false_mark: bool,
    /// A value cannot be read.
    pub(crate) malformed: bool,
}

/// A mark that a Route value shows, and that value, which may have names beside it.
#[derive(Clone, Copy)]
struct Claim<'a> {
    mark: &'a [u8],
    value: Uri<'a>,
}

impl Claim<'_> {
    /// What the names make of the sender's requests, where the mark says that there are any. `None`: they are not those of the mark.
    fn shown(&self, dialog: &Dialog, shared: &Shared) -> Option<Option<Shown<'static>>> {
        if !dialog.mark.renamed {
            return Some(None);
        }
        let names = self.value.param(Names::PARAM).flatten().unwrap_or_default();
        beside_mark(names, (dialog.mark.dialog, dialog.from), &shared.secret).map(Some)
    }
}

impl<'a> Routes<'a> {
    /// Reads the values, as far as they are ours, and verifies what they claim.
    pub(crate) fn read(m: &Message<'a>, uri: &Uri<'a>, shared: &Shared) -> Routes<'a> {
        let mut routes = Routes::default();
        if m.header_line(HeaderName::Route).is_none() && uri.params.is_empty() {
            return routes;
        }
        let claim_of = |uri: &Uri<'a>| {
            let mark = uri.param(Mark::PARAM).flatten()?;
            Some(Claim { mark, value: *uri })
        };
        let mut elements = m.list(HeaderName::Route);
        let mut claims = SmallVec::<[_; 2]>::new();
        // A strict router before us put our own Record-Route into the Request-URI (§16.4).
        if uri.user.is_none() && uri.param(Mark::PARAM).is_some() && shared.addresses.is_own(uri) {
            claims.extend(claim_of(uri).map(|claim| (claim, elements.clone())));
            let last = m.list(HeaderName::Route).flatten().last();
            routes.last = last.map(|last| Address::parse(last, "Route").map_or(last, |address| address.uri));
        }
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
                // The last one may be the Request-URI.
                let is_hop = routes.last.is_none() || elements.next().is_some();
                routes.next = is_hop.then_some(address.uri);
                break;
            }
            routes.own += 1;
            let claim = claim_of(&hop);
            // Two values with one mark where the sides differ in transport or address.
            let same =
                |(before, _): &&mut (Claim<'_>, _)| claim.is_none_or(|other| other.mark == before.mark);
            match (claims.last_mut().filter(same), claim) {
                (Some((_, after)), _) => *after = elements.clone(),
                (None, Some(claim)) => claims.push((claim, elements.clone())),
                (None, None) => {}
            }
        }
        for (claim, after) in claims {
            let dialog = routes.verify(m, shared, claim.mark, after.flatten());
            let Some((dialog, shown)) =
                dialog.and_then(|dialog| Some((dialog, claim.shown(&dialog, shared)?)))
            else {
                return Routes { dialog: None, last: None, false_mark: !m.to_tag().is_empty(), ..routes };
            };
            if let Some(shown) = shown {
                // Of the laps of a spiral the last one leads to the other side.
                routes.shown = shown;
            }
            match &routes.dialog {
                None => routes.dialog = Some(dialog),
                Some(_) => routes.inner.push(dialog),
            }
        }
        routes
    }

    /// What the least trusted holder of the marks is. What it may not ask or say is neither asked nor said.
    pub(crate) fn sender_kind(&self, dialog: &Dialog) -> PartyKind {
        let trust = |kind: PartyKind| match kind {
            PartyKind::Stranger => 0,
            PartyKind::Agent => 1,
            PartyKind::Peer | PartyKind::Trunk => 2,
        };
        let kinds = self.inner.iter().map(|lap| lap.mark.holder.kind);
        kinds.fold(
            dialog.mark.holder.kind,
            |least, kind| if trust(kind) < trust(least) { kind } else { least },
        )
    }

    /// What a request in this dialog, the first of them, is to them all.
    pub(crate) fn dialog_use(&self, dialog: &Dialog) -> DialogUse {
        match self.inner.is_empty() {
            true => DialogUse::Inside(dialog.place, dialog.from),
            false => {
                let all = std::iter::once(dialog).chain(&self.inner);
                DialogUse::Nested(all.map(|dialog| (dialog.place, dialog.from)).collect())
            }
        }
    }

    /// `after` are the values after those with the mark.
    fn verify(
        &self,
        m: &Message<'a>,
        shared: &Shared,
        claim: &[u8],
        after: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Option<Dialog> {
        // The last one is the Request-URI where a strict router is before us.
        let all = if self.last.is_some() { after.clone().count().saturating_sub(1) } else { usize::MAX };
        let after = after.take(all).map(|e| Address::parse(e, "Route").map_or(e, |address| address.uri));
        let tags = (m.from_tag(), m.to_tag());
        let mark = Mark::verify(claim, &shared.secret, m.call_id(), tags, after)?;
        let callee_tag = if mark.side == Side::Caller { m.to_tag() } else { m.from_tag() };
        Some(Dialog { mark, from: mark.side, place: shared.dialogs.place(&mark, callee_tag) })
    }
}
