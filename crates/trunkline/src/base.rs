//! Parts that several roles share. Each is made when the first role asks for it, so that a process makes only what its
//! roles need.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use trunkline_config::Config;
use trunkline_login::Login;
use trunkline_store::{Store, Watch};
use trunkline_transport::Certificates;

use crate::routr_v1;
use crate::tls::tls_settings;

/// The configuration, and the shared parts that were made so far.
pub struct Base {
    pub config: Config,
    resources: Mutex<Option<Arc<OpenResources>>>,
    certificates: Mutex<Option<Certificates>>,
}

/// The resources: the open store, the thread that takes up changes made elsewhere, the logins of the users.
pub struct OpenResources {
    pub store: Arc<Store>,
    /// One for all listeners: who guesses passwords at one of them is slowed down at all.
    pub login: Login,
    _watch: Watch,
}

impl OpenResources {
    fn open(config: &Config) -> Result<OpenResources> {
        let store = Arc::new(Store::open_with(&config.store_url(), &routr_v1::access(config))?);
        let login = Login::new(store.live().clone())?;
        let watch = Watch::start(store.clone()).context("cannot watch the resources for changes")?;
        Ok(OpenResources { store, login, _watch: watch })
    }
}

impl Base {
    /// Nothing is made yet.
    pub fn new(config: Config) -> Base {
        Base { config, resources: Mutex::default(), certificates: Mutex::default() }
    }

    /// The resources; opens the store if no role has.
    pub fn resources(&self) -> Result<Arc<OpenResources>> {
        made_once(&self.resources, || Ok(Arc::new(OpenResources::open(&self.config)?)))
    }

    /// The resources, if a role works on them.
    pub fn open_resources(&self) -> Option<Arc<OpenResources>> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a role loaded certificates?
    pub fn has_certificates(&self) -> bool {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The certificates under `tls`; loads them if no role has. The first start makes a self-signed one.
    pub fn certificates(&self) -> Result<Certificates> {
        made_once(&self.certificates, || {
            let database = self.config.database_file();
            let settings = tls_settings(&self.config, database.as_deref());
            Certificates::load(settings).context("the keys under tls")
        })
    }
}

fn made_once<T: Clone>(slot: &Mutex<Option<T>>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(made) => Ok(made.clone()),
        None => Ok(slot.insert(make()?).clone()),
    }
}
