//! Which transport, which host, which port, which address: RFC 3263 §4.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use trunkline_sip::{Transport, canonical_ip};

use super::dns::{Asked, Dns};
use super::question::{Question, is_unicast};
use super::way::Way;

/// How long answers are kept, whatever their TTL says; and how long it is remembered that there is none.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);
const NOT_FOUND: Duration = Duration::from_secs(10);
/// Addresses of one name; a request remembers in so many bits which it has tried.
const MOST: usize = 16;

/// What the name servers said of a host.
#[derive(Debug)]
pub(super) struct Located {
    /// All ways to it, in the order they are tried.
    pub(super) ways: Vec<Way>,
    /// Until when they hold.
    pub(super) until: Instant,
    /// A question had no answer: that nothing was found does not mean that there is nothing.
    pub(super) failed: bool,
}

/// What is to be kept in mind while asking.
struct Heard {
    until: Instant,
    failed: bool,
}

impl Heard {
    /// Takes the records out of an answer.
    fn records<T>(&mut self, asked: Asked<T>) -> Option<Vec<T>> {
        match asked {
            Asked::Found(records, holds) => {
                self.until = self.until.min(holds);
                Some(records)
            }
            Asked::Nothing => None,
            Asked::Failed => {
                self.failed = true;
                None
            }
        }
    }
}

/// Looks a host up.
pub(super) async fn locate(dns: &Dns, question: &Question) -> Located {
    let now = Instant::now();
    let mut heard = Heard { until: now + LONGEST, failed: false };
    let mut ways = Vec::new();
    for (transport, service) in services(dns, question, &mut heard).await {
        match service {
            Service::Srv(name, records) => {
                let records = match records {
                    Some(records) => Some(records),
                    None => heard.records(dns.srv(&name).await),
                };
                let Some(records) = records else { continue };
                for srv in in_order(records) {
                    // A target of `.` says that the service is not there (RFC 2782).
                    if srv.target.is_root() {
                        continue;
                    }
                    let target = srv.target.to_utf8();
                    add(dns, &target, srv.port, transport, &mut ways, &mut heard).await;
                }
            }
            Service::Host => {
                let port = question.port.unwrap_or(transport.default_port());
                add(dns, &question.host, port, transport, &mut ways, &mut heard).await;
            }
        }
        if ways.len() >= MOST {
            break;
        }
    }
    ways.truncate(MOST);
    // Name servers that are silent take longer than what is not found is kept.
    let now = Instant::now();
    let until = if ways.is_empty() { now + NOT_FOUND } else { heard.until.max(now + SHORTEST) };
    Located { ways, until, failed: heard.failed }
}

/// What a transport's addresses are found by.
enum Service {
    /// SRV records of this name, where they have been asked for already.
    Srv(String, Option<Vec<SRV>>),
    /// The host's own addresses.
    Host,
}

/// The transports to try and the services behind them, §4.1.
async fn services(dns: &Dns, question: &Question, heard: &mut Heard) -> Vec<(Transport, Service)> {
    let host = || vec![(question.transport, Service::Host)];
    let name = |transport| format!("{}.{}", prefix(transport), question.host);
    // A port leaves no choice; a name without a dot and one of the hosts file have addresses and no more.
    if question.port.is_some() || !question.host.contains('.') || dns.is_in_hosts_file(&question.host) {
        return host();
    }
    if question.named {
        return match heard.records(dns.srv(&name(question.transport)).await) {
            Some(records) => {
                vec![(question.transport, Service::Srv(name(question.transport), Some(records)))]
            }
            None => host(),
        };
    }
    let secure = question.transport == Transport::Tls;
    let naptr = heard.records(dns.naptr(&question.host).await);
    let services = naptr.map(|records| by_naptr(records, secure)).unwrap_or_default();
    if !services.is_empty() {
        return services.into_iter().map(|(t, name)| (t, Service::Srv(name, None))).collect();
    }
    if heard.failed {
        // Nobody answers: the host's addresses may stand in a cache nearer by.
        return host();
    }
    let spoken: &[Transport] =
        if secure { &[Transport::Tls] } else { &[Transport::Udp, Transport::Tcp, Transport::Tls] };
    let mut found = Vec::new();
    for &transport in spoken {
        if let Some(records) = heard.records(dns.srv(&name(transport)).await) {
            found.push((transport, Service::Srv(name(transport), Some(records))));
        }
    }
    if found.is_empty() { host() } else { found }
}

