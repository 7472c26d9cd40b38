//! May the exchange leave a call, or do its sides need it in between?

use trunkline_sip::{Address, HeaderName, Scheme, Transport, Uri, parse_ip};

use crate::ask::Ask;
use crate::registered_at::is_address;
use crate::rules::Rules;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Do both sides reach each other without us? Both write the address that they are at, and neither is reached by a
    /// connection, a Path or our credentials alone.
    pub(crate) fn is_spare(&self) -> bool {
        let flow = &self.request.flow;
        let contact = self.request.message.list(HeaderName::Contact).flatten().next();
        let contact = contact.and_then(|value| Address::parse(value, "Contact").ok());
        let at_its_address = contact.and_then(|contact| contact.parsed_uri().ok()).is_some_and(|uri| {
            is_plain(&uri)
                && is_address(&uri, flow.remote.ip())
                && uri.port.unwrap_or(5060) == flow.remote.port()
        });
        let targets = &self.decision.targets;
        let mut all = targets.as_slice().iter();
        flow.transport == Transport::Udp
            && at_its_address
            && all.all(|target| {
                let named = target.flow.is_none() && target.path.is_empty() && target.next_hop.is_none();
                let uri = Uri::parse(targets.text(target.uri));
                named && target.credentials.is_none() && uri.is_ok_and(|uri| is_plain(&uri))
            })
    }
}

/// An address, reached over UDP.
fn is_plain(uri: &Uri<'_>) -> bool {
    let udp = uri.param("transport").flatten().is_none_or(|name| name.eq_ignore_ascii_case(b"udp"));
    udp && uri.scheme == Scheme::Sip && parse_ip(uri.host).is_some()
}
