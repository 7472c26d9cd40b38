//! Whom a REFER may name to a carrier, and to a phone of another domain. The carrier calls that number on the account of the trunk, so
//! that it is judged as if the agent called it; the phone calls on its own account, and speaks as one of its domain.

use trunkline_model::{Domain, Number, Tables};
use trunkline_sip::{Scheme, Uri, decode_escapes};

use crate::number;
use crate::request::{Called, Options, called, is_declared_number};
use crate::tenants::are_isolated;

/// May a carrier be asked to call this URI by an agent of the domain: does the number lead out by one of its policies, or is it
/// somebody of ours? `own`: the host is an address of ours. The host decides nothing else, since a carrier may dial the user of
/// any URI. A user that begins with a letter is no number, unless the URI says that it is one.
pub fn may_be_referred_to(
    uri: &Uri<'_>,
    own: bool,
    domain: &Domain,
    (tables, options): (&Tables, &Options),
) -> bool {
    let Called { callee, name, .. } = called(uri, options.enforce_e164);
    if callee.is_empty()
        || uri.scheme == Scheme::Other
        || !may_be_said_by_another(uri.headers)
        || uri.password.is_some()
    {
        return false;
    }
    let name = name.as_deref().unwrap_or(&callee);
    is_of_ours(name, &callee, domain_of(uri, own, domain, (tables, options)), (domain, tables))
        || may_leave(&callee, domain, tables)
        || !is_declared_number(uri) && is_no_number(&callee)
}

/// Where a phone gets that follows a REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// To somebody of its own domain, who does as the phone says.
    Within,
    /// To somebody of another domain, or of none.
    Elsewhere,
}

/// Does a phone of this domain that follows a REFER to this URI, whose host is ours, reach somebody of ours, so that nobody pays for the
/// call? `own`: the host is an address of ours. The host decides nothing else, since a phone may dial the user of any URI.
pub fn stays_inside(
    uri: &Uri<'_>,
    own: bool,
    domain: &Domain,
    (tables, options): (&Tables, &Options),
) -> Option<Stay> {
    let Called { callee, name, .. } = called(uri, options.enforce_e164);
    if callee.is_empty() || uri.scheme == Scheme::Other || uri.password.is_some() {
        return None;
    }
    let stay = |at: Option<&Domain>| match at {
        Some(at) if at.reference == domain.reference => Stay::Within,
        Some(_) | None => Stay::Elsewhere,
    };
    // Of a number that leads into a domain that keeps apart nothing is seen: it is called outside.
    let led_inside = |number: &Number| {
        let link = number.aor_link.as_deref().and_then(|link| Uri::parse(link.as_bytes()).ok())?;
        let at = tables.domain_by_uri(link.host).map(|at| &**at);
        at.is_none_or(|at| !are_isolated(domain, at)).then(|| stay(at))
    };
    if let Some(number) = number_of_ours(&callee, tables) {
        return led_inside(number);
    }
    let name = name.as_deref().unwrap_or(&callee);
    let at = domain_of(uri, own, domain, (tables, options));
    is_of_ours(name, &callee, at, (domain, tables)).then(|| stay(Some(at)))
}

/// The domain that the URI's host names: with an address of ours (`own`) the default one, with any other host `home`.
fn domain_of<'t>(
    uri: &Uri<'_>,
    own: bool,
    home: &'t Domain,
    (tables, options): (&'t Tables, &Options),
) -> &'t Domain {
    let ours = || tables.domain_by_uri(options.default_domain.as_bytes()).filter(|_| own);
    tables.domain_by_uri(uri.host).or_else(ours).map_or(home, |at| &**at)
}

