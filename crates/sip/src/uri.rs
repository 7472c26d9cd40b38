//! SIP, SIPS and tel URIs, RFC 3261 §19.1 and RFC 3966, read in place.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::class::{HOST, IN_USER, NOT_URI, leading, same_name, until};
use crate::error::ParseError;
use crate::flow::Transport;
use crate::lex::{Params, leading_number};
use crate::scan::{find, until_at};

/// A URI's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`, RFC 3966
    Tel,
    /// Any other: routed nowhere (416), carried everywhere else.
    Other,
}

/// A URI in place: every part borrows from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, escapes undecoded; for `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// The password of `user:password@`.
    pub password: Option<&'a [u8]>,
    /// The host; an IPv6 reference keeps its brackets. Empty for `tel:` and unknown schemes.
    pub host: &'a [u8],
    /// The port, where one stands.
    pub port: Option<u16>,
    /// The parameters with their leading `;`, or empty.
    pub params: &'a [u8],
    /// What follows `?`, or empty.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI that fills `text` wholly.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        if let Some(rest) = text.strip_prefix(b"sip:") {
            return Uri::parse_sip(Scheme::Sip, rest);
        }
        let colon = find(b':', text).ok_or(ParseError::Uri)?;
        let (scheme, rest) =
            (text.get(..colon).unwrap_or_default(), text.get(colon + 1..).unwrap_or_default());
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic)
            || !scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            || until(rest, NOT_URI) < rest.len()
        {
            return Err(ParseError::Uri);
        }
        let scheme = match scheme.len() {
            3 if same_name(scheme, b"sip") => Scheme::Sip,
            4 if same_name(scheme, b"sips") => Scheme::Sips,
            3 if same_name(scheme, b"tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => Uri::parse_sip(scheme, rest),
            Scheme::Tel => {
                let end = find(b';', rest).unwrap_or(rest.len());
                let (user, params) = rest.split_at(end);
                if user.is_empty() {
                    return Err(ParseError::Uri);
                }
                Ok(Uri {
                    scheme,
                    user: Some(user),
                    password: None,
                    host: b"",
                    port: None,
                    params,
                    headers: b"",
                })
            }
            Scheme::Other => Ok(Uri {
                scheme,
                user: None,
                password: None,
                host: b"",
                port: None,
                params: b"",
                headers: b"",
            }),
        }
    }

    fn parse_sip(scheme: Scheme, rest: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        // `@` may stand in no later part, so the first one ends the user part, whatever that holds.
        let end = until_at(rest);
        let (info, rest) = match rest.split_at_checked(end) {
            Some((info, [b'@', rest @ ..])) if until_at(rest) == rest.len() => (Some(info), rest),
            Some((_, [])) => (None, rest),
            _ => return Err(ParseError::Uri),
        };
        let (user, password) = match info {
            Some([]) => return Err(ParseError::Uri),
            Some(info) if until(info, IN_USER) < info.len() => {
                if !escapes_are_whole(info) {
                    return Err(ParseError::Uri);
                }
                match find(b':', info) {
                    Some(c) => (info.get(..c), info.get(c + 1..)),
                    None => (Some(info), None),
                }
            }
            info => (info, None),
        };
        let (host, tail) = split_host(rest).ok_or(ParseError::Uri)?;
        let (port, tail) = match tail.first() {
            Some(b':') => {
                let digits = tail.get(1..).unwrap_or_default();
                let (port, tail) = leading_number(digits, 65535).ok_or(ParseError::Uri)?;
                (Some(port as u16), tail)
            }
            _ => (None, tail),
        };
        let (params, headers) = tail.split_at(find(b'?', tail).unwrap_or(tail.len()));
        if !params.is_empty() && params.first() != Some(&b';') {
            return Err(ParseError::Uri);
        }
        Ok(Uri { scheme, user, password, host, port, params, headers: headers.get(1..).unwrap_or_default() })
    }

    /// The value of a URI parameter: `None` not there, `Some(None)` a flag.
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        if self.params.is_empty() { None } else { Params::new(self.params).get(name) }
    }

    /// `;lr`: the hop is a loose router (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The transport the URI asks for: its parameter, TLS for `sips:`, else UDP (RFC 3263 §4.1 without NAPTR).
    /// `None` for a transport we do not speak.
    pub fn transport(&self) -> Option<Transport> {
        let wanted = match self.param("transport") {
            Some(Some(name)) => Transport::from_bytes(name)?,
            _ => Transport::Udp,
        };
        Some(match (self.scheme, wanted) {
            (Scheme::Sips, Transport::Udp | Transport::Tcp) => Transport::Tls,
            (Scheme::Sips, Transport::Ws) => Transport::Wss,
            (Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other, t) => t,
        })
    }

    /// The host as an address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        parse_ip(self.host)
    }

    /// The user part with its escapes decoded once (RFC 3261 §19.1.2); borrowed when there are none.
    pub fn user_decoded(&self) -> Option<Cow<'a, [u8]>> {
        self.user.map(decode_escapes)
    }
}

