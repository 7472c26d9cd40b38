//! What is special where the resources are those of a Routr v1: its domain, and its REST API.

mod backend;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;
use trunkline_config::Config;
use trunkline_http::{Running, Server};
use trunkline_login::Login;
use trunkline_model::dialect::v1::Collection;
use trunkline_rest_v1::{KEY, TokenKey, api, salt_in};
use trunkline_store::Store;
use trunkline_transport::SeparateTls;

use crate::report::Report;
use crate::tls::tls_settings;
use backend::Site;

/// The domain that our own addresses stand for, where the configured one is none of Routr's: the first one.
pub fn default_domain(store: &Store, config: &Config) -> Option<String> {
    let Store::RoutrV1(files) = store else { return None };
    if store.live().load().domain_by_uri(config.domain.as_bytes()).is_some() {
        return None;
    }
    let documents = files.documents();
    let first = documents.of(Collection::Domains).first()?;
    first["spec"]["context"]["domainUri"].as_str().map(str::to_ascii_lowercase)
}

/// The operator's own configuration, where that is one of Routr v1: errors speak of its keys.
pub fn key_of_port(transport: &str, document: Option<&Value>) -> String {
    match document {
        Some(_) => format!("spec.transport, protocol {}", transport.to_ascii_lowercase()),
        None => format!("listen.{transport}"),
    }
}

/// Starts the REST API, where there is to be one.
pub fn start(
    config: &Config,
    document: Option<Value>,
    report: &Arc<Report>,
    login: Login,
    database: Option<&Path>,
) -> Result<Option<Running>> {
    let Some(address) = config.routr_v1.addr else { return Ok(None) };
    let settings = &config.routr_v1;
    let salt = match settings.salt.0.as_str() {
        "" => salt_in(&settings.salt_file)?,
        given => given.to_owned(),
    };
    let key = if document.is_some() { KEY } else { "routrV1.addr" };
    let backend = Site::new(report.clone(), document.unwrap_or_default());
    let router = api(Arc::new(backend), login, TokenKey::from_salt(&salt)?);
    let mut server = Server::new(address).key(key).tolerant().mount(router);
    if settings.tls {
        let mut tls = tls_settings(config, database);
        if let Some(file) = &settings.pkcs12.file {
            tls.pair = None;
            tls.more.clear();
            tls.pkcs12 = Some((file.clone(), settings.pkcs12.password.0.clone()));
        }
        let tls = SeparateTls::load(tls).context("the certificate of the REST API")?;
        server = server.tls(Arc::new(move || tls.current()));
    }
    Ok(Some(server.start()?))
}
