//! What is special where the resources are those of a Routr v1.

use trunkline_config::Config;
use trunkline_model::dialect::v1::Collection;
use trunkline_store::Store;

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
