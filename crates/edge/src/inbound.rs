//! A received request with what the packet adds to it.

use std::net::{IpAddr, SocketAddr};

use trunkline_routing::Decision;
use trunkline_sip::response::ViaFill;
use trunkline_sip::{
    ConnectionId, Flow, HeaderName, Index, Limits, Message, Method, Span, Transport, Via, parse_ip, put_ip,
};
use trunkline_transport::{Egress, Sent};

use crate::mail::Net;
use crate::trust::Guard;

/// A request, how it came, and how to answer it.
#[derive(Clone, Copy)]
pub(crate) struct Inbound<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) method: Method,
    pub(crate) flow: &'a Flow,
    pub(crate) via: Via<'a>,
    /// The topmost Via's new text, where it changes.
    pub(crate) fill: Option<ViaFill<'a>>,
    /// Where responses go.
    pub(crate) back: Egress,
    /// It was here before, with another target.
    pub(crate) spiral: bool,
    /// What the router has decided, once it has.
    pub(crate) decided: Option<&'a Decision>,
}

impl Inbound<'_> {
    /// Has somebody else sent it to who sent it to us? All whose requests a proxy relays come by its connection.
    pub(crate) fn is_relayed(&self) -> bool {
        self.message.list(HeaderName::Via).nth(1).is_some()
    }

    /// Does it ask the other side to call somebody else?
    pub(crate) fn transfers(&self) -> bool {
        self.method == Method::Refer
    }
}

