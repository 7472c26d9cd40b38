//! HTTP/1.1 (RFC 9112) as far as a client of Asterisk needs it: one exchange at a time on a connection that
//! is kept. No task and no queue stand between a request and its socket.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::stream::Stream;

/// The longest head of an answer, and the longest trailer.
const MAX_HEAD: usize = 16 * 1024;

/// Header fields of an answer at most.
const MAX_FIELDS: usize = 64;

/// The longest line that tells the size of a chunk, its extensions included.
const MAX_SIZE_LINE: usize = 1024;

/// Bytes that are read at once: of a head and what follows it, and of the rest of a long body.
const READ: usize = 8 * 1024;
const READ_BODY: usize = 64 * 1024;

/// The HTTP features that the server lacks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AriHttpError {
    /// The connection was closed in the middle.
    #[error("the connection was closed before the answer was complete")]
    Closed,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The response is not HTTP/1.1.
    #[error("the answer is not HTTP: {0}")]
    Syntax(String),
    /// The head or a trailer has no end within reason.
    #[error("the head of the answer is longer than {MAX_HEAD} bytes")]
    LongHead,
}

impl From<httparse::Error> for AriHttpError {
    fn from(error: httparse::Error) -> Self {
        AriHttpError::Syntax(error.to_string())
    }
}

/// How far an exchange came that failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing of the request was sent.
    Unsent(AriHttpError),
    /// Nothing of an answer came.
    Unanswered(AriHttpError),
    /// The answer is none.
    Answered(AriHttpError),
}

impl Failed {
    pub(crate) fn into_error(self) -> AriHttpError {
        match self {
            Failed::Unsent(error) | Failed::Unanswered(error) | Failed::Answered(error) => error,
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub status: u16,
    /// The registered words: Asterisk writes its own in various ways ("Not found").
    pub reason: Cow<'static, str>,
    /// Empty when absent, and for JSON, which nobody asks about: only files are told by their type.
    pub content_type: String,
    pub rest: Rest,
    /// Whether the connection can be used again once the body is read.
    pub keep: bool,
}

/// The rest of a body, RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Length(u64),
    Chunked(Chunk),
    UntilClosed,
}

/// Where in a chunked body the next byte stands, RFC 9112 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    /// After the last chunk, with the bytes of the trailer so far.
    Trailer(usize),
}

/// A connection, and what was read of it beyond what was asked for.
pub(crate) struct HttpConnection {
    stream: Stream,
    unread: BytesMut,
}

impl HttpConnection {
    pub(crate) fn new(stream: Stream) -> Self {
        HttpConnection { stream, unread: BytesMut::new() }
    }

