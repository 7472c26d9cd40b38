//! The Contact values of a REGISTER, RFC 3261 §10.3 steps 6 and 7.

use smallvec::SmallVec;
use trunkline_location::ContactChange;
use trunkline_sip::{Address, HeaderName, Message, ParseError, Scheme, seconds, unquote};

use crate::config::RegistrarConfig;
use crate::refusal::Refusal;

/// Contacts in one REGISTER, at most.
const MOST_CONTACTS: usize = 32;

/// What the Contact values ask for.
pub(crate) type Changes<'a> = SmallVec<[ContactChange<'a>; 4]>;

/// Reads the Contact values, with the time that each asks for; `true` for the wildcard. `fixed`: the resource sets the time.
pub(crate) fn read_contacts<'a>(
    m: &Message<'a>,
    bounds: &RegistrarConfig,
    fixed: bool,
    out: &mut Changes<'a>,
) -> Result<bool, Refusal> {
    let general = m.seconds(HeaderName::Expires).map_err(Refusal::Malformed)?;
    for element in m.list(HeaderName::Contact) {
        let element = element.map_err(Refusal::Malformed)?;
        if element == b"*" {
            let alone = m.list(HeaderName::Contact).count() == 1;
            return if alone && general == Some(0) { Ok(true) } else { Err(Refusal::BadWildcard) };
        }
        if out.len() >= MOST_CONTACTS {
            return Err(Refusal::TooMany);
        }
        out.push(read_contact(element, bounds, (general, fixed))?);
    }
    Ok(false)
}

fn read_contact<'a>(
    element: &'a [u8],
    bounds: &RegistrarConfig,
    (general, fixed): (Option<u32>, bool),
) -> Result<ContactChange<'a>, Refusal> {
    let contact = Address::parse(element, "Contact").map_err(Refusal::Malformed)?;
    let uri = contact.parsed_uri().map_err(Refusal::Malformed)?;
    // A bulk contact stands for every user of its server, so it has none itself (RFC 6140 §5.2).
    let named = uri.user.is_some() && uri.param("bnc").is_some();
    if uri.scheme == Scheme::Other || named {
        return Err(Refusal::Malformed(ParseError::Header("Contact")));
    }
    let own = match contact.param("expires") {
        // What is no number counts as one hour (RFC 3261 §10.3 step 7 leaves it to us).
        Some(value) => value.and_then(seconds).or(Some(bounds.default_expires)),
        None => None,
    };
    let asked = own.or(general).unwrap_or(bounds.default_expires);
    if asked > 0 && asked < bounds.min_expires && !fixed {
        return Err(Refusal::TooBrief);
    }
    let mut change = ContactChange::new(contact.uri, asked);
    if let Some(q) = contact.param("q").flatten() {
        change.q = thousandths(q).ok_or(Refusal::Malformed(ParseError::Header("Contact")))?;
    }
    if let Some(instance) = contact.param("+sip.instance").flatten() {
        change.instance = unquote(instance);
        change.reg_id = contact.param("reg-id").flatten().and_then(seconds).unwrap_or(0);
    }
    Ok(change)
}

/// `qvalue`: 0 to 1 with up to three digits, in thousandths.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(point) => (text.get(..point)?, text.get(point + 1..)?),
        None => (text, &b""[..]),
    };
    if !matches!(whole, b"0" | b"1" | b"") || fraction.len() > 3 || text.is_empty() {
        return None;
    }
    let mut q = if whole == b"1" { 1000 } else { 0 };
    let mut place = 100;
    for d in fraction {
        if !d.is_ascii_digit() {
            return None;
        }
        q += u16::from(d - b'0') * place;
        place /= 10;
    }
    (q <= 1000).then_some(q)
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn q_values() {
        for (text, q) in [
            ("1", Some(1000)),
            ("0.7", Some(700)),
            ("0.005", Some(5)),
            ("1.000", Some(1000)),
            ("1.5", None),
            ("0.0001", None),
            ("x", None),
            ("", None),
            ("0", Some(0)),
        ] {
            assert_eq!(thousandths(text.as_bytes()), q, "{text}");
        }
    }
}