/// Works on a kept request as on one that has just come in; `None` when it cannot be read.
pub(crate) fn read_again<R>(
    guard: &Guard,
    flow: &Flow,
    bytes: &[u8],
    work: impl FnOnce(&Inbound<'_>) -> R,
) -> Option<R> {
    let mut index = Index::default();
    index.parse(bytes, &Limits::default()).ok()?;
    let message = Message::new(bytes, &index);
    let (method, via) = (message.method()?, message.top_via().ok()?);
    let mut text = Vec::new();
    let sent_by = parse_ip(via.host);
    let replace = complete_via(&message, (&via, sent_by), flow, &mut text);
    let fill = replace.map(|replace| ViaFill { replace, text: &text });
    Some(work(&Inbound {
        message,
        method,
        flow,
        via,
        fill,
        back: way_back(guard, (&via, sent_by), flow),
        spiral: false,
        decided: None,
    }))
}

/// Does the sender see itself under another address than we see it?
pub(crate) fn sender_is_translated(via: &Via<'_>, from: IpAddr) -> bool {
    is_translated(parse_ip(via.host), from)
}

fn is_translated(sent_by: Option<IpAddr>, from: IpAddr) -> bool {
    sent_by.is_some_and(|ip| ip != from)
}

/// Where responses go: over the connection the request came by, else RFC 3261 §18.2.2 with RFC 3581 §4. A
/// client behind a NAT that did not ask for `rport` is answered as if it had: nothing else reaches it. So is one that names
/// a port where nothing is sent. `sent_by` is the address in the Via.
pub(crate) fn way_back(guard: &Guard, (via, sent_by): (&Via<'_>, Option<IpAddr>), flow: &Flow) -> Egress {
    let mut back = Egress::back(flow);
    if !flow.transport.is_reliable() && via.rport.is_none() && !is_translated(sent_by, flow.remote.ip()) {
        back.remote.set_port(via.port.unwrap_or(flow.transport.default_port()));
        if back.remote != flow.remote && guard.may_be_sent_to(&back).is_err() {
            back.remote = flow.remote;
        }
    }
    back
}

/// Sends a response the way its request came. Where that connection has ended in the meantime, a new one is made to the
/// port that the sender says it listens on (RFC 3261 §18.2.2).
pub(crate) fn send_back(io: &mut Net<'_>, guard: &Guard, back: &Egress, response: &[u8]) {
    let listens = matches!(back.transport, Transport::Tcp | Transport::Tls);
    if io.send(back, response) != Sent::NoWay || !listens || back.connection == ConnectionId::NONE {
        return;
    }
    let mut index = Index::default();
    if index.parse(response, &Limits::default()).is_ok()
        && let Ok(via) = Message::new(response, &index).top_via()
    {
        let to = Egress::to(back.transport, SocketAddr::new(back.remote.ip(), via.sent_by_port()));
        if guard.may_be_sent_to(&to).is_ok() {
            io.send(&to, response);
        }
    }
}

/// Writes the topmost Via as it must be passed on into `out`: `received` when the addresses differ or `rport`
/// was asked for, `rport` filled in (RFC 3261 §18.2.1, RFC 3581 §4). What a client put there itself goes.
/// `None` when nothing changes; else the stretch of the message that `out` replaces.
pub(crate) fn complete_via(
    message: &Message<'_>,
    (via, sent_by): (&Via<'_>, Option<IpAddr>),
    flow: &Flow,
    out: &mut Vec<u8>,
) -> Option<Span> {
    let translated = sent_by != Some(flow.remote.ip());
    if !translated && via.rport.is_none() && via.received.is_none() {
        return None;
    }
    let element = message.top_via_text().ok()?;
    out.clear();
    let put = |out: &mut Vec<u8>| {
        if via.rport.is_some() {
            out.extend_from_slice(b"=");
            trunkline_sip::response::put_number(u64::from(flow.remote.port()), out);
            out.extend_from_slice(b";received=");
        } else {
            out.extend_from_slice(b";received=");
        }
        put_ip(flow.remote.ip(), out);
    };
    if via.received.is_none() && via.rport == Some(None) {
        let name = Span::locate(via.rport_name, element);
        out.extend_from_slice(Span { start: 0, end: name.end }.of(element));
        put(out);
        out.extend_from_slice(Span { start: name.end, end: element.len() as u16 }.of(element));
    } else {
        // Parameter by parameter, without those that are ours to say.
        let semicolon = element.iter().position(|&b| b == b';').unwrap_or(element.len());
        let (head, params) = element.split_at(semicolon);
        out.extend_from_slice(head);
        for p in trunkline_sip::Params::new(params).flatten() {
            if p.is("received") || p.is("rport") {
                continue;
            }
            out.push(b';');
            out.extend_from_slice(p.name);
            if let Some(value) = p.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
        if via.rport.is_some() {
            out.extend_from_slice(b";rport");
        }
        put(out);
    }
    Some(Span::locate(element, message.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(via: &str) -> String {
        let bytes = format!(
            "OPTIONS sip:h SIP/2.0\r\nv: {via}, SIP/2.0/UDP 192.0.2.9\r\nf: <sip:a@h>;tag=1\r\nt: <sip:h>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        let mut index = Index::default();
        index.parse(bytes.as_bytes(), &Limits::default()).unwrap();
        let m = Message::new(bytes.as_bytes(), &index);
        let flow = Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "198.51.100.7:4000".parse().unwrap(),
            connection: ConnectionId::NONE,
        };
        let mut out = Vec::new();
        let top = m.top_via().unwrap();
        match complete_via(&m, (&top, parse_ip(top.host)), &flow, &mut out) {
            Some(span) => {
                assert_eq!(span.of(m.bytes), via.as_bytes());
                String::from_utf8(out).unwrap()
            }
            None => via.to_string(),
        }
    }

    #[test]
    fn received_and_rport() {
        let same = "SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bKa";
        assert_eq!(completed(same), same);
        assert_eq!(
            completed("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa"),
            "SIP/2.0/UDP 10.0.0.1:5060;rport=4000;received=198.51.100.7;branch=z9hG4bKa"
        );
        assert_eq!(
            completed("SIP/2.0/UDP phone.test;branch=z9hG4bKa"),
            "SIP/2.0/UDP phone.test;branch=z9hG4bKa;received=198.51.100.7"
        );
        assert_eq!(
            completed("SIP/2.0/UDP h;received=203.0.113.1;rport=9;branch=z9hG4bKa"),
            "SIP/2.0/UDP h;branch=z9hG4bKa;rport=4000;received=198.51.100.7"
        );
    }
}
