//! The REGISTER we send, RFC 3261 §10.2, and what its answer says.

use std::io::Write as _;
use std::net::SocketAddr;

use trunkline_sip::{Address, HeaderName, Message, Uri, parse_ip, put_address, put_transport, seconds};
use trunkline_transport::Egress;
use trunkline_trunks::Response;

use crate::challenged::is_stale;
use crate::own::Errand;
use crate::registry::place::Place;
use crate::shared::Shared;

/// What one REGISTER says.
pub(crate) struct Asked<'a> {
    pub place: &'a Place,
    pub egress: &'a Egress,
    /// The address in our Contact.
    pub us: SocketAddr,
    /// That of an earlier Contact of ours, which is taken back.
    pub gone: Option<SocketAddr>,
    pub serial: u64,
    pub call_id: &'a str,
    pub cseq: u32,
    pub expires: u32,
    pub bulk: bool,
    /// A whole header line with the answer to a challenge; empty for none.
    pub authorization: &'a [u8],
}

/// Writes it. The Contact has no user: the carrier puts the called number there (RFC 6140 §7.1), or says it in To.
pub(crate) fn write(asked: &Asked<'_>, shared: &Shared, out: &mut Vec<u8>) {
    let us = asked.us;
    let mac = Errand::Register.mac(&shared.secret, asked.serial);
    out.clear();
    out.extend_from_slice(b"REGISTER ");
    asked.place.put_registrar(out);
    let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/{} ", asked.egress.transport.via_name());
    put_address(us, out);
    out.extend_from_slice(b";branch=");
    Errand::Register.put_branch(&shared.secret, asked.serial, out);
    out.extend_from_slice(b";rport\r\nMax-Forwards: 70\r\nFrom: ");
    asked.place.put_aor(out);
    let _ = write!(out, ";tag={mac:x}\r\nTo: ");
    asked.place.put_aor(out);
    let _ = write!(out, "\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n", asked.call_id, asked.cseq);
    let mut put_contact = |at: SocketAddr, more: &[u8]| {
        out.extend_from_slice(b"Contact: <sip:");
        put_address(at, out);
        put_transport(asked.egress.transport, out);
        out.extend_from_slice(if asked.bulk { b";bnc>" } else { b">" });
        out.extend_from_slice(more);
        out.extend_from_slice(b"\r\n");
    };
    put_contact(us, b"");
    if let Some(gone) = asked.gone {
        put_contact(gone, b";expires=0");
    }
    if asked.bulk {
        out.extend_from_slice(b"Require: gin\r\nProxy-Require: gin\r\n");
    }
    let _ = write!(out, "Supported: path\r\nExpires: {}\r\n", asked.expires);
    out.extend_from_slice(
        b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY, MESSAGE\r\n",
    );
    if !shared.config.server_name.is_empty() {
        let _ = write!(out, "User-Agent: {}\r\n", shared.config.server_name);
    }
    out.extend_from_slice(asked.authorization);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Under which address our REGISTER arrived, as its answer says (RFC 3581 §4).
pub(crate) fn seen(m: &Message<'_>) -> Option<SocketAddr> {
    let via = m.top_via().ok()?;
    let received = via.received.and_then(parse_ip);
    let port = via.rport.flatten();
    if received.is_none() && port.is_none() {
        return None;
    }
    Some(SocketAddr::new(received.or_else(|| parse_ip(via.host))?, port.or(via.port)?))
}

/// Reads an answer. `us`: the address our Contact names.
pub(crate) fn read(m: &Message<'_>, us: SocketAddr) -> Response {
    let ours = |uri: &Uri<'_>| uri.ip() == Some(us.ip()) && uri.port.unwrap_or(5060) == us.port();
    let own_contact = m.list(HeaderName::Contact).flatten().find_map(|element| {
        let contact = Address::parse(element, "Contact").ok()?;
        ours(&contact.parsed_uri().ok()?).then(|| contact.param("expires").flatten().and_then(seconds))
    });
    let number = |name: &str| {
        let value = m.other_header(name)?;
        let digits = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
        value.get(..digits).and_then(seconds)
    };
    Response {
        status: m.status().unwrap_or(0),
        granted: own_contact.flatten().or_else(|| m.seconds(HeaderName::Expires).ok().flatten()),
        at_least: number("Min-Expires"),
        retry_after: number("Retry-After"),
        stale: is_stale(m),
    }
}
