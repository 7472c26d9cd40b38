//! The configuration that a late Routr v1 keeps in Redis, under the key `config`.

use serde_json::Value;

use super::cache::Cache;
use super::patience::{Answer, patiently};
use super::provider::{Access, Provider, WriteError};
use super::redis::Redis;
use super::{Kind, ProviderState, RoutrV1, SCHEMES};
use crate::error::StoreError;

/// A configuration from a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredConfiguration {
    /// Where it stands, for operators.
    pub place: String,
    /// The document.
    pub document: Value,
}

/// The configuration beside the resources of a URL; `None` if that is no Redis of a Routr v1, or there is none. Waits for
/// Redis as `access` says, and gives `warn` what an operator should know meanwhile.
pub fn stored_configuration(
    url: &str,
    access: &Access,
    warn: &mut dyn FnMut(String),
) -> Result<Option<StoredConfiguration>, StoreError> {
    let Some((scheme, at)) = url.split_once(':') else { return Ok(None) };
    let found = SCHEMES.iter().find(|(known, _, kind)| *known == scheme && matches!(kind, Kind::Redis));
    let Some((_, edition, _)) = found else { return Ok(None) };
    let mut redis = Redis::new(at, *edition, access)?;
    let cache = access.cache.as_ref().map(|file| Cache::new(file, redis.name()));
    let kept = || cache.as_ref().and_then(Cache::read);
    let mut ask = || {
        if let Some((texts, _)) = kept()
            && redis.has_lost(&texts)?
        {
            return Err(StoreError::Emptied(redis.name().to_owned()));
        }
        redis.read_configuration()
    };
    let document = match patiently(access, kept, &mut ask, warn)? {
        Answer::Fresh(Ok(document)) => document,
        Answer::Fresh(Err(why)) => {
            warn(why);
            None
        }
        Answer::Kept((_, document), _) => document,
    };
    Ok(document.map(|document| StoredConfiguration { place: place(redis.name()), document }))
}

fn place(name: &str) -> String {
    format!("{name}, key `config`")
}

impl RoutrV1 {
    /// The configuration that the provider has beside the documents; it is in force from the next start on.
    pub fn configuration(&self) -> Option<StoredConfiguration> {
        let document = self.state().configuration.clone()?;
        Some(StoredConfiguration { place: place(&self.name), document })
    }

    /// Does the provider keep a configuration beside the documents? Redis does.
    pub fn keeps_configuration(&self) -> bool {
        self.keeps_configuration
    }

    /// Stores another configuration, for the next start. Waits for the provider.
    pub fn write_configuration(&self, document: &Value) -> Result<(), WriteError> {
        let mut state = self.state();
        let read = self.look(&mut state);
        read.map_err(|error| WriteError::Unavailable(error.to_string()))?;
        state.provider.write_configuration(document)?;
        state.configuration = Some(document.clone());
        state.keep();
        Ok(())
    }
}

impl ProviderState {
    /// Takes up a configuration that was changed at the provider.
    pub(super) fn renew_configuration(&mut self) {
        let now = self.provider.configuration();
        if now == self.configuration.as_ref() {
            return;
        }
        self.configuration = now.cloned();
        tracing::info!(
            "{}: the configuration was changed; it is in force after a restart",
            self.provider.name()
        );
        self.keep();
    }
}
