//! SIP messages as text, parsed and written apart from the exchange's own code.

use std::fmt::Write as _;

/// One request or response. Header names are kept as received; compact ones are spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The bytes after the empty line.
    pub body: Vec<u8>,
}

impl Message {
    /// A request with only its first line.
    pub fn request(method: &str, uri: &str) -> Message {
        Message { start: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: Vec::new() }
    }

    /// Reads a whole message; bytes that are not UTF-8 in the head are replaced.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((long_name(name.trim()).to_owned(), value.trim().to_owned()));
        }
        Some(Message { start, headers, body: bytes[end + 4..].to_vec() })
    }

    /// The bytes to send; Content-Length is written here.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (name, value) in
            self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"))
        {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n", self.body.len());
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }

    /// First value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every line of a header, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every value of a header whose lines are comma lists of addresses.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        for line in self.all(name) {
            let (mut angle, mut quoted, mut part) = (false, false, String::new());
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    '<' if !quoted => angle = true,
                    '>' if !quoted => angle = false,
                    ',' if !quoted && !angle => {
                        out.push(std::mem::take(&mut part).trim().to_owned());
                        continue;
                    }
                    _ => {}
                }
                part.push(c);
            }
            out.push(part.trim().to_owned());
        }
        out
    }

    /// Adds a header at the end.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Message {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Replaces a header (all its lines), or adds it.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Message {
        let at =
            self.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap_or(self.headers.len());
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.insert(at.min(self.headers.len()), (name.to_owned(), value.into()));
        self
    }

    /// Takes every line of a header away.
    pub fn without(mut self, name: &str) -> Message {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// Gives it a body of a type.
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Message {
        self.body = body.into();
        self.set("Content-Type", kind)
    }

    /// The status code; 0 for a request.
    pub fn status(&self) -> u16 {
        let rest = self.start.strip_prefix("SIP/2.0 ");
        rest.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// The method of a request; empty for a response.
    pub fn method(&self) -> &str {
        if self.start.starts_with("SIP/") { "" } else { self.start.split(' ').next().unwrap_or("") }
    }

    /// The Request-URI; empty for a response.
    pub fn uri(&self) -> &str {
        if self.start.starts_with("SIP/") { "" } else { self.start.split(' ').nth(1).unwrap_or("") }
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let value = self.get("CSeq").unwrap_or("");
        let (number, method) = value.split_once(' ').unwrap_or((value, ""));
        (number.trim().parse().unwrap_or(0), method.trim())
    }

    /// Call-ID, or nothing.
    pub fn call_id(&self) -> &str {
        self.get("Call-ID").unwrap_or("")
    }

    /// The tag of From or To.
    pub fn tag(&self, header: &str) -> Option<&str> {
        param(self.get(header)?, "tag")
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        param(self.get("Via")?, "branch")
    }
}

/// A parameter of a header value, outside angle brackets.
pub fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    after.split(';').skip(1).chain(after.strip_prefix(';')).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.split(',').next().unwrap_or("").trim())
    })
}

/// The URI of a header value: within angle brackets, or before the first semicolon.
pub fn uri(value: &str) -> &str {
    match (value.find('<'), value.rfind('>')) {
        (Some(from), Some(to)) if from < to => &value[from + 1..to],
        _ => value.split(';').next().unwrap_or("").trim(),
    }
}

fn long_name(name: &str) -> &str {
    match name {
        "v" | "V" => "Via",
        "f" | "F" => "From",
        "t" | "T" => "To",
        "i" | "I" => "Call-ID",
        "m" | "M" => "Contact",
        "l" | "L" => "Content-Length",
        "c" | "C" => "Content-Type",
        "k" | "K" => "Supported",
        "r" | "R" => "Refer-To",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, param, uri};

    #[test]
    fn a_message_is_read_and_written() {
        let text = "INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP x;branch=z9hG4bK1;rport\r\nRecord-Route: <sip:p1;lr>,\r\n <sip:p2;lr;x=\"a,b\">\r\nFrom: <sip:c@d;tag=no>;tag=yes\r\nContent-Length: 2\r\n\r\nhi";
        let message = Message::parse(text.as_bytes()).expect("a message");
        assert_eq!(
            (message.method(), message.uri(), message.branch()),
            ("INVITE", "sip:a@b", Some("z9hG4bK1"))
        );
        assert_eq!(message.tag("From"), Some("yes"));
        assert_eq!(message.list("Record-Route"), ["<sip:p1;lr>", "<sip:p2;lr;x=\"a,b\">"]);
        assert_eq!(message.body, b"hi");
        assert_eq!(Message::parse(&message.bytes()).expect("again").body, b"hi");
        assert_eq!(param("sip:a@b;tag=1;x", "tag"), Some("1"));
        assert_eq!(uri("\"A\" <sip:a@b;lr>;x"), "sip:a@b;lr");
    }
}
