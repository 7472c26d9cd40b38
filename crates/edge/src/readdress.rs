//! A request that was sent, written anew for another address of the same name: our Via and our Record-Route change
//! with the way it takes, everything else stays.

use trunkline_sip::{HeaderName, Message, Span, Splices, Transport};
use trunkline_transport::Egress;

use crate::address::{Addresses, Us};
use trunkline_sip::put_transport;

/// The change of way.
pub(crate) struct Readdress<'a> {
    /// Another Request-URI.
    pub(crate) uri: Option<&'a [u8]>,
    /// The new branch.
    pub(crate) branch: &'a [u8],
    /// Where it went.
    pub(crate) from: &'a Egress,
    /// Where it goes now.
    pub(crate) to: &'a Egress,
    /// The transport our Via names; another than that of `to` when a large request goes over TCP.
    pub(crate) via_transport: Transport,
    /// The side the request came from.
    pub(crate) came_by: &'a Egress,
}

/// Writes the request into `out`.
pub(crate) fn readdress(
    sent: &Message<'_>,
    change: &Readdress<'_>,
    addresses: &Addresses,
    splices: &mut Splices,
    out: &mut Vec<u8>,
) {
    splices.clear();
    out.clear();
    if let Some(uri) = change.uri {
        splices.replace(sent.uri_span(), uri);
    }
    let shown = |egress: &Egress| (egress.transport, addresses.shown(egress));
    let (outer, inner) = (shown(change.to), shown(change.came_by));
    let before = shown(change.from);
    if let Ok(via) = sent.top_via_text() {
        splices.replace_with(Span::locate(via, sent.bytes), |text| {
            text.extend_from_slice(b"SIP/2.0/");
            text.extend_from_slice(change.via_transport.via_name().as_bytes());
            text.push(b' ');
            outer.1.put(text);
            text.extend_from_slice(b";branch=");
            text.extend_from_slice(change.branch);
        });
    }
    // Ours stand above all others: the outer one first, then the inner one where the sides differ (RFC 5658 §5).
    if outer != before {
        let ours = [before, inner];
        let ours = ours.iter().take(if before == inner { 1 } else { 2 });
        let mut put = Some(if outer == inner { 1 } else { 2 });
        for (line, side) in sent.header_lines(HeaderName::RecordRoute).zip(ours) {
            let Some(parameters) = parameters_of(*side, line.value.of(sent.bytes)) else { break };
            match put.take() {
                None => splices.delete(line.line),
                Some(count) => splices.replace_with(line.line, |text| {
                    for side in [outer, inner].into_iter().take(count) {
                        text.extend_from_slice(b"Record-Route: ");
                        put_side(side, text);
                        text.extend_from_slice(parameters);
                        text.extend_from_slice(b"\r\n");
                    }
                }),
            }
        }
    }
    splices.apply(sent.bytes, sent.body_span().end, out);
}

fn put_side((transport, us): (Transport, Us<'_>), text: &mut Vec<u8>) {
    text.extend_from_slice(b"<sip:");
    us.put(text);
    put_transport(transport, text);
    text.extend_from_slice(b";lr");
}

/// What follows in a Record-Route of ours on this side: `;dlg=…>`, with names before it or not. `None`: somebody else's.
fn parameters_of<'v>(side: (Transport, Us<'_>), value: &'v [u8]) -> Option<&'v [u8]> {
    let mut ours = Vec::new();
    put_side(side, &mut ours);
    value.strip_prefix(&*ours).filter(|rest| rest.starts_with(b";dlg=") || rest.starts_with(b";who="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};
    use trunkline_transport::Listener;

    /// The header lines that changed, of a request that went out as `via` and `routes` say.
    fn changed(via: &str, routes: &[&str], from: Egress, to: Egress, came_by: Egress) -> Vec<String> {
        let listener = |transport, at: &str| Listener { transport, address: at.parse().expect("an address") };
        let listeners = vec![
            listener(Transport::Udp, "127.0.0.1:5060"),
            listener(Transport::Tcp, "127.0.0.1:5060"),
            listener(Transport::Udp, "[::1]:5060"),
        ];
        let addresses = Addresses::new(listeners, Default::default(), Vec::new());
        let routes: String =
            routes.iter().map(|r| format!("Record-Route: <sip:{r};lr;dlg=ab.cd>\r\n")).collect();
        let text = format!(
            "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bKold\r\n{routes}Via: SIP/2.0/UDP x\r\n\
             Record-Route: <sip:other;lr;dlg=1>\r\nMax-Forwards: 69\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:h>\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 2\r\n\r\nhi"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).expect("a request");
        let change = Readdress {
            uri: None,
            branch: b"z9hG4bKnew",
            from: &from,
            to: &to,
            via_transport: to.transport,
            came_by: &came_by,
        };
        let mut out = Vec::new();
        let sent = Message::new(text.as_bytes(), &index);
        readdress(&sent, &change, &addresses, &mut Splices::default(), &mut out);
        let out = String::from_utf8(out).expect("text");
        assert!(out.ends_with("Content-Length: 2\r\n\r\nhi") && out.contains("Max-Forwards: 69"), "{out}");
        let kept: Vec<&str> =
            out.lines().filter(|l| l.starts_with("Via") || l.starts_with("Record-Route")).collect();
        kept.iter().map(|l| l.replace("Record-Route: ", "").replace("Via: SIP/2.0/", "")).collect()
    }

    fn egress(transport: Transport, to: &str) -> Egress {
        Egress::to(transport, to.parse().expect("an address"))
    }

    #[test]
    fn via_and_record_route_follow_the_way() {
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        let [one, two] = ["127.0.0.5:5060", "127.0.0.6:5060"].map(|a| egress(udp, a));
        let caller = egress(udp, "127.0.0.9:5066");
        let rest = ["UDP x", "<sip:other;lr;dlg=1>"];
        // The same transport and family: only the branch differs.
        assert_eq!(
            changed("UDP 127.0.0.1:5060", &["127.0.0.1:5060"], one, two, caller),
            ["UDP 127.0.0.1:5060;branch=z9hG4bKnew", "<sip:127.0.0.1:5060;lr;dlg=ab.cd>", rest[0], rest[1]]
        );
        // From one Record-Route to two, and back.
        let stream = egress(tcp, "127.0.0.6:5060");
        let both = ["127.0.0.1:5060;transport=tcp", "127.0.0.1:5060"];
        let two_lines = both.map(|r| format!("<sip:{r};lr;dlg=ab.cd>"));
        assert_eq!(
            changed("UDP 127.0.0.1:5060", &["127.0.0.1:5060"], one, stream, caller),
            ["TCP 127.0.0.1:5060;branch=z9hG4bKnew", &two_lines[0], &two_lines[1], rest[0], rest[1]]
        );
        assert_eq!(
            changed("TCP 127.0.0.1:5060", &both, stream, one, caller),
            ["UDP 127.0.0.1:5060;branch=z9hG4bKnew", &two_lines[1], rest[0], rest[1]]
        );
        // Another family; a request without a Record-Route of ours gets none.
        let six = egress(udp, "[::1]:7000");
        assert_eq!(
            changed("UDP 127.0.0.1:5060", &[], one, six, caller),
            ["UDP [::1]:5060;branch=z9hG4bKnew", rest[0], rest[1]]
        );
    }
}
