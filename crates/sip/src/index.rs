//! One pass over the bytes of a message makes an [`Index`]: where the lines, names and values stand.
//!
//! Nothing is copied. Offsets are 16 bits wide, so a message holds at most 65,535 bytes. An index is meant to
//! be used again for the next message; once its list of headers has grown to the usual size it allocates
//! nothing.

use std::ops::Range;

use crate::address::Address;
use crate::class::{TOKEN, leading};
use crate::control::{Lines, is_foul};
use crate::error::ParseError;
use crate::lex::{is_space, leading_number, number, trim};
use crate::method::Method;
use crate::name::HeaderName;
use crate::scan::{LineEnd, LineEnds, find, until_param_stop};

/// A stretch of the message: byte offsets, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u16,
    /// One past the last byte.
    pub end: u16,
}

impl Span {
    /// The bytes of `text` it names.
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// The span of `part`, which must be a sub-slice of `whole`.
    pub fn locate(part: &[u8], whole: &[u8]) -> Span {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize).min(whole.len());
        let end = start.saturating_add(part.len()).min(whole.len());
        Span { start: start as u16, end: end as u16 }
    }
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which header it is.
    pub name: HeaderName,
    /// The whole line, its line end (and folded continuation lines) included.
    pub line: Span,
    /// The value without white space around it.
    pub value: Span,
    /// The line holds neither a comma nor a quote: its value is one.
    pub(crate) plain: bool,
}

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// `METHOD uri SIP/2.0`
    Request {
        /// The method.
        method: Method,
        /// Its name as it stands.
        name: Span,
        /// The Request-URI.
        uri: Span,
    },
    /// `SIP/2.0 code reason`
    Response {
        /// The status code, 100 to 699.
        code: u16,
        /// The reason phrase, maybe empty.
        reason: Span,
    },
}

/// What a message may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes, at most 65,535.
    pub message_size: usize,
    /// Header lines, at most [`Limits::MOST_HEADERS`].
    pub headers: usize,
}

impl Limits {
    /// More header lines than this cannot be told apart. From others fewer are taken, so that a copy of ours can be read, too.
    pub const MOST_HEADERS: usize = 254;
}

impl Default for Limits {
    fn default() -> Self {
        Limits { message_size: 65_535, headers: Limits::MOST_HEADERS }
    }
}

const NONE: u8 = u8::MAX;
// A bit each in `repeated`.
const _: () = assert!(HeaderName::COUNT <= 64);

/// What a request may say once (RFC 3261 §20.15, §20.19, RFC 3515 §2.1, RFC 3891 §3, RFC 3892 §2.1, RFC 4028 §4, RFC 5393 §5.3.3,
/// RFC 6665 §8.2.1), beside what every message says once: of two values a phone may obey the other than the one that was judged.
const ONCE: [HeaderName; 8] = [
    HeaderName::ContentType,
    HeaderName::Event,
    HeaderName::Expires,
    HeaderName::MaxBreadth,
    HeaderName::ReferTo,
    HeaderName::ReferredBy,
    HeaderName::Replaces,
    HeaderName::SessionExpires,
];
const ONCE_BITS: u64 = {
    let (mut bits, mut n) = (0, 0);
    while n < ONCE.len() {
        bits |= 1 << ONCE[n] as u8;
        n += 1;
    }
    bits
};

/// Where everything stands in one message.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) start_line: StartLine,
    pub(crate) headers: Vec<Header>,
    /// For each known name the number of its first line.
    first: [u8; HeaderName::COUNT],
    /// The names that stand on more than one line, a bit each.
    repeated: u64,
    /// End of the start line, its line end included.
    pub(crate) headers_start: u16,
    pub(crate) body: Span,
    pub(crate) cseq: u32,
    pub(crate) cseq_method: Span,
    /// The same, read.
    pub(crate) method: Method,
    pub(crate) max_forwards: Option<u8>,
    pub(crate) from_tag: Span,
    pub(crate) to_tag: Span,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            start_line: StartLine::Response { code: 0, reason: Span::default() },
            headers: Vec::new(),
            first: [NONE; HeaderName::COUNT],
            repeated: 0,
            headers_start: 0,
            body: Span::default(),
            cseq: 0,
            cseq_method: Span::default(),
            method: Method::Other,
            max_forwards: None,
            from_tag: Span::default(),
            to_tag: Span::default(),
        }
    }
}

