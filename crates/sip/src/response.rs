//! Responses of our own, RFC 3261 §8.2.6.

use crate::error::ParseError;
use crate::index::Span;
use crate::message::Message;
use crate::name::HeaderName;
use crate::status::reason;

/// How the topmost Via is completed: with `received` and `rport` (RFC 3261 §18.2.1, RFC 3581 §4).
#[derive(Clone, Copy, Debug)]
pub struct ViaFill<'a> {
    /// The stretch of the request that holds the topmost Via's element.
    pub replace: Span,
    /// The element as it goes back: `SIP/2.0/UDP …;received=…;rport=…`
    pub text: &'a [u8],
}

/// Can this request be answered at all? Via, From, To, Call-ID and CSeq are copied into every response.
pub fn can_answer(request: &Message<'_>) -> Result<(), ParseError> {
    use HeaderName::{CSeq, CallId, From, To, Via};
    for name in [Via, From, To, CallId, CSeq] {
        if request.header_line(name).is_none() {
            return Err(ParseError::Cardinality(name.name()));
        }
    }
    Ok(())
}

/// Begins a response to `request`: status line, Via, From, To (with `tag`, where it has none), Call-ID, CSeq;
/// for 100 also Timestamp. The caller adds headers and ends it with [`finish`].
pub fn begin(
    request: &Message<'_>,
    code: u16,
    phrase: Option<&str>,
    tag: &[u8],
    fill: Option<&ViaFill<'_>>,
    out: &mut Vec<u8>,
) {
    status_line(code, phrase, out);
    headers(request, tag, fill, code == 100, out);
}

fn status_line(code: u16, phrase: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"SIP/2.0 ");
    put_number(u64::from(code), out);
    out.push(b' ');
    out.extend_from_slice(phrase.unwrap_or_else(|| reason(code)).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn headers(request: &Message<'_>, tag: &[u8], fill: Option<&ViaFill<'_>>, trying: bool, out: &mut Vec<u8>) {
    let mut first_via = true;
    for h in request.index.headers() {
        let line = without_line_end(h.line.of(request.bytes));
        match h.name {
            HeaderName::Via => {
                match fill {
                    Some(fill) if first_via => {
                        let Span { start, end } = h.line;
                        let before = Span { start, end: fill.replace.start.clamp(start, end) };
                        let after = Span { start: fill.replace.end.clamp(start, end), end };
                        out.extend_from_slice(before.of(request.bytes));
                        out.extend_from_slice(fill.text);
                        put_line(without_line_end(after.of(request.bytes)), out);
                    }
                    _ => put_line(line, out),
                }
                first_via = false;
            }
            HeaderName::From | HeaderName::CallId | HeaderName::CSeq => put_line(line, out),
            HeaderName::To if !tag.is_empty() && request.to_tag().is_empty() && !trying => {
                let value_end = Span { start: h.line.start, end: h.value.end };
                out.extend_from_slice(value_end.of(request.bytes));
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag);
                out.extend_from_slice(b"\r\n");
            }
            HeaderName::To => put_line(line, out),
            HeaderName::Timestamp if trying => put_line(line, out),
            _ => {}
        }
    }
}

/// A header line without its line end: a request may have bare line feeds, a response of ours has none.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn put_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}

/// Ends a response without a body.
pub fn finish(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Appends a number in decimal.
pub fn put_number(n: u64, out: &mut Vec<u8>) {
    // Most numbers here are ports, codes and the octets of an address.
    let digit = |n: u64| b'0' + (n % 10) as u8;
    match n {
        0..10 => return out.push(digit(n)),
        10..100 => return out.extend_from_slice(&[digit(n / 10), digit(n)]),
        100..1000 => return out.extend_from_slice(&[digit(n / 100), digit(n / 10), digit(n)]),
        1000..100_000 => {
            let all = [digit(n / 10_000), digit(n / 1000), digit(n / 100), digit(n / 10), digit(n)];
            return out.extend_from_slice(all.get(usize::from(n < 10_000)..).unwrap_or_default());
        }
        _ => {}
    }
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut n = n;
    loop {
        at -= 1;
        if let Some(d) = digits.get_mut(at) {
            *d = b'0' + (n % 10) as u8;
        }
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}
