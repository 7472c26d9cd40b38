//! What a caller may tell a carrier in the parameters of its URIs.
//!
//! Number portability (RFC 4694), trunk groups (RFC 4904) and their kin choose the route or the price of a call, past
//! the rule that judged the number. So towards a carrier a Request-URI keeps no parameter but `user=phone`, and the
//! URIs in other headers lose these, unless the trunk allows them by name.

use trunkline_sip::{HeaderName, Message, Params, Scheme, Span, Uri};

use crate::plan::Plan;

/// Parameters that stand beside the host or behind the URI, and speak to a telephone network all the same.
const TELEPHONY: [&[u8]; 23] = [
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
];

/// Is this a header whose URIs a carrier may route or charge by? Those of the dialog (Contact, Route) are left alone:
/// they are for who sends there next.
fn speaks_to_carriers(name: HeaderName, line: &[u8]) -> bool {
    match name {
        HeaderName::From
        | HeaderName::To
        | HeaderName::Diversion
        | HeaderName::HistoryInfo
        | HeaderName::ReferredBy
        | HeaderName::PAssertedIdentity
        | HeaderName::RemotePartyId => true,
        HeaderName::Other => OTHERS.iter().any(|other| is_named(line, other)),
        _ => false,
    }
}

const OTHERS: [&[u8]; 3] = [b"P-Called-Party-ID", b"P-Charge-Info", b"P-Served-User"];

/// Has the header line this name?
pub(crate) fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

fn is_allowed(name: &[u8], allowed: &[&[String]]) -> bool {
    !allowed.is_empty()
        && allowed.iter().all(|list| list.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name)))
}

/// Removes them from the headers of a call to carriers; what all the trunks allow that it may take stays.
pub(crate) fn strip_headers(plan: &mut Plan, message: &Message<'_>, allowed: &[&[String]]) {
    for header in message.index.headers() {
        if !speaks_to_carriers(header.name, header.line.of(message.bytes)) {
            continue;
        }
        let value = header.value.of(message.bytes);
        let start = header.value.start;
        each_parameter(value, |from, to, name, in_user| {
            let unwanted = in_user || TELEPHONY.iter().any(|t| t.eq_ignore_ascii_case(name));
            if unwanted && !is_allowed(name, allowed) {
                plan.delete(Span { start: start + from as u16, end: start + to as u16 });
            }
        });
    }
}

/// Calls `look` for each parameter of a header value: where it begins and ends, its name, and whether it stands in the
/// user part of a URI. An escaped semicolon counts as one: some decode a URI before they take it apart.
fn each_parameter(value: &[u8], mut look: impl FnMut(usize, usize, &[u8], bool)) {
    let mut i = 0;
    while let Some(&b) = value.get(i) {
        let semicolon = match b {
            b'"' => {
                i = end_of_quotes(value, i);
                continue;
            }
            b';' => 1,
            b'%' if value.get(i + 1..i + 3).is_some_and(|hex| hex.eq_ignore_ascii_case(b"3b")) => 3,
            _ => {
                i += 1;
                continue;
            }
        };
        let after = i + semicolon;
        let rest = value.get(after..).unwrap_or_default();
        let blank = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let name = rest.get(blank..).unwrap_or_default();
        let length = name.iter().take_while(|&&b| !ends_name(b)).count();
        let end = end_of_parameter(value, after + blank + length);
        look(i, end, name.get(..length).unwrap_or_default(), is_in_user(value, end));
        i = end;
    }
}

fn ends_name(b: u8) -> bool {
    matches!(b, b'=' | b';' | b'>' | b'@' | b',' | b'?' | b'%' | b'"') || b.is_ascii_whitespace()
}

/// Where a parameter ends whose name ends here.
fn end_of_parameter(value: &[u8], mut i: usize) -> usize {
    while let Some(&b) = value.get(i) {
        match b {
            b';' | b'>' | b'@' | b',' | b'?' => break,
            b'%' if value.get(i + 1..i + 3).is_some_and(|hex| hex.eq_ignore_ascii_case(b"3b")) => break,
            b'"' => i = end_of_quotes(value, i),
            _ => i += 1,
        }
    }
    i
}

/// The place behind the quotes that open here.
fn end_of_quotes(value: &[u8], open: usize) -> usize {
    let mut i = open + 1;
    while let Some(&b) = value.get(i) {
        match b {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    value.len()
}

/// Does an `@` follow within the URI?
fn is_in_user(value: &[u8], from: usize) -> bool {
    let rest = value.get(from..).unwrap_or_default();
    let next = rest.iter().find(|b| matches!(b, b'@' | b'>' | b',' | b'<' | b'"' | b'?'));
    next == Some(&b'@')
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

    /// The value without parameters that are unwanted, as `strip_headers` decides.
    fn stripped(value: &str) -> String {
        let mut kept = Vec::new();
        let mut at = 0;
        each_parameter(value.as_bytes(), |from, to, name, in_user| {
            if in_user || TELEPHONY.iter().any(|t| t.eq_ignore_ascii_case(name)) {
                kept.extend_from_slice(&value.as_bytes()[at..from]);
                at = to;
            }
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
            (r#""a;rn=1 <sip:x;y@z>" <sip:a@h; cic = "q;r" ;x=1>"#, r#""a;rn=1 <sip:x;y@z>" <sip:a@h;x=1>"#),
            ("<sip:a@h>;tag=1;isub=2, <sip:b;rn=3@h>", "<sip:a@h>;tag=1, <sip:b@h>"),
            ("<sip:a;custom=1@h;transport=tcp>", "<sip:a@h;transport=tcp>"),
            ("<sip:1001@h>;tag=rn", "<sip:1001@h>;tag=rn"),
            ("<sip:a@h;rnx=1>;epid=npdi", "<sip:a@h;rnx=1>;epid=npdi"),
            ("\"open", "\"open"),
            (";", ";"),
        ] {
            assert_eq!(stripped(value), want, "{value}");
        }
    }
}
