//! Max-Breadth, RFC 5393 §5.

use trunkline_sip::{HeaderName, seconds};

use crate::inbound::Inbound;

/// Max-Breadth where the request says nothing, RFC 5393 §5.3.3.
const BREADTH: u32 = 60;

/// Breadth for each branch (RFC 5393 §5.3.3.1); `None` when nothing needs to be said, `Err` when there is
/// not enough.
pub(crate) fn breadth(inbound: &Inbound<'_>, branches: u32) -> Result<Option<u32>, ()> {
    let given = inbound.message.header(HeaderName::MaxBreadth);
    // Nobody is given more than who says nothing.
    let given = given.map(|v| seconds(v).map_or(BREADTH, |given| given.min(BREADTH)));
    match given {
        None if branches <= 1 => Ok(None),
        _ => {
            let breadth = given.unwrap_or(BREADTH);
            if breadth < branches || breadth == 0 { Err(()) } else { Ok(Some(breadth / branches.max(1))) }
        }
    }
}
