//! What a caller may tell a carrier in the parameters of its URIs.
//!
//! Number portability (RFC 4694), trunk groups (RFC 4904) and their kin choose the route or the price of a call, past
//! the rule that judged the number. So towards a carrier the Request-URI of a first request keeps no parameter but
//! `user=phone`, and that of a later one and the URIs in other headers lose these, unless the trunk allows them by name.

use arrayvec::ArrayVec;
use trunkline_sip::{Params, Scheme, Uri};

/// Parameters that stand beside the host or behind the URI, and speak to a telephone network all the same.
const TELEPHONY: [&[u8]; 24] = [
    b"npdi",
    b"rn",
    b"rn-context",
    b"cic",
    b"cic-context",
    b"enumdi",
    b"isub",
    b"isub-encoding",
    b"ext",
    b"postd",
    b"phone-context",
    b"tgrp",
    b"trunk-context",
    b"dtg",
    b"otg",
    b"cpc",
    b"oli",
    b"isup-oli",
    b"noa",
    b"npi",
    b"sgrp",
    b"carrier",
    b"dai",
    VERSTAT,
];

/// Says that a network has verified the calling number (3GPP TS 24.229 §7.2A.20): phones show it.
const VERSTAT: &[u8] = b"verstat";

/// The longest name that is looked at; a longer one is not allowed in a user part, and is none of those above.
const LONGEST: usize = 32;

type Name = ArrayVec<u8, LONGEST>;

/// May a URI hold these bytes? Where no scheme and no bracket stands there is none.
pub(crate) fn holds_uri(value: &[u8]) -> bool {
    let is_scheme = |at: usize| {
        let before = value.get(..at).unwrap_or_default();
        SCHEMES.iter().any(|scheme| ends_in(before, scheme))
    };
    memchr::memchr2_iter(b'<', b':', value).any(|at| value.get(at) == Some(&b'<') || is_scheme(at))
}

const SCHEMES: [&[u8]; 5] = [b"sip", b"sips", b"tel", b"fax", b"modem"];

fn ends_in(text: &[u8], end: &[u8]) -> bool {
    text.len()
        .checked_sub(end.len())
        .and_then(|at| text.get(at..))
        .is_some_and(|t| t.eq_ignore_ascii_case(end))
}

fn is_telephony(name: &[u8]) -> bool {
    TELEPHONY.contains(&name)
}

/// Calls `out` with where each parameter begins and ends that a header value may not say to a carrier.
pub(crate) fn each_unwanted(value: &[u8], allows: &dyn Fn(&[u8]) -> bool, mut out: impl FnMut(usize, usize)) {
    each_parameter(value, false, |from, to, name, in_user| {
        if (in_user || name.is_some_and(is_telephony)) && !name.is_some_and(allows) {
            out(from, to);
        }
    });
}

/// Calls `out` with where each claim begins and ends that the number in From is verified.
pub(crate) fn each_verified(value: &[u8], mut out: impl FnMut(usize, usize)) {
    // Most have a tag, and no other parameter.
    if memchr::memchr_iter(b';', value).count() > 1 || value.contains(&b'%') {
        each_parameter(value, false, |from, to, name, _| {
            if name == Some(VERSTAT) {
                out(from, to);
            }
        });
    }
}

/// The same of a Request-URI inside a dialog. Its user part is that of the remote target, which the carrier wrote itself.
pub(crate) fn in_request_uri(uri: &[u8], allows: &dyn Fn(&[u8]) -> bool, mut out: impl FnMut(usize, usize)) {
    if !uri.contains(&b';') && !uri.contains(&b'%') {
        return;
    }
    each_parameter(uri, true, |from, to, name, in_user| {
        if !in_user && name.is_some_and(|name| is_telephony(name) && !allows(name)) {
            out(from, to);
        }
    });
}

/// May this Request-URI go to a carrier as it is?
pub fn is_plain_uri(uri: &[u8], allows: &dyn Fn(&[u8]) -> bool) -> bool {
    let mut plain = true;
    in_request_uri(uri, allows, |_, _| plain = false);
    plain
}

