//! The connection to the NATS servers, for clients and proxies.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};

/// The NATS servers and how to log in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsConfig {
    /// `nats://` or `tls://` URLs, tried in turn; several may stand in one text, separated by
    /// commas. Empty: the local server.
    pub servers: Vec<String>,
    /// The name of the connection, as the server's monitoring shows it.
    pub name: String,
    /// A credentials file (JWT and seed).
    pub credentials: Option<PathBuf>,
    /// A user, with [`Self::password`].
    pub user: Option<String>,
    /// The password of [`Self::user`].
    pub password: Option<String>,
    /// A token instead of user and password.
    pub token: Option<String>,
    /// A file of certificate authorities for the server's certificate.
    pub ca: Option<PathBuf>,
    /// A client certificate, with [`Self::key`].
    pub certificate: Option<PathBuf>,
    /// The key of [`Self::certificate`].
    pub key: Option<PathBuf>,
}

impl std::fmt::Debug for NatsConfig {
    /// Without server URLs, which may hold a password, password and token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConfig")
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why the NATS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// Asked for RabbitMQ.
    #[error("`{0}` asks for RabbitMQ, which is not supported: set MESSAGEBUS_URL to a nats:// URL")]
    Amqp(String),
    /// Another scheme. The text is ari-proxy's own, with its spelling.
    #[error("Unkwnon url for MessageBus: {0}")]
    Scheme(String),
    /// A URL that cannot be read.
    #[error("`{0}` is not the URL of a NATS server: {1}")]
    Url(String, String),
    /// The credentials file cannot be read.
    #[error("NATS credentials file {0}: {1}")]
    Credentials(PathBuf, String),
    /// The connection failed.
    #[error("cannot connect to NATS at {0}: {1}")]
    Connect(String, String),
}

/// The server that is meant when none is named.
pub const LOCAL_SERVER: &str = "nats://127.0.0.1:4222";

impl NatsConfig {
    /// The settings that the environment names: `MESSAGEBUS_URL`, else `NATS_URL`, else `NATS_URI`;
    /// overridden by `NATS_SERVICE_HOST` with `NATS_SERVICE_PORT_CLIENT`, as Kubernetes sets them;
    /// `NATS_CREDENTIALS`, `NATS_USER`, `NATS_PASSWORD`, `NATS_TOKEN`, `NATS_CA`, `NATS_CERT`,
    /// `NATS_KEY`, `NATS_NAME`.
    #[must_use]
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Self {
        let env = |name: &str| env(name).filter(|v| !v.is_empty());
        let url = env("MESSAGEBUS_URL").or_else(|| env("NATS_URL")).or_else(|| env("NATS_URI"));
        let service = env("NATS_SERVICE_HOST").zip(env("NATS_SERVICE_PORT_CLIENT"));
        let url = service.map(|(host, port)| format!("nats://{host}:{port}")).or(url);
        NatsConfig {
            servers: url.into_iter().collect(),
            name: env("NATS_NAME").unwrap_or_default(),
            credentials: env("NATS_CREDENTIALS").map(PathBuf::from),
            user: env("NATS_USER"),
            password: env("NATS_PASSWORD"),
            token: env("NATS_TOKEN"),
            ca: env("NATS_CA").map(PathBuf::from),
            certificate: env("NATS_CERT").map(PathBuf::from),
            key: env("NATS_KEY").map(PathBuf::from),
        }
    }

    /// The server addresses, checked.
    ///
    /// # Errors
    /// The first URL that cannot be used.
    pub fn addresses(&self) -> Result<Vec<ServerAddr>, NatsError> {
        let listed = self.servers.iter().flat_map(|s| s.split(',')).map(str::trim).filter(|s| !s.is_empty());
        let mut urls: Vec<&str> = listed.collect();
        if urls.is_empty() {
            urls.push(LOCAL_SERVER);
        }
        let address = |url: &&str| -> Result<ServerAddr, NatsError> {
            match url.split_once("://").map(|(scheme, _)| scheme) {
                Some("nats" | "tls") => url.parse().map_err(|e| NatsError::Url(hidden(url), format!("{e}"))),
                Some("amqp" | "amqps") => Err(NatsError::Amqp(hidden(url))),
                _ => Err(NatsError::Scheme(hidden(url))),
            }
        };
        urls.iter().map(address).collect()
    }

    /// The options of the connection: reconnects for ever, with delays that grow to some seconds.
    ///
    /// # Errors
    /// When the credentials file cannot be read.
    pub fn options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = ConnectOptions::new()
            .max_reconnects(None)
            .reconnect_delay_callback(|attempt| match attempt {
                0 | 1 => Duration::ZERO,
                more => Duration::from_millis(50 << more.min(6)).min(Duration::from_secs(2)),
            })
            .ping_interval(Duration::from_secs(15))
            .request_timeout(None)
            .skip_subject_validation(true);
        if !self.name.is_empty() {
            options = options.name(&self.name);
        }
        if let Some(file) = &self.credentials {
            let text = std::fs::read_to_string(file)
                .map_err(|e| NatsError::Credentials(file.clone(), e.to_string()))?;
            options = options
                .credentials(&text)
                .map_err(|e| NatsError::Credentials(file.clone(), e.to_string()))?;
        }
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }

    /// The servers for people, without passwords.
    #[must_use]
    pub fn describe(&self) -> String {
        let urls: Vec<_> = self.servers.iter().flat_map(|s| s.split(',')).map(hidden).collect();
        if urls.is_empty() { LOCAL_SERVER.to_owned() } else { urls.join(",") }
    }
}

/// A URL without user and password.
fn hidden(url: &str) -> String {
    match url.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> NatsConfig {
        NatsConfig::from_env(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn names_of_the_environment_rank() {
        assert_eq!(from(&[]).describe(), LOCAL_SERVER);
        assert_eq!(from(&[("NATS_URI", "nats://a"), ("NATS_URL", "nats://b")]).describe(), "nats://b");
        assert_eq!(from(&[("NATS_URL", "nats://b"), ("MESSAGEBUS_URL", "nats://c")]).describe(), "nats://c");
        let service =
            [("NATS_SERVICE_HOST", "h"), ("NATS_SERVICE_PORT_CLIENT", "1"), ("MESSAGEBUS_URL", "nats://c")];
        assert_eq!(from(&service).describe(), "nats://h:1");
    }

    #[test]
    fn schemes() {
        let check = |url: &str| {
            let config = NatsConfig { servers: vec![url.to_owned()], ..NatsConfig::default() };
            config.addresses().map(|a| a.len()).map_err(|e| e.to_string())
        };
        assert_eq!(check("nats://a:4222,tls://u:p@b"), Ok(2));
        assert!(
            check("amqp://guest:secret@rabbit").unwrap_err().starts_with("`amqp://rabbit` asks for RabbitMQ")
        );
        assert_eq!(check("http://x").unwrap_err(), "Unkwnon url for MessageBus: http://x");
    }
}
