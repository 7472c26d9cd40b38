//! A SIPS URI insists on TLS on every hop, RFC 3261 §26.2.2 and RFC 5630.

use trunkline_sip::Message;
use trunkline_transport::Egress;

use crate::resolver::Spare;

/// With a 480: a SIPS URI leads to phones without TLS (RFC 5630 §5.3, §6.2).
pub(crate) const SIPS_NOT_ALLOWED: &[u8] = b"Warning: 380 trunkline \"SIPS Not Allowed\"\r\n";

/// Does a URI insist on TLS on every hop?
pub(crate) fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

/// Takes out the ways that are not protected by TLS; `false` when that leaves none.
pub(crate) fn keep_secure(request: &Message<'_>, ways: &mut [Option<(Egress, Spare)>]) -> bool {
    if !is_sips(request.uri_text()) || ways.iter().all(Option::is_none) {
        return true;
    }
    for way in ways.iter_mut() {
        // Another address of its name may be spoken to otherwise.
        *way =
            way.take().filter(|(egress, _)| egress.transport.is_secure()).map(|(e, _)| (e, Spare::default()));
    }
    ways.iter().any(Option::is_some)
}
