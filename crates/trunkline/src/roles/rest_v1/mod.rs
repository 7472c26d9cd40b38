//! The role `rest-v1`: the REST API of Routr v1.

mod configuration;
mod environment;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trunkline_config::{Config, Env, RoutrV1};
use trunkline_http::{HttpServer, RunningHttp};
use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_rest_v1::{DataProvider, KEY, Site, TokenKey, api, is_ours, salt_in};
use trunkline_store::{Store, Write, WriteError, generate_secret};
use trunkline_transport::{Certificates, ClientAuth};

use crate::base::Base;
use crate::operations::ProcessOperations;
use crate::tls::tls_settings;
use configuration::FileAndStored;
use environment::environment;

/// The API at work; dropping it ends its listener.
pub struct RestV1 {
    _running: RunningHttp,
}

impl RestV1 {
    /// Opens the listener; `None` when `routrV1.addr` is `off`. `document` is the operator's configuration, where that
    /// is one of Routr v1, with the file that the command line names.
    pub fn build(
        document: Option<(Value, Option<&Path>)>,
        base: &Base,
        operations: &Arc<ProcessOperations>,
    ) -> Result<Option<RestV1>> {
        let settings = &base.config.routr_v1;
        let Some(address) = settings.addr else { return Ok(None) };
        let resources = base.resources()?;
        let tokens = tokens(settings)?;
        make_first_user(&resources.store, &settings.initial_secret.0)?;
        let key = if document.is_some() { KEY } else { "routrV1.addr" };
        let (document, file) = document.unwrap_or_default();
        let site = Site {
            environment: environment(resources.store.edition(), &Env::of_process()),
            configuration: Box::new(FileAndStored::new(document, file, resources.store.clone())),
            provider: resources.store.clone(),
            login: resources.login.clone(),
            tokens,
        };
        let router = api(operations.clone(), site);
        let mut server = HttpServer::new(address).key(key).tolerant().mount(router);
        if settings.tls {
            let tls = certificates(&base.config)?;
            server = server.tls(Arc::new(move || tls.server()));
        }
        Ok(Some(RestV1 { _running: server.start()? }))
    }
}

/// The key that signs tokens. With a salt of Routr v1 they do not expire, as Routr's do not.
fn tokens(settings: &RoutrV1) -> Result<TokenKey> {
    let salt = match settings.salt.0.as_str() {
        "" => salt_in(&settings.salt_file)?,
        given => given.to_owned(),
    };
    let tokens = TokenKey::from_salt(&salt)?;
    if is_ours(&salt) && settings.token_hours > 0 {
        return Ok(tokens.expiring(u64::from(settings.token_hours) * 3600));
    }
    Ok(tokens)
}

/// The API's certificate: its own or that of `tls`. Clients are not asked for one, as in Routr v1.
fn certificates(config: &Config) -> Result<Certificates> {
    let settings = &config.routr_v1;
    let mut tls = tls_settings(config, config.database_file().as_deref());
    tls.client_auth = ClientAuth::Off;
    tls.client_ca.clone_from(&settings.trust_store.file);
    tls.client_ca_password.clone_from(&settings.trust_store.password.0);
    if let Some(file) = &settings.pkcs12.file {
        tls.pair = None;
        tls.more.clear();
        tls.pkcs12 = Some((file.clone(), settings.pkcs12.password.0.clone()));
    }
    Certificates::load(tls).context("certificates of the REST API (spec.restService)")
}

/// Makes the first user of a data provider that has none, as Routr does, and shows a secret that was made here, once.
fn make_first_user(store: &Store, given: &str) -> Result<()> {
    let Store::RoutrV1(v1) = store else { return Ok(()) };
    if !v1.documents().of(Collection::Users).is_empty() {
        return Ok(());
    }
    if !v1.is_writable() {
        tracing::warn!("there are no users: add one to users.yml to log in to the REST API");
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
    let mut written = v1.write(Write::Insert(Collection::Users, user.clone()));
    while written == Err(WriteError::Changed) && v1.documents().of(Collection::Users).is_empty() {
        written = v1.write(Write::Insert(Collection::Users, user.clone()));
    }
    if written == Err(WriteError::Changed) {
        // Another exchange has made it meanwhile.
        return Ok(());
    }
    if let Err(error) = written {
        tracing::warn!(%error, "there are no users and none can be created: nobody can log in to the REST API");
        return Ok(());
    }
    if given.is_empty() {
        // To the standard output and nowhere else; who does not see it sets INITIAL_API_SECRET.
        let told = format!("First start: the login of the REST API is admin / {secret} (printed once)\n");
        let _ = std::io::stdout().write_all(told.as_bytes());
    }
    Ok(())
}
