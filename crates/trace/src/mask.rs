//! Messages without their secrets: what proves who somebody is, passwords, tokens, keys of media.

/// Header fields whose value is a secret.
const SECRET: [&[u8]; 2] = [b"x-gateway-auth", b"x-connect-token"];

/// Header fields that authenticate the sender.
const PROOFS: [&[u8]; 2] = [b"authorization", b"proxy-authorization"];

/// Lines of SDP that hold keys, up to where the key begins.
const KEYS: [&[u8]; 4] = [b"a=crypto:", b"a=ice-pwd:", b"a=key-mgmt:", b"k="];

/// Parameters of a digest from which a password can be guessed.
const DIGESTS: [&[u8]; 2] = [b"response", b"rspauth"];

/// The message without its secrets. In its body each byte of a secret becomes a `*`, so that Content-Length stays right. Lines
/// end in CRLF, or in LF or CR alone, as who sends them likes; a body may be a part of a message too (`message/sipfrag`), so
/// that what is a secret in a header is one there either.
pub fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut hidden, mut body) = (false, false);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, end, after) = first_line(rest);
        rest = after;
        // A line that begins with white space continues the field before.
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues {
            hidden = false;
        }
        if hidden {
            // Of a header nothing is left.
            if body {
                out.resize(out.len() + line.len(), b'*');
                out.extend_from_slice(end);
            }
            continue;
        }
        if line.is_empty() {
            body = true;
        }
        hidden = put_line(line, body, &mut out);
        out.extend_from_slice(end);
    }
    out
}

/// The message as text for people, without its secrets: lines end in LF.
pub fn shown(bytes: &[u8]) -> String {
    let masked = masked(bytes);
    let text = String::from_utf8_lossy(&masked).replace("\r\n", "\n").replace('\r', "\n");
    text.trim_end().to_owned()
}

/// Appends a line; `true` if lines that continue it are secret.
fn put_line(line: &[u8], body: bool, out: &mut Vec<u8>) -> bool {
    if let Some(colon) = line.iter().position(|b| *b == b':') {
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if is_secret(name.trim_ascii_end(), value) {
            out.extend_from_slice(name);
            out.push(b':');
            match body {
                true => hide(value.len(), true, out),
                false => out.extend_from_slice(b" ***"),
            }
            return true;
        }
    }
    let begins = |key: &&[u8]| line.get(..key.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(key));
    if let Some(key) = KEYS.into_iter().find(begins) {
        out.extend_from_slice(key);
        hide(line.len() - key.len(), body, out);
        return false;
    }
    let mut secrets = Vec::new();
    for name in DIGESTS {
        parameters(line, name, &mut secrets);
    }
    passwords(line, &mut secrets);
    credentials_in_uris(line, &mut secrets);
    secrets.sort_unstable();
    let mut kept = 0;
    for (begin, end) in secrets {
        if begin >= kept {
            out.extend_from_slice(line.get(kept..begin).unwrap_or_default());
            hide(end - begin, body, out);
        }
        kept = kept.max(end);
    }
    out.extend_from_slice(line.get(kept..).unwrap_or_default());
    false
}

fn hide(length: usize, body: bool, out: &mut Vec<u8>) {
    out.resize(out.len() + if body { length } else { 3 }, b'*');
}

/// The first line, how it ends, and what follows.
fn first_line(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let at = text.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(text.len());
    let (line, rest) = text.split_at(at);
    let length = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
    let (end, after) = rest.split_at(length);
    (line, end, after)
}

/// Is the whole value of the field a secret? That of another scheme than Digest is a password or a token.
fn is_secret(name: &[u8], value: &[u8]) -> bool {
    let is = |names: &[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let scheme = value.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
    is(&SECRET) || is(&PROOFS) && !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"digest"))
}

/// Where a word begins in a line from there on, in any case.
fn find(line: &[u8], word: &[u8], from: usize) -> Option<usize> {
    let rest = line.get(from..)?;
    rest.windows(word.len()).position(|part| part.eq_ignore_ascii_case(word)).map(|at| from + at)
}

fn skip_spaces(line: &[u8], from: usize) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Where the values of a parameter are.
fn parameters(line: &[u8], name: &[u8], out: &mut Vec<(usize, usize)>) {
    let mut from = 0;
    while let Some(at) = find(line, name, from) {
        from = at + name.len();
        let equals = skip_spaces(line, from);
        if line.get(equals) != Some(&b'=') {
            continue;
        }
        let begin = equals + 1;
        let value = skip_spaces(line, begin);
        let rest = line.get(value..).unwrap_or_default();
        let length = match rest.strip_prefix(b"\"") {
            Some(quoted) => quoted.iter().position(|b| *b == b'"').map_or(rest.len(), |end| end + 2),
            None => rest.iter().position(|b| matches!(b, b',' | b' ' | b'\t')).unwrap_or(rest.len()),
        };
        out.push((begin, value + length));
        from = value + length;
    }
}

