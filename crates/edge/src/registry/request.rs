//! The REGISTER we send, RFC 3261 §10.2, and what its answer says.

use std::io::Write as _;
use std::net::SocketAddr;

use trunkline_sip::{Address, HeaderName, IN_USER, Message, Uri, escape, parse_ip, put_transport, seconds};
use trunkline_transport::Egress;
use trunkline_trunks::Response;

use crate::address::Us;
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
    /// The name that stands there in its place.
    pub name: Option<&'a str>,
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

/// Writes it. The Contact names the account, as many carriers want it; one for all numbers names nobody, since the carrier puts
/// the called number there (RFC 6140 §5.2, §7.1).
pub(crate) fn write(asked: &Asked<'_>, shared: &Shared, out: &mut Vec<u8>) {
    let us = Us { at: asked.us, name: asked.name };
    let mac = Errand::Register.mac(&shared.secret, asked.serial);
    out.clear();
    out.extend_from_slice(b"REGISTER ");
    asked.place.put_registrar(out);
    let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/{} ", asked.egress.transport.via_name());
    us.put(out);
    out.extend_from_slice(b";branch=");
    Errand::Register.put_branch(&shared.secret, asked.serial, out);
    out.extend_from_slice(b";rport\r\nMax-Forwards: 70\r\nFrom: ");
    asked.place.put_aor(out);
    let _ = write!(out, ";tag={mac:x}\r\nTo: ");
    asked.place.put_aor(out);
    let _ = write!(out, "\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n", asked.call_id, asked.cseq);
    let mut put_contact = |at: Us<'_>, more: &[u8]| {
        out.extend_from_slice(b"Contact: <sip:");
        if !asked.bulk {
            escape(asked.place.user.as_bytes(), IN_USER, out);
            out.push(b'@');
        }
        at.put(out);
        put_transport(asked.egress.transport, out);
        out.extend_from_slice(if asked.bulk { b";bnc>" } else { b">" });
        out.extend_from_slice(more);
        out.extend_from_slice(b"\r\n");
    };
    put_contact(us, b"");
    if let Some(gone) = asked.gone {
        put_contact(Us { at: gone, name: None }, b";expires=0");
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

/// How long the answer says that our Contact is registered. A carrier may have rewritten it, as its NAT sees us: of Contacts that
/// are none of ours the one that ends first counts, so that ours is refreshed before it ends (RFC 3261 §10.2.4).
fn granted(m: &Message<'_>, us: SocketAddr, name: Option<&str>) -> Option<u32> {
    let named = |uri: &Uri<'_>| name.is_some_and(|name| uri.host.eq_ignore_ascii_case(name.as_bytes()));
    let ours =
        |uri: &Uri<'_>| (uri.ip() == Some(us.ip()) || named(uri)) && uri.port.unwrap_or(5060) == us.port();
    let (mut own, mut other) = (None::<u32>, None::<u32>);
    for contact in m.list(HeaderName::Contact).flatten().filter_map(|c| Address::parse(c, "Contact").ok()) {
        let Some(expires) = contact.param("expires").flatten().and_then(seconds) else { continue };
        let kept = if contact.parsed_uri().is_ok_and(|uri| ours(&uri)) { &mut own } else { &mut other };
        *kept = Some(kept.map_or(expires, |before| before.min(expires)));
    }
    let general = m.seconds(HeaderName::Expires).ok().flatten();
    own.or(other.filter(|expires| *expires > 0)).or(general)
}

/// Reads an answer. `us`: the address our Contact names.
pub(crate) fn read(m: &Message<'_>, us: SocketAddr, name: Option<&str>) -> Response {
    let number = |name: &str| {
        let value = m.other_header(name)?;
        let digits = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
        value.get(..digits).and_then(seconds)
    };
    Response {
        status: m.status().unwrap_or(0),
        granted: granted(m, us, name),
        at_least: number("Min-Expires"),
        retry_after: number("Retry-After"),
        stale: is_stale(m),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    #[test]
    fn what_was_granted() {
        let us: SocketAddr = "192.0.2.5:5060".parse().unwrap();
        let of = |lines: &str| {
            let text = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n\
                 Call-ID: i\r\nCSeq: 1 REGISTER\r\n{lines}\r\n"
            );
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).unwrap();
            granted(&Message::new(text.as_bytes(), &index), us, Some("sbc.example.com"))
        };
        let own = "m: <sip:a@192.0.2.5>;expires=300\r\n";
        let other = "Contact: <sip:a@203.0.113.7:61234;fs_nat=yes>;expires=12\r\n";
        assert_eq!(of(own), Some(300));
        assert_eq!(of(&format!("{other}{own}Expires: 60\r\n")), Some(300), "ours counts");
        assert_eq!(of(&format!("{other}Expires: 600\r\n")), Some(12), "ours was rewritten");
        assert_eq!(of(&format!("{other}m: <sip:b@h>;expires=9, <sip:c@h>\r\n")), Some(9));
        assert_eq!(of("m: <sip:a@192.0.2.5:5060>\r\nExpires: 60\r\n"), Some(60));
        assert_eq!(of("m: <sip:a@192.0.2.5:5060>;expires=0\r\n"), Some(0));
        assert_eq!(of("m: <sip:x@h>;expires=0\r\nExpires: 70\r\n"), Some(70), "that was an old one");
        assert_eq!(
            of(&format!("{other}m: <sip:a@SBC.example.com>;expires=90\r\n")),
            Some(90),
            "ours by name"
        );
        assert_eq!(of(""), None);
    }
}
