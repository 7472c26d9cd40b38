//! Asterisk itself: information, variables, configuration, logging, modules.

use serde_json::json;
use trunkline_ari::{ConfigData, Key, Kind, LogData, kinds, model};

use super::{collection, commands, handle};
use crate::client::Client;
use crate::error::Error;

handle! {
    /// Asterisk itself.
    Asterisk, ""
}

impl Asterisk {
    fn at(&self, kind: &str, id: &str) -> Key {
        self.key.sibling(kind, id)
    }

    /// Its own description.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn info(&self) -> Result<model::AsteriskInfo, Error> {
        self.client.data(Kind::AsteriskInfo, &self.key, "asterisk").await
    }

    /// Whether its REST interface answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<model::AsteriskPing, Error> {
        self.client.data(Kind::AsteriskPing, &self.key, "ping").await
    }

    /// The value of a global variable; empty when it is not set.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn variable(&self, name: &str) -> Result<String, Error> {
        let response = self.client.call(Kind::AsteriskVariableGet, &self.at(kinds::VARIABLE, name)).await?;
        Ok(response.data("variable")?.unwrap_or_default())
    }

    /// Sets a global variable.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn set_variable(&self, name: &str, value: &str) -> Result<(), Error> {
        let key = self.at(kinds::VARIABLE, name);
        self.client.call_with(Kind::AsteriskVariableSet, &key, &json!({"value": value})).await.map(drop)
    }

    /// A configuration object, `class/type/id`.
    #[must_use]
    pub fn config(&self, class: &str, object_type: &str, id: &str) -> Config {
        Config::new(&self.client, self.at(kinds::CONFIG, &format!("{class}/{object_type}/{id}")))
    }

    /// Its log channels.
    #[must_use]
    pub fn logging(&self) -> Logging<'_> {
        Logging(self)
    }

    /// Its modules.
    #[must_use]
    pub fn modules(&self) -> Modules<'_> {
        Modules(&self.client)
    }
}

handle! {
    /// A configuration object.
    Config, kinds::CONFIG
}

impl Config {
    commands! {
        /// Removes it.
        delete => AsteriskConfigDelete;
    }

    /// Its text.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn data(&self) -> Result<ConfigData, Error> {
        self.client.data(Kind::AsteriskConfigData, &self.key, "config").await
    }

    /// Makes or changes it.
    ///
    /// # Errors
    /// When Asterisk does not let it.
    pub async fn update(&self, attributes: &[(&str, &str)]) -> Result<(), Error> {
        let tuples: Vec<_> = attributes.iter().map(|(a, v)| json!({"attribute": a, "value": v})).collect();
        self.client
            .call_with(Kind::AsteriskConfigUpdate, &self.key, &json!({"tuples": tuples}))
            .await
            .map(drop)
    }
}

/// The log channels of an Asterisk.
pub struct Logging<'a>(&'a Asterisk);

impl Logging<'_> {
    fn key(&self, name: &str) -> Key {
        self.0.at(kinds::LOGGING, name)
    }

    /// Their keys.
    ///
    /// # Errors
    /// When no proxy told its part.
    pub async fn list(&self) -> Result<crate::Listing, Error> {
        self.0.client.list(Kind::AsteriskLoggingList, &self.0.key, None::<&()>).await
    }

    /// What one takes.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn data(&self, name: &str) -> Result<LogData, Error> {
        self.0.client.data(Kind::AsteriskLoggingData, &self.key(name), "log").await
    }

    /// Whether one exists: its key.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn get(&self, name: &str) -> Result<Key, Error> {
        Client::key_of(self.0.client.call(Kind::AsteriskLoggingGet, &self.key(name)).await?)
    }

    /// Makes one; `levels` such as `notice,warning`.
    ///
    /// # Errors
    /// When it exists.
    pub async fn create(&self, name: &str, levels: &str) -> Result<Key, Error> {
        let option = json!({"config": levels});
        Client::key_of(self.0.client.call_with(Kind::AsteriskLoggingCreate, &self.key(name), &option).await?)
    }

    /// Begins a new file.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn rotate(&self, name: &str) -> Result<(), Error> {
        self.0.client.call(Kind::AsteriskLoggingRotate, &self.key(name)).await.map(drop)
    }

    /// Removes one.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.0.client.call(Kind::AsteriskLoggingDelete, &self.key(name)).await.map(drop)
    }
}

handle! {
    /// A module of Asterisk.
    Module, kinds::MODULE
}

collection! {
    /// The modules of a cluster.
    Modules of Module, kinds::MODULE, model::Module as "module", AsteriskModuleData, get AsteriskModuleGet, list AsteriskModuleList
}

impl Module {
    commands! {
        /// Loads it.
        load => AsteriskModuleLoad;
        /// Loads its configuration anew.
        reload => AsteriskModuleReload;
        /// Unloads it.
        unload => AsteriskModuleUnload;
    }
}
