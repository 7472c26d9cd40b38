//! The SIP trace: each message in the log as it came or went, at level `trace` of the target `sip`.
//!
//! Where that is off a message costs one comparison. What proves a secret (the response of a digest, tokens, keys of media)
//! is not shown.

use std::borrow::Cow;
use std::net::SocketAddr;

use tracing::Level;
use trunkline_sip::{Flow, Transport};

/// More of a message is not shown.
const LONGEST: usize = 64 * 1024;

/// Header fields whose value is a secret.
const SECRET: [&str; 2] = ["x-gateway-auth", "x-connect-token"];

/// Header fields that authenticate the sender.
const PROOFS: [&str; 2] = ["authorization", "proxy-authorization"];

/// Lines of SDP that hold keys, up to where the key begins.
const KEYS: [&str; 4] = ["a=crypto:", "a=ice-pwd:", "a=key-mgmt:", "k="];

/// Shows a message that came.
pub fn received(flow: &Flow, bytes: &[u8]) {
    if tracing::enabled!(target: "sip", Level::TRACE) {
        tell("received from", flow.transport, flow.remote, bytes);
    }
}

/// Shows a message that is sent.
pub fn sent(transport: Transport, to: SocketAddr, bytes: &[u8]) {
    if tracing::enabled!(target: "sip", Level::TRACE) {
        tell("sent to", transport, to, bytes);
    }
}

fn tell(what: &str, transport: Transport, remote: SocketAddr, bytes: &[u8]) {
    // Keep-alives and the answers of STUN are no SIP.
    if bytes.first().is_none_or(|b| *b < 4) || bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        return;
    }
    // In one text: a field would stand behind the message's last line.
    tracing::trace!(target: "sip", "{what} {transport} {remote}\n{}", shown(bytes));
}

/// The message as text, without secrets. Lines end in CRLF, or in LF or CR alone, as who sends them likes: a body may be a part
/// of a message too (`message/sipfrag`), so that what is a secret in a header is none to show there either.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes));
    let mut out = String::with_capacity(text.len());
    let mut hidden = false;
    for line in lines(&text) {
        // A line that begins with white space continues the field before.
        if !line.starts_with([' ', '\t']) {
            let (name, value) = line.split_once(':').unwrap_or_default();
            hidden = is_secret(name.trim_end(), value);
            if hidden {
                out.push_str(name);
                out.push_str(": ***\n");
            }
        }
        if hidden {
            continue;
        }
        let key = KEYS
            .into_iter()
            .find(|key| line.get(..key.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(key)));
        match key {
            Some(key) => {
                out.push_str(key);
                out.push_str("***");
            }
            None => out.push_str(&without(&without(line, "response"), "rspauth")),
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// The lines of a text, however they end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let Some(end) = all.find(['\r', '\n']) else {
            rest = None;
            return Some(all);
        };
        let (line, after) = all.split_at(end);
        rest = after.strip_prefix("\r\n").or_else(|| after.get(1..));
        Some(line)
    })
}

/// Is the whole value of the field a secret? That of another scheme than Digest is a password or a token.
fn is_secret(name: &str, value: &str) -> bool {
    let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let digest =
        || value.split_whitespace().next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"));
    is(&SECRET) || is(&PROOFS) && !digest()
}

/// A header line without the value of a parameter from which a secret can be guessed.
fn without<'l>(line: &'l str, name: &str) -> Cow<'l, str> {
    let lower = line.to_ascii_lowercase();
    let mut out = String::new();
    let (mut kept, mut from) = (0, 0);
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find(name)).map(|at| from + at) {
        from = at + name.len();
        let Some(value) = line.get(from..).and_then(|rest| rest.trim_start().strip_prefix('=')) else {
            continue;
        };
        let begin = line.len() - value.len();
        let value = value.trim_start();
        let length = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
            None => value.find([',', ' ', '\t']).unwrap_or(value.len()),
        };
        out.push_str(line.get(kept..begin).unwrap_or_default());
        out.push_str("***");
        kept = line.len() - value.len() + length;
        from = kept;
    }
    if kept == 0 {
        return Cow::Borrowed(line);
    }
    out.push_str(line.get(kept..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_without_its_secrets() {
        for end in ["\r\n", "\n", "\r"] {
            shows_no_secrets(end);
        }
    }

    fn shows_no_secrets(end: &str) {
        let message = "INVITE sip:a@b SIP/2.0\r\nAuthorization: Digest username=\"1001\", uri=\"sip:a@b\",\r\n\
             \tResponse = \"0123456789abcdef\", nc=00000001\r\n\
             Proxy-authorization : Basic c2VjcmV0OnRoaW5n==\r\n continued-secret\r\n\
             Authentication-Info: rspauth=fedcba, qop=auth\r\nX-Gateway-Auth: token\r\nSubject: a response\r\n\
             Content-Type: application/sdp\r\n\r\nv=0\r\nk=clear:KLEAR\r\nA=Crypto:1 AES inline:KEY\r\na=ice-pwd:PWD\r\na=rtpmap:0\r\n\
             Authorization: Bearer FRAG\r\n";
        let text = shown(message.replace("\r\n", end).as_bytes());
        for secret in [
            "0123456789abcdef",
            "c2VjcmV0",
            "continued-secret",
            "fedcba",
            "token",
            "KEY",
            "PWD",
            "KLEAR",
            "FRAG",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for part in [
            "INVITE sip:a@b SIP/2.0",
            "Response =***, nc=00000001",
            "username=\"1001\"",
            "rspauth=***, qop=auth",
            "Subject: a response\n",
            "\n\nv=0\nk=***\na=crypto:***\na=ice-pwd:***\na=rtpmap:0\nAuthorization: ***",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn whatever_comes_is_shown() {
        for bytes in [
            &b""[..],
            b"\xff\xfe",
            b"\r\n\r\n",
            b"response=",
            b"response=\"",
            b"A:\r\nresponse =,response= \"",
        ] {
            shown(bytes);
        }
        let long = [b"SIP/2.0 200 OK\r\n", &[b'x'; 2 * LONGEST][..]].concat();
        assert!(shown(&long).len() <= LONGEST);
    }
}
