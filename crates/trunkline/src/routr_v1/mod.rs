//! What is special where the resources are those of a Routr v1: its domain, and its REST API.

mod backend;
mod taken_over;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trunkline_config::Config;
use trunkline_http::{Running, Server};
use trunkline_login::Login;
use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_rest_v1::{KEY, TokenKey, api, is_ours, salt_in};
use trunkline_store::{Access, Store, Write, generate_secret};
use trunkline_transport::{Listener, SeparateTls};

use crate::report::Report;
use crate::tls::tls_settings;
use backend::Site;

pub use taken_over::{take_over, warn_of_configuration};

/// The domain that our own addresses stand for, where the configured one is none of Routr's: the first one.
pub fn default_domain(store: &Store, config: &Config) -> Option<String> {
    let Store::RoutrV1(v1) = store else { return None };
    if store.live().load().domain_by_uri(config.domain.as_bytes()).is_some() {
        return None;
    }
    let documents = v1.documents();
    let first = documents.of(Collection::Domains).first()?;
    first["spec"]["context"]["domainUri"].as_str().map(str::to_ascii_lowercase)
}

/// Warns of gateways whose transport nothing listens for: their calls over it cannot come in.
pub fn warn_of_transports(store: &Store, listening: &[Listener]) {
    let Store::RoutrV1(_) = store else { return };
    for trunk in store.live().load().trunks() {
        let transports = trunk.uris.iter().filter_map(|uri| uri.transport);
        for transport in transports.filter(|t| listening.iter().all(|l| l.transport != *t)) {
            tracing::warn!(
                gateway = %trunk.reference,
                "the gateway's transport is {}, and nothing listens for it: add it to spec.transport",
                transport.param_name()
            );
        }
    }
}

/// How a data provider is reached: patiently, and with what was kept of it.
pub fn access(config: &Config) -> Access {
    let provider = &config.routr_v1.provider;
    Access { tries: provider.tries, cache: config.provider_cache(), ..trunkline_cli::access(config) }
}

/// Makes the first user of a data provider that has none, as Routr does, and shows a secret that was made here, once.
fn first_user(store: &Store, given: &str) -> Result<()> {
    let Store::RoutrV1(v1) = store else { return Ok(()) };
    if !v1.documents().of(Collection::Users).is_empty() {
        return Ok(());
    }
    if !v1.is_writable() {
        tracing::warn!("there are no users: nobody can log in to the REST API until users.yml has one");
        return Ok(());
    }
    let secret = match given {
        "" => generate_secret(20)?,
        given => given.to_owned(),
    };
    let name = match v1.edition() {
        Edition::Rc2 => "Ctl",
        Edition::Late => "Default",
    };
    let user = json!({
        "apiVersion": "v1beta1", "kind": "User", "metadata": {"name": name},
        "spec": {"credentials": {"username": "admin", "secret": secret}},
    });
    if let Err(error) = v1.write(Write::Insert(Collection::Users, user)) {
        tracing::warn!(%error, "there are no users, and none can be made: nobody can log in to the REST API");
        return Ok(());
    }
    if given.is_empty() {
        // To the standard output and nowhere else; who does not see it sets INITIAL_API_SECRET.
        let told = format!("First start: the login of the REST API is admin / {secret} (shown this once)\n");
        let _ = std::io::stdout().write_all(told.as_bytes());
    }
    Ok(())
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
    let mut tokens = TokenKey::from_salt(&salt)?;
    if is_ours(&salt) && settings.token_hours > 0 {
        tokens = tokens.expiring(u64::from(settings.token_hours) * 3600);
    }
    first_user(&report.store, &settings.initial_secret.0)?;
    let key = if document.is_some() { KEY } else { "routrV1.addr" };
    let backend = Site::new(report.clone(), document.unwrap_or_default());
    let router = api(Arc::new(backend), login, tokens);
    let mut server = Server::new(address).key(key).tolerant().mount(router);
    if settings.tls {
        let mut tls = tls_settings(config, database);
        tls.client_ca.clone_from(&settings.trust_store.file);
        tls.client_ca_password.clone_from(&settings.trust_store.password.0);
        if let Some(file) = &settings.pkcs12.file {
            tls.pair = None;
            tls.more.clear();
            tls.pkcs12 = Some((file.clone(), settings.pkcs12.password.0.clone()));
        }
        let tls = SeparateTls::load(tls).context("certificates of the REST API (spec.restService)")?;
        server = server.tls(Arc::new(move || tls.current()));
    }
    Ok(Some(server.start()?))
}
