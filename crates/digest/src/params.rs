//! The grammar both headers share: `name=value` pairs between commas, RFC 3261 §25.1 `auth-param`.

use std::borrow::Cow;

use crate::Error;

/// Which bytes end a token, blanks (1) and others (2). One load a byte where comparisons would take six.
const ENDS: [u8; 256] = {
    let mut table = [0; 256];
    let (blanks, others) = (b" \t\r\n", b"=,\"");
    let mut n = 0;
    while n < blanks.len() {
        table[blanks[n] as usize] = 1;
        n += 1;
    }
    n = 0;
    while n < others.len() {
        table[others[n] as usize] = 2;
        n += 1;
    }
    table
};

/// One `auth-param`. The value is what stands between the quotes, escapes untouched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// The token at the reader's position.
pub(crate) enum Item<'a> {
    Param(Param<'a>),
    /// A scheme name: another challenge begins.
    Scheme(&'a [u8]),
    End,
}

/// Reads a header value from left to right; never backwards, so in time linear in its length.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over the bytes for which `holds` is true.
    #[inline]
    fn skip(&mut self, holds: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|b| !holds(*b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// Skips blanks and line folds; true when there were any.
    #[inline]
    fn blanks(&mut self) -> bool {
        !self.skip(|b| ENDS[usize::from(b)] == 1).is_empty()
    }

    #[inline]
    fn token(&mut self) -> &'a [u8] {
        self.skip(|b| ENDS[usize::from(b)] == 0)
    }

    fn quoted(&mut self) -> Result<&'a [u8], Error> {
        self.at += 1;
        let from = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(stop) = memchr::memchr2(b'"', b'\\', rest) else { return Err(Error::Syntax(from)) };
            self.at += stop;
            if self.peek() == Some(b'"') {
                let value = self.bytes.get(from..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(value);
            }
            // A quoted-pair: whatever follows the backslash belongs to the text.
            self.at += 2;
        }
    }

    /// A parameter written the way nearly all are: `, name="value"` without escapes or odd blanks. `None`
    /// leaves everything to [`Reader::next`].
    ///
    /// Vector searches instead of loops: a loop of a few bytes costs most at its unpredictable end.
    pub fn quick(&mut self) -> Option<Param<'a>> {
        let mut rest = self.bytes.get(self.at..)?;
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (name, value) = rest.split_at_checked(memchr::memchr(b'=', rest)?)?;
        if name.is_empty() || name.len() > 9 || !is_token(name) {
            return None;
        }
        let (value, rest) = match value.get(1)? {
            b'"' => {
                let text = value.get(2..)?;
                let end = memchr::memchr2(b'"', b'\\', text)?;
                (text.get(..end)?, text.get(end..)?.strip_prefix(b"\"")?)
            }
            _ => {
                let text = value.get(1..)?;
                let (value, rest) =
                    text.split_at_checked(memchr::memchr(b',', text).unwrap_or(text.len()))?;
                (is_token(value).then_some(value)?, rest)
            }
        };
        if !matches!(rest.first(), None | Some(b',')) {
            return None;
        }
        self.at = self.bytes.len() - rest.len();
        Some(Param { name, value })
    }

    /// The next item. Empty list elements are skipped, as RFC 3261 §7.3.1 readers do.
    pub fn next(&mut self) -> Result<Item<'a>, Error> {
        self.skip(|b| ENDS[usize::from(b)] == 1 || b == b',');
        let start = self.at;
        if self.peek().is_none() {
            return Ok(Item::End);
        }
        let name = self.token();
        if name.is_empty() {
            return Err(Error::Syntax(start));
        }
        let blank = self.blanks();
        if self.peek() != Some(b'=') {
            return if blank || self.peek().is_none() {
                Ok(Item::Scheme(name))
            } else {
                Err(Error::Syntax(start))
            };
        }
        self.at += 1;
        self.blanks();
        let value = if self.peek() == Some(b'"') { self.quoted()? } else { self.token() };
        self.blanks();
        if !matches!(self.peek(), None | Some(b',')) {
            return Err(Error::Syntax(self.at));
        }
        Ok(Item::Param(Param { name, value }))
    }
}

fn is_token(text: &[u8]) -> bool {
    text.iter().fold(0, |seen, b| seen | ENDS[usize::from(*b)]) == 0
}

/// Resolves quoted pairs; borrows when there is none.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        text.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(text)
}

/// Reads an extended value, `UTF-8'language'percent-encoded` (RFC 8187 §3.2.1).
pub(crate) fn extended(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut parts = raw.splitn(3, |&b| b == b'\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case(b"UTF-8") {
        return None;
    }
    let mut bytes = text.iter();
    let mut decoded = Vec::with_capacity(text.len());
    let digit = |bytes: &mut std::slice::Iter<'_, u8>| char::from(*bytes.next()?).to_digit(16);
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (digit(&mut bytes)? << 4 | digit(&mut bytes)?) as u8,
            _ => byte,
        });
    }
    Some(Cow::Owned(decoded))
}

/// Appends a quoted string, escaping what must be.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        // A line break in a name from configuration must not become a header of its own.
        if byte == b'\r' || byte == b'\n' {
            continue;
        }
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Sets a parameter once.
pub(crate) fn once<'a>(
    slot: &mut Option<&'a [u8]>,
    value: &'a [u8],
    name: &'static str,
) -> Result<(), Error> {
    if slot.replace(value).is_some() { Err(Error::Repeated(name)) } else { Ok(()) }
}
