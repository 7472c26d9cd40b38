//! The servers that a URL of the configuration names.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::routr_v1::is_scheme;

/// The servers behind a URL of a store or of another service, as `HOST:PORT` each; none where it names a file.
pub fn servers_of(url: &str) -> Vec<String> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", at)) if at.starts_with("//") => of_postgres(url),
        // With host and port alone, or with a URL of its own.
        Some((scheme, at)) if is_scheme(scheme) => match at.contains("://") {
            true => servers_of(at),
            false => at.parse::<Authority>().map_or_else(|()| Vec::new(), |server| vec![server.0]),
        },
        Some((scheme, rest)) => {
            if !rest.starts_with("//") {
                return Vec::new();
            }
            let port = match scheme {
                "https" | "wss" => 443,
                "nats" | "tls" => 4222,
                _ => 80,
            };
            // NATS takes several, each with its scheme or without.
            let all = url.split(',').map(|one| one.split_once("://").map_or(one, |(_, rest)| rest));
            let authorities = all.filter_map(|one| one.split(['/', '?', '#']).next());
            let hosts = authorities.filter_map(|server| server.rsplit('@').next());
            hosts.filter(|host| !host.is_empty()).map(|host| with_port(host, port)).collect()
        }
        None => Vec::new(),
    }
}

/// A host and port, and no path.
struct Authority(String);

impl std::str::FromStr for Authority {
    type Err = ();

    fn from_str(text: &str) -> Result<Authority, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let is_one = !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok();
        if is_one { Ok(Authority(text.to_owned())) } else { Err(()) }
    }
}

/// This host, which may have a port, with one.
fn with_port(host: &str, port: u16) -> String {
    let has = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    if has { host.to_owned() } else { format!("{host}:{port}") }
}

fn of_postgres(url: &str) -> Vec<String> {
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let Ok(config) = url.parse::<Config>() else { return Vec::new() };
    let ports = config.get_ports();
    // One port for all, or one for each.
    let port = |n: usize| ports.get(n).or(ports.first()).copied().unwrap_or(5432);
    let named = config.get_hosts().iter().enumerate().filter_map(|(n, host)| match host {
        Host::Tcp(name) if name.contains(':') && !name.starts_with('[') => {
            Some(format!("[{name}]:{}", port(n)))
        }
        Host::Tcp(name) => Some(format!("{name}:{}", port(n))),
        Host::Unix(_) => None,
    });
    let given = config
        .get_hostaddrs()
        .iter()
        .enumerate()
        .map(|(n, ip)| std::net::SocketAddr::new(*ip, port(n)).to_string());
    named.chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers() {
        for (url, servers) in [
            ("postgres://ann@db.example/pbx?sslmode=verify-full", &["db.example:5432"] as &[_]),
            ("postgres://ann@one:5433,two:5434/pbx", &["one:5433", "two:5434"]),
            ("postgres://ann@[2001:db8::1]/pbx", &["[2001:db8::1]:5432"]),
            ("postgres:///pbx?host=/run/postgresql&user=ann", &[]),
            ("routr-v1-redis:172.18.0.3:6379", &["172.18.0.3:6379"]),
            ("routr-v1-redis:[2001:db8::1]:6379", &["[2001:db8::1]:6379"]),
            ("routr-v1-rest:http://ann:x@api.example/v1", &["api.example:80"]),
            ("routr-v1:/etc/routr", &[]),
            ("https://hooks.example/x?y=1:2", &["hooks.example:443"]),
            ("https://[2001:db8::1]", &["[2001:db8::1]:443"]),
            ("nats://u:p@one,two:4223", &["one:4222", "two:4223"]),
            ("nats://one:1,nats://two", &["one:1", "two:4222"]),
            ("sqlite:trunkline.db", &[]),
            ("files:resources", &[]),
            ("memory:", &[]),
            ("trunkline", &[]),
        ] {
            assert_eq!(servers_of(url), servers, "{url}");
        }
    }
}