/// Calls `look` for each parameter of a header value, or of a URI: where it begins and ends, its name (in lower case and
/// decoded; `None` when it is too long), and whether it stands in the user part of a URI. Escapes count as what they stand
/// for: some decode a URI before they take it apart.
fn each_parameter(value: &[u8], bare: bool, mut look: impl FnMut(usize, usize, Option<&[u8]>, bool)) {
    let (mut i, mut bracket, mut behind_user) = (0, bare, false);
    let mut ahead = Ahead::new(value);
    while let Some((b, length)) = decoded(value, i) {
        match b {
            b'"' if !bracket && length == 1 && opens_quotes(value, i) => {
                i = ahead.end_of_quotes(i).unwrap_or(i + 1);
                continue;
            }
            b'<' if length == 1 => (bracket, behind_user) = (true, false),
            b'>' if length == 1 => bracket = bare,
            b',' if !bracket => behind_user = false,
            b'@' if length == 1 => behind_user = true,
            b';' => {
                let (name, end) = parameter(&mut ahead, i + length, bracket);
                look(i, end, name.as_deref(), !behind_user && ahead.is_in_user(end, bracket));
                i = end;
                continue;
            }
            _ => {}
        }
        i += length;
    }
}

/// What stands further on in a value. What was looked at is remembered, so that all questions together cost one look at each
/// byte.
struct Ahead<'a> {
    value: &'a [u8],
    /// The next byte that shows whether a user part is before it: it ends what is inside or outside of brackets as well, so that
    /// it stays the same as long as it is ahead.
    next: usize,
    /// No quotes that open here or behind are closed.
    open: usize,
}

impl<'a> Ahead<'a> {
    fn new(value: &'a [u8]) -> Ahead<'a> {
        Ahead { value, next: 0, open: usize::MAX }
    }

    /// Does an `@` follow within the URI?
    fn is_in_user(&mut self, from: usize, bracket: bool) -> bool {
        if self.next < from {
            let rest = self.value.get(from..).unwrap_or_default();
            let next = rest.iter().position(|b| match b {
                b'@' | b'>' | b'<' => true,
                b',' | b'"' => !bracket,
                _ => false,
            });
            self.next = from + next.unwrap_or(rest.len());
        }
        self.value.get(self.next) == Some(&b'@')
    }

    /// The place behind the quotes that open here; `None` when nothing closes them.
    fn end_of_quotes(&mut self, open: usize) -> Option<usize> {
        if open >= self.open {
            return None;
        }
        let mut i = open + 1;
        while let Some(&b) = self.value.get(i) {
            match b {
                b'"' => return Some(i + 1),
                b'\\' => i += 2,
                _ => i += 1,
            }
        }
        self.open = open;
        None
    }
}

/// The byte that stands here, an escape decoded, and how long it is.
fn decoded(value: &[u8], i: usize) -> Option<(u8, usize)> {
    let b = *value.get(i)?;
    let digit = |at: usize| char::from(*value.get(at)?).to_digit(16);
    match (b == b'%').then(|| Some(digit(i + 1)? << 4 | digit(i + 2)?)).flatten() {
        Some(byte) => Some((byte as u8, 3)),
        None => Some((b, 1)),
    }
}

/// The name of the parameter behind this semicolon, and where it ends.
fn parameter(ahead: &mut Ahead<'_>, start: usize, bracket: bool) -> (Option<Name>, usize) {
    let (mut i, mut name, mut fits) = (start, Name::new(), true);
    while let Some((b, length)) = decoded(ahead.value, i) {
        match b {
            // A name may have blanks before it.
            b if b.is_ascii_whitespace() && name.is_empty() => {}
            b if b.is_ascii_whitespace() => break,
            b'=' | b';' | b'<' | b'>' | b'@' | b',' | b'?' | b'&' | b'"' => break,
            b => fits &= name.try_push(b.to_ascii_lowercase()).is_ok(),
        }
        i += length;
    }
    (fits.then_some(name), end_of_parameter(ahead, i, bracket))
}

/// Where a parameter ends whose name ends here. A URI has no quotes (RFC 3261 §25.1): they hide nothing inside brackets.
fn end_of_parameter(ahead: &mut Ahead<'_>, mut i: usize, bracket: bool) -> usize {
    let mut before = 0;
    while let Some((b, length)) = decoded(ahead.value, i) {
        match b {
            b';' | b'<' | b'>' => break,
            b'@' | b'?' if length == 1 => break,
            b',' if !bracket => break,
            b'"' if !bracket && length == 1 && before == b'=' => i = ahead.end_of_quotes(i).unwrap_or(i + 1),
            _ => i += length,
        }
        if !b.is_ascii_whitespace() {
            before = b;
        }
    }
    i
}

/// Does a quoted string begin here, and not in the midst of something?
fn opens_quotes(value: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| value.get(at));
    before.is_none_or(|b| matches!(b, b',' | b'=' | b';') || b.is_ascii_whitespace())
}

