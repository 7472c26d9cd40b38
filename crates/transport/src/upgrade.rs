//! The HTTP request before a WebSocket, RFC 6455 §4.2 and RFC 7118 §4.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The result for the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its end has not come.
    Incomplete,
    /// It is a WebSocket now.
    Upgraded {
        /// Our answer.
        answer: Vec<u8>,
        /// Where the frames begin.
        end: usize,
        /// Does it come from a web page of another origin than the allowed ones? Programs that are no browser send none.
        foreign_page: bool,
    },
    /// Our answer; the connection ends with it.
    Answered(Vec<u8>),
}

/// The longest request, in bytes.
pub(crate) const LONGEST: usize = 16_384;
/// RFC 6455 §1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
<title>Trunkline: WebSocket port</title>\n<h1>This is Trunkline\u{2019}s WebSocket port</h1>\n\
<p>Your browser reached it: where it asked about the certificate, the certificate is now accepted.\n\
Browser phones connect here with <code>wss://</code> and the subprotocol <code>sip</code> (RFC 7118).\n\
You can close this page.</p>\n</html>\n";

/// Judges what has come. `origins` are those of the web pages that are taken for any client's.
pub(crate) fn judge(bytes: &[u8], origins: &[String]) -> Verdict {
    // A fast search: it is made anew for each piece, and there may be one a byte.
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > LONGEST {
            plain("431 Request Header Fields Too Large", "")
        } else {
            Verdict::Incomplete
        };
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap_or_default().split(' ');
    let (method, _, version) = (request.next(), request.next(), request.next());
    if !version.is_some_and(|v| v.starts_with("HTTP/1.")) {
        return plain("400 Bad Request", "");
    }
    if !matches!(method, Some("GET" | "HEAD")) {
        return plain("405 Method Not Allowed", "Allow: GET\r\n");
    }
    let fields: Vec<(&str, &str)> =
        lines.filter_map(|l| l.split_once(':')).map(|(name, value)| (name.trim(), value.trim())).collect();
    let values = |name: &'static str| {
        fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    };
    let lists = |name: &'static str, token: &str| {
        values(name).flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    };
    if !lists("Upgrade", "websocket") {
        return page(method == Some("HEAD"));
    }
    if !lists("Sec-WebSocket-Version", "13") {
        return plain("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n");
    }
    let key = values("Sec-WebSocket-Key").next().unwrap_or_default();
    let sound = STANDARD.decode(key).is_ok_and(|k| k.len() == 16);
    // Without the subprotocol the other side does not know that SIP is spoken here (RFC 7118 §4.1).
    if !sound || !lists("Connection", "upgrade") || !lists("Sec-WebSocket-Protocol", "sip") {
        return plain("400 Bad Request", "");
    }
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    );
    let allowed = |origin: &str| origins.iter().any(|one| one.eq_ignore_ascii_case(origin));
    let foreign_page = values("Origin").any(|origin| !allowed(origin));
    Verdict::Upgraded { answer: answer.into_bytes(), end, foreign_page }
}

fn plain(status: &str, fields: &str) -> Verdict {
    Verdict::Answered(
        format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes(),
    )
}

fn page(head_only: bool) -> Verdict {
    let length = PAGE.len();
    let body = if head_only { "" } else { PAGE };
    Verdict::Answered(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    const ASKED: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat, sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn status(request: &str) -> String {
        match judge(request.as_bytes(), &[]) {
            Verdict::Incomplete => "incomplete".into(),
            Verdict::Upgraded { answer, .. } | Verdict::Answered(answer) => {
                String::from_utf8(answer).unwrap()[9..12].into()
            }
        }
    }

    #[test]
    fn the_key_of_the_rfc() {
        let asked = format!("{ASKED}rest");
        let Verdict::Upgraded { answer, end, foreign_page } = judge(asked.as_bytes(), &[]) else { panic!() };
        assert!(!foreign_page, "no browser");
        assert_eq!(end, ASKED.len());
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    }

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        let origins = ["https://phones.example.com".to_owned(), "http://10.0.0.1:8080".to_owned()];
        for (fields, foreign) in [
            ("", false),
            ("Origin: https://phones.example.com\r\n", false),
            ("origin: HTTPS://Phones.example.com\r\n", false),
            ("Origin: http://10.0.0.1:8080\r\n", false),
            ("Origin: http://phones.example.com\r\n", true),
            ("Origin: https://phones.example.com.evil.example\r\n", true),
            ("Origin: https://phones.example.com:444\r\n", true),
            ("Origin: null\r\n", true),
            ("Origin:\r\n", true),
            ("Origin: https://server.example.com\r\n", true),
            ("Origin: https://phones.example.com\r\nOrigin: https://evil.example\r\n", true),
        ] {
            let asked = ASKED.replacen("Host:", &format!("{fields}Host:"), 1);
            let Verdict::Upgraded { foreign_page, .. } = judge(asked.as_bytes(), &origins) else { panic!() };
            assert_eq!(foreign_page, foreign, "{fields}");
        }
    }

    #[test]
    fn what_else_may_come() {
        assert_eq!(status(&ASKED[..ASKED.len() - 1]), "incomplete");
        assert_eq!(status(&ASKED.replace("chat, sip", "chat")), "400");
        assert_eq!(status(&ASKED.replace("==", "")), "400");
        assert_eq!(status(&ASKED.replace("Version: 13", "Version: 8")), "426");
        assert_eq!(status("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "200");
        assert_eq!(status("POST / HTTP/1.1\r\nHost: h\r\n\r\n"), "405");
        assert_eq!(status("OPTIONS sip:h SIP/2.0\r\n\r\n"), "400");
        assert_eq!(status(&"x".repeat(LONGEST + 1)), "431");
    }
}