/// Where the passwords of SIP URIs are (RFC 3261 §19.1.1).
fn passwords(line: &[u8], out: &mut Vec<(usize, usize)>) {
    for scheme in [&b"sip:"[..], b"sips:"] {
        let mut from = 0;
        while let Some(at) = find(line, scheme, from) {
            from = at + scheme.len();
            let rest = line.get(from..).unwrap_or_default();
            let ends = |b: &u8| matches!(b, b'@' | b'<' | b'>' | b'"' | b' ' | b'\t');
            let Some(end) = rest.iter().position(ends).filter(|end| rest.get(*end) == Some(&b'@')) else {
                continue;
            };
            if let Some(colon) = rest.get(..end).and_then(|user| user.iter().position(|b| *b == b':')) {
                out.push((from + colon + 1, from + end));
            }
            from += end;
        }
    }
}

/// Where the credentials are that a URI asks to be sent (RFC 3261 §19.1.5).
fn credentials_in_uris(line: &[u8], out: &mut Vec<(usize, usize)>) {
    let mut from = 0;
    while let Some(at) = find(line, b"authorization=", from) {
        from = at + b"authorization=".len();
        let rest = line.get(from..).unwrap_or_default();
        let ends = |b: &u8| matches!(b, b'&' | b'>' | b'"' | b' ' | b'\t');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        out.push((from, from + length));
        from += length;
    }
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
        let message = "INVITE sip:a:SESAME@b SIP/2.0\r\nAuthorization: Digest username=\"1001\", uri=\"sip:a@b\",\r\n\
             \tResponse = \"0123456789abcdef\", nc=00000001\r\n\
             Proxy-authorization : Basic c2VjcmV0OnRoaW5n==\r\n continued-secret\r\n\
             Authentication-Info: rspauth=fedcba, qop=auth\r\nX-Gateway-Auth: token\r\nSubject: a response\r\n\
             Refer-To: <sips:c:OPEN@d:5061?Replaces=x&Proxy-Authorization=Digest%20SHUT&Subject=s>\r\n\
             Contact: <sip:192.0.2.7:5060>, \"a:b@c\" <sip:a@h:1>\r\n\
             Content-Type: application/sdp\r\n\r\nv=0\r\nk=clear:KLEAR\r\nA=Crypto:1 AES inline:KEY\r\na=ice-pwd:PWD\r\na=rtpmap:0\r\n\
             Authorization: Bearer FRAG\r\n MENT\r\nFrom: <sip:u:INNER@h>\r\n";
        let message = message.replace("\r\n", end);
        let text = shown(message.as_bytes());
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
            "MENT",
            "SESAME",
            "OPEN",
            "SHUT",
            "INNER",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for part in [
            "INVITE sip:a:***@b SIP/2.0",
            "Response =***, nc=00000001",
            "username=\"1001\"",
            "rspauth=***, qop=auth",
            "Subject: a response\n",
            "<sips:c:***@d:5061?Replaces=x&Proxy-Authorization=***&Subject=s>",
            "Contact: <sip:192.0.2.7:5060>, \"a:b@c\" <sip:a@h:1>\n",
            "\n\nv=0\nk=***********\nA=Crypto:".to_lowercase().as_str(),
            "a=ice-pwd:***\na=rtpmap:0\nAuthorization:************\n*****\nFrom: <sip:u:*****@h>",
        ] {
            assert!(text.to_lowercase().contains(&part.to_lowercase()), "{part}: {text}");
        }
        let body = |text: &[u8]| {
            let blank = [end, end].concat();
            let at = text.windows(blank.len()).position(|part| part == blank.as_bytes());
            text.len() - at.expect("a blank line")
        };
        assert_eq!(body(&masked(message.as_bytes())), body(message.as_bytes()), "Content-Length stays right");
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
            b"sip:",
            b"sip:@",
            b"sip::@",
            b"authorization=",
            b"k=",
            b" \r\n k",
        ] {
            masked(bytes);
        }
        let plain = b"SIP/2.0 200 OK\r\nSubject: \xff\r\nFrom: <sip:a@b:5060>;tag=1\r\n\r\nbody: 1\r\n";
        assert_eq!(masked(plain), plain);
    }
}
