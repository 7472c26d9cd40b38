//! Request targets with characters that should be escaped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A request line longer than this is passed on as it is: it is refused later.
const LONGEST: usize = 16 * 1024;

/// A stream whose first line, if it is a request's, has its target escaped.
pub(crate) struct Tolerant<S> {
    inner: S,
    /// The line as far as it has come; `None` once it is through.
    line: Option<Vec<u8>>,
    /// The next part of the request to read.
    ready: Vec<u8>,
    read: usize,
}

impl<S> Tolerant<S> {
    pub(crate) fn new(inner: S) -> Tolerant<S> {
        Tolerant { inner, line: Some(Vec::new()), ready: Vec::new(), read: 0 }
    }
}

/// The beginning of a stream with what may not stand in a request target (RFC 9112 §3.2) escaped in its first line.
fn escaped(head: &[u8]) -> Vec<u8> {
    let end = head.iter().position(|b| *b == b'\n').unwrap_or(head.len());
    let (line, rest) = head.split_at(end);
    let first = line.iter().position(|b| *b == b' ');
    let last = line.iter().rposition(|b| *b == b' ');
    let (Some(first), Some(last)) = (first, last) else { return head.to_vec() };
    let (Some(method), Some(target), Some(version)) =
        (line.get(..=first), line.get(first + 1..last), line.get(last..))
    else {
        return head.to_vec();
    };
    let mut out = Vec::with_capacity(head.len() + 32);
    out.extend_from_slice(method);
    for &byte in target {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' | 0..=b' ' | 0x7f.. => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
                out.extend([b'%', digit(byte >> 4), digit(byte)]);
            }
            _ => out.push(byte),
        }
    }
    out.extend_from_slice(version);
    out.extend_from_slice(rest);
    out
}

impl<S: AsyncRead + Unpin> AsyncRead for Tolerant<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        while let Some(line) = &mut me.line {
            let mut space = [0u8; 1024];
            let mut part = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut me.inner).poll_read(context, &mut part))?;
            let part = part.filled();
            line.extend_from_slice(part);
            // The end of the stream ends the line too.
            if part.is_empty() || part.contains(&b'\n') || line.len() > LONGEST {
                me.ready = if line.len() > LONGEST { std::mem::take(line) } else { escaped(line) };
                me.line = None;
            }
        }
        let rest = me.ready.get(me.read..).unwrap_or_default();
        if rest.is_empty() {
            me.ready = Vec::new();
            return Pin::new(&mut me.inner).poll_read(context, buf);
        }
        let part = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        buf.put_slice(part);
        me.read += part.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tolerant<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn only_the_target_is_escaped() {
        for (from, to) in [
            ("GET / HTTP/1.1\r\nA: \"b\"\r\n\r\n", "GET / HTTP/1.1\r\nA: \"b\"\r\n\r\n"),
            (
                "GET /a?filter=@.b=='c d' || \"e\" HTTP/1.1\r\n",
                "GET /a?filter=@.b=='c%20d'%20%7C%7C%20%22e%22 HTTP/1.1\r\n",
            ),
            ("GET /a?x=%41 HTTP/1.1\r\n", "GET /a?x=%41 HTTP/1.1\r\n"),
            ("garbage\r\n", "garbage\r\n"),
            ("GET /\r\n", "GET /\r\n"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&escaped(from.as_bytes())), to, "{from}");
        }
    }

    /// Whatever comes: method, version and what follows the line stay, and the target holds nothing illegal.
    #[test]
    fn any_bytes_are_escaped_within_the_target_alone() {
        let alphabet = b"GET /a?=&'@ \"<>|{}\\^`#%\r\n\x00\x7f\xffHTTP/1.1";
        let mut random: u64 = 7;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let head: Vec<u8> = (0..next(60)).map(|_| alphabet[next(alphabet.len())]).collect();
            let out = escaped(&head);
            let line = |bytes: &[u8]| bytes.split(|b| *b == b'\n').next().unwrap_or_default().to_vec();
            let (before, after) = (line(&head), line(&out));
            assert_eq!(head[before.len()..], out[after.len()..], "{}", head.escape_ascii());
            if before.iter().filter(|b| **b == b' ').count() < 2 {
                assert_eq!(head, out);
                continue;
            }
            let parts: Vec<&[u8]> = after.split(|b| *b == b' ').collect();
            assert_eq!(parts.len(), 3, "{}", out.escape_ascii());
            assert!(parts[1].iter().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(b)));
            assert_eq!(before.split(|b| *b == b' ').next(), Some(parts[0]));
            assert_eq!(before.rsplit(|b| *b == b' ').next(), Some(parts[2]));
        }
    }

    #[tokio::test]
    async fn a_stream_in_pieces_is_the_same() {
        let text = b"GET /?a=\"b\" HTTP/1.1\r\nHost: x\r\n\r\n\"body\"".as_slice();
        for cut in 0..=text.len() {
            let (first, second) = text.split_at(cut);
            let mut stream = Tolerant::new(AsyncReadExt::chain(first, second));
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.expect("read");
            assert_eq!(got, b"GET /?a=%22b%22 HTTP/1.1\r\nHost: x\r\n\r\n\"body\"", "cut at {cut}");
        }
    }
}
