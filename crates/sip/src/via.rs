//! The Via header, RFC 3261 §20.42, with RFC 3581's `rport`.

use std::net::IpAddr;

use crate::class::{SPACE, TOKEN, leading};
use crate::error::ParseError;
use crate::flow::Transport;
use crate::lex::{Params, is_space, leading_number, number};
use crate::uri::{parse_ip, split_host};

/// The mark of a branch made by RFC 3261 rules.
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One element of a Via header, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport's name as it stands (`UDP`, or one we do not speak).
    pub transport: &'a [u8],
    /// `sent-by`, the host; IPv6 with brackets.
    pub host: &'a [u8],
    /// `sent-by`, the port.
    pub port: Option<u16>,
    /// The `branch` parameter; empty when there is none (RFC 2543).
    pub branch: &'a [u8],
    /// The `received` parameter.
    pub received: Option<&'a [u8]>,
    /// The `rport` parameter: `Some(None)` asked for, `Some(Some(port))` filled in (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// The `maddr` parameter.
    pub maddr: Option<&'a [u8]>,
    /// Where the name of `rport` stands, empty when it does not.
    pub rport_name: &'a [u8],
}

impl<'a> Via<'a> {
    /// Reads one element of a Via list.
    pub fn parse(element: &'a [u8]) -> Result<Via<'a>, ParseError> {
        let bad = ParseError::Header("Via");
        let mut s = Cursor { rest: element };
        // Nearly all begin so.
        match element.strip_prefix(b"SIP/2.0/") {
            Some(rest) => s.rest = rest,
            None => s.protocol().ok_or(bad)?,
        }
        let transport = s.token().ok_or(bad)?;
        if !s.rest.first().is_some_and(|&b| is_space(b)) {
            return Err(bad);
        }
        s.space();
        let (host, rest) = split_host(s.rest).ok_or(bad)?;
        s.rest = rest;
        s.space();
        let mut port = None;
        if s.rest.first() == Some(&b':') {
            s.byte(b':');
            s.space();
            let (number, rest) = leading_number(s.rest, 65535).ok_or(bad)?;
            port = Some(number as u16);
            s.rest = rest;
        }
        let mut via = Via {
            transport,
            host,
            port,
            branch: b"",
            received: None,
            rport: None,
            maddr: None,
            rport_name: b"",
        };
        for p in Params::new(s.rest) {
            let p = p.map_err(|()| bad)?;
            match p.name.len() {
                6 if p.is("branch") => via.branch = p.value.ok_or(bad)?,
                5 if p.is("rport") => {
                    let value = match p.value {
                        None | Some(b"") => None,
                        Some(v) => Some(number(v, 65535).ok_or(bad)? as u16),
                    };
                    via.rport = Some(value);
                    via.rport_name = p.name;
                }
                5 if p.is("maddr") => via.maddr = p.value,
                8 if p.is("received") => via.received = p.value,
                _ => {}
            }
        }
        Ok(via)
    }

    /// Was the branch made by the rules of RFC 3261 §8.1.1.7? The cookie alone identifies nothing. It is a token, in which
    /// case counts nothing (§7.3.1).
    pub fn has_cookie(&self) -> bool {
        self.branch.len() > MAGIC_COOKIE.len() && begins_with_cookie(self.branch)
    }

    /// The transport, where we speak it.
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::from_bytes(self.transport)
    }

    /// The port of `sent-by`, or that of its transport.
    pub fn sent_by_port(&self) -> u16 {
        self.port.unwrap_or(self.known_transport().unwrap_or_default().default_port())
    }

    /// The address a response goes to without a connection, RFC 3261 §18.2.2 and RFC 3581 §4: `received` or
    /// the host where that is an address; `rport`, the port of `sent-by`, or the transport's. `maddr` is for multicast,
    /// which we do not speak.
    pub fn response_address(&self) -> Option<(IpAddr, u16)> {
        let port = match (self.rport.flatten(), self.received) {
            (Some(port), Some(_)) => port,
            _ => self.sent_by_port(),
        };
        Some((parse_ip(self.received.unwrap_or(self.host))?, port))
    }
}

pub(crate) fn begins_with_cookie(branch: &[u8]) -> bool {
    branch.get(..MAGIC_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// Reads forward over tokens with white space around them.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The name of the protocol and its version. Another version is answered 505, for which this Via must be readable.
    fn protocol(&mut self) -> Option<()> {
        let name = self.token()?;
        self.byte(b'/')?;
        self.token()?;
        self.byte(b'/')?;
        name.eq_ignore_ascii_case(b"SIP").then_some(())
    }

    #[inline]
    fn space(&mut self) {
        let n = leading(self.rest, SPACE);
        self.rest = self.rest.get(n..).unwrap_or_default();
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.space();
        let n = leading(self.rest, TOKEN);
        let (token, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        self.space();
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (first == wanted).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let v =
            Via::parse(b"SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport;received=198.51.100.7").unwrap();
        assert_eq!((v.host, v.port, v.branch), (&b"192.0.2.1"[..], Some(5070), &b"z9hG4bKx"[..]));
        assert_eq!(v.rport, Some(None));
        assert_eq!(v.response_address(), Some(("198.51.100.7".parse().unwrap(), 5070)));
        let v = Via::parse(b"SIP  / 2.0\r\n / TLS   [2001:db8::1] : 99 ;\r\n branch = z9hG4bK7 ; rport=9")
            .unwrap();
        assert_eq!((v.transport, v.host, v.port), (&b"TLS"[..], &b"[2001:db8::1]"[..], Some(99)));
        assert_eq!(v.branch, b"z9hG4bK7");
        assert_eq!(v.rport, Some(Some(9)));
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP h;;,;,,",
            "SIP/2.0/UDP h:70000",
            "SIP/2.0 UDP h",
            "SIP/2.0/UDP h;rport=x",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
