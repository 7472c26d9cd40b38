//! What a REGISTER asks for beyond its bindings, and what its 200 says of it: outbound (RFC 5626), GRUU (RFC 5627),
//! Service-Route (RFC 3608).

use std::net::SocketAddr;

use trunkline_location::ContactChange;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, HeaderName, Message, Transport, put_address, put_transport};

use crate::config::RegistrarConfig;
use crate::refusal::Refusal;

/// Phones behind a NAT show on UDP that they are still there so often, in seconds (RFC 5626 §4.4: 24 to 29 s).
const UDP_FLOW_TIMER: u32 = 25;

/// The extensions of one REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extensions {
    /// Its contact is a flow: reached by it alone, and tried one after the other with the phone's other flows.
    pub(crate) outbound: bool,
    /// GRUUs are wanted.
    pub(crate) gruu: bool,
    /// The phone's own packet: no proxy before us.
    pub(crate) direct: bool,
}

impl Extensions {
    /// Reads them.
    pub(crate) fn read(m: &Message<'_>, changes: &[ContactChange<'_>]) -> Result<Extensions, Refusal> {
        let (mut outbound, mut gruu) = (false, false);
        for tag in m.list(HeaderName::Supported).chain(m.list(HeaderName::Require)).flatten() {
            outbound |= tag.eq_ignore_ascii_case(b"outbound");
            gruu |= tag.eq_ignore_ascii_case(b"gruu");
        }
        let lasting = || changes.iter().filter(|c| c.expires > 0);
        let flows = lasting().filter(|c| c.reg_id != 0 && !c.instance.is_empty()).count();
        if flows > 0 && lasting().count() > 1 {
            return Err(Refusal::NotAlone);
        }
        outbound &= flows > 0;
        let direct = m.list(HeaderName::Via).count() == 1;
        if outbound && !direct && !first_hop_keeps_flows(m) {
            return Err(Refusal::FirstHop);
        }
        Ok(Extensions { outbound, gruu, direct })
    }

    /// Appends the header lines of the 200.
    pub(crate) fn put_lines(
        &self,
        transport: Transport,
        config: &RegistrarConfig,
        us: impl FnOnce() -> SocketAddr,
        out: &mut Vec<u8>,
    ) {
        if config.service_route {
            out.extend_from_slice(b"Service-Route: <sip:");
            put_address(us(), out);
            put_transport(transport, out);
            out.extend_from_slice(b";lr>\r\n");
        }
        if !self.outbound {
            return;
        }
        out.extend_from_slice(b"Require: outbound\r\n");
        if self.direct && config.flow_timer > 0 {
            out.extend_from_slice(b"Flow-Timer: ");
            let seconds = match transport {
                Transport::Udp => config.flow_timer.min(UDP_FLOW_TIMER),
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => config.flow_timer,
            };
            put_number(u64::from(seconds), out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Does the proxy next to the phone, the last in Path, say that it keeps flows (RFC 5626 §5.1)?
fn first_hop_keeps_flows(m: &Message<'_>) -> bool {
    let last = m.list(HeaderName::Path).flatten().last();
    let uri = last.and_then(|p| Address::parse(p, "Path").ok()).and_then(|a| a.parsed_uri().ok());
    uri.is_some_and(|uri| uri.param("ob").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    fn read(vias: usize, headers: &str, contacts: &[(u32, u32)]) -> Result<(bool, bool, bool), Refusal> {
        let via = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n".repeat(vias);
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\n{via}From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\
             {headers}\r\n"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).expect("a request");
        let change = |&(reg_id, expires): &(u32, u32)| ContactChange {
            instance: b"<urn:uuid:1>",
            reg_id,
            ..ContactChange::new(b"sip:a@h", expires)
        };
        let changes: Vec<_> = contacts.iter().map(change).collect();
        let m = Message::new(text.as_bytes(), &index);
        Extensions::read(&m, &changes).map(|e| (e.outbound, e.gruu, e.direct))
    }

    #[test]
    fn what_a_register_asks_for() {
        let flow = [(1, 600)];
        let both = "Supported: path, Outbound,gruu\r\n";
        for (vias, headers, contacts, wanted) in [
            (1, "", &flow[..], Ok((false, false, true))),
            (1, both, &flow, Ok((true, true, true))),
            (1, both, &[(0, 600)], Ok((false, true, true))),
            (1, both, &[(1, 0)], Ok((false, true, true))),
            (1, both, &[], Ok((false, true, true))),
            // One flow takes the place of others in one REGISTER, but no two are made by it.
            (1, both, &[(1, 600), (2, 0)], Ok((true, true, true))),
            (1, both, &[(1, 600), (2, 600)], Err(Refusal::NotAlone)),
            (1, "", &[(1, 600), (0, 600)], Err(Refusal::NotAlone)),
            // Through a proxy.
            (2, "Supported: outbound\r\n", &flow, Err(Refusal::FirstHop)),
            (2, "", &flow, Ok((false, false, false))),
            (2, "Supported: outbound\r\nPath: <sip:p;lr>\r\n", &flow, Err(Refusal::FirstHop)),
            (
                3,
                "Supported: outbound\r\nPath: <sip:q;lr>, <sip:p;lr;ob>\r\n",
                &flow,
                Ok((true, false, false)),
            ),
            (3, "Supported: outbound\r\nPath: <sip:q;lr;ob>,<sip:p;lr>\r\n", &flow, Err(Refusal::FirstHop)),
        ] {
            assert_eq!(read(vias, headers, contacts), wanted, "{vias} {headers} {contacts:?}");
        }
    }
}