/// A host that is an IPv4 address or an IPv6 reference in brackets; without brackets IPv6 is accepted too. Given in its
/// canonical form ([`canonical_ip`]).
pub fn parse_ip(host: &[u8]) -> Option<IpAddr> {
    let v6 = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let ip = match host.first()? {
        b'[' => {
            let inner = host.get(1..host.len().checked_sub(1)?)?;
            (host.last() == Some(&b']')).then_some(())?;
            v6(inner)
        }
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b':' => match parse_ipv4(host) {
            Some(ip) => return Some(IpAddr::V4(ip)),
            None => find(b':', host).and_then(|_| v6(host)),
        },
        _ => None,
    };
    ip.map(canonical_ip)
}

/// The one form of an address that can be written in several: IPv4 inside IPv6 is IPv4, whether mapped, compatible
/// (RFC 4291 §2.5.5) or translated (RFC 2765 §2.1).
pub fn canonical_ip(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        | [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if a != 0 => Ipv4Addr::new(a, b, c, d).into(),
        _ => ip,
    }
}

/// An IPv4 address as nearly all are written, without zeros in front of an octet's other digits.
fn plain_ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    let digit = |b: &u8| b.wrapping_sub(b'0');
    let (mut rest, mut address) = (host, 0u32);
    for place in 0..4 {
        let (octet, after) = match rest {
            [a, b, c, after @ ..] if digit(b) < 10 && digit(c) < 10 => {
                (u32::from(digit(a)) * 100 + u32::from(digit(b)) * 10 + u32::from(digit(c)), after)
            }
            [a, b, after @ ..] if digit(b) < 10 => (u32::from(digit(a)) * 10 + u32::from(digit(b)), after),
            [a, after @ ..] => (u32::from(digit(a)), after),
            [] => return None,
        };
        if octet > 255 || !rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        address = address << 8 | octet;
        rest = match after {
            [b'.', after @ ..] if place < 3 => after,
            [] if place == 3 => after,
            _ => return None,
        };
    }
    Some(Ipv4Addr::from_bits(address))
}

fn parse_ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    if let Some(plain) = plain_ipv4(host) {
        return Some(plain);
    }
    // The octets before the one at hand, that one, and how many digits it has.
    let (mut before, mut value, mut digits, mut dots) = (0u32, 0u32, 0, 0);
    for &b in host {
        let digit = u32::from(b.wrapping_sub(b'0'));
        if digit < 10 {
            value = value * 10 + digit;
            digits += 1;
            if value > 255 {
                return None;
            }
        } else {
            if b != b'.' || digits == 0 || dots == 3 {
                return None;
            }
            before = before << 8 | value;
            dots += 1;
            (value, digits) = (0, 0);
        }
    }
    (digits > 0 && dots == 3).then(|| Ipv4Addr::from_bits(before << 8 | value))
}

/// Splits `host` off `host[:port][;params]…`; `None` when there is no valid host.
pub(crate) fn split_host(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = if text.first() == Some(&b'[') { find(b']', text)? + 1 } else { leading(text, HOST) };
    let (host, tail) = text.split_at_checked(end)?;
    if host.is_empty() || host.first() == Some(&b'[') && parse_ip(host).is_none() {
        return None;
    }
    Some((host, tail))
}

/// Is every `%` followed by two hexadecimal digits?
fn escapes_are_whole(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(i) = find(b'%', rest) {
        match rest.get(i + 1..i + 3) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => {
                rest = rest.get(i + 3..).unwrap_or_default()
            }
            _ => return false,
        }
    }
    true
}

/// A part of a URI with its escapes decoded (RFC 3261 §19.1.2); what is no escape stays.
pub fn decode_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if find(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let hex = |b: u8| (b as char).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        let pair = (text.get(i + 1).copied().and_then(hex), text.get(i + 2).copied().and_then(hex));
        if let (b'%', (Some(high), Some(low))) = (b, pair) {
            out.push((high * 16 + low) as u8);
            i += 3;
        } else {
            out.push(b);
            i += 1;
        }
    }
    Cow::Owned(out)
}

