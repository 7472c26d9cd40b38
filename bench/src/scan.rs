//! Reading the few parts of SIP messages that the load generator needs.

use crate::sys;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum H { Via, From, To, CallId, CSeq, Contact, RecordRoute, Auth, ProxyAuth, MaxFwd, ContentLength, Other }
pub(crate) fn header_id(n: &[u8]) -> H {
    let eq = |s: &str| n.eq_ignore_ascii_case(s.as_bytes());
    match n.len() {
        1 => match n[0] | 32 { b'v' => H::Via, b'f' => H::From, b't' => H::To, b'i' => H::CallId,
            b'm' => H::Contact, b'l' => H::ContentLength, _ => H::Other },
        2 if eq("to") => H::To,
        3 if eq("via") => H::Via,
        4 => if eq("from") { H::From } else if eq("cseq") { H::CSeq } else { H::Other },
        7 => if eq("call-id") { H::CallId } else if eq("contact") { H::Contact } else { H::Other },
        12 if eq("record-route") => H::RecordRoute,
        12 if eq("max-forwards") => H::MaxFwd,
        14 if eq("content-length") => H::ContentLength,
        16 if eq("www-authenticate") => H::Auth,
        18 if eq("proxy-authenticate") => H::ProxyAuth,
        _ => H::Other,
    }
}
pub(crate) struct Lines<'a> { rest: &'a [u8] }
impl<'a> Lines<'a> {
    /// next header: (id, value, whole line without CRLF); None at the blank line
    pub(crate) fn next(&mut self) -> Option<(H, &'a [u8], &'a [u8])> {
        let nl = sys::find(self.rest, b'\n')?;
        let mut line = &self.rest[..nl];
        self.rest = &self.rest[nl + 1..];
        if line.last() == Some(&b'\r') { line = &line[..line.len() - 1]; }
        if line.is_empty() { return None; }
        let c = sys::find(line, b':')?;
        let mut n = &line[..c];
        while n.last() == Some(&b' ') { n = &n[..n.len() - 1]; }
        let mut v = &line[c + 1..];
        while v.first() == Some(&b' ') { v = &v[1..]; }
        Some((header_id(n), v, line))
    }
}
pub(crate) fn first_line(b: &[u8]) -> (&[u8], Lines<'_>) {
    match sys::find(b, b'\n') {
        Some(i) => (&b[..i.saturating_sub(1)], Lines { rest: &b[i + 1..] }),
        None => (b, Lines { rest: &[] }),
    }
}
pub(crate) fn parse_call_id(v: &[u8]) -> Option<(u32, u32)> {
    if v.len() < 16 { return None; }
    let h = |s: &[u8]| -> Option<u32> {
        let mut r = 0u32;
        for c in s { r = (r << 4) | (*c as char).to_digit(16)?; }
        Some(r)
    };
    Some((h(&v[..8])?, h(&v[8..16])?))
}
pub(crate) fn uri_in_angle(v: &[u8]) -> &[u8] {
    if let Some(a) = sys::find(v, b'<') {
        if let Some(b) = sys::find(&v[a..], b'>') { return &v[a + 1..a + b]; }
    }
    let end = sys::find(v, b';').unwrap_or(v.len());
    &v[..end]
}
pub(crate) fn auth_param<'a>(v: &'a str, name: &str) -> Option<&'a str> {
    let mut s = v;
    while let Some(i) = s.find(name) {
        let before_ok = i == 0 || matches!(s.as_bytes()[i - 1], b' ' | b',' | b'\t');
        let after = s[i + name.len()..].trim_start();
        if before_ok && after.starts_with('=') {
            let x = after[1..].trim_start();
            return if let Some(q) = x.strip_prefix('"') { q.split('"').next() }
                else { x.split(|c| c == ',' || c == ' ').next() };
        }
        s = &s[i + name.len()..];
    }
    None
}
