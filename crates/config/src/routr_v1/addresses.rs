//! The addresses to listen on and to advertise.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

use trunkline_model::dialect::v1::{net, with_default};
use trunkline_model::document::{Fields, Node, Place};

use super::Conversion;
use super::nodes::{list, text};

const TRANSPORTS: [(&str, &str); 6] =
    [("udp", "udp"), ("tcp", "tcp"), ("tls", "tls"), ("ws", "ws"), ("wss", "wss"), ("sctp", "sctp")];

impl Conversion<'_> {
    /// An address, or a name that is looked up once.
    pub(super) fn address(&self, node: &Node) -> Option<IpAddr> {
        let written = node.as_text().unwrap_or_default();
        let bare = written.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(written);
        if let Ok(ip) = bare.parse() {
            return Some(ip);
        }
        // The port only makes it a socket address.
        let found = (bare, 1).to_socket_addrs().ok().and_then(|mut all| {
            let all: Vec<IpAddr> = all.by_ref().map(|at| at.ip()).collect();
            all.iter().find(|ip| ip.is_ipv4()).or(all.first()).copied()
        });
        if found.is_none() {
            let help = Some("write an IP address, or a name that can be looked up".to_owned());
            self.reading.error(format!("`{written}` is not an address"), &node.place, help);
        }
        found
    }

    /// An address with a port, or everywhere on it.
    fn listening(ip: Option<IpAddr>, port: &str) -> String {
        match ip {
            Some(ip) if !ip.is_unspecified() => match ip {
                IpAddr::V4(ip) => format!("{ip}:{port}"),
                IpAddr::V6(ip) => format!("[{ip}]:{port}"),
            },
            Some(ip) if ip.is_ipv4() => format!("0.0.0.0:{port}"),
            _ => port.to_owned(),
        }
    }

    /// `transport`, `bindAddr`. Late editions listen on UDP and TCP where nothing is said; so does this.
    pub(super) fn transports(&mut self, spec: &Fields<'_>) {
        let common = spec.node("bindAddr").and_then(|node| self.address(node));
        let mut addresses: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
        let mut whole = spec.place().clone();
        match spec.node("transport") {
            None => {
                for transport in ["udp", "tcp"] {
                    addresses.insert(transport, vec![text(Self::listening(common, "5060"), &whole)]);
                }
            }
            Some(node) => {
                whole = node.place.clone();
                for entry in spec.maps("transport").unwrap_or_default() {
                    let own = entry.node("bindAddr").and_then(|node| self.address(node));
                    let port = entry.integer("port", 1..=65_535);
                    if port.is_none() && entry.node("port").is_none() {
                        entry.error("port", "the port is required", None);
                    }
                    let transport = entry.choice("protocol", &TRANSPORTS);
                    if transport.is_none() && entry.node("protocol").is_none() {
                        entry.error("protocol", "the protocol is required", None);
                    }
                    let at = entry.node("port").map_or(entry.place(), |node| &node.place);
                    match (transport, entry.node("protocol")) {
                        (Some("sctp"), Some(node)) => {
                            self.warn(
                                "spec.transport[].protocol",
                                node,
                                "SIP over SCTP is not supported; the other entries work",
                            );
                        }
                        (Some(transport), _) => {
                            self.tls_listens |= matches!(transport, "tls" | "wss");
                            if let Some(port) = port {
                                let address = Self::listening(own.or(common), &port.to_string());
                                addresses.entry(transport).or_default().push(text(address, at));
                            }
                        }
                        (None, _) => {}
                    }
                    entry.finish();
                }
                if addresses.is_empty() && self.reading.errors() == 0 {
                    let help = "add an entry such as {protocol: udp, port: 5060}".to_owned();
                    let message = "no entry of `transport` can be used: no phone could reach the exchange";
                    self.reading.error(message, &node.place, Some(help));
                }
            }
        }
        for transport in ["udp", "tcp", "tls", "ws", "wss"] {
            let node = match addresses.remove(transport) {
                Some(items) => {
                    let place = items.first().map_or_else(|| whole.clone(), |node| node.place.clone());
                    list(items, &place)
                }
                None => text("off", &whole),
            };
            self.tree.set(&format!("listen.{transport}"), node);
        }
    }

    /// `externAddr`, `localnets`.
    pub(super) fn advertised(&mut self, spec: &Fields<'_>) {
        if let Some(node) = spec.node("externAddr") {
            let written = node.as_text().unwrap_or_default();
            let host = match written.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => {
                    self.warn(
                        "spec.externAddr",
                        node,
                        "the port is ignored: clients see the listening ports",
                    );
                    text(host, &node.place)
                }
                _ => node.clone(),
            };
            if let Some(ip) = self.address(&host) {
                let items = vec![text(ip.to_string(), &node.place)];
                self.tree.set("externalAddrs", list(items, &node.place));
            }
        }
        let place = spec.node("localnets").map(|node| node.place.clone());
        if let (Some(items), Some(place)) = (spec.texts("localnets"), place) {
            let nets = self.nets(&items);
            self.tree.set("localnets", list(nets, &place));
        }
    }

    fn nets(&self, items: &[(String, &Place)]) -> Vec<Node> {
        let mut nets = Vec::new();
        for (written, place) in items {
            match net(written) {
                Some(net) => nets.push(text(net.to_string(), place)),
                None => {
                    let help = "e.g. 10.0.0.0/8, 192.0.2.7, 192.0.2.0/255.255.255.0".to_owned();
                    let message = format!("`{written}` is not an address or network");
                    self.reading.error(message, place, Some(help));
                }
            }
        }
        nets
    }

    /// `accessControlList`: who may send to the exchange at all.
    pub(super) fn access(&mut self, spec: &Fields<'_>) {
        let Some(lists) = spec.map("accessControlList") else { return };
        let written = ["allow", "deny"].map(|key| self.nets(&lists.texts(key).unwrap_or_default()));
        let nets = |nodes: &Vec<Node>| nodes.iter().filter_map(|n| n.as_text()?.parse().ok()).collect();
        let [mut allow, mut deny]: [Vec<ipnet::IpNet>; 2] = written.each_ref().map(nets);
        with_default(self.edition, &mut allow, &mut deny);
        let [allowed, denied] = &written;
        for (key, all, written) in [("allow", allow, allowed), ("deny", deny, denied)] {
            let place = written.first().map_or(lists.place(), |node| &node.place);
            let items = all.iter().map(|net| text(net.to_string(), place)).collect();
            self.tree.set(&format!("accessControl.{key}"), list(items, place));
        }
        lists.finish();
    }
}
