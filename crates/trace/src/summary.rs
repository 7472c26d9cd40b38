//! What a line about a message says of it.

use std::borrow::Cow;

/// The parts of a message that are told in one line, and that filters look at. They are read from what is no proper message too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The method: of a request its own, of a response that in CSeq.
    pub method: Cow<'a, str>,
    /// The status of a response.
    pub status: Option<u16>,
    /// The Request-URI, or the reason phrase.
    pub rest: Cow<'a, str>,
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The values of From and To.
    pub from: Cow<'a, str>,
    /// The value of To.
    pub to: Cow<'a, str>,
    /// The number in CSeq.
    pub cseq: Cow<'a, str>,
}

impl<'a> Summary<'a> {
    /// Reads a message.
    pub fn of(bytes: &'a [u8]) -> Summary<'a> {
        let mut lines = bytes.split(|b| matches!(b, b'\r' | b'\n'));
        let mut start = lines.find(|line| !line.is_empty()).unwrap_or_default().splitn(3, |b| *b == b' ');
        let (first, second) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let mut summary = Summary::default();
        if first.get(..4).is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/")) {
            summary.status = std::str::from_utf8(second).ok().and_then(|code| code.parse().ok());
            summary.rest = String::from_utf8_lossy(start.next().unwrap_or_default());
        } else {
            summary.method = String::from_utf8_lossy(first);
            summary.rest = String::from_utf8_lossy(second);
        }
        let mut blank = 0;
        for line in lines {
            // CRLF gives one empty line at each end of a line.
            blank = if line.is_empty() { blank + 1 } else { 0 };
            if blank > 3 {
                break;
            }
            summary.take(line);
        }
        summary
    }

    fn take(&mut self, line: &'a [u8]) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is = |long: &str, short: &str| {
            let name = name.trim_ascii_end();
            name.eq_ignore_ascii_case(long.as_bytes()) || name.eq_ignore_ascii_case(short.as_bytes())
        };
        if is("Call-ID", "i") && self.call_id.is_empty() {
            self.call_id = value;
        } else if is("From", "f") && self.from.is_empty() {
            self.from = String::from_utf8_lossy(value);
        } else if is("To", "t") && self.to.is_empty() {
            self.to = String::from_utf8_lossy(value);
        } else if is("CSeq", "CSeq") && self.cseq.is_empty() {
            let mut parts = value.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty());
            self.cseq = String::from_utf8_lossy(parts.next().unwrap_or_default());
            if self.status.is_some() {
                self.method = String::from_utf8_lossy(parts.next().unwrap_or_default());
            }
        }
    }

    /// `INVITE sip:1002@sip.local`, or `486 Busy Here (INVITE)`.
    pub fn line(&self) -> String {
        match self.status {
            Some(status) => format!("{status} {} ({})", self.rest, self.method),
            None => format!("{} {}", self.method, self.rest),
        }
    }

    /// Is one of the parties this user? `user@host` compares the host too; a `+` before a number counts for nothing.
    pub fn is_of(&self, user: &str) -> bool {
        let request = if self.status.is_none() { &self.rest } else { "" };
        [request, &self.from, &self.to].into_iter().any(|text| names(text, user))
    }
}

/// Does the first URI in this text have this user?
fn names(text: &str, wanted: &str) -> bool {
    let text = text.split_once('<').map_or(text, |(_, uri)| uri);
    let Some((_, uri)) = text.split_once(':') else { return false };
    let uri = uri.split(['>', ';', '?', ' ', '\t', ',']).next().unwrap_or_default();
    let (user, host) = uri.rsplit_once('@').unwrap_or((uri, ""));
    let user = user.split(':').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let same = |a: &str, b: &str| a.trim_start_matches('+').eq_ignore_ascii_case(b.trim_start_matches('+'));
    match wanted.rsplit_once('@') {
        Some((name, at)) => same(user, name) && host.eq_ignore_ascii_case(at),
        None => same(user, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses() {
        let invite = b"INVITE sip:+4930@sip.local SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nf: \"A: <b>\" <sip:1001:pw@sip.local:5060;a=b>;tag=1\r\n\
            t : <sip:1002@sip.local>\r\ni:abc\r\nCSeq: 7  INVITE\r\n\r\nCall-ID: no\r\n";
        let summary = Summary::of(invite);
        assert_eq!(summary.line(), "INVITE sip:+4930@sip.local");
        assert_eq!((summary.call_id, &*summary.cseq), (&b"abc"[..], "7"));
        let found: Vec<bool> = ["1002", "1002@sip.local", "4930", "+4930", "1002@other", "100"]
            .map(|user| summary.is_of(user))
            .into();
        assert_eq!(found, [true, true, true, true, false, false]);
        let busy = b"SIP/2.0 486 Busy Here\nCall-ID: x\nCSeq: 1 INVITE\n\n";
        let summary = Summary::of(busy);
        assert_eq!((summary.line().as_str(), summary.call_id), ("486 Busy Here (INVITE)", &b"x"[..]));
        for bytes in [&b""[..], b"\r\n\r\n", b"x", b"SIP/2.0", b"SIP/2.0 \xff", b":\r\n:"] {
            Summary::of(bytes).line();
        }
    }

    #[test]
    fn the_caller_is_found_behind_a_display_name() {
        assert!(names("\"A\" <sip:1001:pw@sip.local:5060;a=b>;tag=1", "1001@sip.local"));
        assert!(names("sip:1001@h;tag=2", "1001") && names("tel:+4930;x=y", "4930"));
        assert!(!names("", "1001") && !names("<", "") && !names("sip:h", "1001"));
    }
}
