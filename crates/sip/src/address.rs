//! `name-addr` and `addr-spec`: From, To, Contact, Route, Record-Route and their like, RFC 3261 §20.10, §25.1.

use crate::class::find;
use crate::error::ParseError;
use crate::lex::{Params, is_space, is_token, quoted_len, trim, trim_end};
use crate::uri::Uri;

/// One address of a header: display name, URI, header parameters; all in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The display name as it stands, quotes included; empty when there is none.
    pub display: &'a [u8],
    /// The URI's text.
    pub uri: &'a [u8],
    /// The header's parameters with their leading `;`, or empty.
    pub params: &'a [u8],
}

impl<'a> Address<'a> {
    /// Reads one element of a list, `header` being the name for errors.
    ///
    /// Without angle brackets everything after `;` belongs to the header, and `,` and `?` may not stand in
    /// the URI (RFC 3261 §20).
    pub fn parse(element: &'a [u8], header: &'static str) -> Result<Address<'a>, ParseError> {
        let bad = ParseError::Header(header);
        let text = trim(element);
        let after_name = match text.first() {
            Some(b'"') => quoted_len(text).ok_or(bad)?,
            Some(_) => 0,
            None => return Err(bad),
        };
        let rest = text.get(after_name..).unwrap_or_default();
        // A `<` behind the `;` of an addr-spec belongs to a parameter.
        let first = rest.iter().position(|b| matches!(b, b'<' | b';'));
        let address = match first.map(|i| (i, rest.get(i))) {
            Some((open, Some(b'<'))) => {
                let display = trim(text.get(..after_name + open).unwrap_or_default());
                let between = rest.get(..open).unwrap_or_default();
                let plain = |b: u8| is_space(b) || is_token(b) || b >= 0x80;
                if after_name > 0 && !between.iter().all(|&b| is_space(b))
                    || !between.iter().all(|&b| plain(b))
                {
                    return Err(bad);
                }
                let inner = rest.get(open + 1..).unwrap_or_default();
                let close = find(b'>', inner).ok_or(bad)?;
                let params = trim(inner.get(close + 1..).unwrap_or_default());
                Address { display, uri: inner.get(..close).unwrap_or_default(), params }
            }
            _ if after_name > 0 => return Err(bad),
            _ => {
                let end = first.unwrap_or(rest.len());
                let uri = trim_end(rest.get(..end).unwrap_or_default());
                if uri.iter().any(|b| matches!(b, b',' | b'?')) {
                    return Err(bad);
                }
                Address { display: b"", uri, params: rest.get(end..).unwrap_or_default() }
            }
        };
        let first_and_last = (address.uri.first(), address.uri.last());
        if let (Some(&a), Some(&z)) = first_and_last {
            if is_space(a) || is_space(z) {
                return Err(bad);
            }
        } else {
            return Err(bad);
        }
        if Params::new(address.params).any(|p| p.is_err()) {
            return Err(bad);
        }
        Ok(address)
    }

    /// The URI, read.
    pub fn parsed_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The `tag` parameter, empty when there is none. One that is repeated or quoted is none: others may read another one
    /// of them, and a parameter may stand once (RFC 3261 §7.3.1), a tag unquoted (§25.1).
    pub fn tag(&self) -> &'a [u8] {
        if self.params.is_empty() {
            return b"";
        }
        let mut tags = Params::new(self.params).flatten().filter(|p| p.is("tag"));
        match (tags.next(), tags.next()) {
            (Some(tag), None) => tag.value.filter(|v| v.first() != Some(&b'"')).unwrap_or_default(),
            _ => b"",
        }
    }

    /// A header parameter: `None` not there, `Some(None)` a flag.
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::new(self.params).get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(s: &str) -> Result<Address<'_>, ParseError> {
        Address::parse(s.as_bytes(), "To")
    }

    #[test]
    fn with_and_without_brackets() {
        let a = read("\"A \\\" <b>\" <sip:a@h;x=1>;tag=7").unwrap();
        assert_eq!((a.display, a.uri, a.tag()), (&b"\"A \\\" <b>\""[..], &b"sip:a@h;x=1"[..], &b"7"[..]));
        let a = read("caller<sip:c@h>").unwrap();
        assert_eq!((a.display, a.uri), (&b"caller"[..], &b"sip:c@h"[..]));
        let a = read("sip:+1972@gw.test;unknown=1;tag=x").unwrap();
        assert_eq!(
            (a.uri, a.params, a.tag()),
            (&b"sip:+1972@gw.test"[..], &b";unknown=1;tag=x"[..], &b"x"[..])
        );
        assert_eq!(read("Two Words <tel:+1>  ; tag = y ").unwrap().tag(), b"y");
        for none in [
            "<sip:a@h>;tag=",
            "<sip:a@h>;tag",
            "<sip:a@h>;tag=\"\"",
            "<sip:a@h>;tag=\"x\"",
            "<sip:a@h>;tag=1;x;Tag=2",
        ] {
            assert_eq!(read(none).unwrap().tag(), b"", "{none}");
        }
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            "\"open <sip:a@h>",
            "< sip:a@h >",
            "sip:a@h?x=1",
            "a, b <sip:a@h>",
            "<sip:a@h",
            "<>",
            "<sip:a@h>x",
            "\"a\" b <sip:a@h>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
