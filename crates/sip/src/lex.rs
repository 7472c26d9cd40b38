//! The lexical ground of RFC 3261 §25: white space, tokens, quoted strings, lists, parameters.

use crate::class::{self, PARAM_NAME, TOKEN, leading};
use crate::scan::{find, find_either, until_param_stop};

/// White space inside a header value; folding leaves CR and LF there (RFC 3261 §7.3.1).
#[inline]
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// `token` characters, RFC 3261 §25.1.
pub(crate) fn is_token(b: u8) -> bool {
    class::is(b, TOKEN)
}

/// Without white space at both ends.
#[inline]
pub(crate) fn trim(mut s: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = s {
        if !is_space(*first) {
            break;
        }
        s = rest;
    }
    trim_end(s)
}

/// Without white space at the end.
#[inline]
pub(crate) fn trim_end(mut s: &[u8]) -> &[u8] {
    while let [rest @ .., last] = s {
        if !is_space(*last) {
            break;
        }
        s = rest;
    }
    s
}

/// A decimal number without sign, at most `max`; never wraps.
pub(crate) fn number(s: &[u8], max: u64) -> Option<u64> {
    if s.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for &b in s {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    (n <= max).then_some(n)
}

/// The decimal number that `s` begins with, at most `max`, and what follows its digits.
#[inline]
pub(crate) fn leading_number(s: &[u8], max: u32) -> Option<(u32, &[u8])> {
    let mut n = 0u32;
    let mut rest = s;
    while let [b @ b'0'..=b'9', after @ ..] = rest {
        n = n.checked_mul(10)?.checked_add(u32::from(b - b'0'))?;
        rest = after;
    }
    (rest.len() < s.len() && n <= max).then_some((n, rest))
}

/// The length of the quoted string that `s` begins with, both quotes included; `None` when it does not end.
pub(crate) fn quoted_len(s: &[u8]) -> Option<usize> {
    let mut i = 1;
    loop {
        match s.get(i)? {
            b'\\' => i += 2,
            b'"' => return Some(i + 1),
            _ => i += 1,
        }
    }
}

/// The next place of one of `stops` outside quotes and angle brackets; `Err` when a quote or bracket does not
/// end.
pub(crate) fn find_outside(s: &[u8], stop: u8) -> Result<Option<usize>, ()> {
    // Most values hold no such byte at all, which one quick look shows.
    match find_either(stop, b'"', s) {
        Some(_) => walk_outside(s, stop),
        None => Ok(None),
    }
}

/// As [`find_outside`], and `Err` too for a bracket that does not end where there is no `stop`.
fn walk_outside(s: &[u8], stop: u8) -> Result<Option<usize>, ()> {
    let mut i = 0;
    while let Some(&b) = s.get(i) {
        if b == stop {
            return Ok(Some(i));
        }
        match b {
            b'"' => i += quoted_len(s.get(i..).unwrap_or_default()).ok_or(())?,
            b'<' => i += find(b'>', s.get(i..).unwrap_or_default()).ok_or(())? + 1,
            _ => i += 1,
        }
    }
    Ok(None)
}

/// The elements of a comma list, trimmed; commas inside quotes and brackets do not count.
///
/// An element that cannot be delimited ends the list with `Err`.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a [u8]>,
    /// It is known to hold neither a comma nor a quote.
    plain: bool,
}

impl<'a> List<'a> {
    /// The elements of `value`.
    pub fn new(value: &'a [u8]) -> Self {
        List { rest: Some(value), plain: false }
    }

    /// No elements.
    pub(crate) fn none() -> Self {
        List { rest: None, plain: true }
    }

    /// The elements of a header's value; `plain`: of one that holds neither a comma nor a quote.
    pub(crate) fn of_header(value: &'a [u8], plain: bool) -> Self {
        List { rest: Some(value), plain }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Result<&'a [u8], ()>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        if self.plain {
            self.rest = None;
            return Some(Ok(trim(rest)));
        }
        self.divide(rest)
    }
}