/// Appends the parameters of the called number that the trunk allows: those of its user part, or of a tel URI.
pub(crate) fn put_in_user(uri: &Uri<'_>, allowed: &[String], out: &mut Vec<u8>) {
    if allowed.is_empty() {
        return;
    }
    let params = match uri.scheme {
        Scheme::Tel => uri.params,
        Scheme::Sip | Scheme::Sips | Scheme::Other => {
            let user = uri.user.unwrap_or_default();
            let start = user.iter().position(|&b| b == b';').unwrap_or(user.len());
            user.get(start..).unwrap_or_default()
        }
    };
    put_allowed(params, allowed, out);
}

/// Appends the parameters of a SIP Request-URI that may go on: `user=phone`, and what the trunk allows.
pub(crate) fn put_beside_host(uri: &Uri<'_>, allowed: &[String], out: &mut Vec<u8>) {
    if uri.scheme == Scheme::Tel || uri.params.is_empty() {
        return;
    }
    if uri.param("user").flatten().is_some_and(|kind| kind.eq_ignore_ascii_case(b"phone")) {
        out.extend_from_slice(b";user=phone");
    }
    put_allowed(uri.params, allowed, out);
}

fn put_allowed(params: &[u8], allowed: &[String], out: &mut Vec<u8>) {
    for param in Params::new(params).flatten() {
        if !param.is("user") && allowed.iter().any(|name| param.is(name)) {
            out.push(b';');
            out.extend_from_slice(param.name);
            if let Some(value) = param.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_that_its_number_is_verified() {
        for (value, want) in [
            ("<sip:+1555;verstat=TN-Validation-Passed@h;user=phone>;tag=1", "<sip:+1555@h;user=phone>;tag=1"),
            ("<sip:+1555@h;VerStat=TN-Validation-Passed>;tag=1", "<sip:+1555@h>;tag=1"),
            ("<tel:+1555;%76erstat=x>;tag=1;verstat=x", "<tel:+1555>;tag=1"),
            ("<sip:+1555%3Bverstat=x@h>;tag=1", "<sip:+1555@h>;tag=1"),
            ("<sip:1001;x=1@h>;tag=verstat;y=verstat", "<sip:1001;x=1@h>;tag=verstat;y=verstat"),
        ] {
            let (mut kept, mut at) = (Vec::new(), 0);
            each_verified(value.as_bytes(), |from, to| {
                kept.extend_from_slice(&value.as_bytes()[at..from]);
                at = to;
            });
            kept.extend_from_slice(&value.as_bytes()[at..]);
            assert_eq!(String::from_utf8(kept).unwrap(), want);
        }
    }

    /// The value without parameters that are unwanted.
    fn stripped(value: &str) -> String {
        let mut kept = Vec::new();
        let mut at = 0;
        each_unwanted(value.as_bytes(), &|_| false, |from, to| {
            kept.extend_from_slice(&value.as_bytes()[at..from]);
            at = to;
        });
        kept.extend_from_slice(&value.as_bytes()[at..]);
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn wherever_they_stand() {
        for (value, want) in [
            ("<sip:+1900;npdi;rn=+15550001111@h;user=phone>;tag=1", "<sip:+1900@h;user=phone>;tag=1"),
            ("<sip:+1900%3Bnpdi@h>;tag=1", "<sip:+1900@h>;tag=1"),
            ("<sip:+1900@h;NPDI;user=phone;tgrp=x;trunk-context=y>", "<sip:+1900@h;user=phone>"),
            ("<tel:1900;phone-context=+1;rn=+1555>;tag=1", "<tel:1900>;tag=1"),
            ("sip:+1900@h;oli=62;tag=a", "sip:+1900@h;tag=a"),
            (
                r#""a;rn=1 <sip:x;y@z>" <sip:a@h; cic = "q;r" ;x=1>"#,
                r#""a;rn=1 <sip:x;y@z>" <sip:a@h;r" ;x=1>"#,
            ),
            ("<sip:a@h>;tag=1;isub=2, <sip:b;rn=3@h>", "<sip:a@h>;tag=1, <sip:b@h>"),
            ("<sip:a;custom=1@h;transport=tcp>", "<sip:a@h;transport=tcp>"),
            ("<sip:1001@h>;tag=rn", "<sip:1001@h>;tag=rn"),
            ("<sip:a@h;rnx=1>;epid=npdi", "<sip:a@h;rnx=1>;epid=npdi"),
            // Escapes stand for what they mean.
            ("<sip:+1900@h;npd%69;r%6E=+1555;x=1>", "<sip:+1900@h;x=1>"),
            ("<sip:+1900%3bnpd%69%3Drn@h>", "<sip:+1900@h>"),
            ("<sip:a@h%3Brn=1;x=2>", "<sip:a@h;x=2>"),
            ("<sip:a@h;%20rn=1>", "<sip:a@h>"),
            // What a transfer takes with it stays, but for what speaks to the network.
            (
                "<sip:b@h;transport=tcp?Replaces=1%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
                "<sip:b@h;transport=tcp?Replaces=1%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            ),
            (
                "<sip:b@h;transport=tcp?Replaces=1@h%3Bto-tag%3D1>",
                "<sip:b@h;transport=tcp?Replaces=1@h%3Bto-tag%3D1>",
            ),
            ("<sip:b@h?Diversion=%3Csip:c@h%3Brn%3D1%3E>", "<sip:b@h?Diversion=%3Csip:c@h%3E>"),
            // No quotes hide a parameter that others find.
            ("<sip:\"a@h;rn=1>", "<sip:\"a@h>"),
            ("<sip:\"a@h;rn=1>;x=\"y\"", "<sip:\"a@h>;x=\"y\""),
            ("x\"y <sip:a@h;rn=1>;z=\"", "x\"y <sip:a@h>;z=\""),
            ("\"<sip:a@h;rn=1>", "\"<sip:a@h>"),
            ("<sip:a@h;x=\";rn=1;y=\">", "<sip:a@h;x=\";y=\">"),
            ("<sip:a@h;x=%22;rn=1;y=%22>;z=\"", "<sip:a@h;x=%22;y=%22>;z=\""),
            ("<sip:a;b=\";c@h\";x=1;rn=1>", "<sip:a@h\";x=1>"),
            ("<sip:a@h>;x=\";rn=1\";y=1", "<sip:a@h>;x=\";rn=1\";y=1"),
            ("sip:a@h;x=%22;rn=1;y=%22, sip:b;c@h", "sip:a@h;x=%22;y=%22, sip:b@h"),
            ("<sip:+1;a,b;c?d@h;rn=1,2>", "<sip:+1?d@h>"),
            ("\"open", "\"open"),
            (";", ";"),
        ] {
            assert_eq!(stripped(value), want, "{value}");
        }
    }

    #[test]
    fn a_later_request_uri_keeps_its_user() {
        let plain = |uri: &str| is_plain_uri(uri.as_bytes(), &|name| name == b"oli");
        for uri in ["sip:+1;tgrp=x;npdi@h;transport=tcp;x=y", "sip:h", "sip:a@h;oli=1", "tel:+1555"] {
            assert!(plain(uri), "{uri}");
        }
        for uri in ["sip:h;rn=1", "sip:a@h;%4EPDI", "sip:a@h:5060;x=1;tgrp=1", "tel:+1555;rn=1"] {
            assert!(!plain(uri), "{uri}");
        }
    }

    #[test]
    fn values_without_a_uri() {
        for (value, holds) in [
            ("x;ext=1", false),
            ("SIP ;cause=200", false),
            ("a sip:b@h", true),
            ("TEL:+1", true),
            ("<urn:x>", true),
            (":", false),
        ] {
            assert_eq!(holds_uri(value.as_bytes()), holds, "{value}");
        }
    }
}
