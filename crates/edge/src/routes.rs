//! Route header values and the dialogs they prove, RFC 3261 §16.4 and §16.12.

use trunkline_proxy::{RouteToken, Side};
use trunkline_sip::{Address, HeaderName, Message, Uri};

use crate::shared::Shared;

/// A dialog that we record-routed, known by the MAC in our Record-Route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialog {
    pub(crate) token: RouteToken,
    pub(crate) from: Side,
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
        let verify = |uri: &Uri<'a>| -> Option<Dialog> {
            let value = uri.param(RouteToken::PARAM).flatten()?;
            RouteToken::verify(value, &shared.secret, m.call_id(), m.from_tag(), m.to_tag())
                .map(|(token, from)| Dialog { token, from })
        };
        // A strict router before us put our own Record-Route into the Request-URI (§16.4).
        if uri.user.is_none() && shared.addresses.is_own(uri) {
            routes.dialog = verify(uri);
            if routes.dialog.is_some() {
                routes.last = m.list(HeaderName::Route).flatten().last();
            }
        }
        for element in m.list(HeaderName::Route) {
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
                return routes;
            }
            routes.own += 1;
            if routes.dialog.is_none() {
                routes.dialog = verify(&hop);
            }
        }
        routes
    }
}