impl<'a> List<'a> {
    fn divide(&mut self, rest: &'a [u8]) -> Option<Result<&'a [u8], ()>> {
        match find_outside(rest, b',') {
            Ok(Some(comma)) => {
                let (element, tail) = rest.split_at_checked(comma)?;
                self.rest = tail.get(1..);
                Some(Ok(trim(element)))
            }
            Ok(None) => {
                self.rest = None;
                Some(Ok(trim(rest)))
            }
            Err(()) => {
                self.rest = None;
                Some(Err(()))
            }
        }
    }
}

/// One `;name=value` parameter; the value keeps its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name, in the case it came in.
    pub name: &'a [u8],
    /// The value, `None` for a flag.
    pub value: Option<&'a [u8]>,
}

impl Param<'_> {
    /// Is it this name? Parameter names do not distinguish case (RFC 3261 §7.3.1).
    pub fn is(&self, name: &str) -> bool {
        class::same_name(self.name, name.as_bytes())
    }
}

/// The parameters of `;a=b;c`, in order. `Err` where one has no name or a quote does not end.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// `text` is empty or begins with `;` (white space before it is skipped).
    pub fn new(text: &'a [u8]) -> Self {
        Params { rest: text }
    }

    /// The value of the first parameter with this name: `None` not there, `Some(None)` a flag.
    pub fn get(self, name: &str) -> Option<Option<&'a [u8]>> {
        self.flatten().find(|p| p.is(name)).map(|p| p.value)
    }

    /// The next parameter, when it is as nearly all are: without white space and quotes, up to `;` or the end.
    #[inline]
    fn plain(&mut self) -> Option<Param<'a>> {
        let rest = self.rest.strip_prefix(b";")?;
        let (name, rest) = rest.split_at_checked(leading(rest, PARAM_NAME)).filter(|(n, _)| !n.is_empty())?;
        let (value, rest) = match rest.strip_prefix(b"=") {
            Some(rest) => rest.split_at_checked(until_param_stop(rest)).map(|(v, rest)| (Some(v), rest))?,
            None => (None, rest),
        };
        if !matches!(rest.first(), None | Some(b';')) {
            return None;
        }
        self.rest = rest;
        Some(Param { name, value })
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, ()>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { self.step() }
    }
}

impl<'a> Params<'a> {
    fn step(&mut self) -> Option<Result<Param<'a>, ()>> {
        if let Some(plain) = self.plain() {
            return Some(Ok(plain));
        }
        let rest = trim(self.rest);
        let (&semicolon, rest) = rest.split_first()?;
        self.rest = &[];
        if semicolon != b';' {
            return Some(Err(()));
        }
        let end = match walk_outside(rest, b';') {
            Ok(end) => end.unwrap_or(rest.len()),
            Err(()) => return Some(Err(())),
        };
        let (one, tail) = rest.split_at_checked(end)?;
        self.rest = tail;
        let (name, value) = match find(b'=', one) {
            Some(eq) => (trim(one.get(..eq)?), Some(trim(one.get(eq + 1..)?))),
            None => (trim(one), None),
        };
        if name.is_empty() || leading(name, PARAM_NAME) < name.len() {
            return Some(Err(()));
        }
        Some(Ok(Param { name, value }))
    }
}

/// A value without its quotes (escapes stay as they are).
pub fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let parts: Vec<_> = List::new(br#" "a, b" <sip:x,y@h> , <sip:c> ;q=1"#).map(Result::unwrap).collect();
        assert_eq!(parts, [&br#""a, b" <sip:x,y@h>"#[..], b"<sip:c> ;q=1"]);
        assert!(List::new(br#""a, b"#).any(|e| e.is_err()));
    }

    #[test]
    fn parameters_with_spaces_quotes_and_flags() {
        let p: Vec<_> = Params::new(b" ; a = \"x;y\" ;lr;b=2").map(Result::unwrap).collect();
        assert_eq!(p[0], Param { name: b"a", value: Some(b"\"x;y\"") });
        assert_eq!(p[1], Param { name: b"lr", value: None });
        assert_eq!(p[2], Param { name: b"b", value: Some(b"2") });
        // A bracket that does not end is an error whether or not something follows it.
        for bad in [&b";;a"[..], b";a=x<y", b";a=x<y;b=1", b";a=\"x", b";a=\"x;b=1"] {
            assert!(Params::new(bad).any(|p| p.is_err()));
        }
    }

    #[test]
    fn numbers_never_wrap() {
        assert_eq!(number(b"0009", 9), Some(9));
        assert_eq!(number(b"10", 9), None);
        assert_eq!(number(b"99999999999999999999999", u64::MAX), None);
        assert_eq!(number(b"-1", 9), None);
    }
}