/// The services that NAPTR records name, in their order (RFC 3263 §4.1, RFC 3403 §4.1): those we speak, and only
/// secure ones for a `sips` URI.
fn by_naptr(mut records: Vec<NAPTR>, secure: bool) -> Vec<(Transport, String)> {
    records.sort_by_key(|r| (r.order, r.preference));
    let transport = |services: &[u8]| {
        let is = |name: &str| services.eq_ignore_ascii_case(name.as_bytes());
        if is("SIPS+D2T") {
            Some(Transport::Tls)
        } else if secure {
            None
        } else if is("SIP+D2U") {
            Some(Transport::Udp)
        } else {
            is("SIP+D2T").then_some(Transport::Tcp)
        }
    };
    let terminal = |r: &&NAPTR| r.flags.eq_ignore_ascii_case(b"s") && r.regexp.is_empty();
    records
        .iter()
        .filter(terminal)
        .filter_map(|r| Some((transport(&r.services)?, r.replacement.to_utf8())))
        .collect()
}

/// RFC 3263 §4.1: `_sips._tcp` is TLS.
fn prefix(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    }
}

/// By priority, and within one at random by weight (RFC 2782).
fn in_order(mut records: Vec<SRV>) -> Vec<SRV> {
    records.sort_by_key(|r| (r.priority, r.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|r| r.priority) {
        let same = records.iter().take_while(|r| r.priority == priority);
        let total: u64 = same.clone().map(|r| u64::from(r.weight)).sum();
        let mut random = [0u8; 4];
        // Without random numbers the heaviest comes last, and all is still tried.
        let _ = getrandom::fill(&mut random);
        let mut left = u64::from(u32::from_le_bytes(random)) % (total + 1);
        let chosen = same
            .clone()
            .position(|r| {
                let weight = u64::from(r.weight);
                let here = left <= weight;
                left = left.saturating_sub(weight);
                here
            })
            .unwrap_or(0);
        ordered.push(records.remove(chosen));
    }
    ordered
}

async fn add(dns: &Dns, host: &str, port: u16, transport: Transport, ways: &mut Vec<Way>, heard: &mut Heard) {
    let addresses = heard.records(dns.addresses(host).await).unwrap_or_default();
    for ip in addresses.into_iter().map(canonical_ip).filter(|ip| is_unicast(*ip)) {
        let way = Way { transport, address: SocketAddr::new(ip, port) };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::Name;

    #[test]
    fn priority_first_then_weight() {
        let srv = |priority, weight, port| SRV::new(priority, weight, port, Name::root());
        let mut firsts = [0u32; 3];
        for _ in 0..400 {
            let ordered = in_order(vec![srv(2, 9, 2), srv(1, 0, 0), srv(1, 100, 1)]);
            let ports: Vec<_> = ordered.iter().map(|r| usize::from(r.port)).collect();
            assert_eq!(ports[2], 2, "a lower priority is tried last");
            firsts[ports[0]] += 1;
        }
        assert!(firsts[1] > 300 && firsts[2] == 0, "{firsts:?}");
    }

    #[test]
    fn naptr_in_order_and_only_what_we_speak() {
        let naptr = |order, preference, service: &str, to: &str| {
            let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
            NAPTR::new(order, preference, bytes("s"), bytes(service), bytes(""), Name::from_utf8(to).unwrap())
        };
        let records = vec![
            naptr(20, 10, "SIP+D2U", "u."),
            naptr(10, 20, "SIP+D2T", "t."),
            naptr(10, 10, "SIPS+D2T", "s."),
            naptr(5, 10, "SIP+D2S", "sctp."),
        ];
        let names = |secure| by_naptr(records.clone(), secure).into_iter().map(|(t, n)| format!("{t} {n}"));
        assert_eq!(names(false).collect::<Vec<_>>(), ["tls s.", "tcp t.", "udp u."]);
        assert_eq!(names(true).collect::<Vec<_>>(), ["tls s."]);
    }
}
