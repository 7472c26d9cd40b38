//! A carrier's challenge to a request of ours, and the answer to it (RFC 3261 §22.2).

use smallvec::SmallVec;
use trunkline_digest::{Answer, answer, parse_challenges};
use trunkline_sip::{HeaderName, Message};

/// The headers that challenge and that answer: RFC 3261 §22.2 for 401, §22.3 for 407.
fn headers(m: &Message<'_>) -> (HeaderName, HeaderName) {
    match m.status() {
        Some(407) => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        _ => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
    }
}

/// Who we are to the carrier.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

/// The header that answers the challenge in `m` to a request of this method and Request-URI, and its value; else why
/// there is no answer.
pub(crate) fn credentials_for(
    m: &Message<'_>,
    login: Login<'_>,
    method: &[u8],
    uri: &[u8],
) -> Result<(HeaderName, Vec<u8>), String> {
    let (challenging, answering) = headers(m);
    let challenges: SmallVec<[&[u8]; 4]> = m.header_lines(challenging).map(|h| h.value.of(m.bytes)).collect();
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    let cnonce = format!("{:016x}", u64::from_be_bytes(random));
    let Login { username, password } = login;
    let with = Answer { username, password, method, uri, cnonce: &cnonce, nc: 1 };
    let answered = answer(&challenges, &with).map_err(|error| error.to_string())?;
    Ok((answering, answered.value))
}

/// Does the challenge say that only the nonce was old?
pub(crate) fn is_stale(m: &Message<'_>) -> bool {
    let mut stale = false;
    for header in m.header_lines(headers(m).0) {
        // What was complete before a fault still counts.
        let _ = parse_challenges(header.value.of(m.bytes), |challenge| stale |= challenge.stale);
    }
    stale
}
