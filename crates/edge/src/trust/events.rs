//! What a request says of its subscription.

use trunkline_calls::Event;
use trunkline_sip::{HeaderName, Message, Method, seconds};

/// The subscription that a SUBSCRIBE, NOTIFY or REFER is about.
pub(crate) fn event_of(m: &Message<'_>, method: Method) -> Event {
    match method {
        Method::Refer => Event::refer(m.cseq()),
        _ => m.header(HeaderName::Event).map(Event::of).unwrap_or_default(),
    }
}

/// The seconds of Expires.
pub(crate) fn expires(m: &Message<'_>) -> Option<u32> {
    m.header(HeaderName::Expires).and_then(seconds)
}
