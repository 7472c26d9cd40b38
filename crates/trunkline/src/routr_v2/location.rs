//! `trunkline location`.

use tonic::server::NamedService;
use trunkline_config::{LocationCache, LocationRole};
use trunkline_services::{LocationService, RouteStore};
use trunkline_wire::location::location_server::LocationServer;

use super::ReadyService;

/// The service over its store.
pub fn build(role: &LocationRole) -> ReadyService {
    let store = match role.cache {
        LocationCache::Memory => RouteStore::memory(),
    };
    let service = LocationServer::new(LocationService::new(store, role.sips));
    ReadyService {
        name: <LocationServer<LocationService> as NamedService>::NAME,
        add: Box::new(move |routes| routes.add_service(service)),
        address: role.bind,
        remedy: "or set spec.bindAddr",
    }
}