/// What a REFER may have its receiver say in the new call: which one it replaces (RFC 3891), and what it takes for that. Anything
/// else would speak for the carrier (RFC 3261 §19.1.5).
pub fn may_be_said_by_another(headers: &[u8]) -> bool {
    let known = |name: &[u8]| {
        let known = ["", "Replaces", "Require", "Supported", "Accept-Contact", "Reject-Contact", "Call-ID"];
        known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    header_names(headers).all(known) && are_one_line_each(headers)
}

/// Does no value of such headers end its line when its escapes are read? What stands behind would be another header.
fn are_one_line_each(headers: &[u8]) -> bool {
    !decode_escapes(headers).iter().any(|b| b.is_ascii_control() && *b != b'\t')
}

/// Among such headers: is a call to be replaced?
pub fn names_replaced(headers: &[u8]) -> bool {
    header_names(headers).any(|name| name.eq_ignore_ascii_case(b"Replaces"))
}

/// Do such headers tell no more than why and from whom a call comes, as those of a redirection do (RFC 7044, 5806, 3326)?
pub fn tells_of_diversion(headers: &[u8]) -> bool {
    let known = |name: &[u8]| {
        let known = ["", "History-Info", "Diversion", "Reason", "Privacy", "Supported"];
        known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    header_names(headers).all(known) && are_one_line_each(headers)
}

fn header_names(headers: &[u8]) -> impl Iterator<Item = &[u8]> {
    let headers = headers.strip_prefix(b"?").unwrap_or(headers).split(|b| *b == b'&');
    headers.map(|header| header.split(|b| *b == b'=').next().unwrap_or_default())
}

/// Do these parameters of a URI leave it at a call to its host? Another method would be a command, and `maddr` another host (RFC 3261
/// §19.1.1). Their names may be escaped.
pub fn ask_for_a_call(parameters: &[u8]) -> bool {
    parameters.split(|b| *b == b';').all(|parameter| {
        let mut parts = parameter.splitn(2, |b| *b == b'=');
        let mut part = || decode_escapes(parts.next().unwrap_or_default().trim_ascii());
        let (name, value) = (part(), part());
        let is = |known: &[u8]| name.trim_ascii().eq_ignore_ascii_case(known);
        !is(b"maddr") && (!is(b"method") || *value == *b"INVITE")
    })
}

/// Does it begin with a letter, and is it not a number behind one, as dial strings are (a pause, a tone)?
fn is_no_number(callee: &[u8]) -> bool {
    let Some((first, rest)) = callee.split_first() else { return false };
    let is_dialled = rest.first() == Some(&b'+') || rest.iter().filter(|b| b.is_ascii_digit()).count() >= 7;
    let is_name = !is_dialled || rest.iter().any(u8::is_ascii_alphabetic);
    first.is_ascii_alphabetic() && is_name
}

/// Is it a number of ours, or somebody in a domain that the agent's own does not keep apart from?
fn is_of_ours(name: &[u8], callee: &[u8], at: &Domain, (home, tables): (&Domain, &Tables)) -> bool {
    if number_of_ours(callee, tables).is_some() {
        return true;
    }
    let named = |user: &[u8]| {
        let aor = [b"sip:", user, b"@", at.domain_uri.as_bytes()].concat();
        tables.agent(Some(&at.reference), user).is_some() || tables.peer_by_aor(&aor).is_some()
    };
    !are_isolated(home, at) && (named(name) || named(callee))
}

/// With a plus or without one.
fn number_of_ours<'a>(digits: &[u8], tables: &'a Tables) -> Option<&'a Number> {
    let other = match digits.strip_prefix(b"+") {
        Some(bare) => bare.to_vec(),
        None => [b"+", digits].concat(),
    };
    let found = tables.number_by_tel(digits).or_else(|| tables.number_by_tel(&other));
    found.map(|number| &**number)
}

/// Does one of the domain's policies let this number out, by a trunk that is there?
fn may_leave(callee: &[u8], domain: &Domain, tables: &Tables) -> bool {
    let number = number::without_parameters(callee);
    if number.is_empty() || number::is_misshapen(number) {
        return false;
    }
    let leads_out = |number: &Number| {
        number.trunk.as_ref().is_some_and(|trunk| tables.trunk_by_ref(trunk.as_str()).is_some())
    };
    let mut policies = domain.egress_policies.iter().filter(|policy| policy.rule.is_match(number));
    policies
        .any(|policy| tables.number_by_ref(policy.number.as_str()).is_some_and(|number| leads_out(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_holds_another_header() {
        for headers in ["Supported=x%0D%0AAnswer-Mode:%20Auto", "Replaces=a%0aX:%20y", "Reason=x%00"] {
            let headers = headers.as_bytes();
            assert!(!may_be_said_by_another(headers) && !tells_of_diversion(headers));
        }
        assert!(may_be_said_by_another(b"Replaces=a%40h%3Bto-tag%3Db%3Bfrom-tag%3Dc&Supported=replaces"));
        assert!(tells_of_diversion(b"Reason=SIP%3Bcause%3D302"));
    }
}
