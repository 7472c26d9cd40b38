//! The gRPC server: its listeners and its thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use trunkline_grpc::connect;
use trunkline_http::{Descriptors, accept};
use trunkline_login::Login;
use trunkline_operations::{OperationError, Operations};
use trunkline_rpc::{ServerPhase, reached, serve_connection};
use trunkline_transport::Certificates;

use crate::counts::{Count, Counts};
use crate::gate::Gate;
use crate::method::connect_services;
use crate::resources::ResourceServices;

/// Bytes of a request.
const MOST_REQUEST: usize = 1 << 20;
/// Threads for what waits.
const BESIDE: usize = 8;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen for gRPC on {address}: {source} (key {}: is another program there? `off` for none)",
        endpoint.key()
    )]
    Bind {
        /// Which endpoint.
        endpoint: Endpoint,
        /// The address asked for.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for gRPC (keys grpc.addr, grpc.externalAddr): {0}")]
    Thread(std::io::Error),
    /// The resources cannot be had.
    #[error(transparent)]
    Resources(OperationError),
    /// Server reflection cannot read what it is to tell.
    #[error("cannot set up gRPC server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Where callers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// From this machine, without a login.
    Internal,
    /// From anywhere, over TLS and with a login.
    External,
}

impl Endpoint {
    /// The key of its address.
    pub fn key(self) -> &'static str {
        match self {
            Endpoint::Internal => "grpc.addr",
            Endpoint::External => "grpc.externalAddr",
        }
    }
}

/// An endpoint before it serves.
struct BoundEndpoint {
    listener: std::net::TcpListener,
    tls: Option<Certificates>,
    gate: Arc<Gate>,
}

/// The server before it serves.
pub struct ApiServer {
    runtime: Runtime,
    routes: Routes,
    health: HealthReporter,
    counts: Arc<Counts>,
    endpoints: Vec<BoundEndpoint>,
    addresses: Vec<(Endpoint, SocketAddr)>,
}

impl ApiServer {
    /// Over the resources of these operations, without an endpoint.
    pub fn new(operations: &dyn Operations) -> Result<ApiServer, ApiError> {
        let store = operations.store().map_err(ApiError::Resources)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BESIDE)
            .build()
            .map_err(ApiError::Thread)?;
        let (health, health_service) = tonic_health::server::health_reporter();
        Ok(ApiServer {
            runtime,
            routes: services(Routes::new(health_service), &ResourceServices::new(store)),
            health,
            counts: Arc::default(),
            endpoints: Vec::new(),
            addresses: Vec::new(),
        })
    }

    /// Adds the endpoint for this machine; port 0 leaves the choice to the system. Whoever can connect there may do
    /// everything: the address must be a loopback one.
    pub fn internal(mut self, address: SocketAddr) -> Result<ApiServer, ApiError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(connect::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let routes = self.routes.clone();
        let routes = routes.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
        let gate = Gate {
            endpoint: Endpoint::Internal,
            routes: routes.prepare(),
            login: None,
            reveal: true,
            counts: self.counts.clone(),
        };
        self.add(address, None, gate)?;
        Ok(self)
    }

    /// Adds the endpoint for others; port 0 leaves the choice to the system. `reveal`: do users who may write see
    /// passwords of credentials?
    pub fn external(
        mut self,
        address: SocketAddr,
        tls: Certificates,
        login: Login,
        reveal: bool,
    ) -> Result<ApiServer, ApiError> {
        let gate = Gate {
            endpoint: Endpoint::External,
            routes: self.routes.clone().prepare(),
            login: Some(login),
            reveal,
            counts: self.counts.clone(),
        };
        self.add(address, Some(tls), gate)?;
        Ok(self)
    }

    fn add(&mut self, address: SocketAddr, tls: Option<Certificates>, gate: Gate) -> Result<(), ApiError> {
        let endpoint = gate.endpoint;
        let bind = |source| ApiError::Bind { endpoint, address, source };
        let listener = std::net::TcpListener::bind(address).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let at = listener.local_addr().map_err(bind)?;
        tracing::info!(address = %at, key = endpoint.key(), "listening for gRPC");
        self.addresses.push((endpoint, at));
        self.endpoints.push(BoundEndpoint { listener, tls, gate: Arc::new(gate) });
        Ok(())
    }

    /// Serves in a thread of its own.
    pub fn start(self) -> Result<RunningApi, ApiError> {
        let ApiServer { runtime, health, counts, endpoints, addresses, .. } = self;
        let mut open = Vec::with_capacity(endpoints.len());
        for (BoundEndpoint { listener, tls, gate }, (endpoint, address)) in
            endpoints.into_iter().zip(&addresses)
        {
            let _inside = runtime.enter();
            let listener = TcpListener::from_std(listener).map_err(|source| ApiError::Bind {
                endpoint: *endpoint,
                address: *address,
                source,
            })?;
            open.push((listener, tls, gate));
        }
        let (phase, phases) = watch::channel(ServerPhase::Serving);
        let thread = std::thread::Builder::new()
            .name("grpc".into())
            .spawn(move || runtime.block_on(serve(open, health, phases)))
            .map_err(ApiError::Thread)?;
        Ok(RunningApi { addresses, counts, phase, thread: Some(thread) })
    }
}

