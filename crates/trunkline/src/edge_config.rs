//! Conversion of the operator's settings to those of the edge.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_config::{AccessControl, Config, DigestUri, Network, OpenMethod};
use trunkline_edge::{
    BySource, EdgeConfig, MemoryLimits, PassChallenges, RebalancingConfig, RegistrarConfig,
};
use trunkline_model::AccessControlList;
use trunkline_routing::{Challenge, Options};
use trunkline_sip::{Limits, Transport};
use trunkline_transport::{Listener, StreamLimits};

use crate::back_ends::back_ends;
use crate::descriptors;

/// The edge's part of the settings.
pub fn edge_config(config: &Config) -> EdgeConfig {
    let seconds = |n: u32| Duration::from_secs(u64::from(n));
    let size = config.limits.message_size as usize;
    EdgeConfig {
        listeners: listeners(config),
        other_listeners: other_listeners(config),
        back_ends: back_ends(config),
        external_addrs: config.external_addrs.addresses.clone(),
        external_names: config.external_addrs.names.clone(),
        localnets: config.localnets.clone(),
        shards: usize::from(config.workers),
        rebalancing: RebalancingConfig {
            busy: config.handover.busy_percent.min(100) as u8,
            calm: u64::from(config.handover.calm_seconds) * 1000,
        },
        digest_uri: match config.digest_uri {
            DigestUri::User => trunkline_edge::DigestUri::User,
            DigestUri::Strict => trunkline_edge::DigestUri::Strict,
            DigestUri::Off => trunkline_edge::DigestUri::Off,
        },
        limits: Limits { message_size: size, headers: usize::from(config.limits.headers) },
        event_bytes: config.events.memory as usize,
        memory: MemoryLimits {
            shard: config.limits.transaction_bytes as usize / usize::from(config.workers).max(1),
            stranger: config.limits.stranger_bytes,
            percent: config.limits.account_percent.min(100) as u8,
        },
        emergency_numbers: config.routing.emergency_numbers.iter().map(|number| number.0.clone()).collect(),
        streams: StreamLimits {
            message_size: size,
            per_address: descriptors::per_address(config.limits.connections_per_address),
            idle: seconds(config.limits.idle_seconds),
            partial: seconds(config.limits.partial_seconds),
            unsent: config.limits.unsent_bytes as usize,
        },
        stateless: config.stateless,
        routing: routing(config),
        pass_challenges: match config.routing.pass_challenges {
            trunkline_config::PassChallenges::None => PassChallenges::None,
            trunkline_config::PassChallenges::Carriers => PassChallenges::Carriers,
            trunkline_config::PassChallenges::All => PassChallenges::All,
        },
        strangers_may_refer: config.routing.strangers_may_refer,
        open_methods: config.routing.open_methods.iter().map(|method| method.as_str()).collect(),
        dialogs_from_anywhere: config.routing.dialogs_from_anywhere,
        registrar: registrar(config),
        no_answer: seconds(config.routing.no_answer_seconds),
        dialog_seconds: u64::from(config.routing.dialog_seconds),
        register_at_trunks: true,
        qualify: seconds(config.routing.qualify_seconds),
        hosts: config.dns.hosts.iter().map(|h| (h.host.clone(), h.addresses.clone())).collect(),
        name_servers: config.dns.servers.iter().map(|s| s.0).collect(),
        failover: Duration::from_millis(u64::from(config.dns.failover_ms)),
        avoid: seconds(config.dns.avoid_seconds),
        translators: config.dns.nat64.iter().map(|prefix| prefix.0).collect(),
        rtpengine: config.rtpengine,
        media_timeout_seconds: config.media_timeout_seconds,
        record_calls: config.calls.records,
        server_name: config.user_agent.trim().to_owned(),
    }
}

/// Where the edge listens for SIP.
fn listeners(config: &Config) -> Vec<Listener> {
    let listen = |transport, addresses: &[SocketAddr]| {
        addresses.iter().map(move |&address| Listener { transport, address }).collect::<Vec<_>>()
    };
    let mut listeners = listen(Transport::Udp, &config.listen.udp);
    listeners.extend(listen(Transport::Tcp, &config.listen.tcp));
    listeners.extend(listen(Transport::Tls, &config.listen.tls));
    listeners.extend(listen(Transport::Ws, &config.listen.ws));
    listeners.extend(listen(Transport::Wss, &config.listen.wss));
    if !has_ipv6() {
        // The default names both families; on a host without IPv6 that must not keep the exchange from starting.
        let before = listeners.len();
        listeners.retain(|l| !(l.address.is_ipv6() && l.address.ip().is_unspecified()));
        if listeners.len() < before {
            tracing::info!("this host has no IPv6: listening on IPv4 only");
        }
    }
    listeners
}

/// The router's part of the settings.
fn routing(config: &Config) -> Options {
    Options {
        default_domain: config.domain.to_ascii_lowercase(),
        enforce_e164: config.routing.e164,
        third_party_registration: config.registrar.third_party,
        unproven_may_refer: config.routing.strangers_may_refer,
        unproven_may_notify: config.routing.open_methods.contains(&OpenMethod::Notify),
        proxy_challenge: config.routing.proxy_challenge,
        privacy_always_none: config.routing.privacy_always_none,
        reveal_unknown_users: config.routing.reveal_unknown_users,
        access: access(&config.access_control),
        peers_use_policies: config.routing.peers_use_policies,
        // Media is relayed call by call, and two networks meet in the exchange where it has two addresses.
        may_step_aside: !config.routing.record_route
            && config.rtpengine.is_none()
            && config.external_addrs.is_empty(),
        address_info: config.routing.address_info.iter().map(|header| header.0.clone()).collect(),
        to_as_aor: config.routing.to_as_aor,
        challenge: match config.routing.authenticate {
            trunkline_config::Challenge::Domain => Challenge::Domain,
            trunkline_config::Challenge::Egress => Challenge::Egress,
            trunkline_config::Challenge::All => Challenge::All,
        },
    }
}

/// The registrar's part of the settings.
fn registrar(config: &Config) -> RegistrarConfig {
    RegistrarConfig {
        min_expires: config.registrar.min_expires,
        max_expires: config.registrar.max_expires,
        nat_expires: config.registrar.nat_expires,
        default_expires: config.registrar.default_expires,
        max_contacts: config.registrar.max_contacts,
        replaces_oldest: config.registrar.replace_oldest_contact,
        // A connection that is silent for longer is closed.
        flow_timer: config.registrar.flow_timer_seconds.min(config.limits.idle_seconds / 2),
        service_route: config.registrar.service_route,
        store_patience: config.registrar.store_patience_ms,
        by_source: match config.registrar.reach_by_source {
            trunkline_config::BySource::Detected => BySource::Detected,
            trunkline_config::BySource::Udp => BySource::Udp,
            trunkline_config::BySource::All => BySource::All,
        },
    }
}

/// Where this process listens for something else than SIP, whether it has the role or not.
fn other_listeners(config: &Config) -> Vec<SocketAddr> {
    let all = [config.http.addr, config.grpc.addr, config.grpc.external_addr, config.routr_v1.addr];
    all.into_iter().flatten().collect()
}

/// The networks that may send requests; `None` for all.
fn access(lists: &AccessControl) -> Option<AccessControlList> {
    let any = !lists.allow.is_empty() || !lists.deny.is_empty();
    let nets = |list: &[Network]| list.iter().map(|network| network.0).collect();
    any.then(|| AccessControlList::new("accessControl", nets(&lists.allow), nets(&lists.deny)))
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::]:0").is_ok()
}
