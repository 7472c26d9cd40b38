//! How the proxy's own connection says to a NATS server who it is, and with which certificates.

use std::path::Path;
use std::sync::Arc;

use async_nats::ServerAddr;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Map, Value, json};
use trunkline_ari_client::{NatsConfig, NatsError};

/// The server's INFO, as far as we need it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerInfo {
    pub max_payload: Option<usize>,
    pub tls_required: bool,
    pub headers: bool,
    nonce: String,
    /// The other servers of its cluster, as `HOST:PORT`.
    pub others: Vec<String>,
}

impl ServerInfo {
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let info: Map<String, Value> = serde_json::from_slice(json).ok()?;
        let flag = |name: &str| info.get(name).and_then(Value::as_bool).unwrap_or_default();
        let others = info.get("connect_urls").and_then(Value::as_array).into_iter().flatten();
        Some(ServerInfo {
            max_payload: info
                .get("max_payload")
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok()),
            tls_required: flag("tls_required"),
            headers: flag("headers"),
            nonce: info.get("nonce").and_then(Value::as_str).unwrap_or_default().to_owned(),
            others: others.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// Who we are.
pub(crate) struct Login {
    config: NatsConfig,
    /// The token and the key of a credentials file.
    credentials: Option<(String, KeyPair)>,
}

impl Login {
    pub(crate) fn new(config: &NatsConfig) -> Result<Self, NatsError> {
        let credentials = match &config.credentials {
            Some(file) => {
                let wrong = |why: String| NatsError::Credentials(file.clone(), why);
                let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
                Some(credentials(&text).map_err(wrong)?)
            }
            None => None,
        };
        Ok(Login { config: config.clone(), credentials })
    }

    /// The CONNECT for a server; `server` may hold a login of its own.
    pub(super) fn connect(
        &self,
        server: &ServerAddr,
        info: &ServerInfo,
        tls: bool,
    ) -> Result<String, String> {
        let mut connect = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1, "echo": true, "headers": true, "no_responders": true, "tls_required": tls,
        });
        let mut set = |name: &str, value: &str| {
            if let Some(connect) = connect.as_object_mut() {
                connect.insert(name.to_owned(), value.into());
            }
        };
        let config = &self.config;
        if !config.name.is_empty() {
            set("name", &config.name);
        }
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            set("user", user);
            set("pass", password);
        }
        if let Some(token) = &config.token {
            set("auth_token", token);
        }
        match (server.username(), server.password()) {
            (Some(user), Some(password)) => {
                set("user", user);
                set("pass", password);
            }
            (Some(token), None) => set("auth_token", token),
            (None, _) => {}
        }
        if let Some((token, key)) = &self.credentials {
            let signature = key.sign(info.nonce.as_bytes()).map_err(|e| e.to_string())?;
            set("jwt", token);
            set("sig", &URL_SAFE_NO_PAD.encode(signature));
        }
        Ok(format!("CONNECT {connect}\r\nPING\r\n"))
    }

    /// TLS with the configured authority, else those of the system, and our certificate where there is one.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        match &self.config.ca {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|e| format!("{}: {e}", file.display()))?;
                }
            }
            // A certificate of the system that rustls cannot read is of no use to us either.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        let config = match (&self.config.certificate, &self.config.key) {
            (Some(certificate), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key);
                let private = private.map_err(|e| format!("{}: {e}", key.display()))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|e| e.to_string())?
            }
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|e| format!("{}: {e}", file.display()))
}

/// The token and the seed of a credentials file: the first lines of its two blocks.
fn credentials(text: &str) -> Result<(String, KeyPair), String> {
    let mut blocks = Vec::new();
    let mut within = false;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if line.starts_with("---") {
            within = line.contains("BEGIN");
        } else if std::mem::take(&mut within) {
            blocks.push(line);
        }
    }
    let [token, seed] = blocks[..] else { return Err("there must be a token and a seed in it".to_owned()) };
    // The error of the library may quote the seed.
    let key = KeyPair::from_seed(seed).map_err(|_| "its seed is no nkey".to_owned())?;
    Ok((token.to_owned(), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(config: NatsConfig, server: &str, info: &ServerInfo) -> Map<String, Value> {
        let text = Login::new(&config).unwrap().connect(&server.parse().unwrap(), info, false).unwrap();
        let json = text.strip_prefix("CONNECT ").and_then(|t| t.strip_suffix("\r\nPING\r\n")).unwrap();
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn logins() {
        let info = ServerInfo::default();
        let config = NatsConfig {
            name: "n".into(),
            user: Some("u".into()),
            password: Some("p\"".into()),
            ..NatsConfig::default()
        };
        let of_config = connect(config.clone(), "nats://h", &info);
        assert_eq!(
            (&of_config["user"], &of_config["pass"], &of_config["name"]),
            (&json!("u"), &json!("p\""), &json!("n"))
        );
        let of_url = connect(config, "nats://a:b@h", &info);
        assert_eq!((&of_url["user"], &of_url["pass"]), (&json!("a"), &json!("b")));
        let token = connect(NatsConfig::default(), "nats://t@h", &info);
        assert_eq!((&token["auth_token"], token.get("user")), (&json!("t"), None));
        let none = connect(NatsConfig::default(), "nats://h", &info);
        assert!(none.get("name").is_none() && none.get("auth_token").is_none() && none.get("jwt").is_none());
    }

    #[test]
    fn a_credentials_file_has_a_token_and_a_seed() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\nthe.token\n------END NATS USER JWT------\n\n*** keep it ***\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let (token, read) = credentials(&text).unwrap();
        assert_eq!((token.as_str(), read.public_key()), ("the.token", key.public_key()));
        assert!(credentials("the.token").is_err());
        let wrong = credentials(&text.replace(&seed, "SUxyz")).err().unwrap();
        assert!(!wrong.contains("SUxyz"), "{wrong}");
    }

    #[test]
    fn what_a_server_says_of_itself() {
        let info = ServerInfo::read(
            br#"{"max_payload":1024,"tls_required":true,"headers":true,"nonce":"x","connect_urls":["a:1",5]}"#,
        );
        let info = info.unwrap();
        assert_eq!((info.max_payload, info.tls_required, info.headers), (Some(1024), true, true));
        assert_eq!(info.others, ["a:1"]);
        assert!(ServerInfo::read(b"[]").is_none());
    }
}