/// Are two SIP URIs equal by RFC 3261 §19.1.4? Both as they stand in a Contact.
pub fn uris_equal(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let (Ok(x), Ok(y)) = (Uri::parse(a), Uri::parse(b)) else { return false };
    if x.scheme != y.scheme || x.scheme == Scheme::Other {
        return false;
    }
    let decoded = |t: Option<&[u8]>| t.map(|t| decode_escapes(t).into_owned());
    if decoded(x.user) != decoded(y.user)
        || decoded(x.password) != decoded(y.password)
        || !x.host.eq_ignore_ascii_case(y.host)
        || x.port != y.port
        || !x.headers.eq_ignore_ascii_case(y.headers)
    {
        return false;
    }
    // A parameter in one only is ignored, but for these four; one in both must match.
    const STRICT: [&str; 4] = ["user", "ttl", "method", "maddr"];
    let one_way = |from: &Uri<'_>, to: &Uri<'_>| {
        Params::new(from.params).flatten().all(|p| {
            let name = std::str::from_utf8(p.name).unwrap_or_default();
            match to.param(name) {
                Some(value) => value.unwrap_or_default().eq_ignore_ascii_case(p.value.unwrap_or_default()),
                None => !STRICT.iter().any(|s| p.is(s)) && !p.is("transport"),
            }
        })
    };
    one_way(&x, &y) && one_way(&y, &x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_place() {
        let u = Uri::parse(b"sips:alice:pw@Example.COM:5061;transport=tcp;lr?subject=x").unwrap();
        assert_eq!(u.scheme, Scheme::Sips);
        assert_eq!((u.user, u.password), (Some(&b"alice"[..]), Some(&b"pw"[..])));
        assert_eq!((u.host, u.port), (&b"Example.COM"[..], Some(5061)));
        assert!(u.is_loose());
        assert_eq!(u.transport(), Some(Transport::Tls));
        assert_eq!(u.headers, b"subject=x");
    }

    #[test]
    fn users_may_hold_anything_but_an_at() {
        let u = Uri::parse(b"sip:user;par=u%40example.net@example.com").unwrap();
        assert_eq!((u.user.unwrap(), u.host), (&b"user;par=u%40example.net"[..], &b"example.com"[..]));
        let odd = b"sip:1_odd.URI~(to!be)&isn't+it$/very?,/;;*:&pass=1!*x@example.com";
        assert_eq!(Uri::parse(odd).unwrap().host, b"example.com");
        let nul = Uri::parse(b"sip:null-%00-null@h").unwrap();
        assert_eq!(&*nul.user_decoded().unwrap(), b"null-\0-null");
    }

    #[test]
    fn ipv6_references_and_tel() {
        let u = Uri::parse(b"sip:a@[2001:db8::9]:5070").unwrap();
        assert_eq!((u.host, u.port), (&b"[2001:db8::9]"[..], Some(5070)));
        assert_eq!(u.ip(), Some("2001:db8::9".parse().unwrap()));
        let t = Uri::parse(b"tel:+1-201-555-0123;phone-context=x").unwrap();
        assert_eq!((t.scheme, t.user.unwrap()), (Scheme::Tel, &b"+1-201-555-0123"[..]));
    }

    #[test]
    fn one_address_has_one_form() {
        for (text, form) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
            ("[::FFFF:c000:201]", Some("192.0.2.1")),
            ("[0:0:0:0:0:ffff:192.0.2.1]", Some("192.0.2.1")),
            ("::ffff:127.0.0.1", Some("127.0.0.1")),
            ("[::192.0.2.1]", Some("192.0.2.1")),
            ("[::ffff:0:192.0.2.1]", Some("192.0.2.1")),
            ("[::]", Some("::")),
            ("[::1]", Some("::1")),
            ("[0:0:0:0:0:0:0:1]", Some("::1")),
            ("[2001:DB8::9]", Some("2001:db8::9")),
            ("010.0.0.1", Some("10.0.0.1")),
            ("127.1", None),
            ("1.2.3.4.5", None),
            ("1..2.3", None),
            (".1.2.3", None),
            ("1.2.3.", None),
            ("1.2.3.4a", None),
            ("0000000192.0.2.001", Some("192.0.2.1")),
            ("65536.0.2.1", None),
            ("0x7f.0.0.1", None),
            ("2130706433", None),
            ("127.0.0.1.", None),
            ("127.0.0.256", None),
            ("[fe80::1%eth0]", None),
            ("[fe80::1%25eth0]", None),
            ("[127.0.0.1]", None),
        ] {
            assert_eq!(parse_ip(text.as_bytes()), form.map(|f| f.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_uri() {
        for bad in [
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a b@h",
            "alice",
            "sip:a@h:99999",
            "sip:a@h:x",
            "sip:a@[::1",
            "<sip:a@h>",
            "sip:a%4@h",
            ":x",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn equality_of_the_rfc() {
        // The examples of RFC 3261 §19.1.4, with other names.
        for (a, b, equal) in [
            ("sip:%61lice@home.test;transport=TCP", "sip:alice@HOME.test;Transport=tcp", true),
            ("sip:carol@oslo.test", "sip:carol@oslo.test;newparam=5", true),
            ("sip:carol@oslo.test;security=on", "sip:carol@oslo.test;newparam=5", true),
            ("SIP:ALICE@home.test", "sip:alice@home.test", false),
            ("sip:bob@bern.test", "sip:bob@bern.test:5060", false),
            ("sip:bob@bern.test", "sip:bob@bern.test;transport=udp", false),
            ("sip:carol@oslo.test;security=on", "sip:carol@oslo.test;security=off", false),
            ("sip:bob@bern.test;user=phone", "sip:bob@bern.test", false),
        ] {
            assert_eq!(uris_equal(a.as_bytes(), b.as_bytes()), equal, "{a} {b}");
            assert_eq!(uris_equal(b.as_bytes(), a.as_bytes()), equal, "{b} {a}");
        }
    }
}
