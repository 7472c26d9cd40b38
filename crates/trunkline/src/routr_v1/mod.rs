//! Special treatment of resources of Routr v1: its domain, its gateways, its registrations.

mod taken_over;

use trunkline_config::Config;
use trunkline_model::dialect::v1::Collection;
use trunkline_store::{Access, Store};
use trunkline_transport::Listener;

pub use taken_over::take_over;

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
                "the gateway uses the transport {}, but no listener has it: add it to spec.transport",
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

/// The key of the port of a transport, in the configuration that the operator wrote.
pub fn key_of_port(transport: &str, is_routr_v1: bool) -> String {
    if is_routr_v1 {
        format!("spec.transport, protocol {}", transport.to_ascii_lowercase())
    } else {
        format!("listen.{transport}")
    }
}
