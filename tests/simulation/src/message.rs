//! SIP messages as text, read and written apart from the exchange's own code.

use std::rc::Rc;

/// One header line: where its name ends, where its value begins and ends.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: u32,
    name_end: u32,
    value: u32,
    end: u32,
}

/// A message that was sent or received. Header names are those of RFC 3261 in full, as everybody here writes them.
#[derive(Debug)]
pub struct Msg {
    /// All of it.
    pub text: String,
    start_end: u32,
    lines: Vec<Line>,
}

impl Msg {
    /// Reads a whole message; `None` where it is none.
    pub fn read(text: String) -> Option<Rc<Msg>> {
        let head = text.find("\r\n\r\n")? + 2;
        let start_end = text.find("\r\n")?;
        let mut lines = Vec::with_capacity(16);
        let mut at = start_end + 2;
        while at < head {
            let end = at + text.get(at..head)?.find("\r\n")?;
            let name_end = at + text.get(at..end)?.find(':')?;
            let mut value = name_end + 1;
            while text.as_bytes().get(value) == Some(&b' ') {
                value += 1;
            }
            let n = |n: usize| n as u32;
            lines.push(Line { start: n(at), name_end: n(name_end), value: n(value.min(end)), end: n(end) });
            at = end + 2;
        }
        Some(Rc::new(Msg { start_end: start_end as u32, text, lines }))
    }

    fn cut(&self, from: u32, to: u32) -> &str {
        self.text.get(from as usize..to as usize).unwrap_or("")
    }

    /// Request line or status line.
    pub fn start(&self) -> &str {
        self.cut(0, self.start_end)
    }

    /// The status code; 0 for a request.
    pub fn status(&self) -> u16 {
        let digits = self.start().strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        digits.and_then(|d| d.parse().ok()).unwrap_or(0)
    }

    /// Is it a request?
    pub fn is_request(&self) -> bool {
        !self.text.starts_with("SIP/")
    }

    /// The method of a request, or that in the CSeq of a response.
    pub fn method(&self) -> &str {
        match self.is_request() {
            true => self.start().split(' ').next().unwrap_or(""),
            false => self.cseq().1,
        }
    }

    /// The Request-URI; empty for a response.
    pub fn uri(&self) -> &str {
        if self.is_request() { self.start().split(' ').nth(1).unwrap_or("") } else { "" }
    }

    /// All headers in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|l| (self.cut(l.start, l.name_end), self.cut(l.value, l.end)))
    }

    /// Every line of a header, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers().filter(move |(n, _)| *n == name).map(|(_, v)| v)
    }

    /// First value of a header; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.headers().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.get("CSeq").split_once(' ').unwrap_or(("", ""));
        (number.parse().unwrap_or(0), method)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.get("Call-ID")
    }

    /// The tag of From or To; empty where there is none.
    pub fn tag(&self, header: &str) -> &str {
        param(self.get(header), "tag")
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &str {
        param(self.get("Via"), "branch")
    }
}

/// A parameter behind the `>` of an address, or behind the first `;` of anything else; empty where there is none.
pub fn param<'a>(value: &'a str, name: &str) -> &'a str {
    let behind = value.rfind('>').map_or(value, |at| &value[at..]);
    let mut parts = behind.split(';').skip(1);
    parts.find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
}

/// The URI between the angle brackets.
pub fn uri_of(value: &str) -> &str {
    match (value.find('<'), value.find('>')) {
        (Some(a), Some(b)) if a < b => &value[a + 1..b],
        _ => value.split(';').next().unwrap_or(value),
    }
}

/// Host and port of a SIP URI, where the host is an address.
pub fn address_of(uri: &str) -> Option<std::net::SocketAddr> {
    let rest = uri.strip_prefix("sip:")?;
    let host = rest.split(';').next()?.rsplit('@').next()?;
    match host.contains(':') {
        true => host.parse().ok(),
        false => Some(std::net::SocketAddr::new(host.parse().ok()?, 5060)),
    }
}

/// The user part of a SIP URI.
pub fn user_of(uri: &str) -> &str {
    let rest = uri.strip_prefix("sip:").unwrap_or(uri);
    rest.split_once('@').map_or("", |(user, _)| user)
}
