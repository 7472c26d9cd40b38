//! DNS: do the name servers answer, and are the names of trunks and peers known?

mod query;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use self::query::{Answer, Kind, ask};
use crate::facts::Facts;
use crate::finding::Findings;

/// Name servers that are asked, at most, as by the resolver of the C library.
const MOST_SERVERS: usize = 3;
/// Names that are looked up, at most.
const MOST_NAMES: usize = 100;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let names = names(facts);
    let servers = servers(facts);
    if servers.is_empty() {
        if !names.is_empty() {
            let means = "the names of trunks and peers cannot be looked up";
            out.error("there is no name server", means, "set dns.servers, or nameserver in /etc/resolv.conf");
        }
        return;
    }
    let answering = servers.iter().copied().find(|server| ask(*server, ".", Kind::Ns).is_ok());
    let silent: Vec<_> = servers.iter().take_while(|server| Some(**server) != answering).collect();
    for server in silent {
        let means = "each look-up waits for it first, and calls to names are late or fail";
        let what = format!("the name server {server} does not answer");
        let fix = "set dns.servers, or mend /etc/resolv.conf";
        match answering.is_none() && !names.is_empty() {
            true => out.error(what, means, fix),
            false => out.warning(what, means, fix),
        }
    }
    let Some(server) = answering else { return };
    out.ok(format!("the name server {server} answers"));
    for name in names.iter().take(MOST_NAMES) {
        look_up(server, name, out);
    }
}

/// A host that the exchange looks up.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    host: String,
    /// Without a port, SRV says where the servers are (RFC 3263 §4.2).
    has_port: bool,
    whose: String,
}

fn names(facts: &Facts) -> BTreeSet<Name> {
    let given = |host: &str| facts.config().dns.hosts.iter().any(|h| h.host.eq_ignore_ascii_case(host));
    let is_name = |host: &str| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_err() && !host.eq_ignore_ascii_case("localhost") && !given(host)
    };
    let mut names = BTreeSet::new();
    let mut add = |host: &str, has_port: bool, whose: String| {
        if is_name(host) {
            names.insert(Name { host: host.to_owned(), has_port, whose });
        }
    };
    if let Some(tables) = facts.tables() {
        for trunk in tables.trunks() {
            for uri in trunk.uris.iter().filter(|uri| uri.enabled) {
                add(&uri.host, uri.port.is_some(), format!("trunk {}", trunk.name));
            }
        }
        for peer in tables.peers().filter(|peer| peer.enabled) {
            if let Some(address) = &peer.contact_addr {
                let host = address.split([';', '?']).next().unwrap_or_default();
                match host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
                    Some((host, _)) => add(host, true, format!("peer {}", peer.username)),
                    None => add(host, false, format!("peer {}", peer.username)),
                }
            }
        }
    }
    for name in &facts.config().external_addrs.names {
        add(name, true, "externalAddrs".into());
    }
    names
}

/// The name servers of the configuration, or those of the system.
fn servers(facts: &Facts) -> Vec<SocketAddr> {
    let configured: Vec<_> = facts.config().dns.servers.iter().map(|server| server.0).collect();
    if !configured.is_empty() {
        return configured.into_iter().take(MOST_SERVERS).collect();
    }
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = addresses.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    addresses.map(|ip| SocketAddr::new(ip, 53)).take(MOST_SERVERS).collect()
}

fn look_up(server: SocketAddr, name: &Name, out: &mut Findings) {
    let Name { host, has_port, whose } = name;
    let mut services = 0;
    if !has_port {
        for prefix in ["_sip._udp", "_sip._tcp", "_sips._tcp"] {
            match ask(server, &format!("{prefix}.{host}"), Kind::Srv) {
                Ok(Answer { records, .. }) => services += records,
                Err(_) => {
                    return out.warning(format!("{whose}: {host}: the name server is silent"), MEANS, FIX);
                }
            }
        }
    }
    let addresses = [Kind::A, Kind::Aaaa].map(|kind| ask(server, host, kind));
    let found: usize = addresses.iter().filter_map(|a| a.as_ref().ok()).map(|a| a.records).sum();
    let refused = addresses.iter().filter_map(|a| a.as_ref().ok()).find_map(|answer| answer.failure());
    match (found, services, refused) {
        (0, 0, Some(why)) => out.error(format!("{whose}: {host} does not resolve: {why}"), MEANS, FIX),
        (0, 0, None) => out.error(format!("{whose}: {host} has neither SRV nor address records"), MEANS, FIX),
        (found, 0, _) => out.ok(format!("{whose}: {host} has {found} addresses")),
        (_, services, _) => out.ok(format!("{whose}: {host} has {services} SRV records")),
    }
}

const MEANS: &str = "calls and registrations to it fail";
const FIX: &str = "correct the host, mend its DNS, or give its addresses in dns.hosts";
