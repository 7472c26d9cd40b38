//! The way to the name servers.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

/// What became of a query.
pub(super) enum Asked<T> {
    /// Its records, and until when they hold.
    Found(Vec<T>, Instant),
    /// There are none.
    Nothing,
    /// Nobody answered, or with an error.
    Failed,
}

/// How a query is asked: in time for a caller who waits.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// The way to the name servers.
pub(super) struct Dns {
    resolver: Option<TokioResolver>,
    hosts: Hosts,
}

impl Dns {
    /// These name servers; without any those the system is set up with.
    pub(super) fn new(servers: &[SocketAddr]) -> Dns {
        if servers.is_empty() {
            return Dns::of_system();
        }
        let server = |at: &SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut c| {
                c.port = at.port();
                c
            });
            NameServerConfig::new(at.ip(), true, connections.into())
        };
        let servers = servers.iter().map(server).collect();
        Dns::with(ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
    }

    /// As the system is set up: `resolv.conf`, hosts file.
    fn of_system() -> Dns {
        let (config, options) = hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name servers are configured: only names in the hosts file are resolved");
            (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
        });
        Dns::with(config, options)
    }

    fn with(config: ResolverConfig, mut options: ResolverOpts) -> Dns {
        (options.timeout, options.attempts) = (TIMEOUT, ATTEMPTS);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build();
        if let Err(error) = &resolver {
            tracing::error!(%error, "cannot query DNS");
        }
        Dns { resolver: resolver.ok(), hosts: Hosts::from_system().unwrap_or_default() }
    }

    /// Is the name in the hosts file? Then that is all there is to know.
    pub(super) fn is_in_hosts_file(&self, host: &str) -> bool {
        Name::from_utf8(format!("{host}.")).is_ok_and(|name| {
            [RecordType::A, RecordType::AAAA]
                .into_iter()
                .any(|t| self.hosts.lookup_static_host(&Query::query(name.clone(), t)).is_some())
        })
    }

    pub(super) async fn naptr(&self, name: &str) -> Asked<NAPTR> {
        self.records(name, RecordType::NAPTR, |data| match data {
            RData::NAPTR(naptr) => Some(naptr.clone()),
            _ => None,
        })
        .await
    }

    pub(super) async fn srv(&self, name: &str) -> Asked<SRV> {
        self.records(name, RecordType::SRV, |data| match data {
            RData::SRV(srv) => Some(srv.clone()),
            _ => None,
        })
        .await
    }

    async fn records<T>(&self, name: &str, of: RecordType, read: fn(&RData) -> Option<T>) -> Asked<T> {
        let Some(resolver) = &self.resolver else { return Asked::Failed };
        // With a dot at its end: these are never searched for in the local domain.
        let Ok(name) = Name::from_utf8(format!("{}.", name.trim_end_matches('.'))) else {
            return Asked::Nothing;
        };
        match resolver.lookup(name, of).await {
            Ok(found) => {
                let records: Vec<T> = found.answers().iter().filter_map(|r| read(&r.data)).collect();
                if records.is_empty() { Asked::Nothing } else { Asked::Found(records, found.valid_until()) }
            }
            Err(error) => missing(&error),
        }
    }

    /// A and AAAA, in the order the system prefers.
    pub(super) async fn addresses(&self, host: &str) -> Asked<IpAddr> {
        let Some(resolver) = &self.resolver else { return Asked::Failed };
        match resolver.lookup_ip(host).await {
            Ok(found) => Asked::Found(found.iter().collect(), found.valid_until()),
            Err(error) => missing(&error),
        }
    }
}

fn missing<T>(error: &NetError) -> Asked<T> {
    if error.is_no_records_found() { Asked::Nothing } else { Asked::Failed }
}
