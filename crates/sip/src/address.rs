//! `name-addr` and `addr-spec`: From, To, Contact, Route, Record-Route and their like, RFC 3261 §20.10, §25.1.

use crate::error::ParseError;
use crate::lex::{Params, is_space, is_token, quoted_len, trim, trim_end};
use crate::scan::{find, find_either};
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
        let address = Address::split(trim(element)).ok_or(ParseError::Header(header))?;
        if !address.params.is_empty() && Params::new(address.params).any(|p| p.is_err()) {
            return Err(ParseError::Header(header));
        }
        Ok(address)
    }

    /// As [`Address::parse`], with the tag ([`Address::tag`]), in one pass over the parameters.
    pub(crate) fn parse_with_tag(
        element: &'a [u8],
        header: &'static str,
    ) -> Result<(Address<'a>, &'a [u8]), ParseError> {
        let address = Address::split(trim(element)).ok_or(ParseError::Header(header))?;
        let tag = tag_among(Params::new(address.params)).map_err(|()| ParseError::Header(header))?;
        Ok((address, tag))
    }

    /// The parts of an address; its parameters have not been read yet.
    fn split(text: &'a [u8]) -> Option<Address<'a>> {
        let after_name = match text {
            [b'<', inner @ ..] => return Address::bracketed(b"", inner),
            [b'"', ..] => quoted_len(text)?,
            _ => 0,
        };
        let rest = text.get(after_name..)?;
        // A `<` behind the `;` of an addr-spec belongs to a parameter.
        let first = find_either(b'<', b';', rest);
        match first.map(|i| (i, rest.get(i))) {
            Some((open, Some(b'<'))) => {
                let display = trim(text.get(..after_name + open)?);
                let between = rest.get(..open)?;
                let plain = |b: u8| is_space(b) || is_token(b) || b >= 0x80;
                if after_name > 0 && !between.iter().all(|&b| is_space(b))
                    || !between.iter().all(|&b| plain(b))
                {
                    return None;
                }
                Address::bracketed(display, rest.get(open + 1..)?)
            }
            _ if after_name > 0 => None,
            _ => {
                let (uri, params) = rest.split_at_checked(first.unwrap_or(rest.len()))?;
                let uri = trim_end(uri);
                if find_either(b',', b'?', uri).is_some() {
                    return None;
                }
                Address { display: b"", uri, params }.whole()
            }
        }
    }

    /// An address with brackets, from behind the first of them.
    #[inline]
    fn bracketed(display: &'a [u8], inner: &'a [u8]) -> Option<Address<'a>> {
        let (uri, after) = inner.split_at_checked(find(b'>', inner)?)?;
        Address { display, uri, params: trim(after.get(1..)?) }.whole()
    }

    /// The same, unless its URI is empty or white space stands around it.
    #[inline]
    fn whole(self) -> Option<Address<'a>> {
        let (&first, &last) = (self.uri.first()?, self.uri.last()?);
        (!is_space(first) && !is_space(last)).then_some(self)
    }

    /// The URI, read.
    pub fn parsed_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The `tag` parameter, empty when there is none. One that is repeated or quoted is none: others may read another one
    /// of them, and a parameter may stand once (RFC 3261 §7.3.1), a tag unquoted (§25.1).
    pub fn tag(&self) -> &'a [u8] {
        tag_among(Params::new(self.params)).unwrap_or_default()
    }

    /// A header parameter: `None` not there, `Some(None)` a flag.
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::new(self.params).get(name)
    }
}

/// The one `tag` among parameters; empty when there is none, or more.
fn tag_among<'a>(params: Params<'a>) -> Result<&'a [u8], ()> {
    let (mut tag, mut tags): (&[u8], _) = (b"", 0);
    for param in params {
        let param = param?;
        if param.is("tag") {
            tags += 1;
            tag = param.value.filter(|value| value.first() != Some(&b'"')).unwrap_or_default();
        }
    }
    Ok(if tags == 1 { tag } else { b"" })
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
