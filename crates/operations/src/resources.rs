//! Versions of resources: of two operators who change one resource at the same moment, the later one learns of it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

use trunkline_model::Resource;
use trunkline_model::dialect::v2;

/// The version of a resource: it differs after each change. It is a keyed hash, so that it tells nothing of secrets; this process
/// alone can compare it, and a restart ends it.
pub fn version_of(resource: &Resource) -> String {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    let key = KEY.get_or_init(RandomState::new);
    let (document, times) = (v2::to_json_in_full(resource).to_string(), resource.times());
    format!("{:016x}", key.hash_one((document, times)))
}