/// Adds the resource services.
fn services(routes: Routes, resources: &ResourceServices) -> Routes {
    macro_rules! bounded {
        ($service:path) => {{
            use $service as Service;
            Service::new(resources.clone()).max_decoding_message_size(MOST_REQUEST)
        }};
    }
    routes
        .add_service(bounded!(connect::acl::acl_service_server::AclServiceServer))
        .add_service(bounded!(connect::agents::agents_server::AgentsServer))
        .add_service(bounded!(connect::credentials::credentials_service_server::CredentialsServiceServer))
        .add_service(bounded!(connect::domains::domains_server::DomainsServer))
        .add_service(bounded!(connect::numbers::numbers_server::NumbersServer))
        .add_service(bounded!(connect::peers::peers_server::PeersServer))
        .add_service(bounded!(connect::trunks::trunks_server::TrunksServer))
}

/// The server at work. Dropping it takes no more calls and answers those under way, for two seconds at most.
pub struct RunningApi {
    addresses: Vec<(Endpoint, SocketAddr)>,
    counts: Arc<Counts>,
    phase: watch::Sender<ServerPhase>,
    thread: Option<JoinHandle<()>>,
}

impl RunningApi {
    /// Its endpoints and their addresses, with the ports filled in.
    pub fn addresses(&self) -> &[(Endpoint, SocketAddr)] {
        &self.addresses
    }

    /// How often what was called.
    pub fn counts(&self) -> Vec<Count> {
        self.counts.all()
    }

    /// Health says NOT_SERVING from now on, so that balancers send nobody any more.
    pub fn drain(&self) {
        let _ = self.phase.send(ServerPhase::Draining);
    }
}

impl Drop for RunningApi {
    fn drop(&mut self) {
        let _ = self.phase.send(ServerPhase::Ending);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the gRPC server panicked");
        }
    }
}

/// Serves until told to end.
async fn serve(
    endpoints: Vec<(TcpListener, Option<Certificates>, Arc<Gate>)>,
    health: HealthReporter,
    mut phase: watch::Receiver<ServerPhase>,
) {
    for service in connect_services() {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let mut listening = JoinSet::new();
    for (listener, tls, gate) in endpoints {
        let (mut ending, phase) = (phase.clone(), phase.clone());
        listening.spawn(async move {
            let end = reached(&mut ending, ServerPhase::Ending);
            accept(listener, ("gRPC", Descriptors::Common), end, |stream, from| {
                serve_connection(stream, from, tls.clone(), gate.clone(), phase.clone())
            })
            .await;
        });
    }
    reached(&mut phase, ServerPhase::Draining).await;
    for service in connect_services().chain([""]) {
        health.set_service_status(service, ServingStatus::NotServing).await;
    }
    reached(&mut phase, ServerPhase::Ending).await;
    while listening.join_next().await.is_some() {}
}