impl Index {
    /// Indexes and checks one message: a datagram, or what [`crate::Frame`] cut out of a stream.
    ///
    /// On an error the index holds what was read up to there, which may be enough to answer
    /// ([`crate::response::can_answer`]). Without Content-Length the body is the rest (RFC 3261 §18.3); bytes
    /// after Content-Length are ignored.
    pub fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), ParseError> {
        self.headers.clear();
        (self.first, self.repeated) = ([NONE; HeaderName::COUNT], 0);
        self.body = Span::default();
        self.headers_start = 0;
        (self.from_tag, self.to_tag) = (Span::default(), Span::default());
        (self.cseq, self.cseq_method, self.method) = (0, Span::default(), Method::Other);
        self.max_forwards = None;
        if bytes.len() > limits.message_size.min(65_535) {
            return Err(ParseError::TooLarge);
        }
        let mut ends = LineEnds::new(bytes);
        let start = ends.next().ok_or(ParseError::Truncated)?;
        self.headers_start = start.end as u16;
        // A start line we cannot read does not keep us from reading what is needed for the answer.
        let start_line = self.parse_start_line(bytes, start.end - 1);
        let mut lines = Lines::default();
        lines.count(bytes.get(..start.end).unwrap_or_default());
        self.parse_headers(bytes, limits, &mut ends, &mut lines)?;
        let head = bytes.get(..usize::from(self.body.start)).unwrap_or_default();
        if is_foul(head, ends.is_unusual_before(head.len()), lines) {
            return Err(ParseError::ControlCharacter);
        }
        start_line?;
        self.check(bytes)
    }

    /// As [`Index::parse`], of the head of a message whose body is not there.
    ///
    /// # Errors
    /// As [`Index::parse`], but for [`ParseError::ShortBody`].
    pub fn parse_head(&mut self, head: &[u8], limits: &Limits) -> Result<(), ParseError> {
        match self.parse(head, limits) {
            Err(ParseError::ShortBody) => self.check_headers(head),
            result => result,
        }
    }

    fn parse_start_line(&mut self, bytes: &[u8], line_end: usize) -> Result<(), ParseError> {
        self.start_line = StartLine::Response { code: 0, reason: Span::default() };
        let line = bytes.get(..line_end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let span = |part: &[u8]| Span::locate(part, bytes);
        if line.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
            let rest = line.get(7..).unwrap_or_default();
            let (Some(b' '), Some(digits)) = (rest.first(), rest.get(1..4)) else {
                return Err(ParseError::StartLine);
            };
            let code = number(digits, 699).filter(|&c| c >= 100).ok_or(ParseError::StartLine)?;
            if line.get(4..7) != Some(b"2.0") {
                return Err(ParseError::Version);
            }
            let reason = match rest.get(4..) {
                None | Some([]) => &[],
                Some([b' ', reason @ ..]) => reason,
                Some(_) => return Err(ParseError::StartLine),
            };
            self.start_line = StartLine::Response { code: code as u16, reason: span(reason) };
            return Ok(());
        }
        let space = find(b' ', line).ok_or(ParseError::StartLine)?;
        let name = line.get(..space).unwrap_or_default();
        let rest = line.get(space + 1..).unwrap_or_default();
        if name.is_empty() || leading(name, TOKEN) < name.len() {
            return Err(ParseError::StartLine);
        }
        // From here on it is a request, if maybe one that gets 400.
        let method = Method::from_bytes(name);
        self.start_line = StartLine::Request { method, name: span(name), uri: Span::default() };
        let space = find(b' ', rest).ok_or(ParseError::StartLine)?;
        let (uri, version) =
            (rest.get(..space).unwrap_or_default(), rest.get(space + 1..).unwrap_or_default());
        if uri.is_empty() {
            return Err(ParseError::StartLine);
        }
        self.start_line = StartLine::Request { method, name: span(name), uri: span(uri) };
        if method == Method::Other && Method::is_misspelt(name) {
            return Err(ParseError::MethodCase);
        }
        match version {
            b"SIP/2.0" => Ok(()),
            v if v.eq_ignore_ascii_case(b"SIP/2.0") => Ok(()),
            v if is_version(v) => Err(ParseError::Version),
            _ => Err(ParseError::StartLine),
        }
    }

    fn parse_headers(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        ends: &mut LineEnds<'_>,
        lines: &mut Lines,
    ) -> Result<(), ParseError> {
        let mut at = usize::from(self.headers_start);
        let mut broken = None;
        let most = limits.headers.min(Limits::MOST_HEADERS);
        loop {
            let mut end = ends.next().ok_or(ParseError::Truncated)?;
            let mut line = bytes.get(at..end.end).unwrap_or_default();
            lines.count(line);
            if matches!(line, b"\n" | b"\r\n") {
                at = end.end;
                break;
            }
            // A line that begins with white space goes on with the one before (RFC 3261 §7.3.1).
            while matches!(bytes.get(end.end), Some(b' ' | b'\t')) {
                let more = ends.next().ok_or(ParseError::Truncated)?;
                lines.count(bytes.get(end.end..more.end).unwrap_or_default());
                end = LineEnd { end: more.end, plain: end.plain && more.plain };
                line = bytes.get(at..end.end).unwrap_or_default();
            }
            if self.headers.len() >= most {
                return Err(ParseError::TooManyHeaders);
            }
            match split_header(line) {
                Some((name, value)) => {
                    let within = |place: usize| (at + place) as u16;
                    let value = Span { start: within(value.start), end: within(value.end) };
                    let line = Span { start: at as u16, end: end.end as u16 };
                    self.push(Header { name, line, value, plain: end.plain });
                }
                None => broken = Some(ParseError::HeaderLine),
            }
            at = end.end;
        }
        self.body = Span { start: at as u16, end: bytes.len() as u16 };
        broken.map_or(Ok(()), Err)
    }

    fn push(&mut self, header: Header) {
        if let Some(first) = self.first.get_mut(header.name as usize) {
            if *first == NONE {
                *first = self.headers.len() as u8;
            } else {
                self.repeated |= 1 << header.name as u8;
            }
        }
        self.headers.push(header);
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        self.check_length(bytes)?;
        self.check_headers(bytes)
    }

    fn check_length(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if let Some(length) = self.once(HeaderName::ContentLength, bytes)? {
            let length = number(length, u64::from(u32::MAX)).ok_or(ParseError::Header("Content-Length"))?;
            let there = u64::from(self.body.end - self.body.start);
            if length > there {
                return Err(ParseError::ShortBody);
            }
            self.body.end = self.body.start + length as u16;
        }
        Ok(())
    }

    /// The rules every message must meet before anything is done with it.
    fn check_headers(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        let cseq = self.exactly_once(HeaderName::CSeq, bytes)?;
        let (value, method) = leading_number(cseq, 0x7fff_ffff).ok_or(ParseError::Header("CSeq"))?;
        self.cseq = value;
        if !method.first().copied().is_some_and(is_space) {
            return Err(ParseError::Header("CSeq"));
        }
        let method = trim(method);
        self.cseq_method = Span::locate(method, bytes);
        self.method = match self.start_line {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => Method::from_bytes(method),
        };
        if self.exactly_once(HeaderName::CallId, bytes)?.is_empty() {
            return Err(ParseError::Header("Call-ID"));
        }
        self.from_tag = tag_of(self.exactly_once(HeaderName::From, bytes)?, "From", bytes)?;
        self.to_tag = tag_of(self.exactly_once(HeaderName::To, bytes)?, "To", bytes)?;
        if let Some(hops) = self.once(HeaderName::MaxForwards, bytes)? {
            self.max_forwards = Some(number(hops, 255).ok_or(ParseError::Header("Max-Forwards"))? as u8);
        }
        if self.first_of(HeaderName::Via).is_none() {
            return Err(ParseError::Cardinality("Via"));
        }
        if self.repeated & ONCE_BITS != 0
            && matches!(self.start_line, StartLine::Request { .. })
            && let Some(name) = ONCE.into_iter().find(|name| self.is_repeated(*name))
        {
            return Err(ParseError::Cardinality(name.name()));
        }
        if let StartLine::Request { name, .. } = self.start_line
            && name.of(bytes) != method
        {
            return Err(ParseError::CSeqMethod);
        }
        Ok(())
    }

    fn once<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, ParseError> {
        let Some(first) = self.first_of(name) else { return Ok(None) };
        let value = self.headers.get(first).map(|h| h.value.of(bytes)).unwrap_or_default();
        if self.is_repeated(name) { Err(ParseError::Cardinality(name.name())) } else { Ok(Some(value)) }
    }

    pub(crate) fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & 1 << name as u8 != 0
    }

    fn exactly_once<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Result<&'a [u8], ParseError> {
        self.once(name, bytes)?.ok_or(ParseError::Cardinality(name.name()))
    }

    /// The number of the first line with this name.
    pub(crate) fn first_of(&self, name: HeaderName) -> Option<usize> {
        self.first.get(name as usize).copied().filter(|&i| i != NONE).map(usize::from)
    }

    /// The header lines in order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The method in CSeq as it stands; of a message that could not be read empty, unless its CSeq could.
    pub fn cseq_method<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.cseq_method.of(bytes)
    }

    /// Where the first line ends, its line end included.
    pub fn start_line_end(&self) -> u16 {
        self.headers_start
    }

    /// The first line.
    pub fn start_line(&self) -> StartLine {
        self.start_line
    }
}

