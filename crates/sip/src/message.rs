//! A message seen through its index.

use crate::address::Address;
use crate::error::ParseError;
use crate::index::{Header, Index, Span, StartLine};
use crate::lex::{List, number};
use crate::method::Method;
use crate::name::HeaderName;
use crate::uri::Uri;
use crate::via::{Via, begins_with_cookie};

/// The bytes of a message and where things stand in them. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The received bytes.
    pub bytes: &'a [u8],
    /// Their index.
    pub index: &'a Index,
}

impl<'a> Message<'a> {
    /// `index` must have been made from `bytes`.
    pub fn new(bytes: &'a [u8], index: &'a Index) -> Message<'a> {
        Message { bytes, index }
    }

    /// The request's method; `None` for a response.
    pub fn method(&self) -> Option<Method> {
        match self.index.start_line {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The request's method as it stands; of a response that of its CSeq.
    pub fn method_name(&self) -> &'a [u8] {
        match self.index.start_line {
            StartLine::Request { name, .. } => name.of(self.bytes),
            StartLine::Response { .. } => self.index.cseq_method.of(self.bytes),
        }
    }

    /// The method of the transaction: of CSeq, which in a request is the request's.
    pub fn cseq_method(&self) -> Method {
        match self.index.start_line {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => self.index.method,
        }
    }

    /// The response's status code; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.index.start_line {
            StartLine::Response { code, .. } => Some(code),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase of a response; empty for a request.
    pub fn reason(&self) -> &'a [u8] {
        match self.index.start_line {
            StartLine::Response { reason, .. } => reason.of(self.bytes),
            StartLine::Request { .. } => b"",
        }
    }

    /// The Request-URI's text; empty for a response.
    pub fn uri_text(&self) -> &'a [u8] {
        self.uri_span().of(self.bytes)
    }

    /// Where the Request-URI stands.
    pub fn uri_span(&self) -> Span {
        match self.index.start_line {
            StartLine::Request { uri, .. } => uri,
            StartLine::Response { .. } => Span::default(),
        }
    }

    /// The Request-URI, read.
    pub fn uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri_text())
    }

    /// The first header line with this name.
    pub fn header_line(&self, name: HeaderName) -> Option<Header> {
        self.index.first_of(name).and_then(|i| self.index.headers.get(i)).copied()
    }

    /// The value of the first header line with this name.
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.header_line(name).map(|h| h.value.of(self.bytes))
    }

    /// All header lines, in order.
    pub fn lines(&self) -> &'a [Header] {
        &self.index.headers
    }

    /// All header lines with this name, in order.
    pub fn header_lines(&self, name: HeaderName) -> impl Iterator<Item = &'a Header> + Clone + use<'a> {
        self.lines_from_first(name).iter().filter(move |h| h.name == name)
    }

    /// The lines from the first with this name on; of a header that stands on one line no other one has to be looked for.
    fn lines_from_first(&self, name: HeaderName) -> &'a [Header] {
        let lines = self.index.first_of(name).and_then(|first| match self.is_repeated(name) {
            true => self.index.headers.get(first..),
            false => self.index.headers.get(first..=first),
        });
        lines.unwrap_or_default()
    }

    /// Does this header stand on more than one line?
    pub fn is_repeated(&self, name: HeaderName) -> bool {
        self.index.is_repeated(name)
    }

    /// All values of a header that is a comma list, over all its lines. A line without a value is as if it were not there.
    pub fn list(
        &self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + Clone + use<'a> {
        Values { name, bytes: self.bytes, lines: self.lines_from_first(name).iter(), line: List::none() }
    }

    /// The first value of a header that is a comma list, over all its lines; `None` too where it cannot be delimited.
    pub fn first_value(&self, name: HeaderName) -> Option<&'a [u8]> {
        let line = self.header_line(name)?;
        if line.value.start < line.value.end {
            return self.values(&line).next()?.ok();
        }
        // A line without a value is as if it were not there.
        self.list(name).next()?.ok()
    }

    /// The values of one line of a header that is a comma list.
    pub fn values(&self, line: &Header) -> List<'a> {
        List::of_header(line.value.of(self.bytes), line.plain)
    }

    /// Appends the header lines whose names begin with `X-`, as they stand.
    pub fn put_extensions(&self, out: &mut Vec<u8>) {
        for header in &self.index.headers {
            let line = header.line.of(self.bytes);
            if line.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"x-")) {
                out.extend_from_slice(line);
            }
        }
    }

    /// The value of the first header with a name we have no [`HeaderName`] for, any case.
    pub fn other_header(&self, name: &str) -> Option<&'a [u8]> {
        let known = HeaderName::from_bytes(name.as_bytes());
        if known != HeaderName::Other {
            return self.header(known);
        }
        self.index.headers.iter().filter(|h| h.name == HeaderName::Other).find_map(|h| {
            let line = h.line.of(self.bytes);
            let head = line.get(..name.len())?;
            let next = line.get(name.len())?;
            (head.eq_ignore_ascii_case(name.as_bytes()) && matches!(next, b':' | b' ' | b'\t'))
                .then(|| h.value.of(self.bytes))
        })
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via<'a>, ParseError> {
        Via::parse(self.top_via_text()?)
    }

    /// The branch of the topmost Via, empty when there is none. One that stands at the end, as in the Via values that we write, is
    /// found without reading the rest.
    pub fn top_branch(&self) -> Result<&'a [u8], ParseError> {
        let element = self.top_via_text()?;
        let last = memchr::memrchr(b';', element).and_then(|at| element.get(at + 1..)).unwrap_or_default();
        match last.strip_prefix(b"branch=") {
            Some(branch) if begins_with_cookie(branch) => Ok(branch),
            _ => Ok(Via::parse(element)?.branch),
        }
    }

    /// The topmost Via's text: the first element of the first line.
    pub fn top_via_text(&self) -> Result<&'a [u8], ParseError> {
        let line = self.header_line(HeaderName::Via).ok_or(ParseError::Cardinality("Via"))?;
        self.values(&line).next().and_then(Result::ok).ok_or(ParseError::Header("Via"))
    }

    /// From.
    pub fn from(&self) -> Result<Address<'a>, ParseError> {
        Address::parse(self.header(HeaderName::From).ok_or(ParseError::Cardinality("From"))?, "From")
    }

    /// To.
    pub fn to(&self) -> Result<Address<'a>, ParseError> {
        Address::parse(self.header(HeaderName::To).ok_or(ParseError::Cardinality("To"))?, "To")
    }

    /// From's tag, empty when there is none.
    pub fn from_tag(&self) -> &'a [u8] {
        self.index.from_tag.of(self.bytes)
    }

    /// To's tag, empty when there is none.
    pub fn to_tag(&self) -> &'a [u8] {
        self.index.to_tag.of(self.bytes)
    }

    /// Has To a `tag`, be it one that does not count since it is empty, quoted or stands twice? Somebody else may read it as the
    /// tag of a dialog.
    pub fn has_to_tag(&self) -> bool {
        let value = || self.header(HeaderName::To).unwrap_or_default();
        let in_params = |to: Address<'_>| to.param("tag").is_some();
        !self.to_tag().is_empty()
            || value().contains(&b';') && Address::parse(value(), "To").is_ok_and(in_params)
    }

    /// Call-ID, empty when it is missing.
    pub fn call_id(&self) -> &'a [u8] {
        self.header(HeaderName::CallId).unwrap_or_default()
    }

    /// The number of CSeq.
    pub fn cseq(&self) -> u32 {
        self.index.cseq
    }

    /// Max-Forwards, where it stands.
    pub fn max_forwards(&self) -> Option<u8> {
        self.index.max_forwards
    }

    /// A header that is a number of seconds, such as Expires; above 2³²−1 it counts as 2³²−1
    /// (RFC 3261 §20.19). `Err` when it is no number.
    pub fn seconds(&self, name: HeaderName) -> Result<Option<u32>, ParseError> {
        self.header(name).map(|v| seconds(v).ok_or(ParseError::Header(name.name()))).transpose()
    }

    /// The body.
    pub fn body(&self) -> &'a [u8] {
        self.index.body.of(self.bytes)
    }

    /// Where the body stands; its end is the end of the message.
    pub fn body_span(&self) -> Span {
        self.index.body
    }

    /// Does a list header such as Supported or Require name this option tag?
    pub fn has_option(&self, name: HeaderName, tag: &str) -> bool {
        self.list(name).flatten().any(|t| t.eq_ignore_ascii_case(tag.as_bytes()))
    }
}

/// The values of a comma list over all its lines.
#[derive(Clone)]
struct Values<'a> {
    name: HeaderName,
    bytes: &'a [u8],
    lines: std::slice::Iter<'a, Header>,
    /// What is left of the line at hand.
    line: List<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<&'a [u8], ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(value) = self.line.next() {
                return Some(value.map_err(|()| ParseError::Header(self.name.name())));
            }
            let line = self.lines.find(|h| h.name == self.name && h.value.start < h.value.end)?;
            self.line = List::of_header(line.value.of(self.bytes), line.plain);
        }
    }
}

/// A `delta-seconds` value: digits only; what does not fit counts as the maximum.
pub fn seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(number(text, u64::from(u32::MAX)).unwrap_or(u64::from(u32::MAX)) as u32)
}
