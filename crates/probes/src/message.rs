//! SIP messages as the probes read and write them: plainly, header by header.

/// A received message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) first: String,
    headers: Vec<(String, String)>,
}

impl Message {
    pub(crate) fn read(bytes: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(bytes);
        let head = text.split("\r\n\r\n").next()?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        if !first.contains("SIP/2.0") {
            return None;
        }
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| {
                (long(&name.trim().to_ascii_lowercase()).to_owned(), value.trim().to_owned())
            })
            .collect();
        Some(Message { first, headers })
    }

    /// The status of a response, 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        let code = self.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        if self.status() > 0 { "" } else { self.first.split(' ').next().unwrap_or_default() }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Number and method of CSeq.
    pub(crate) fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.get("cseq").split_once(' ').unwrap_or_default();
        (number.parse().unwrap_or(0), method.trim())
    }

    /// The names of its headers, in order: what a stranger can compare.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The long form of a header's name (RFC 3261 §7.3.3).
fn long(name: &str) -> &str {
    match name {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        other => other,
    }
}

/// A parameter of a header's value, e.g. `tag`.
pub(crate) fn parameter<'v>(value: &'v str, name: &str) -> &'v str {
    let behind = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
    let mut all = behind.split(';').filter_map(|part| part.split_once('='));
    all.find(|(key, _)| key.trim() == name).map_or("", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read() {
        let bytes =
            b"SIP/2.0 407 No\r\nv: SIP/2.0/UDP a\r\nTo: <sip:a@b;x=1>;tag=z\r\nCSeq: 4 INVITE\r\n\r\nbody";
        let m = Message::read(bytes).expect("a message");
        assert_eq!((m.status(), m.method(), m.cseq()), (407, "", (4, "INVITE")));
        assert_eq!((m.get("via"), parameter(m.get("to"), "tag")), ("SIP/2.0/UDP a", "z"));
        assert!(Message::read(b"\r\n\r\n").is_none());
    }
}
