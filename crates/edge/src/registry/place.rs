//! Where we register.

use std::io::Write as _;

use trunkline_sip::response::put_number;
use trunkline_sip::{IN_USER, Transport, escape, put_transport};

/// Where we register and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub host: String,
    pub port: Option<u16>,
    pub transport: Option<Transport>,
    /// The user of our AOR there.
    pub user: String,
}

impl Place {
    /// The registrar: the Request-URI. It names no user (RFC 3261 §10.2).
    pub(crate) fn put_registrar(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"sip:");
        self.put_host(out);
        if let Some(port) = self.port {
            out.push(b':');
            put_number(u64::from(port), out);
        }
        put_transport(self.transport.unwrap_or_default(), out);
    }

    fn put_host(&self, out: &mut Vec<u8>) {
        let bare_v6 = self.host.contains(':') && !self.host.starts_with('[');
        let _ = if bare_v6 { write!(out, "[{}]", self.host) } else { write!(out, "{}", self.host) };
    }

    pub(super) fn put_aor(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<sip:");
        escape(self.user.as_bytes(), IN_USER, out);
        out.push(b'@');
        self.put_host(out);
        out.push(b'>');
    }
}
