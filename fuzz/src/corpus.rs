//! Where mutations start: the torture messages of `tests/torture`, and lines cut out of them.

use std::path::Path;

/// Whole messages first, then every header value of theirs and every Request-URI.
pub fn corpus() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/torture");
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "dat"));
    files.sort();
    let messages: Vec<Vec<u8>> = files.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    assert!(!messages.is_empty(), "no messages in {}", dir.display());
    let mut all = messages.clone();
    for message in &messages {
        let head = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(message.len());
        for line in message[..head].split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            let part = match line.iter().position(|byte| *byte == b':') {
                Some(colon) if !line.ends_with(b"SIP/2.0") => &line[colon + 1..],
                _ => line.split(|byte| *byte == b' ').nth(1).unwrap_or(line),
            };
            all.push(part.trim_ascii().to_vec());
        }
    }
    all.extend(EXTRA.iter().map(|text| text.as_bytes().to_vec()));
    all.sort();
    all.dedup();
    // Long ones first, so that targets for whole messages find them by length.
    all.sort_by_key(|bytes| std::cmp::Reverse(bytes.len()));
    all
}

/// Shapes the torture messages lack.
const EXTRA: &[&str] = &[
    "Digest username=\"bob\", realm=\"sip.test\", nonce=\"4f2a\", uri=\"sip:sip.test\", response=\"6629fae49393a05397450978507c4ef1\", qop=auth, nc=00000001, cnonce=\"0a4f\", algorithm=MD5, opaque=\"x\"",
    "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256, stale=TRUE",
    "Digest username*=UTF-8''J%C3%A4s%C3%B8n, realm=r, nonce=n, uri=u, response=00, userhash=true",
    "sip:+1-555;phone-context=example.test@[2001:db8::9:1]:5060;user=phone;transport=tls;lr?X=1&Y=%20",
    "tel:+1-201-555-0123;ext=12;isub=1",
    "sips:alice:secret@example.test",
    "SIP/2.0/TLS [2001:db8::9:ff]:5061;branch=z9hG4bK87a;received=192.0.2.1;rport=9;ttl=255;maddr=224.2.0.1;alias",
    "\"A, B\" <sip:a@b;x=\",\">;q=0.7;expires=3600;+sip.instance=\"<urn:uuid:0>\";reg-id=1, <sip:c@d>, *",
    "\r\n\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc\r\n\r\nSIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
];