    /// Whether it can carry another exchange: it is not closed, and nothing came unasked.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        self.unread.is_empty() && read.is_pending()
    }

    /// Sends a whole request and reads the head of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<ResponseHead, Failed> {
        let mut left = request;
        while !left.is_empty() {
            match self.stream.write(left).await {
                Ok(sent) if sent > 0 => left = left.get(sent..).unwrap_or_default(),
                Ok(_) => return Err(Failed::Unanswered(AriHttpError::Closed)),
                Err(error) if left.len() == request.len() => return Err(Failed::Unsent(error.into())),
                Err(error) => return Err(Failed::Unanswered(error.into())),
            }
        }
        self.stream.flush().await.map_err(|e| Failed::Unanswered(e.into()))?;
        loop {
            let head = self.head().await?;
            // RFC 9110 §15.2: those come before the answer. Nothing was offered that 101 could accept.
            match head.status {
                101 => {
                    return Err(Failed::Answered(AriHttpError::Syntax("101 was not asked for".to_owned())));
                }
                100..200 => {}
                _ => return Ok(head),
            }
        }
    }

    async fn head(&mut self) -> Result<ResponseHead, Failed> {
        loop {
            if let Some((length, head)) = parse(&self.unread).map_err(Failed::Answered)? {
                drop(self.unread.split_to(length));
                return Ok(head);
            }
            if self.unread.len() > MAX_HEAD {
                return Err(Failed::Answered(AriHttpError::LongHead));
            }
            let how = if self.unread.is_empty() { Failed::Unanswered } else { Failed::Answered };
            match self.fill(READ).await {
                Ok(0) => return Err(how(AriHttpError::Closed)),
                Ok(_) => {}
                Err(error) => return Err(how(error)),
            }
        }
    }

    /// Reads what is there, `room` bytes at most; 0 at the end.
    async fn fill(&mut self, room: usize) -> Result<usize, AriHttpError> {
        self.unread.reserve(room);
        Ok(self.stream.read_buf(&mut self.unread).await?)
    }

    /// As [`Self::fill`], where an end is a fault.
    async fn more(&mut self, room: usize) -> Result<(), AriHttpError> {
        if self.fill(room).await? == 0 { Err(AriHttpError::Closed) } else { Ok(()) }
    }

    /// The next piece of the body; `None` when it is whole. `rest` is what is still to come.
    pub(crate) async fn piece(&mut self, rest: &mut Rest) -> Result<Option<Bytes>, AriHttpError> {
        loop {
            match *rest {
                Rest::Length(0) => return Ok(None),
                Rest::Length(length) => {
                    let piece = self.up_to(length).await?;
                    *rest = Rest::Length(length.saturating_sub(piece.len() as u64));
                    return Ok(Some(piece));
                }
                Rest::UntilClosed => {
                    if self.unread.is_empty() && self.fill(READ_BODY).await? == 0 {
                        *rest = Rest::Length(0);
                    } else {
                        return Ok(Some(self.unread.split().freeze()));
                    }
                }
                Rest::Chunked(Chunk::Data(length)) => {
                    let piece = self.up_to(length).await?;
                    let left = length.saturating_sub(piece.len() as u64);
                    *rest = Rest::Chunked(if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) });
                    return Ok(Some(piece));
                }
                Rest::Chunked(chunk) => match step(&self.unread, chunk)? {
                    Some((length, next)) => {
                        drop(self.unread.split_to(length));
                        *rest = next;
                    }
                    None => self.more(READ).await?,
                },
            }
        }
    }

    /// Some of the next `length` bytes.
    async fn up_to(&mut self, length: u64) -> Result<Bytes, AriHttpError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.unread.is_empty() {
            self.more(length.min(READ_BODY)).await?;
        }
        Ok(self.unread.split_to(length.min(self.unread.len())).freeze())
    }
}

/// What stands between the data of chunks: how long it is and what follows; `None` when it is not whole.
fn step(unread: &[u8], chunk: Chunk) -> Result<Option<(usize, Rest)>, AriHttpError> {
    match chunk {
        Chunk::Data(_) => Ok(Some((0, Rest::Chunked(chunk)))),
        Chunk::Size => {
            let size = httparse::parse_chunk_size(unread)
                .map_err(|_| AriHttpError::Syntax("the size of a chunk is no number".to_owned()))?;
            match size {
                Status::Complete((length, 0)) => Ok(Some((length, Rest::Chunked(Chunk::Trailer(0))))),
                Status::Complete((length, size)) => Ok(Some((length, Rest::Chunked(Chunk::Data(size))))),
                Status::Partial if unread.len() > MAX_SIZE_LINE => Err(AriHttpError::LongHead),
                Status::Partial => Ok(None),
            }
        }
        Chunk::DataEnd => match unread {
            [b'\r', b'\n', ..] => Ok(Some((2, Rest::Chunked(Chunk::Size)))),
            [] | [b'\r'] => Ok(None),
            _ => Err(AriHttpError::Syntax("a chunk is longer than its size".to_owned())),
        },
        Chunk::Trailer(before) => match unread.iter().position(|b| *b == b'\n') {
            Some(0) => Ok(Some((1, Rest::Length(0)))),
            Some(1) if unread.starts_with(b"\r") => Ok(Some((2, Rest::Length(0)))),
            Some(end) if before + end < MAX_HEAD => {
                Ok(Some((end + 1, Rest::Chunked(Chunk::Trailer(before + end + 1)))))
            }
            None if before + unread.len() < MAX_HEAD => Ok(None),
            Some(_) | None => Err(AriHttpError::LongHead),
        },
    }
}

