//! Warnings about transports that no listener of the exchange has.

use trunkline_sip::Transport;

use crate::tables::Tables;

impl Tables {
    /// Warnings about trunks and peers whose transport none of these listeners has, one line each.
    pub fn without_listener(&self, listens: &[Transport]) -> Vec<String> {
        let mut out = Vec::new();
        for trunk in self.trunks() {
            for uri in trunk.uris.iter().filter(|uri| uri.enabled) {
                if let Some(why) = missing(uri.transport, listens) {
                    out.push(format!("trunk {}: its destination {uri} {why}", trunk.name));
                }
            }
        }
        for peer in self.peers().filter(|peer| peer.enabled) {
            if let Some(address) = &peer.contact_addr
                && let Some(why) = missing(transport_in(address), listens)
            {
                out.push(format!("peer {}: its contactAddr {address} {why}", peer.username));
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// What follows from the transport of a destination, which is UDP where none is written (RFC 3263 §4.1).
fn missing(transport: Option<Transport>, listens: &[Transport]) -> Option<String> {
    let transport = transport.unwrap_or(Transport::Udp);
    let name = transport.param_name();
    match transport {
        Transport::Ws | Transport::Wss => Some(format!(
            "uses the transport {name}: a WebSocket cannot be opened towards it (RFC 7118), so no call gets there"
        )),
        _ if listens.contains(&transport) => None,
        Transport::Udp => Some(
            "uses udp, and no listener has it: no call gets there or comes from there; set listen.udp".into(),
        ),
        Transport::Tcp | Transport::Tls => Some(format!(
            "uses {name}, and no listener has it: its own calls and requests cannot come in; set listen.{name}"
        )),
    }
}

/// The `transport` parameter of an address.
fn transport_in(address: &str) -> Option<Transport> {
    let mut parameters = address.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, name) = parameters.find(|(key, _)| key.trim().eq_ignore_ascii_case("transport"))?;
    Transport::from_bytes(name.trim().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_needs_its_listener() {
        let udp_and_tcp = [Transport::Udp, Transport::Tcp];
        assert_eq!(missing(None, &udp_and_tcp), None);
        assert_eq!(missing(Some(Transport::Tcp), &udp_and_tcp), None);
        assert!(
            missing(Some(Transport::Tls), &udp_and_tcp).is_some_and(|why| why.contains("set listen.tls"))
        );
        assert!(missing(None, &[Transport::Tls]).is_some_and(|why| why.contains("set listen.udp")));
        assert!(missing(Some(Transport::Wss), &Transport::ALL).is_some_and(|why| why.contains("RFC 7118")));
        assert_eq!(transport_in("192.0.2.1:5061;transport=TLS"), Some(Transport::Tls));
        assert_eq!(transport_in("192.0.2.1:5061"), None);
    }
}