/// `SIP/` and a number with a point: a version, if not ours.
fn is_version(text: &[u8]) -> bool {
    let Some(number) =
        text.get(4..).filter(|_| text.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")))
    else {
        return false;
    };
    let mut parts = number.split(|&b| b == b'.');
    let digits = |p: Option<&[u8]>| p.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    digits(parts.next()) && digits(parts.next()) && parts.next().is_none()
}

/// Where the tag of a From or To stands; nowhere, when there is none.
fn tag_of(value: &[u8], header: &'static str, bytes: &[u8]) -> Result<Span, ParseError> {
    let tag = match plain_tag(value) {
        Some(tag) => tag,
        None => Address::parse_with_tag(value, header)?.1,
    };
    Ok(if tag.is_empty() { Span::default() } else { Span::locate(tag, bytes) })
}

/// The tag of a value that is as nearly all are: a URI in brackets, and behind it the tag alone or nothing.
fn plain_tag(value: &[u8]) -> Option<&[u8]> {
    let inner = value.strip_prefix(b"<")?;
    let (uri, after) = inner.split_at_checked(find(b'>', inner)?)?;
    if is_space(*uri.first()?) || is_space(*uri.last()?) {
        return None;
    }
    match after {
        [_] => Some(b""),
        [_, b';', b't', b'a', b'g', b'=', tag @ ..] if until_param_stop(tag) == tag.len() => Some(tag),
        _ => None,
    }
}

/// Splits a header line into its name and the place of its value, without white space around it.
fn split_header(line: &[u8]) -> Option<(HeaderName, Range<usize>)> {
    // Nearly all lines: a name that we know, which therefore is one, and the colon right behind it.
    let colon = find(b':', line)?;
    let known = line.get(..colon).map_or(HeaderName::Other, HeaderName::from_bytes);
    if known != HeaderName::Other {
        return Some((known, without_space(line, colon + 1)));
    }
    let (name, rest) = line.split_at_checked(leading(line, TOKEN)).filter(|(n, _)| !n.is_empty())?;
    // A tab or blanks may stand between the name and the colon (RFC 3261 §7.3.1).
    let gap = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    (rest.get(gap) == Some(&b':'))
        .then(|| (HeaderName::from_bytes(name), without_space(line, name.len() + gap + 1)))
}

/// Where the text from this place on stands, without white space at both ends.
fn without_space(line: &[u8], from: usize) -> Range<usize> {
    // Nearly all lines: one blank before it, and nothing behind it.
    if let Some([b' ', value @ .., b'\r', b'\n']) = line.get(from..)
        && let [first, .., last] = value
        && !is_space(*first)
        && !is_space(*last)
    {
        return from + 1..from + 1 + value.len();
    }
    let (mut start, mut end) = (from, line.len());
    while line.get(start).is_some_and(|b| is_space(*b)) {
        start += 1;
    }
    while end > start && line.get(end - 1).is_some_and(|b| is_space(*b)) {
        end -= 1;
    }
    start..end
}