/// A head and its length; `None` when it is not whole.
fn parse(unread: &[u8]) -> Result<Option<(usize, ResponseHead)>, AriHttpError> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Status::Complete(length) = response.parse(unread)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let registered = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    let reason =
        registered.map_or_else(|| Cow::Owned(response.reason.unwrap_or_default().to_owned()), Cow::Borrowed);
    let (mut said, mut chunked, mut content_type) = (None, None, String::new());
    let mut keep = response.version == Some(1);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Content-Length") {
            let length = number(field.value)?;
            if said.is_some_and(|said| said != length) {
                return Err(AriHttpError::Syntax("it tells two lengths".to_owned()));
            }
            said = Some(length);
        } else if is("Transfer-Encoding") {
            chunked = Some(has_last(field.value, "chunked"));
        } else if is("Connection") {
            keep = (keep || has(field.value, "keep-alive")) && !has(field.value, "close");
        } else if is("Content-Type") && field.value != b"application/json" {
            content_type = String::from_utf8_lossy(field.value).into_owned();
        }
    }
    let rest = match (status, chunked, said) {
        (100..200 | 204 | 304, _, _) => Rest::Length(0),
        (_, Some(true), None) => Rest::Chunked(Chunk::Size),
        // RFC 9112 §6.3: whoever tells both a coding and a length may mean to deceive.
        (_, Some(true), Some(_)) => {
            keep = false;
            Rest::Chunked(Chunk::Size)
        }
        (_, None, Some(length)) => Rest::Length(length),
        (_, Some(false), _) | (_, None, None) => Rest::UntilClosed,
    };
    keep &= rest != Rest::UntilClosed;
    Ok(Some((length, ResponseHead { status, reason, content_type, rest, keep })))
}

/// RFC 9110 §8.6: digits, and nothing else.
fn number(value: &[u8]) -> Result<u64, AriHttpError> {
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| AriHttpError::Syntax("its length is no number".to_owned()))
}

fn words(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

fn has(value: &[u8], word: &str) -> bool {
    words(value).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

fn has_last(value: &[u8], word: &str) -> bool {
    words(value).next_back().is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection whose other side writes `pieces` one after the other and closes.
    async fn answering(pieces: &[&str]) -> HttpConnection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        other.set_nodelay(true).unwrap();
        let pieces: Vec<String> = pieces.iter().map(|p| (*p).to_owned()).collect();
        tokio::spawn(async move {
            let mut request = [0; 4];
            other.read_exact(&mut request).await.unwrap();
            for piece in pieces {
                other.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        HttpConnection::new(Stream::Plain(stream))
    }

    /// Status and body of an answer, and whether the connection is kept after it.
    async fn read(pieces: &[&str]) -> Result<(u16, String, bool), AriHttpError> {
        let mut connection = answering(pieces).await;
        let head = connection.exchange(b"GET ").await.map_err(Failed::into_error)?;
        let (mut rest, mut body) = (head.rest, Vec::new());
        while let Some(piece) = connection.piece(&mut rest).await? {
            assert!(!piece.is_empty());
            body.extend_from_slice(&piece);
        }
        Ok((head.status, String::from_utf8(body).unwrap(), head.keep))
    }

    #[tokio::test]
    async fn bodies_end_as_their_head_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nConnection: Close\r\n\r\nabc", 200, "abc", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, "", true),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not here\r\nContent-Length: 1\r\n\r\nx",
                404,
                "x",
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                200,
                "a",
                false,
            ),
        ];
        for (answer, status, body, keep) in cases {
            let want = (status, body.to_owned(), keep);
            assert_eq!(read(&[answer]).await.unwrap(), want, "{answer}");
            // However it is cut.
            let single: Vec<String> = answer.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            assert_eq!(read(&single).await.unwrap(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let trailer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}",
            "X: y\r\n".repeat(MAX_HEAD)
        );
        for (answer, why) in [
            ("", "closed before"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", "closed before"),
            ("HTTP/1.1 200 OK\r\nContent-Len", "closed before"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "not asked for"),
            ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na", "no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "two lengths"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "no number"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "no number"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than its size"),
            (&long, "longer than 16384"),
            (&trailer, "longer than 16384"),
        ] {
            let error = read(&[answer]).await.unwrap_err().to_string();
            assert!(error.contains(why), "{answer:.60}: {error}");
        }
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_quiet() {
        let mut connection = answering(&["HTTP/1.1 204 No Content\r\n\r\n"]).await;
        assert!(connection.is_quiet());
        connection.exchange(b"GET ").await.unwrap();
        // Whether it is closed shows when the runtime has seen it.
        while connection.is_quiet() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(connection.exchange(b"GET ").await, Err(Failed::Unsent(_) | Failed::Unanswered(_))));
    }
}
