//! Where a database is, who asks, and with which password.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::StoreError;

/// A URL that was read.
pub(super) struct Address {
    pub config: Config,
    /// Over TLS?
    pub encrypted: bool,
    /// For operators, without secrets.
    pub name: String,
}

impl Address {
    /// Reads `postgres://USER@HOST:PORT/DATABASE?sslmode=…`. Without `sslmode`, servers on other machines are reached over TLS,
    /// with a certificate that is verified.
    pub fn read(url: &str, timeout: Duration) -> Result<Address, StoreError> {
        let wrong = |why: &str| StoreError::PostgresUrl(why.to_owned());
        // Certificates are always verified, and the host with them.
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|_| wrong("it cannot be read"))?;
        if config.get_password().is_some() {
            return Err(wrong("it must not contain a password"));
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host"));
        }
        let user =
            config.get_user().map(str::to_owned).or_else(|| variable("PGUSER")).or_else(|| variable("USER"));
        let user = user.ok_or_else(|| wrong("it names no user"))?;
        config.user(&user);
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        config.dbname(&database);
        let given = url.contains("sslmode=");
        if !given {
            let near = config.get_hosts().iter().all(is_near);
            config.ssl_mode(if near { SslMode::Disable } else { SslMode::Require });
        }
        let encrypted = config.get_ssl_mode() != SslMode::Disable;
        config.connect_timeout(timeout.max(Duration::from_secs(1)));
        config.application_name("trunkline");
        let (host, port) = first(&config);
        let secret =
            variable("PGPASSWORD").or_else(|| from_file(&[&host, &port.to_string(), &database, &user]));
        if let Some(secret) = secret {
            config.password(secret);
        }
        Ok(Address {
            config,
            encrypted,
            name: format!("the PostgreSQL database {database} on {host}:{port}"),
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Is it on this machine?
fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        }
    }
}

/// The first host and its port.
fn first(config: &Config) -> (String, u16) {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(folder)) => folder.display().to_string(),
        None => String::new(),
    };
    (host, config.get_ports().first().copied().unwrap_or(5432))
}

/// The password in the file that PostgreSQL's own clients read: `host:port:database:user:password`, `*` for any. As there, a
/// file that others can read counts for nothing.
fn from_file(wanted: &[&str; 4]) -> Option<String> {
    let home = || Some(PathBuf::from(variable("HOME")?).join(".pgpass"));
    let file = variable("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    let mode = std::fs::metadata(&file).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("{}: it is ignored, since others can read it: chmod 600", file.display());
        return None;
    }
    password_in(&read(&file)?, wanted)
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn password_in(text: &str, wanted: &[&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line).into_iter();
        let fits =
            wanted.iter().all(|wanted| fields.next().is_some_and(|field| field == "*" || field == *wanted));
        fits.then(|| fields.next()).flatten().filter(|password| !password.is_empty())
    })
}

/// Five fields with `:` between; `\:` and `\\` stand for themselves.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let escaped = match c {
            '\\' => chars.next(),
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            c => Some(c),
        };
        if let (Some(c), Some(last)) = (escaped, fields.last_mut()) {
            last.push(c);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |url: &str| Address::read(url, Duration::from_secs(3));
        for (url, encrypted, name) in [
            ("postgres://ann@localhost/pbx", false, "pbx on localhost:5432"),
            ("postgresql://ann@127.0.0.1:5433/pbx", false, "pbx on 127.0.0.1:5433"),
            ("postgres://ann@db.example/pbx", true, "pbx on db.example:5432"),
            ("postgres://ann@db.example/pbx?sslmode=disable", false, "pbx on db.example:5432"),
            ("postgres://ann@db.example/pbx?sslmode=verify-full", true, "pbx on db.example:5432"),
            ("postgres://ann@127.0.0.1/pbx?sslmode=require", true, "pbx on 127.0.0.1:5432"),
            ("postgres:///pbx?host=/run/postgresql&user=ann", false, "pbx on /run/postgresql:5432"),
            ("postgres://ann@[::1]/", false, "ann on ::1:5432"),
        ] {
            let address = read(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.encrypted, encrypted, "{url}");
            assert_eq!(address.name, format!("the PostgreSQL database {name}"), "{url}");
        }
        for url in ["postgres://ann:hush@localhost/pbx", "postgres://ann@localhost/pbx?password=hush"] {
            let error = read(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("must not contain a password") && !error.contains("hush"), "{error}");
        }
        for url in ["postgres://ann@localhost/pbx?sslmode=hush", "postgres://ann@h:hush/x", "postgres://"] {
            let error = read(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("hush"), "{url}: {error}");
        }
    }

    #[test]
    fn passwords_of_a_file() {
        let text = "# a note\nother:5432:*:*:no\nh:5432:*:ann:a\\:b\\\\c:d\n*:*:*:*:any\n";
        assert_eq!(password_in(text, &["h", "5432", "x", "ann"]).as_deref(), Some("a:b\\c:d"));
        assert_eq!(password_in(text, &["h", "5433", "x", "ann"]).as_deref(), Some("any"));
        assert_eq!(password_in("h:1:x", &["h", "1", "x", "ann"]), None);
        assert_eq!(password_in("", &["h", "1", "x", "ann"]), None);
    }
}
