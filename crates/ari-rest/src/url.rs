//! The URLs of an Asterisk: scheme, host, port, path.

use std::fmt;

/// A URL of HTTP or a WebSocket, with or without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether the scheme asks for TLS (`https`, `wss`).
    pub tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port, by default 80 or 443.
    pub port: u16,
    /// The path without a slash at its end; empty for the root.
    pub path: String,
}

/// A URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is not a URL of {expected}://HOST[:PORT]/PATH")]
pub struct UrlError {
    url: String,
    expected: &'static str,
}

impl Url {
    /// Reads an `http` or `https` URL.
    ///
    /// # Errors
    /// When `text` is not one.
    pub fn http(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, "http", "https").ok_or_else(|| UrlError { url: text.to_owned(), expected: "http" })
    }

    /// Reads a `ws` or `wss` URL.
    ///
    /// # Errors
    /// When `text` is not one.
    pub fn websocket(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, "ws", "wss").ok_or_else(|| UrlError { url: text.to_owned(), expected: "ws" })
    }

    fn parse(text: &str, plain: &str, secure: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let tls = match scheme {
            s if s == plain => false,
            s if s == secure => true,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let path = path.split(['?', '#']).next()?.trim_end_matches('/').to_owned();
        let (host, port) = match authority.strip_prefix('[') {
            Some(six) => {
                let (host, port) = six.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let default = if tls { 443 } else { 80 };
        let port = port.map_or(Some(default), |p| p.parse().ok())?;
        (!host.is_empty()).then(|| Url { tls, host: host.to_owned(), port, path })
    }

    /// Host and port as the `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = Url::http("http://localhost:8088/ari/").unwrap();
        assert_eq!(
            (url.tls, url.host.as_str(), url.port, url.path.as_str()),
            (false, "localhost", 8088, "/ari")
        );
        assert_eq!(Url::websocket("wss://[::1]/ari/events").unwrap().authority(), "[::1]:443");
        assert_eq!(Url::http("http://h").unwrap().port, 80);
        assert_eq!(
            Url::http("ftp://h").unwrap_err().to_string(),
            "`ftp://h` is not a URL of http://HOST[:PORT]/PATH"
        );
        assert!(Url::http("http://:80/").is_err() && Url::http("http://h:x/").is_err());
    }
}
