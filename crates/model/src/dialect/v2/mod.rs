//! Routr v2beta1/v2: YAML or JSON documents of `apiVersion`, `kind`, `ref`, `metadata`, `spec`.
//!
//! It is also the form of our own database rows, of export and of `--json`, and so has keys for everything the
//! canonical model has beyond Routr's: `Domain.spec.authenticate`, `interDomain` and `algorithms`,
//! `Agent.spec.fallback`, `Trunk.spec.outbound.timeoutMs`, `allowedParameters`, `from` and `assertIdentity`, the kind `User`,
//! `maxCalls` and `maxCallsPerMinute` of trunks, agents, peers and domains, `replaceOldestContact`, and `extended` beside `spec`.

mod belongs;
mod load;
mod read;
mod spec;
mod words;
mod write;

pub use belongs::of_resources;
pub use load::{apply, apply_json, load};
pub use read::{Document, documents, keys_of, resource};
pub use write::{to_json, to_json_in_full, to_yaml, yaml};
